/* SPDX-License-Identifier: MIT
 *
 * Visiting an object's slots: one loop for releasing children, counting, tracing and referents.
 *
 * The callback gets the address of each slot, in order; slots may be NULL. Custom visits come after
 * the declared slots. Slots are read relaxed by the callback: in a stopped world or an exclusive
 * object nobody writes, elsewhere the value is a hint.
 */
#ifndef NP_RUNTIME_VISIT_H
#define NP_RUNTIME_VISIT_H

#include "runtime/header.h"

/* What the public neap_visit calls through; embed it first. */
struct neap_visitor {
    void (*slot)(struct neap_visitor *visitor, void **slot);
};

/* Slots of the declared kind [first element .. ] of one struct at base, whose block ends at end. */
static inline __attribute__((always_inline)) void
np_visit_declared(const struct neap_type *type, char *base, const char *end,
                  struct neap_visitor *visitor,
                  void (*slot_function)(struct neap_visitor *visitor, void **slot))
{
    for (uint32_t i = 0; i < type->slot_count; i++) {
        const struct neap_slot *slot = &type->slots[i];
        void **first = (void **)(void *)(base + slot->offset);
        size_t count = slot->kind & NEAP_SLOT_TRAILING
                           ? (size_t)(end - (char *)first) / sizeof(void *)
                           : slot->count;
        for (size_t k = 0; k < count; k++)
            slot_function(visitor, &first[k]);
    }
}

/* Visits every slot of the object. slot_function should be a constant where speed matters, so that
 * it is inlined; visitor->slot must be the same function (custom visits call through it). */
static inline __attribute__((always_inline)) void
np_visit_object(struct neap_header *header, const struct neap_type *type,
                struct neap_visitor *visitor,
                void (*slot_function)(struct neap_visitor *visitor, void **slot))
{
    char *base = np_object_of(header);
    if (np_likely(!(header->flags & NP_FLAG_ARRAY) && !(type->traits & NP_TRAIT_TRAILING))) {
        np_visit_declared(type, base, base, visitor, slot_function);
        if (np_unlikely(type->visit != NULL))
            type->visit(base, visitor);
        return;
    }
    const char *end = (char *)header + np_object_block_bytes(header);
    size_t length = np_object_length(header);
    for (size_t i = 0; i < length; i++) {
        char *element = base + i * type->size;
        np_visit_declared(type, element, end, visitor, slot_function);
        if (type->visit != NULL)
            type->visit(element, visitor);
    }
}

#endif
