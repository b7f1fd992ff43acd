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

/* What one of several workers takes of the object: together they visit each slot once. Elements of
 * an array and a flexible array's slots are shared out, all else is the first worker's. */
static inline __attribute__((always_inline)) void
np_visit_share(struct neap_header *header, const struct neap_type *type,
               struct neap_visitor *visitor,
               void (*slot_function)(struct neap_visitor *visitor, void **slot), unsigned index,
               unsigned workers)
{
    bool array = (header->flags & NP_FLAG_ARRAY) != 0;
    if (workers == 1 || (!array && !(type->traits & NP_TRAIT_TRAILING))) {
        if (index == 0)
            np_visit_object(header, type, visitor, slot_function);
        return;
    }
    char *base = np_object_of(header);
    const char *end = (char *)header + np_object_block_bytes(header);
    size_t length = np_object_length(header);
    if (array) {
        size_t last = length * (index + 1) / workers;
        for (size_t i = length * index / workers; i < last; i++) {
            np_visit_declared(type, base + i * type->size, end, visitor, slot_function);
            if (type->visit != NULL)
                type->visit(base + i * type->size, visitor);
        }
        return;
    }
    for (uint32_t i = 0; i < type->slot_count; i++) {
        const struct neap_slot *slot = &type->slots[i];
        void **first = (void **)(void *)(base + slot->offset);
        bool trailing = (slot->kind & NEAP_SLOT_TRAILING) != 0;
        size_t count = trailing ? (size_t)(end - (char *)first) / sizeof(void *) : slot->count;
        size_t from = trailing ? count * index / workers : 0;
        size_t to = trailing ? count * (index + 1) / workers : index == 0 ? count : 0;
        for (size_t k = from; k < to; k++)
            slot_function(visitor, &first[k]);
    }
    if (index == 0 && type->visit != NULL)
        type->visit(base, visitor);
}

#endif
