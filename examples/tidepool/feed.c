/* SPDX-License-Identifier: MIT
 *
 * tidepool: replies in slices (see feed.h). */
#include "feed.h"

#include <stdatomic.h>

#include <neap/neap.h>

#include "call.h"

/* Each container type counts its pins in a field of its own. */
static _Atomic uint16_t *pins_of(struct value *value)
{
    if (value == NULL)
        return NULL;
    if (neap_is(value, list))
        return &((struct list *)value)->pins;
    if (neap_is(value, set))
        return &((struct set *)value)->dict.pins;
    if (neap_is(value, hash))
        return &((struct hash *)value)->dict.pins;
    return neap_is(value, zset) ? &((struct zset *)value)->dict.pins : NULL;
}

static void feed_dispose(void *self)
{
    struct feed *feed = self;
    /* release: what was read came before; pairs with the acquire in feed_reads */
    if (feed->value != NULL)
        atomic_fetch_sub_explicit(pins_of(feed->value), 1, memory_order_release);
    if (feed->free_own != NULL)
        feed->free_own(feed->own);
}

NEAP_DEFINE_TYPE(feed, (value), .dispose = feed_dispose);

struct feed *feed_start(struct call *call, void *value, size_t elements, feed_write *write)
{
    if (call->feed == NULL || elements < FEED_LEAST)
        return NULL;
    _Atomic uint16_t *pins = pins_of(value);
    /* relaxed: only under the lock do they grow */
    if (pins != NULL && atomic_load_explicit(pins, memory_order_relaxed) == UINT16_MAX)
        return NULL;
    struct feed *feed = neap_new(feed);
    if (feed == NULL)
        return NULL;
    if (pins != NULL) {
        atomic_fetch_add_explicit(pins, 1, memory_order_relaxed);
        neap_set(&feed->value, (struct value *)value);
    }
    feed->write = write;
    feed->left = elements;
    neap_release(*call->feed);
    *call->feed = feed;
    return feed;
}

bool feed_step(struct feed *feed, struct reply *reply)
{
    size_t most = reply->length + FEED_BYTES;
    for (int i = 0; i < FEED_WRITES && reply->length < most && !reply->failed; i++)
        if (!feed->write(feed, reply))
            return false;
    return !reply->failed;
}

bool feed_reads(struct value *value)
{
    _Atomic uint16_t *pins = pins_of(value);
    return pins != NULL && atomic_load_explicit(pins, memory_order_acquire) != 0;
}

/* ---- dicts ---- */

struct slice_of_dict {
    const struct feed *feed;
    struct reply *reply;
    const struct dict *dict;
};

static void write_node(struct node *node, void *arg)
{
    struct slice_of_dict *slice = arg;
    if (slice->feed->names)
        reply_bulk(slice->reply, dict_name(slice->dict, node));
    if (slice->feed->values)
        reply_bulk(slice->reply, string_text(((struct field *)node)->value));
}

bool feed_dict(struct feed *feed, struct reply *reply)
{
    struct dict *dict = neap_is(feed->value, set) ? &((struct set *)feed->value)->dict
                                                  : &((struct hash *)feed->value)->dict;
    struct slice_of_dict slice = {feed, reply, dict};
    feed->cursor = dict_scan(dict, feed->cursor, write_node, &slice);
    return feed->cursor != 0;
}
