/* SPDX-License-Identifier: MIT
 *
 * Visiting by plan (runtime/plan.h) what has one.
 *
 * Used by count.c, trace.c, scan.c and retained.c. */
#ifndef NP_COLLECTOR_PLAN_H
#define NP_COLLECTOR_PLAN_H

#include "runtime/plan.h"
#include "runtime/visit.h"

/* Visits every slot of the object; slot_function is a constant, visitor->slot the same function. */
static inline __attribute__((always_inline)) void
np_plan_visit(struct neap_header *header, struct neap_visitor *visitor,
              void (*slot_function)(struct neap_visitor *visitor, void **slot))
{
    const struct np_plan *plan = &np_plans[header->type];
    if (np_likely(plan->simple && !(header->flags & NP_FLAG_ARRAY))) {
        for (unsigned i = 0; i < plan->count; i++)
            slot_function(visitor, (void **)(void *)((char *)header + plan->offset[i]));
        return;
    }
    np_visit_object(header, np_type_at(header->type), visitor, slot_function);
}

#endif
