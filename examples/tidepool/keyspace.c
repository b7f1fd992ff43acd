/* SPDX-License-Identifier: MIT
 *
 * tidepool: the keyspace (see keyspace.h).
 *
 * A table grows when it holds as many entries as buckets. Entries move between slots by neap_take
 * and neap_give, which carry a reference on without counting it. */
#include "keyspace.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "hash.h"
#include "watch.h"

#define FIRST_BUCKETS 4

struct table {
    struct entry *newest, *oldest; /* slots: the ends of the ring */
    struct expiries expiries;
    uint32_t count;
    uint32_t mask;          /* buckets - 1, a power of two less one */
    struct entry *bucket[]; /* slots */
};

static void table_dispose(void *self)
{
    expiry_fini(&((struct table *)self)->expiries);
}

NEAP_DEFINE_TYPE(entry, (chain, newer, older, value));
NEAP_DECLARE_TYPE(table);
NEAP_DEFINE_TYPE(table, (newest, oldest, NEAP_TRAILING(bucket)), .dispose = table_dispose);

struct stripe {
    struct table *table;    /* (L) a reference; NULL while the stripe never had a key */
    _Atomic int64_t due_ms; /* (L) written; read by any: relaxed, a hint for the tick */
    _Atomic uint32_t count; /* (L) written; read by any: relaxed, for a sum of moments */
    _Atomic uint32_t timed; /* the same: entries that expire */
};

/* On a cache line of its own: threads that use different locks write different lines. */
struct lock {
    pthread_mutex_t mutex;
} __attribute__((aligned(64)));

_Static_assert(KEYSPACE_LOCKS == 8 * sizeof(keyspace_locks), "a bit for each lock");

#define STRIPES_PER_LOCK (KEYSPACE_STRIPES / KEYSPACE_LOCKS)

static struct lock locks_of_stripes[KEYSPACE_LOCKS]; /* lock i: stripes i * 32 to i * 32 + 31 */
static struct stripe stripes[KEYSPACE_STRIPES] __attribute__((aligned(64)));

static _Atomic bool ordered_by_use;

__thread int64_t keyspace_now_ms;

void keyspace_set_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    keyspace_now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int keyspace_init(void)
{
    hash_seed();
    pthread_mutexattr_t attributes;
    int status = pthread_mutexattr_init(&attributes);
    if (status != 0)
        return status;
    /* Held for less than a microsecond as a rule: worth a short spin before the thread sleeps. */
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
    for (unsigned i = 0; i < KEYSPACE_LOCKS && status == 0; i++)
        status = pthread_mutex_init(&locks_of_stripes[i].mutex, &attributes);
    for (unsigned i = 0; i < KEYSPACE_STRIPES; i++)
        atomic_init(&stripes[i].due_ms, EXPIRY_NEVER);
    pthread_mutexattr_destroy(&attributes);
    return status;
}

void keyspace_fini(void)
{
    struct graveyard dead = {.count = 0};
    keyspace_flush(&dead);
    graveyard_release(&dead);
    for (unsigned i = 0; i < KEYSPACE_LOCKS; i++)
        pthread_mutex_destroy(&locks_of_stripes[i].mutex);
}

struct key keyspace_key(struct slice text)
{
    return (struct key){text, hash_text(text)};
}

/* ---- locks ---- */

void keyspace_lock(keyspace_locks locks)
{
    for (; locks != 0; locks &= locks - 1)
        neap_mutex_lock(&locks_of_stripes[__builtin_ctz(locks)].mutex);
}

void keyspace_unlock(keyspace_locks locks)
{
    for (; locks != 0; locks &= locks - 1)
        pthread_mutex_unlock(&locks_of_stripes[__builtin_ctz(locks)].mutex);
}

/* The lock of a stripe, or none when the caller holds them all. */
static keyspace_locks lock_unless(bool locked, const struct stripe *stripe)
{
    return locked ? 0 : (keyspace_locks)1 << (size_t)(stripe - stripes) / STRIPES_PER_LOCK;
}

/* ---- the ring ---- */

static void ring_insert(struct table *table, struct entry *entry)
{
    if (table->newest == NULL) {
        neap_set(&table->oldest, entry);
    } else {
        neap_set(&table->newest->newer, entry);
        neap_give(&entry->older, neap_take(&table->newest));
    }
    neap_set(&table->newest, entry);
}

/* The two references to its neighbours that the entry holds become those that its neighbours hold
 * to each other, in the slots that pointed to the entry. */
static void ring_remove(struct table *table, struct entry *entry)
{
    struct entry *newer = neap_take(&entry->newer);
    struct entry *older = neap_take(&entry->older);
    neap_give(newer == NULL ? &table->newest : &newer->older, older);
    neap_give(older == NULL ? &table->oldest : &older->newer, newer);
}

/* The entry becomes the newest. Its bucket holds it meanwhile. */
static void ring_renew(struct table *table, struct entry *entry)
{
    if (table->newest == entry)
        return;
    ring_remove(table, entry);
    ring_insert(table, entry);
}

/* ---- one key ---- */

/* The slot that holds the key's entry, or the NULL at its bucket's end. */
static struct entry **place_of(struct table *table, struct key key)
{
    uint32_t hash = (uint32_t)key.hash;
    struct entry **place = &table->bucket[hash & table->mask];
    for (; *place != NULL; place = &(*place)->chain)
        if ((*place)->hash == hash && text_same(entry_key(*place), key.text))
            break;
    return place;
}

static struct table *table_new(size_t buckets)
{
    struct table *table = neap_new_extra(table, buckets * sizeof(struct entry *));
    if (table != NULL)
        table->mask = (uint32_t)(buckets - 1);
    return table;
}

/* A table with twice the buckets takes over all entries. When there is no memory for it the old one
 * goes on with longer chains. */
static void stripe_grow(struct stripe *stripe)
{
    struct table *old = stripe->table;
    struct table *table = table_new(2 * ((size_t)old->mask + 1));
    if (table == NULL)
        return;
    for (uint32_t i = 0; i <= old->mask; i++) {
        struct entry *entry;
        while ((entry = neap_take(&old->bucket[i])) != NULL) {
            neap_give(&old->bucket[i], neap_take(&entry->chain));
            struct entry **bucket = &table->bucket[entry->hash & table->mask];
            neap_give(&entry->chain, neap_take(bucket));
            neap_give(bucket, entry);
        }
    }
    neap_give(&table->newest, neap_take(&old->newest));
    neap_give(&table->oldest, neap_take(&old->oldest));
    table->expiries = old->expiries;
    old->expiries = (struct expiries){.heap = NULL};
    table->count = old->count;
    stripe->table = table;
    neap_release(old);
}

/* Publishes what other threads may know without the lock. */
static void show(struct stripe *stripe)
{
    struct table *table = stripe->table;
    atomic_store_explicit(&stripe->count, table == NULL ? 0 : table->count, memory_order_relaxed);
    atomic_store_explicit(&stripe->timed, table == NULL ? 0 : table->expiries.count,
                          memory_order_relaxed);
    atomic_store_explicit(&stripe->due_ms,
                          table == NULL ? EXPIRY_NEVER : expiry_first(&table->expiries),
                          memory_order_relaxed);
}

static struct entry *find_any(struct key key)
{
    struct table *table = stripes[key_stripe(key)].table;
    return table == NULL ? NULL : *place_of(table, key);
}

static bool has_expired(const struct table *table, const struct entry *entry)
{
    return entry->expiry != 0 && expiry_of(&table->expiries, entry) <= keyspace_now_ms;
}

struct entry *keyspace_find(struct key key)
{
    struct entry *entry = find_any(key);
    if (entry != NULL && has_expired(stripes[key_stripe(key)].table, entry))
        return NULL; /* a tick removes it, or a new value */
    /* relaxed: a switch that nothing else depends on */
    if (atomic_load_explicit(&ordered_by_use, memory_order_relaxed) && entry != NULL)
        ring_renew(stripes[key_stripe(key)].table, entry);
    return entry;
}

/* A new entry at the end of its bucket, value (stolen) in it; false out of memory. */
static bool insert(struct stripe *stripe, struct key key, struct value *value)
{
    struct entry *entry = NULL;
    if (stripe->table == NULL)
        stripe->table = table_new(FIRST_BUCKETS);
    if (stripe->table != NULL && key.text.length <= UINT32_MAX)
        entry = neap_new_extra(entry, key.text.length);
    if (entry == NULL) {
        neap_release(value);
        return false;
    }
    entry->hash = (uint32_t)key.hash;
    entry->key_length = (uint32_t)key.text.length;
    if (key.text.length > 0)
        memcpy(entry->key, key.text.bytes, key.text.length);
    neap_give(&entry->value, value);
    ring_insert(stripe->table, entry);
    neap_give(place_of(stripe->table, key), entry);
    stripe->table->count++;
    show(stripe);
    if (stripe->table->count > stripe->table->mask && stripe->table->mask < UINT32_MAX / 2)
        stripe_grow(stripe);
    return true;
}

void keyspace_replace(struct key key, struct entry *entry, struct value *value,
                      struct graveyard *dead)
{
    graveyard_add(dead, neap_take(&entry->value));
    neap_give(&entry->value, value);
    keyspace_touch(key);
}

bool keyspace_put(struct key key, struct value *value, struct graveyard *dead)
{
    struct entry *entry = find_any(key);
    if (entry == NULL) {
        if (!insert(&stripes[key_stripe(key)], key, value))
            return false;
        keyspace_touch(key);
        return true;
    }
    keyspace_replace(key, entry, value, dead);
    keyspace_set_expiry(key, entry, EXPIRY_NONE);
    return true;
}

/* Takes the entry in this slot out of the table. */
static void unlink_entry(struct stripe *stripe, struct entry **place, struct graveyard *dead)
{
    struct entry *entry = neap_take(place);
    neap_give(place, neap_take(&entry->chain));
    expiry_clear(&stripe->table->expiries, entry);
    ring_remove(stripe->table, entry);
    stripe->table->count--;
    show(stripe);
    graveyard_add(dead, entry);
}

bool keyspace_remove(struct key key, struct graveyard *dead)
{
    struct stripe *stripe = &stripes[key_stripe(key)];
    if (stripe->table == NULL)
        return false;
    struct entry **place = place_of(stripe->table, key);
    if (*place == NULL)
        return false;
    bool was_there = !has_expired(stripe->table, *place);
    keyspace_touch(key);
    unlink_entry(stripe, place, dead);
    return was_there;
}

int64_t keyspace_expiry(struct key key, const struct entry *entry)
{
    return expiry_of(&stripes[key_stripe(key)].table->expiries, entry);
}

bool keyspace_set_expiry(struct key key, struct entry *entry, int64_t at_ms)
{
    struct stripe *stripe = &stripes[key_stripe(key)];
    if (at_ms == EXPIRY_NONE && entry->expiry == 0)
        return true;
    bool set = true;
    if (at_ms == EXPIRY_NONE)
        expiry_clear(&stripe->table->expiries, entry);
    else
        set = expiry_set(&stripe->table->expiries, entry, at_ms);
    show(stripe);
    keyspace_touch(key);
    return set;
}

void keyspace_touch(struct key key)
{
    watch_touch(key);
}

/* ---- all keys ---- */

uint64_t keyspace_count(void)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < KEYSPACE_STRIPES; i++)
        count += atomic_load_explicit(&stripes[i].count, memory_order_relaxed);
    return count;
}

uint64_t keyspace_expiring_count(void)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < KEYSPACE_STRIPES; i++)
        count += atomic_load_explicit(&stripes[i].timed, memory_order_relaxed);
    return count;
}

void keyspace_flush(struct graveyard *dead)
{
    watch_touch_all();
    for (unsigned i = 0; i < KEYSPACE_STRIPES; i++) {
        graveyard_add(dead, stripes[i].table);
        stripes[i].table = NULL;
        show(&stripes[i]);
    }
}

static void visit_bucket(struct table *table, uint32_t bucket, keyspace_visit *visit, void *arg)
{
    for (struct entry *entry = table->bucket[bucket]; entry != NULL; entry = entry->chain)
        if (!has_expired(table, entry))
            visit(entry, arg);
}

/* The cursor is the stripe in its low bits, the bucket above. Buckets are counted with their bits
 * in reverse: when a table doubles, a bucket's entries go to two that follow each other in this
 * order, so that what was visited stays behind the cursor and what was not before it. */
static uint32_t next_bucket(uint32_t bucket, uint32_t mask)
{
    for (uint32_t bit = (mask >> 1) + 1; bit != 0; bit >>= 1) {
        bucket ^= bit;
        if (bucket & bit)
            return bucket;
    }
    return 0;
}

uint64_t keyspace_scan(uint64_t cursor, keyspace_visit *visit, void *arg, bool locked)
{
    unsigned stripe_index = (unsigned)(cursor % KEYSPACE_STRIPES);
    uint32_t bucket = (uint32_t)(cursor / KEYSPACE_STRIPES);
    while (stripe_index < KEYSPACE_STRIPES &&
           atomic_load_explicit(&stripes[stripe_index].count, memory_order_relaxed) == 0) {
        stripe_index++;
        bucket = 0;
    }
    if (stripe_index == KEYSPACE_STRIPES)
        return 0;
    struct stripe *stripe = &stripes[stripe_index];
    keyspace_lock(lock_unless(locked, stripe));
    if (stripe->table != NULL) {
        bucket &= stripe->table->mask;
        visit_bucket(stripe->table, bucket, visit, arg);
        bucket = next_bucket(bucket, stripe->table->mask);
    } else {
        bucket = 0;
    }
    keyspace_unlock(lock_unless(locked, stripe));
    if (bucket == 0 && ++stripe_index == KEYSPACE_STRIPES)
        return 0;
    return (uint64_t)bucket * KEYSPACE_STRIPES + stripe_index;
}

/* An entry of the first bucket from a random one on that has one. */
static struct entry *random_entry(const struct table *table, uint64_t random)
{
    for (uint32_t i = 0; i <= table->mask; i++) {
        struct entry *entry = table->bucket[((uint32_t)random + i) & table->mask];
        unsigned length = 0;
        for (struct entry *e = entry; e != NULL; e = e->chain)
            length++;
        for (uint64_t skip = length == 0 ? 0 : (random >> 32) % length; skip > 0; skip--)
            entry = entry->chain;
        if (entry != NULL && !has_expired(table, entry))
            return entry;
    }
    return NULL;
}

bool keyspace_random(uint64_t random, keyspace_visit *visit, void *arg, bool locked)
{
    unsigned first = (unsigned)(random % KEYSPACE_STRIPES);
    for (unsigned i = 0; i < KEYSPACE_STRIPES; i++) {
        struct stripe *stripe = &stripes[(first + i) % KEYSPACE_STRIPES];
        if (atomic_load_explicit(&stripe->count, memory_order_relaxed) == 0)
            continue;
        keyspace_lock(lock_unless(locked, stripe));
        struct entry *entry =
            stripe->table == NULL ? NULL : random_entry(stripe->table, random >> 10);
        if (entry != NULL)
            visit(entry, arg);
        keyspace_unlock(lock_unless(locked, stripe));
        if (entry != NULL)
            return true;
    }
    return false;
}

/* Removes what is due in one stripe; its lock is held. */
static size_t expire_stripe(struct stripe *stripe, struct graveyard *dead, size_t most)
{
    size_t removed = 0;
    while (stripe->table != NULL && removed < most &&
           expiry_first(&stripe->table->expiries) <= keyspace_now_ms) {
        struct entry *entry = stripe->table->expiries.heap[0].entry;
        struct key key = keyspace_key(entry_key(entry));
        keyspace_touch(key);
        unlink_entry(stripe, place_of(stripe->table, key), dead);
        removed++;
    }
    return removed;
}

void keyspace_expire_locked(keyspace_locks locks, struct graveyard *dead)
{
    for (; locks != 0; locks &= locks - 1) {
        struct stripe *first = &stripes[(unsigned)__builtin_ctz(locks) * STRIPES_PER_LOCK];
        for (struct stripe *stripe = first; stripe < first + STRIPES_PER_LOCK; stripe++)
            expire_stripe(stripe, dead, SIZE_MAX);
    }
}

size_t keyspace_expire_due(unsigned first, unsigned step, size_t most)
{
    size_t removed = 0;
    for (unsigned i = first; i < KEYSPACE_STRIPES && removed < most; i += step) {
        if (atomic_load_explicit(&stripes[i].due_ms, memory_order_relaxed) > keyspace_now_ms)
            continue;
        struct graveyard dead = {.count = 0};
        keyspace_lock(lock_unless(false, &stripes[i]));
        removed += expire_stripe(&stripes[i], &dead, most - removed);
        keyspace_unlock(lock_unless(false, &stripes[i]));
        graveyard_release(&dead);
    }
    return removed;
}

void keyspace_order_by_use(bool wanted)
{
    atomic_store_explicit(&ordered_by_use, wanted, memory_order_relaxed);
}

uint64_t keyspace_drop_oldest(unsigned index, uint64_t least)
{
    struct stripe *stripe = &stripes[index];
    /* relaxed: a hint; looked at again under the lock */
    if (atomic_load_explicit(&stripe->count, memory_order_relaxed) <= least)
        return 0;
    struct graveyard dead = {.count = 0};
    uint64_t size = 0;
    keyspace_lock(lock_unless(false, stripe));
    if (stripe->table != NULL && stripe->table->oldest != NULL) {
        struct entry *entry = stripe->table->oldest;
        struct key key = keyspace_key(entry_key(entry));
        size = neap_size_of(entry) + neap_size_of(entry->value);
        keyspace_touch(key);
        unlink_entry(stripe, place_of(stripe->table, key), &dead);
    }
    keyspace_unlock(lock_unless(false, stripe));
    graveyard_release(&dead);
    return size;
}
