/* SPDX-License-Identifier: MIT
 *
 * A table of buckets by hash of the address; in each bucket the entries of the addresses that are
 * locked now, and in each entry the waiters in the order of their coming. A bucket's mutex is held
 * for a few dozen instructions, by a RUNNING thread that neither polls nor waits meanwhile: a stop
 * or fork never finds it taken.
 *
 * Unlocking wakes the first waiter and leaves the lock free: a thread that runs takes it sooner
 * than one that has to be woken, and a lock that is handed to a sleeper is idle until it has woken
 * up. The woken waiter counts how often it came too late; at OVERTAKEN_MOST the unlocker makes it
 * the owner instead.
 *
 * Each bucket has a few entries from the start, so that locking needs no memory in any but strange
 * programs; more come from chunks of our own and stay with the bucket that made them, so their
 * number is that of the addresses locked at once, at its highest. */
#include "threads/address_lock.h"

#include "base/check.h"
#include "base/list.h"
#include "base/os.h"
#include "threads/blocking.h"
#include "threads/safepoint.h"

enum {
    BUCKETS_LOG2 = 8,
    BUCKETS = 1 << BUCKETS_LOG2,
    FIRST_ENTRIES = 8,
    CHUNK_BYTES = 4096,
    OVERTAKEN_MOST = 8
};

/* On the waiting thread's stack. All (L) the bucket's mutex but word. */
struct waiter {
    struct np_list link;
    uint32_t word; /* (x) ASLEEP, then WOKEN or GIVEN, once per sleep */
    uint16_t id;
    unsigned overtaken;
};

enum { ASLEEP, WOKEN, GIVEN };

/* (L) the bucket's mutex. */
struct entry {
    struct entry *next;     /* in the bucket, or of the free ones */
    uintptr_t address;      /* what is locked */
    uint16_t owner;         /* slot number; 0: free, somebody was woken to take it */
    struct np_list waiters; /* struct waiter */
};

static struct bucket {
    pthread_mutex_t mutex;
    struct entry *locked, *free;       /* (L) */
    void *chunks;                      /* (L) to give back; linked through their first word */
    unsigned firsts;                   /* (L) of first, in use or in the list of the free */
    struct entry first[FIRST_ENTRIES]; /* (L) */
} __attribute__((aligned(NP_CACHE_LINE))) buckets[BUCKETS] = {
    [0 ... BUCKETS - 1] = {.mutex = PTHREAD_MUTEX_INITIALIZER},
};

static struct bucket *bucket_of(uintptr_t address)
{
    /* the golden ratio's multiplicative hash; blocks are at least 16 bytes apart */
    return &buckets[(address >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> (64 - BUCKETS_LOG2)];
}

static struct entry *find_locked(const struct bucket *bucket, uintptr_t address)
{
    struct entry *entry = bucket->locked;
    while (entry != NULL && entry->address != address)
        entry = entry->next;
    return entry;
}

static void refill_locked(struct bucket *bucket)
{
    if (bucket->firsts < FIRST_ENTRIES) {
        bucket->free = &bucket->first[bucket->firsts++];
        bucket->free->next = NULL;
        return;
    }
    char *chunk = np_os_reserve(CHUNK_BYTES, CHUNK_BYTES);
    np_check(chunk != NULL, "out of memory for the table of locks");
    *(void **)(void *)chunk = bucket->chunks;
    bucket->chunks = chunk;
    for (size_t at = sizeof(struct entry); at + sizeof(struct entry) <= CHUNK_BYTES;
         at += sizeof(struct entry)) {
        struct entry *entry = (struct entry *)(void *)(chunk + at);
        entry->next = bucket->free;
        bucket->free = entry;
    }
}

static void add_locked(struct bucket *bucket, uintptr_t address, uint16_t owner)
{
    if (bucket->free == NULL)
        refill_locked(bucket);
    struct entry *entry = bucket->free;
    bucket->free = entry->next;
    entry->next = bucket->locked;
    bucket->locked = entry;
    entry->address = address;
    entry->owner = owner;
    np_list_init(&entry->waiters);
}

static void remove_locked(struct bucket *bucket, struct entry *entry)
{
    struct entry **link = &bucket->locked;
    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    entry->next = bucket->free;
    bucket->free = entry;
}

/* The caller's waiter is in no list, or in the entry's. True: the caller owns the lock now. */
static bool take_locked(struct bucket *bucket, uintptr_t address, struct waiter *waiter)
{
    struct entry *entry = find_locked(bucket, address);
    if (entry == NULL) {
        add_locked(bucket, address, waiter->id);
        return true;
    }
    np_check(entry->owner != waiter->id, "%p is locked by this thread already", (void *)address);
    if (entry->owner == 0) {
        np_list_remove(&waiter->link);
        entry->owner = waiter->id;
        return true;
    }
    if (np_list_empty(&waiter->link))
        np_list_push_back(&entry->waiters, &waiter->link);
    else
        waiter->overtaken++;
    np_store_relaxed(&waiter->word, (uint32_t)ASLEEP); /* relaxed: under the lock */
    return false;
}

/* Asleep in a blocking region until an unlocker says what it did. */
static uint32_t sleep_on(struct np_thread *thread, struct waiter *waiter)
{
    uint32_t word;
    np_blocking_enter(thread);
    /* [MM-address-1] acquire: with GIVEN, what the last owner did; pairs with np_address_unlock */
    while ((word = np_load_acquire(&waiter->word)) == ASLEEP)
        np_os_wait(&waiter->word, ASLEEP, UINT64_MAX);
    np_blocking_leave(thread);
    return word;
}

void np_address_lock(const void *address)
{
    struct np_thread *thread = np_tls.thread;
    struct bucket *bucket = bucket_of((uintptr_t)address);
    struct waiter waiter = {.id = thread->id};
    np_list_init(&waiter.link);
    np_quiescent_point(thread);
    for (;;) {
        pthread_mutex_lock(&bucket->mutex);
        bool taken = take_locked(bucket, (uintptr_t)address, &waiter);
        pthread_mutex_unlock(&bucket->mutex);
        if (taken || sleep_on(thread, &waiter) == GIVEN)
            return;
    }
}

void np_address_unlock(const void *address)
{
    struct bucket *bucket = bucket_of((uintptr_t)address);
    pthread_mutex_lock(&bucket->mutex);
    struct entry *entry = find_locked(bucket, (uintptr_t)address);
    np_check(entry != NULL && entry->owner == np_tls.id, "%p is not locked by this thread",
             address);
    if (np_list_empty(&entry->waiters)) {
        remove_locked(bucket, entry);
        pthread_mutex_unlock(&bucket->mutex);
        return;
    }
    struct waiter *first = np_container_of(entry->waiters.next, struct waiter, link);
    bool give = first->overtaken >= OVERTAKEN_MOST;
    entry->owner = give ? first->id : 0;
    if (give)
        np_list_remove(&first->link);
    /* The word is the waiter's leave to go on: before that it does not leave its stack. The wake-up
     * comes under the mutex; a woken waiter needs it first, one that was given the lock may be gone
     * then, and a futex call on an address that is another's now wakes in vain at most. */
    /* [MM-address-1] release: what was done under the lock; pairs with sleep_on */
    np_store_release(&first->word, (uint32_t)(give ? GIVEN : WOKEN));
    np_os_wake_all(&first->word);
    pthread_mutex_unlock(&bucket->mutex);
}

void np_address_lock2(const void *a, const void *b)
{
    const void *low = (uintptr_t)a < (uintptr_t)b ? a : b;
    np_address_lock(low);
    if (a != b)
        np_address_lock(low == a ? b : a);
}

void np_address_unlock2(const void *a, const void *b)
{
    np_address_unlock(a);
    if (a != b)
        np_address_unlock(b);
}

void np_address_locks_forget_waiters(void)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        struct entry *entry = buckets[i].locked;
        while (entry != NULL) {
            struct entry *next = entry->next;
            np_list_init(&entry->waiters);
            if (entry->owner == 0)
                remove_locked(&buckets[i], entry);
            entry = next;
        }
    }
}

void np_address_locks_fini(void)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        buckets[i].locked = buckets[i].free = NULL;
        buckets[i].firsts = 0;
        while (buckets[i].chunks != NULL) {
            void *chunk = buckets[i].chunks;
            buckets[i].chunks = *(void **)chunk;
            np_os_unreserve(chunk, CHUNK_BYTES);
        }
    }
}
