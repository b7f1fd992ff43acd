/* SPDX-License-Identifier: MIT
 *
 * A plan is made once per type; types are registered for good. */
#include "runtime/plan.h"

#include <pthread.h>

#include "base/os.h"

#define PLANS_BYTES (((size_t)NP_TYPE_CHUNKS << NP_TYPE_CHUNK_LOG2) * sizeof(struct np_plan))

struct np_plan *np_plans;
uint32_t np_planned;
const struct np_plan np_no_plan;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* never held at a stop point */

int np_plan_init(void)
{
    np_store_relaxed(&np_planned, 0); /* relaxed: nobody else runs yet */
    np_plans = np_os_reserve(PLANS_BYTES, 1);
    np_plan_update();
    return np_plans != NULL ? 0 : -1;
}

void np_plan_fini(void)
{
    np_store_relaxed(&np_planned, 0); /* relaxed: nobody else runs any more */
    if (np_plans != NULL)
        np_os_unreserve(np_plans, PLANS_BYTES);
    np_plans = NULL;
}

static bool is_simple(const struct neap_type *type)
{
    size_t slots = 0;
    for (uint32_t i = 0; i < type->slot_count; i++)
        slots += type->slots[i].count;
    return slots <= NP_PLAN_SLOTS && type->visit == NULL && !(type->traits & NP_TRAIT_TRAILING) &&
           sizeof(struct neap_header) + type->size <= UINT16_MAX;
}

static struct np_plan plan_of(const struct neap_type *type)
{
    struct np_plan plan = {0};
    plan.may_need_user =
        (type->traits & NP_TRAIT_USER) || type->clear != NULL || (type->flags & NEAP_PEEKABLE);
    plan.disposes = type->dispose != NULL;
    plan.simple = is_simple(type);
    for (uint32_t i = 0; plan.simple && i < type->slot_count; i++)
        for (uint32_t k = 0; k < type->slots[i].count; k++)
            plan.offset[plan.count++] =
                (uint16_t)(sizeof(struct neap_header) + type->slots[i].offset + k * sizeof(void *));
    return plan;
}

void np_plan_update(void)
{
    /* relaxed: fewer than there are means one more look under the lock */
    if (np_likely(np_load_relaxed(&np_planned) >= np_type_count()))
        return;
    pthread_mutex_lock(&lock);
    uint32_t count =
        np_plans != NULL ? np_type_count() : 0; /* a type may come before the runtime */
    for (uint32_t index = np_load_relaxed(&np_planned) + 1; index <= count; index++) {
        np_plans[index] = plan_of(np_type_at(index));
        /* [MM-plan-1] release: the plan is complete; pairs with the acquire in np_plan_at */
        np_store_release(&np_planned, index);
    }
    pthread_mutex_unlock(&lock);
}
