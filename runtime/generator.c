/* SPDX-License-Identifier: MIT
 *
 * A body is a function that jumps to where it left off: `at` is a label's address, or says that the
 * body has ended (1), or that it is to end now (2). */
#include "neap/generator.h"

#include "base/check.h"
#include "neap/slot.h"
#include "runtime/header.h"

static const struct neap_type *type_of(const void *generator, const char *call)
{
    const struct neap_type *type = neap_type_of(generator);
    if (np_unlikely(!(type->flags & NEAP_GENERATOR_TYPE_)))
        np_panic_at(call, "a %s is not a generator", type->name);
    return type;
}

/* What it held is not needed any more: what it was made from may go now. */
static void release_slots(void *generator, const struct neap_type *type)
{
    for (uint32_t i = 0; i < type->slot_count; i++) {
        if (type->slots[i].kind != NEAP_SLOT_PLAIN)
            continue;
        void **first = (void **)(void *)((char *)generator + type->slots[i].offset);
        for (uint32_t k = 0; k < type->slots[i].count; k++)
            neap_clear(&first[k]);
    }
}

static void *run(void *self, const struct neap_type *type, const char *call)
{
    struct neap_generator *generator = self;
    if (np_unlikely(generator->running))
        np_panic_at(call, "the %s is running already", type->name);
    generator->running = true;
    void *value = ((const struct neap_generator_body_ *)type->user)->next(self);
    generator->running = false;
    if (generator->at == NEAP_GENERATOR_DONE_)
        release_slots(self, type);
    return value;
}

void *neap_next(void *generator)
{
    if (generator == NULL)
        return NULL;
    const struct neap_type *type = type_of(generator, "neap_next");
    if (((struct neap_generator *)generator)->at == NEAP_GENERATOR_DONE_)
        return NULL;
    return run(generator, type, "neap_next");
}

bool neap_generator_is_done(const void *generator)
{
    return ((const struct neap_generator *)generator)->at == NEAP_GENERATOR_DONE_;
}

/* Also the type's dispose, where nothing has been yielded yet or something still is to be. */
void neap_generator_close(void *self)
{
    struct neap_generator *generator = self;
    if (self == NULL || generator->at == NEAP_GENERATOR_DONE_)
        return;
    const struct neap_type *type = np_type_at(neap_header_of(self)->type);
    if (generator->at == NULL) { /* not begun: there is nothing to clean up */
        generator->at = NEAP_GENERATOR_DONE_;
        release_slots(self, type);
        return;
    }
    generator->at = NEAP_GENERATOR_END_;
    neap_release(run(self, type, "neap_generator_close"));
}
