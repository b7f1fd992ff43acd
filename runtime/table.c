/* SPDX-License-Identifier: MIT
 *
 * Growth. A small table grows where it became too full, which takes less than 200 us; a larger one
 * asks the helper. Only when the helper does not come (the program runs without one) does a writer
 * grow it, at 32 entries a bucket. Growing adds buckets one power of two at a time, beside readers
 * and writers; shrinking takes them away and waits for the operation clock in between. The helper
 * holds `changing` for the whole of it: that is what fork waits for. The forking thread waits
 * parked, which the operation clock does not wait for, so the two do not wait for each other. The
 * helper also takes large tables of dead maps apart. */
#include "runtime/table.h"

#include <limits.h>
#include <pthread.h>
#include <time.h>
#include <urcu/flavor.h>

#include "base/atomics.h"
#include "base/check.h"
#include "base/compiler.h"
#include "base/queue.h"
#include "neap/block.h"
#include "runtime/helper.h"
#include "runtime/retire.h"
#include "threads/blocking.h"
#include "threads/clock.h"

enum {
    FIRST_BUCKETS = 16,
    ALONE_BUCKETS = 4096, /* up to here a writer grows the table itself */
    PATIENCE = 32,        /* entries per bucket at which a writer no longer waits for the helper */
    SPARSE = 8            /* buckets per entry at which a table shrinks */
};

static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER; /* held while a table changes size */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;     /* for a few instructions */
static struct np_list waiting = {&waiting, &waiting};        /* (L) */
static size_t waiting_count;                                 /* (L) written; read as a hint */
static struct np_table *current; /* (L) the one that changes on the helper */

/* ---- the flavour ---- */

static bool is_seen_by_clock(void)
{
    return np_tls.id != NEAP_OWNER_NOBODY;
}

static void read_lock(void)
{
    if (!is_seen_by_clock())
        np_retire_hold();
}

static void read_unlock(void)
{
    if (!is_seen_by_clock())
        np_retire_unhold();
}

static int read_ongoing(void)
{
    return 1;
}

static void nothing(void)
{
}

/* Only shrinking asks, on a thread that is in a blocking region. */
static void synchronize(void)
{
    uint64_t tag = np_clock_tag(NP_CLOCK_OPERATION);
    while (!np_clock_passed(NP_CLOCK_OPERATION, tag)) {
        np_clock_ask(NP_CLOCK_OPERATION, tag);
        nanosleep(&(struct timespec){0, 100000}, NULL);
    }
}

static void no_call_rcu(struct rcu_head *head, void (*function)(struct rcu_head *head))
{
    (void)head;
    (void)function;
    np_panic("cds_lfht has no worker");
}

static void no_defer(void (*function)(void *argument), void *argument)
{
    (void)function;
    (void)argument;
    np_panic("cds_lfht has no worker");
}

static void no_fork_handler(struct urcu_atfork *handlers)
{
    (void)handlers;
}

static const struct rcu_flavor_struct flavour = {
    .read_lock = read_lock,
    .read_unlock = read_unlock,
    .read_ongoing = read_ongoing,
    .read_quiescent_state = nothing,
    .update_call_rcu = no_call_rcu,
    .update_synchronize_rcu = synchronize,
    .update_defer_rcu = no_defer,
    .thread_offline = nothing,
    .thread_online = nothing,
    .register_thread = nothing,
    .unregister_thread = nothing,
    .barrier = nothing,
    .register_rculfhash_atfork = no_fork_handler,
    .unregister_rculfhash_atfork = no_fork_handler,
};

/* ---- entries ---- */

static struct np_entry *entry_of(struct cds_lfht_node *node)
{
    if (node == NULL)
        return NULL;
    np_tsan_acquire(node);
    return np_container_of(node, struct np_entry, node);
}

struct np_entry *np_table_find(struct np_table *table, uint64_t hash, np_entry_match *match,
                               const void *wanted)
{
    struct cds_lfht_iter iter;
    cds_lfht_lookup(table->entries, hash, match, wanted, &iter);
    return entry_of(cds_lfht_iter_get_node(&iter));
}

struct np_entry *np_table_add(struct np_table *table, uint64_t hash, np_entry_match *match,
                              const void *wanted, struct np_entry *entry)
{
    np_tsan_release(&entry->node);
    return entry_of(cds_lfht_add_unique(table->entries, hash, match, wanted, &entry->node));
}

void np_table_delete(struct np_table *table, struct np_entry *entry)
{
    (void)cds_lfht_del(table->entries, &entry->node);
}

struct np_entry *np_table_first(struct np_table *table, struct cds_lfht_iter *iter)
{
    cds_lfht_first(table->entries, iter);
    return entry_of(cds_lfht_iter_get_node(iter));
}

struct np_entry *np_table_next(struct np_table *table, struct cds_lfht_iter *iter)
{
    cds_lfht_next(table->entries, iter);
    return entry_of(cds_lfht_iter_get_node(iter));
}

static unsigned long reverse(unsigned long bits)
{
    unsigned long reversed = 0;
    for (unsigned i = 0; i < sizeof bits * CHAR_BIT; i++)
        reversed |= (bits >> i & 1) << (sizeof bits * CHAR_BIT - 1 - i);
    return reversed;
}

void np_table_add_marker(struct np_table *table, unsigned long place, struct np_entry *entry)
{
    np_tsan_release(&entry->node);
    cds_lfht_add(table->entries, reverse(place), &entry->node);
}

void np_table_resume(struct cds_lfht_iter *iter, const struct np_entry *entry)
{
    iter->node = (struct cds_lfht_node *)(uintptr_t)&entry->node;
    iter->next = __atomic_load_n(&entry->node.next, __ATOMIC_CONSUME); /* as liburcu reads it */
}

struct np_entry *np_table_after(struct np_table *table, const struct np_entry *marker,
                                struct cds_lfht_iter *iter)
{
    np_table_resume(iter, marker);
    return np_table_next(table, iter);
}

/* ---- life ---- */

struct np_table *np_table_new(void)
{
    struct np_table *table = neap_calloc(1, sizeof *table);
    if (table == NULL)
        return NULL;
    np_list_init(&table->link);
    table->buckets = FIRST_BUCKETS;
    table->entries = cds_lfht_new_flavor(FIRST_BUCKETS, FIRST_BUCKETS, 0, 0, &flavour, NULL);
    if (table->entries == NULL) {
        neap_free(table);
        return NULL;
    }
    return table;
}

static void leave_queue_locked(struct np_table *table)
{
    if (np_list_empty(&table->link))
        return;
    np_list_remove(&table->link);
    np_list_init(&table->link);
    np_store_relaxed(&waiting_count, waiting_count - 1); /* relaxed: read as a hint */
}

static void destroy(struct np_table *table)
{
    int status = cds_lfht_destroy(table->entries, NULL);
    np_check(status == 0, "a map's table was destroyed while it had entries");
    neap_free(table);
}

bool np_table_is_changing(struct np_table *table)
{
    pthread_mutex_lock(&lock);
    leave_queue_locked(table); /* nobody has to begin any more */
    bool is_current = current == table;
    pthread_mutex_unlock(&lock);
    return is_current;
}

static void join_queue_locked(struct np_table *table)
{
    np_list_push_back(&waiting, &table->link);
    np_store_relaxed(&waiting_count, waiting_count + 1); /* relaxed: read as a hint */
}

void np_table_destroy(struct np_table *table)
{
    /* relaxed: nobody changes it but the helper, who is then the one to destroy it */
    bool is_large = np_load_relaxed(&table->buckets) > ALONE_BUCKETS && np_helper_may_run();
    pthread_mutex_lock(&lock);
    leave_queue_locked(table);
    table->abandoned = current == table || is_large;
    bool is_mine = !table->abandoned;
    if (is_large && current != table)
        join_queue_locked(table);
    pthread_mutex_unlock(&lock);
    if (is_mine)
        destroy(table);
    else
        np_helper_wake();
}

/* ---- size ---- */

static size_t wanted_buckets(const struct np_table *table)
{
    size_t wanted = FIRST_BUCKETS, count = np_load_relaxed(&table->count); /* relaxed: a hint */
    while (wanted < count)
        wanted *= 2;
    return wanted;
}

static void change(struct np_table *table, size_t buckets)
{
    cds_lfht_resize(table->entries, buckets);
    np_store_relaxed(&table->buckets, buckets); /* relaxed: a hint */
}

static np_noinline void ask_for_size(struct np_table *table, size_t count, size_t buckets)
{
    bool grows = count > buckets;
    if (grows && (buckets < ALONE_BUCKETS || count > PATIENCE * buckets) &&
        pthread_mutex_trylock(&changing) == 0) {
        /* the next power of two, or what it has come to */
        change(table, wanted_buckets(table) * (buckets < ALONE_BUCKETS ? 2 : 1));
        pthread_mutex_unlock(&changing);
        return;
    }
    pthread_mutex_lock(&lock);
    bool first = np_list_empty(&table->link) && current != table;
    if (first)
        join_queue_locked(table);
    pthread_mutex_unlock(&lock);
    if (first)
        np_helper_wake();
}

void np_table_changed(struct np_table *table, ptrdiff_t delta)
{
    /* relaxed, both: counts and hints */
    size_t count = np_fetch_add_relaxed(&table->count, (size_t)delta) + (size_t)delta;
    size_t buckets = np_load_relaxed(&table->buckets);
    if (np_unlikely(count > buckets ||
                    (delta < 0 && count * SPARSE < buckets && buckets > ALONE_BUCKETS)))
        ask_for_size(table, count, buckets);
}

bool np_table_wants_service(void)
{
    return np_load_relaxed(&waiting_count) > 0; /* relaxed: a hint */
}

static struct np_table *take_first(bool *ret_abandoned)
{
    pthread_mutex_lock(&lock);
    if (!np_list_empty(&waiting)) {
        current = np_container_of(waiting.next, struct np_table, link);
        leave_queue_locked(current);
    }
    struct np_table *table = current;
    *ret_abandoned = table != NULL && table->abandoned;
    pthread_mutex_unlock(&lock);
    return table;
}

static void let_go(struct np_table *table)
{
    pthread_mutex_lock(&lock);
    current = NULL;
    bool abandoned = table->abandoned;
    pthread_mutex_unlock(&lock);
    if (abandoned)
        destroy(table);
}

bool np_table_serve(void)
{
    if (!np_table_wants_service() || pthread_mutex_trylock(&changing) != 0)
        return false;
    bool abandoned;
    struct np_table *table = take_first(&abandoned);
    if (table != NULL) {
        np_blocking_enter(np_tls.thread);
        if (!abandoned)
            change(table, 2 * wanted_buckets(table));
        let_go(table);
        pthread_mutex_unlock(&changing);
        np_blocking_leave(np_tls.thread);
        return true;
    }
    pthread_mutex_unlock(&changing);
    return false;
}

void np_table_end(void)
{
    struct np_table *table;
    bool abandoned;
    while ((table = take_first(&abandoned)) != NULL)
        let_go(table);
}

void np_table_before_fork(void)
{
    np_lock_parked(&changing);
}

void np_table_after_fork(void)
{
    pthread_mutex_unlock(&changing);
}
