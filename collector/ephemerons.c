/* SPDX-License-Identifier: MIT
 *
 * A mark is a plain store, which may still be on its way when the other end is asked. So the mark
 * is made once more, in one order with all questions. */
#include "collector/ephemerons.h"

#include "base/plant.h"
#include "runtime/visit.h"

struct asking {
    const struct np_side_view *view;
    struct neap_visitor *visitor;
    bool all;
};

static uint32_t *word_of(const struct np_side_view *view, const struct neap_header *header)
{
    return np_side_word_in(view, header, view->whole);
}

/* Neither marked nor held up by something that is not examined. */
static bool is_unreached(const struct np_side_view *view, const struct neap_header *header)
{
    const uint32_t *word = word_of(view, header);
    /* [MM-ephemeron-1] seq_cst: pairs with the mark that is made by whoever visits this end */
    return word != NULL && np_side_is(np_load_seq_cst(word), NP_SIDE_MEMBER);
}

static void follow_if_reached(struct neap_header *other, void *value, void *arg)
{
    struct asking *asking = arg;
    if ((asking->all || !is_unreached(asking->view, other)) && !np_planted(lose_ward))
        asking->visitor->slot(asking->visitor, &value);
}

bool np_ephemerons_visit_stopped(const struct np_side_view *view, struct neap_header *header,
                                 struct neap_visitor *visitor, bool all)
{
    bool is_map = np_is_weak_map(header);
    /* relaxed: the world is stopped */
    bool is_key = (np_load_relaxed(&header->shared) & NP_HAS_WEAK) != 0;
    if (!is_map && !is_key)
        return false;
    /* [MM-ephemeron-1] seq_cst: before the other ends are asked; pairs with is_unreached */
    np_fetch_or_seq_cst(word_of(view, header), NP_SIDE_MARKED);
    struct asking asking = {view, visitor, all};
    if (is_map)
        np_ephemeron_each_of_map_stopped(np_object_of(header), follow_if_reached, &asking);
    if (is_key)
        np_ephemeron_each_of_key_stopped(header, follow_if_reached, &asking);
    return is_map;
}
