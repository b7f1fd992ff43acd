/* SPDX-License-Identifier: MIT
 *
 * A ring of cells in the manner of D. Vyukov's bounded queue. A sender takes the next position by
 * compare-and-swap on `tail`, a receiver on `head`; position p belongs to cell p mod capacity in
 * turn p div capacity, and the cell's own number says whose turn it is:
 *
 *   2 * turn      empty, for the sender of that turn
 *   2 * turn + 1  full, for the receiver of that turn
 *
 * `tail` carries CLOSED: a position is taken before it is set or not at all, so a receiver that
 * finds the channel closed and head == tail has missed nothing. Between taking a position and
 * setting the cell's number there is no stop point: whoever meets the cell in between waits for a
 * few instructions of a running thread, and a stopped world finds every cell full or empty.
 *
 * Who finds nothing to do spins for about as long as falling asleep takes, then counts itself among
 * the waiting, looks again, and sleeps on a word in a blocking region. Who has set a cell's number
 * looks for the waiting and raises the word (MM-channel-2).
 *
 * Waking up takes long, and who sends meanwhile must not pay for a wake each: a raised word also
 * says WAKING, and is not raised again until somebody who waits has taken that away, before he
 * looks. Wakes that were left out in between are made up by the one who was woken: if he finds
 * something and others wait, he wakes the next. */
#include "neap/channel.h"

#include "base/check.h"
#include "base/os.h"
#include "neap/block.h"
#include "neap/discipline.h"
#include "runtime/count.h"
#include "runtime/usage.h"
#include "threads/blocking.h"
#include "threads/safepoint.h"

#define CLOSED ((uint64_t)1 << 63)
#define WAKING ((uint32_t)1)

enum {
    SPINS = 64,
    MOST_PAUSES = 16,
    GRAPH_OBJECTS = 32 /* of a message that are handed over with it */
};

struct cell {
    uint64_t number; /* (x) */
    void *object;    /* of whose turn it is */
};

/* Who waits for a cell to become full, or empty. */
struct waiters {
    uint32_t count; /* (x) of those who sleep or are about to */
    uint32_t word;  /* (x) raised by 2 when there may be something for them; and WAKING */
};

/* A cache line each for what senders write, what receivers write, and what is written when somebody
 * sleeps, which both sides read with every message. */
struct neap_channel {
    uint64_t capacity;  /* (c) */
    struct cell *cells; /* (c) capacity of them */
    int log2;           /* (c) of the capacity; -1: it is no power of two */
    char apart1[NP_CACHE_LINE];
    uint64_t tail; /* (x) and CLOSED */
    char apart2[NP_CACHE_LINE];
    uint64_t head; /* (x) */
    char apart3[NP_CACHE_LINE];
    struct waiters senders, receivers; /* (x) */
};

/* A division takes as long as the rest of a try. */
static inline struct cell *cell_at(const struct neap_channel *channel, uint64_t position,
                                   uint64_t *ret_turn)
{
    if (np_likely(channel->log2 >= 0)) {
        *ret_turn = position >> channel->log2;
        return &channel->cells[position & (channel->capacity - 1)];
    }
    *ret_turn = position / channel->capacity;
    return &channel->cells[position % channel->capacity];
}

/* ---- the object ---- */

static void channel_visit(void *self, struct neap_visitor *visitor)
{
    struct neap_channel *channel = self;
    /* relaxed, both: who moves them is stopped */
    uint64_t tail = np_load_relaxed(&channel->tail) & ~CLOSED, turn;
    for (uint64_t at = np_load_relaxed(&channel->head); at != tail; at++)
        neap_visit(visitor, &cell_at(channel, at, &turn)->object);
}

static bool channel_release(void *self, uint64_t *budget, enum np_manner manner)
{
    struct neap_channel *channel = self;
    uint64_t tail = np_load_relaxed(&channel->tail) & ~CLOSED, turn; /* relaxed: ours alone */
    while (channel->head != tail) {
        if (*budget == 0)
            return false;
        struct cell *cell = cell_at(channel, channel->head++, &turn);
        --*budget;
        np_release(neap_header_of(cell->object), manner);
    }
    neap_free(channel->cells);
    channel->cells = NULL;
    return true;
}

static const struct np_piecemeal pieces = {channel_release};
NEAP_DEFINE_TYPE(neap_channel, (), .visit = channel_visit,
                 .flags = NP_TYPE_INTERNAL | NP_TYPE_PIECEMEAL, .user = (void *)&pieces);

struct neap_channel *neap_channel_new(size_t capacity)
{
    if (capacity == 0)
        return NULL;
    struct neap_channel *channel = neap_new(neap_channel);
    if (channel == NULL)
        return NULL;
    channel->capacity = capacity;
    channel->log2 = (capacity & (capacity - 1)) == 0 ? __builtin_ctzll(capacity) : -1;
    channel->cells = neap_calloc(capacity, sizeof *channel->cells);
    if (channel->cells == NULL) {
        neap_release(channel);
        return NULL;
    }
    return channel;
}

/* ---- one try ---- */

/* What comes next was written by another thread: it is on its way while this message is looked at.
 * Only a hint, so the object may be one that others take out and free: nothing is read of it. */
static inline void fetch_next(const struct neap_channel *channel, uint64_t position)
{
    uint64_t turn;
    const void *object = np_load_relaxed(&cell_at(channel, position, &turn)->object);
    __builtin_prefetch((const void *)((uintptr_t)object - sizeof(struct neap_header)), 1);
}

enum outcome { DONE, NOT_NOW, NEVER };

static inline __attribute__((always_inline)) enum outcome put(struct neap_channel *channel,
                                                              void *object)
{
    uint64_t tail = np_load_relaxed(&channel->tail), turn; /* relaxed: the swap decides */
    for (;;) {
        if (tail & CLOSED)
            return NEVER;
        struct cell *cell = cell_at(channel, tail, &turn);
        /* [MM-channel-1] acquire: the receiver of the last turn is through with the cell.
         * [MM-channel-2] seq_cst: in one order with the count, where await looks once more */
        uint64_t number = np_load_seq_cst(&cell->number);
        if (number == 2 * turn) {
            /* relaxed: the number orders what is in the cell */
            if (!np_cas_relaxed(&channel->tail, &tail, tail + 1))
                continue;
            np_store_relaxed(&cell->object, object); /* relaxed: see fetch_next */
            /* [MM-channel-1] [MM-channel-2] seq_cst: publishes the message, before the look at who
             * waits */
            np_exchange_seq_cst(&cell->number, 2 * turn + 1);
            return DONE;
        }
        /* [MM-channel-1] acquire: a head that has passed the cell comes with its number */
        if (number < 2 * turn && np_load_acquire(&channel->head) + channel->capacity <= tail)
            return NOT_NOW;
        np_spin_hint();
        tail = np_load_relaxed(&channel->tail);
    }
}

static inline __attribute__((always_inline)) enum outcome take(struct neap_channel *channel,
                                                               void **ret_object)
{
    uint64_t head = np_load_relaxed(&channel->head), turn; /* relaxed: the swap decides */
    for (;;) {
        struct cell *cell = cell_at(channel, head, &turn);
        /* [MM-channel-1] acquire: the message. [MM-channel-2] seq_cst: as in put */
        uint64_t number = np_load_seq_cst(&cell->number);
        if (number == 2 * turn + 1) {
            /* [MM-channel-1] release: who sees the head moved sees the numbers before */
            if (!np_cas_release(&channel->head, &head, head + 1))
                continue;
            *ret_object = cell->object;
            np_store_relaxed(&cell->object, NULL); /* relaxed: see fetch_next */
            fetch_next(channel, head + 1);
            /* [MM-channel-1] [MM-channel-2] seq_cst: the cell is free, before the look at who waits
             */
            np_exchange_seq_cst(&cell->number, 2 * turn + 2);
            return DONE;
        }
        uint64_t tail =
            np_load_relaxed(&channel->tail); /* relaxed: a position, once taken, stays */
        if (head == (tail & ~CLOSED))
            return tail & CLOSED ? NEVER : NOT_NOW;
        np_spin_hint();
        head = np_load_relaxed(&channel->head);
    }
}

/* ---- waiting ---- */

static np_noinline void wake_one_slow(struct waiters *waiters)
{
    uint32_t word = np_load_seq_cst(&waiters->word); /* [MM-channel-2] WAKING: somebody will look */
    /* [MM-channel-2] before the wake; another number: somebody else raised it, or began to wait */
    while ((word & WAKING) == 0)
        if (np_cas_seq_cst(&waiters->word, &word, (word + 2) | WAKING)) {
            np_os_wake_one(&waiters->word);
            return;
        }
}

static inline void wake_one(struct waiters *waiters)
{
    /* [MM-channel-2] seq_cst: after the cell's number was set; pairs with the count in await */
    if (np_unlikely(np_load_seq_cst(&waiters->count) != 0))
        wake_one_slow(waiters);
}

static void wake_all(struct waiters *waiters)
{
    np_fetch_add_seq_cst(&waiters->word, 2); /* [MM-channel-2] before the wake */
    np_os_wake_all(&waiters->word);
}

struct attempt {
    struct neap_channel *channel;
    void *object; /* to be sent, or received */
    bool sends;
};

static inline __attribute__((always_inline)) enum outcome attempt_once(struct attempt *attempt)
{
    struct neap_channel *channel = attempt->channel;
    if (attempt->sends) {
        enum outcome outcome = put(channel, attempt->object);
        if (np_likely(outcome == DONE))
            wake_one(&channel->receivers);
        return outcome;
    }
    enum outcome outcome = take(channel, &attempt->object);
    if (np_likely(outcome == DONE))
        wake_one(&channel->senders);
    return outcome;
}

static uint64_t left_until(uint64_t end_ns)
{
    if (end_ns == UINT64_MAX)
        return UINT64_MAX;
    uint64_t now_ns = np_os_now_ns();
    return now_ns < end_ns ? end_ns - now_ns : 0;
}

/* Without a look at what the other side writes all the time. */
static bool looks_ready(const struct attempt *attempt)
{
    const struct neap_channel *channel = attempt->channel;
    uint64_t turn; /* relaxed, all: hints */
    if (attempt->sends) {
        uint64_t tail = np_load_relaxed(&channel->tail);
        return (tail & CLOSED) ||
               np_load_relaxed(&cell_at(channel, tail, &turn)->number) == 2 * turn;
    }
    uint64_t head = np_load_relaxed(&channel->head);
    return np_load_relaxed(&cell_at(channel, head, &turn)->number) == 2 * turn + 1;
}

/* Looks ever more rarely: a look takes the cell away from who is about to write it. */
static enum outcome spin(struct attempt *attempt)
{
    enum outcome outcome = NOT_NOW;
    unsigned pauses = 1;
    for (unsigned left = SPINS; left > 0 && outcome == NOT_NOW; left -= pauses) {
        pauses = 2 * pauses < MOST_PAUSES ? 2 * pauses : MOST_PAUSES;
        pauses = pauses < left ? pauses : left;
        for (unsigned i = 0; i < pauses; i++)
            np_spin_hint();
        if (looks_ready(attempt))
            outcome = attempt_once(attempt);
    }
    return outcome;
}

static np_noinline enum outcome await(struct attempt *attempt, uint64_t end_ns)
{
    struct waiters *waiters =
        attempt->sends ? &attempt->channel->senders : &attempt->channel->receivers;
    for (bool slept = false;; slept = true) {
        enum outcome outcome = spin(attempt);
        uint64_t left_ns = left_until(end_ns);
        if (outcome == NOT_NOW && left_ns == 0 && slept)
            outcome = attempt_once(attempt); /* WAKING was taken away: spin's look is but a hint */
        if (outcome == DONE && slept)
            wake_one(waiters); /* what came while this one woke up */
        if (outcome != NOT_NOW || left_ns == 0)
            return outcome;
        np_fetch_add_seq_cst(&waiters->count, 1); /* [MM-channel-2] before the look */
        /* [MM-channel-2] seq_cst: before the look */
        uint32_t seen = np_fetch_and_seq_cst(&waiters->word, ~WAKING) & ~WAKING;
        outcome = attempt_once(attempt);
        if (outcome == NOT_NOW) {
            np_blocking_enter(np_tls.thread);
            np_os_wait(&waiters->word, seen, left_ns);
            np_blocking_leave(np_tls.thread);
            /* [MM-channel-2] seq_cst: before the look */
            np_fetch_and_seq_cst(&waiters->word, ~WAKING);
        }
        np_fetch_sub_acq_rel(&waiters->count, 1);
        if (outcome != NOT_NOW)
            return outcome;
    }
}

static uint64_t after_ms(uint64_t ms)
{
    if (ms == UINT64_MAX)
        return UINT64_MAX;
    uint64_t now_ns = np_os_now_ns();
    return ms > (UINT64_MAX - now_ns) / 1000000 ? UINT64_MAX : now_ns + ms * 1000000;
}

static np_noinline enum outcome send_later(struct neap_channel *channel, void *object, uint64_t ms)
{
    return await(&(struct attempt){channel, object, true}, after_ms(ms));
}

static np_noinline enum outcome receive_later(struct neap_channel *channel, uint64_t ms,
                                              void **ret_object)
{
    struct attempt attempt = {channel, NULL, false};
    enum outcome outcome = await(&attempt, after_ms(ms));
    *ret_object = attempt.object;
    return outcome;
}

/* ---- what is sent and received ---- */

static inline void hand_over(void *object)
{
    if (np_load_relaxed(&neap_header_of(object)->gc) & NP_GC_TRACKED) /* relaxed: we hold it */
        (void)neap_hand_over_graph(object, GRAPH_OBJECTS);
    else
        neap_hand_over(object);
}

/* The reference came out of a cell: it is the receiver's, or everybody's. */
static inline void *adopt(void *object)
{
    if (!np_adopt(neap_header_of(object)))
        np_publish(neap_header_of(object));
    return object;
}

static inline __attribute__((always_inline)) enum outcome send_within(struct neap_channel *channel,
                                                                      void *object, uint64_t ms)
{
    hand_over(object);
    np_quiescent_point(np_tls.thread);
    enum outcome outcome = attempt_once(&(struct attempt){channel, object, true});
    return np_likely(outcome != NOT_NOW) ? outcome : send_later(channel, object, ms);
}

static inline __attribute__((always_inline)) void *receive_within(struct neap_channel *channel,
                                                                  uint64_t ms)
{
    struct attempt attempt = {channel, NULL, false};
    np_quiescent_point(np_tls.thread);
    enum outcome outcome = attempt_once(&attempt);
    void *object = attempt.object;
    if (np_unlikely(outcome == NOT_NOW))
        outcome = receive_later(channel, ms, &object);
    return np_likely(outcome == DONE) ? adopt(object) : NULL;
}

int neap_channel_send(struct neap_channel *channel, void *object)
{
    if (object == NULL)
        return NEAP_EINVAL;
    if (!np_usage_may("neap_channel_send"))
        return NEAP_ESTATE;
    if (np_likely(send_within(channel, object, UINT64_MAX) == DONE))
        return NEAP_OK;
    neap_release(object);
    return NEAP_ESTATE;
}

bool neap_channel_send_within(struct neap_channel *channel, void *object, uint64_t ms)
{
    return object != NULL && np_usage_may("neap_channel_send_within") &&
           send_within(channel, object, ms) == DONE;
}

bool neap_channel_try_send(struct neap_channel *channel, void *object)
{
    if (object == NULL || !np_usage_may("neap_channel_try_send"))
        return false;
    hand_over(object);
    return attempt_once(&(struct attempt){channel, object, true}) == DONE;
}

void *neap_channel_receive(struct neap_channel *channel)
{
    return np_usage_may("neap_channel_receive") ? receive_within(channel, UINT64_MAX) : NULL;
}

void *neap_channel_receive_within(struct neap_channel *channel, uint64_t ms)
{
    return np_usage_may("neap_channel_receive_within") ? receive_within(channel, ms) : NULL;
}

void *neap_channel_try_receive(struct neap_channel *channel)
{
    if (!np_usage_may("neap_channel_try_receive"))
        return NULL;
    struct attempt attempt = {channel, NULL, false};
    return attempt_once(&attempt) == DONE ? adopt(attempt.object) : NULL;
}

void neap_channel_close(struct neap_channel *channel)
{
    /* [MM-channel-2] seq_cst: before the look at who waits */
    np_fetch_or_seq_cst(&channel->tail, CLOSED);
    wake_all(&channel->senders);
    wake_all(&channel->receivers);
}

bool neap_channel_is_closed(const struct neap_channel *channel)
{
    return (np_load_relaxed(&channel->tail) & CLOSED) != 0; /* relaxed: a fact that stays */
}

size_t neap_channel_count(const struct neap_channel *channel)
{
    /* relaxed, both: a hint; the head may have passed the tail that was read before */
    uint64_t tail = np_load_relaxed(&channel->tail) & ~CLOSED;
    uint64_t head = np_load_relaxed(&channel->head);
    return head < tail ? tail - head : 0;
}
