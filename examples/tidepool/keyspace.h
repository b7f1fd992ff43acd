/* SPDX-License-Identifier: MIT
 *
 * tidepool: the keyspace, a hash table in 1,024 stripes. Each stripe has a table of its own, so
 * that enlarging one moves a thousandth of the keys, and 32 stripes share a lock, so that threads
 * seldom meet and yet one command can hold all locks.
 *
 * The tables and entries are neap objects:
 *
 *     stripe -> table -bucket[]-> entry -chain-> entry
 *                 \-newest-> entry <-older/newer-> entry <-oldest-/
 *
 * All entries of a table are a ring of references in order of use, cycles on purpose: an entry that
 * is removed is unlinked and dies at once by counting; a table that is dropped whole leaves its
 * ring to the collector.
 *
 * Concurrency: every function of one key is called with that key's stripe locked. A command locks
 * all stripes of its keys before it begins, in ascending order, by a struct keyspace_locks: so it
 * is atomic, and two commands never wait for each other in a circle. The locks are taken by
 * neap_mutex_lock: whoever waits for one does not delay a collection. */
#ifndef TIDEPOOL_KEYSPACE_H
#define TIDEPOOL_KEYSPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <neap/neap.h>

#include "expiry.h"
#include "graveyard.h"
#include "text.h"
#include "value.h"

#define KEYSPACE_STRIPES_LOG2 10
#define KEYSPACE_STRIPES      (1u << KEYSPACE_STRIPES_LOG2)
#define KEYSPACE_LOCKS_LOG2   5
#define KEYSPACE_LOCKS        (1u << KEYSPACE_LOCKS_LOG2)

struct entry {
    struct entry *chain;         /* slot: the next entry of the bucket */
    struct entry *newer, *older; /* slots: the ring */
    struct value *value;         /* slot: never NULL in a table */
    uint32_t hash;               /* low half of the key's hash: chooses the bucket */
    uint32_t expiry;             /* place in the stripe's expiries plus 1; 0: never */
    uint32_t key_length;
    char key[];
};
NEAP_DECLARE_TYPE(entry);

static inline struct slice entry_key(const struct entry *entry)
{
    return (struct slice){entry->key, entry->key_length};
}

/* A key with its hash: computed once per command. */
struct key {
    struct slice text;
    uint64_t hash;
};

static inline uint32_t key_stripe(struct key key)
{
    return (uint32_t)(key.hash >> (64 - KEYSPACE_STRIPES_LOG2));
}

/* The time by which this thread judges what has expired, milliseconds since 1970; read once per
 * batch of requests by keyspace_set_clock. */
extern __thread int64_t keyspace_now_ms;
void keyspace_set_clock(void);

/* Starts with an empty keyspace; 0 or an errno value. */
int keyspace_init(void);

/* Drops everything. Every other thread is gone. */
void keyspace_fini(void);

struct key keyspace_key(struct slice text);

/* ---- locks ---- */

/* The locks that a command needs, a bit for each. */
typedef uint32_t keyspace_locks;

#define KEYSPACE_LOCKS_ALL UINT32_MAX

static inline keyspace_locks keyspace_lock_of(struct key key)
{
    return (keyspace_locks)1 << (key.hash >> (64 - KEYSPACE_LOCKS_LOG2));
}

void keyspace_lock(keyspace_locks locks);
void keyspace_unlock(keyspace_locks locks);

/* ---- one key, its stripe locked ---- */

/* The entry, borrowed while the lock is held; NULL when there is none or it has expired. */
struct entry *keyspace_find(struct key key);

/* Gives the key this value, in place of any it has, which goes to dead; it then never expires.
 * Steals value. False out of memory: nothing has changed and value is released. */
bool keyspace_put(struct key key, struct value *value, struct graveyard *dead);

/* Gives the entry this value in place of the one it has, which goes to dead; its time stays. Steals
 * value. */
void keyspace_replace(struct key key, struct entry *entry, struct value *value,
                      struct graveyard *dead);

/* Moves the key's entry to dead; false when there is none or it had expired. */
bool keyspace_remove(struct key key, struct graveyard *dead);

/* The entry's time, or EXPIRY_NONE. */
int64_t keyspace_expiry(struct key key, const struct entry *entry);

/* Sets it, EXPIRY_NONE too; false out of memory. */
bool keyspace_set_expiry(struct key key, struct entry *entry, int64_t at_ms);

/* Tells that what the key holds has been changed in place. */
void keyspace_touch(struct key key);

/* ---- all keys ---- */

/* Keys in all; exact when nobody changes it. Any thread, no lock. Those with a time of their own
 * apart. */
uint64_t keyspace_count(void);
uint64_t keyspace_expiring_count(void);

/* Moves all tables to dead: what was in them is then garbage, in rings. All stripes are locked. */
void keyspace_flush(struct graveyard *dead);

/* Calls visit for the entries of some buckets, at least one, borrowed and with their stripe locked,
 * and returns the cursor to go on with; begins and ends at 0. A key that is there from the
 * beginning to the end of such a walk is visited. locked: the caller holds all stripes. */
typedef void keyspace_visit(struct entry *entry, void *arg);
uint64_t keyspace_scan(uint64_t cursor, keyspace_visit *visit, void *arg, bool locked);

/* Calls visit for an entry chosen at random; false when there are none. */
bool keyspace_random(uint64_t random, keyspace_visit *visit, void *arg, bool locked);

/* Removes entries that have expired from every step-th stripe, at most `most`. Returns how many. */
size_t keyspace_expire_due(unsigned first, unsigned step, size_t most);

/* Removes all entries of these locks, which are held, that have expired. */
void keyspace_expire_locked(keyspace_locks locks, struct graveyard *dead);

/* From now on a key that is found becomes the newest of its table, or not. */
void keyspace_order_by_use(bool wanted);

/* Drops the entry of the stripe that was used least recently, if there are more than least; its
 * size, or 0. Takes the lock. */
uint64_t keyspace_drop_oldest(unsigned stripe, uint64_t least);

#endif
