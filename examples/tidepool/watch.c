/* SPDX-License-Identifier: MIT
 *
 * tidepool: WATCH (see watch.h). */
#include "watch.h"

#include <string.h>

struct watcher {
    struct watcher *next;    /* slot */
    struct neap_weak *watch; /* slot */
    uint32_t key_length;
    char key[];
};

NEAP_DEFINE_TYPE(watch, ());
NEAP_DECLARE_TYPE(watcher);
NEAP_DEFINE_TYPE(watcher, (next, watch));

static struct watcher *heads[KEYSPACE_LOCKS]; /* (L) references; a list for the keys of each lock */

static struct watcher **head_of(struct key key)
{
    return &heads[__builtin_ctz(keyspace_lock_of(key))];
}

struct watch *watch_new(void)
{
    return neap_new(watch);
}

bool watch_add(struct watch *watch, struct key key)
{
    struct watcher *watcher = neap_new_extra(watcher, key.text.length);
    struct neap_weak *weak = neap_weak_new(watch);
    if (watcher == NULL || weak == NULL) {
        neap_release(watcher);
        neap_release(weak);
        return false;
    }
    neap_give(&watcher->watch, weak);
    watcher->key_length = (uint32_t)key.text.length;
    if (key.text.length > 0)
        memcpy(watcher->key, key.text.bytes, key.text.length);
    struct watcher **head = head_of(key);
    neap_give(&watcher->next, *head); /* the head's reference moves on */
    *head = watcher;
    return true;
}

/* Takes the watcher behind `before` (NULL: the first) out of the list. */
static void unlink_watcher(struct watcher **head, struct watcher *before, struct watcher *watcher)
{
    if (before != NULL) {
        neap_give(&before->next, neap_take(&watcher->next));
        return;
    }
    *head = neap_take(&watcher->next);
    neap_release(watcher);
}

/* Marks the watches of this key, or of every key that is there; drops those that nobody holds any
 * more. */
static void mark(struct watcher **head, const struct slice *key)
{
    struct watcher *before = NULL, *next;
    for (struct watcher *watcher = *head; watcher != NULL; watcher = next) {
        next = watcher->next;
        struct watch *watch = neap_weak_get(watcher->watch);
        if (watch == NULL) {
            unlink_watcher(head, before, watcher);
            continue;
        }
        struct slice text = {watcher->key, watcher->key_length};
        if (key == NULL ? keyspace_find(keyspace_key(text)) != NULL : text_same(text, *key))
            atomic_store_explicit(&watch->marked, true, memory_order_relaxed);
        neap_release(watch);
        before = watcher;
    }
}

void watch_touch(struct key key)
{
    struct watcher **head = head_of(key);
    if (*head != NULL)
        mark(head, &key.text);
}

void watch_touch_all(void)
{
    for (unsigned i = 0; i < KEYSPACE_LOCKS; i++)
        mark(&heads[i], NULL);
}

void watch_fini(void)
{
    for (unsigned i = 0; i < KEYSPACE_LOCKS; i++) {
        neap_release(heads[i]);
        heads[i] = NULL;
    }
}
