/* SPDX-License-Identifier: MIT
 *
 * Plans: where the references of a type's objects are, in 16 bytes, by type index. Most types have
 * a few reference slots at fixed places; for these death, counting and tracing need no descriptor,
 * only the plan. All others (arrays of slots beyond a handful, flexible arrays, a visit of their
 * own) go the general way, visit.h.
 *
 * Concurrency: written by np_plan_update, under a lock, and published by np_planned; read by
 * workers while the world is stopped, by running threads through np_plan_at.
 *
 * Implemented by plan.c. Used by death.c and the collector.
 */
#ifndef NP_RUNTIME_PLAN_H
#define NP_RUNTIME_PLAN_H

#include "runtime/header.h"

enum { NP_PLAN_SLOTS = 7 };

struct np_plan {
    uint8_t simple;                 /* offsets are all there is, unless the object is an array */
    uint8_t count : 6;              /* offsets used */
    uint8_t may_need_user : 1;      /* ask np_count_needs_user */
    uint8_t disposes : 1;           /* has a disposal, the runtime's own ones included */
    uint16_t offset[NP_PLAN_SLOTS]; /* bytes from the header */
};
_Static_assert(sizeof(struct np_plan) == 16, "four to a cache line");

extern struct np_plan *np_plans;        /* by type index, in reserved memory; (c) once published */
extern uint32_t np_planned;             /* (x) types 1 .. np_planned have a plan */
extern const struct np_plan np_no_plan; /* not simple */

int np_plan_init(void); /* 0, or -1 out of address space */
void np_plan_fini(void);

/* Makes plans for types registered since the last time: called for each new type, and before a
 * collection. */
void np_plan_update(void);

static inline const struct np_plan *np_plan_at(uint32_t type_index)
{
    /* [MM-plan-1] acquire: pairs with the release in np_plan_update */
    return np_likely(type_index <= np_load_acquire(&np_planned)) ? &np_plans[type_index]
                                                                 : &np_no_plan;
}

#endif
