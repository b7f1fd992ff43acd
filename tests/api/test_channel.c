/* SPDX-License-Identifier: MIT
 *
 * Channels deliver every message once and in order, hold no more than they may, make senders and
 * receivers wait and wake them, hand ownership over, and end cleanly when closed or dropped. */
#include <neap/neap.h>

#include <sched.h>

#include "tests/harness.h"

struct message {
    struct message *part;
    int sender, number;
};
static int alive;
static void message_dispose(void *self)
{
    (void)self;
    __atomic_fetch_sub(&alive, 1, __ATOMIC_RELAXED);
}
NEAP_DEFINE_TYPE(message, (part), .dispose = message_dispose);

static struct message *make(int sender, int number)
{
    struct message *message = neap_new(message);
    message->sender = sender;
    message->number = number;
    __atomic_fetch_add(&alive, 1, __ATOMIC_RELAXED);
    return message;
}

static int receive_number(struct neap_channel *channel)
{
    struct message *message = neap_channel_try_receive(channel);
    int number = message != NULL ? message->number : -1;
    neap_release(message);
    return number;
}

static void basics(void)
{
    ok(neap_channel_new(0) == NULL, "a channel has room for one at least");
    for (size_t capacity = 1; capacity <= 5; capacity += 2) {
        struct neap_channel *channel = neap_channel_new(capacity);
        int wrong = 0;
        is_int(receive_number(channel), -1, "a new channel of %zu is empty", capacity);
        for (int round = 0; round < 20; round++) {
            for (size_t i = 0; i < capacity; i++)
                wrong += !neap_channel_try_send(channel, make(0, (int)i));
            struct message *extra = make(0, 99);
            wrong += neap_channel_try_send(channel, extra) || neap_refcount(extra) != 1;
            wrong += neap_channel_count(channel) != capacity;
            neap_release(extra);
            for (size_t i = 0; i < capacity; i++)
                wrong += receive_number(channel) != (int)i;
            wrong += receive_number(channel) != -1;
        }
        is_int(wrong, 0, "it takes %zu messages and gives them back in order", capacity);
        neap_release(channel);
    }
    is_int(alive, 0, "nothing is left");
}

static void closing(void)
{
    struct neap_channel *channel = neap_channel_new(4);
    is_int(neap_channel_send(channel, NULL), NEAP_EINVAL, "NULL is no message");
    is_int(neap_channel_send(channel, make(0, 1)), NEAP_OK, "send");
    is_int(neap_channel_send(channel, make(0, 2)), NEAP_OK, "and again");
    ok(!neap_channel_is_closed(channel), "it is open");
    neap_channel_close(channel);
    neap_channel_close(channel);
    ok(neap_channel_is_closed(channel), "it is closed");
    is_int(neap_channel_send(channel, make(0, 3)), NEAP_ESTATE, "nothing can be sent any more");
    is_int(alive, 2, "what could not be sent was released");
    struct message *kept = make(0, 4);
    ok(!neap_channel_try_send(channel, kept) && !neap_channel_send_within(channel, kept, 1),
       "nor by trying");
    is_int(neap_refcount(kept), 1, "which leaves it with the caller");
    neap_release(kept);
    struct message *message = neap_channel_receive(channel);
    is_int(message->number, 1, "what is in it can be received");
    neap_release(message);
    message = neap_channel_receive_within(channel, 1000);
    is_int(message->number, 2, "all of it");
    neap_release(message);
    ok(neap_channel_receive(channel) == NULL, "then there is no more");
    neap_release(channel);
    channel = neap_channel_new(2);
    ok(neap_channel_receive_within(channel, 1) == NULL,
       "an empty channel makes wait, and gives up");
    (void)neap_channel_send(channel, make(0, 5));
    (void)neap_channel_send(channel, make(0, 6));
    kept = make(0, 7);
    ok(!neap_channel_send_within(channel, kept, 1), "so does a full one");
    neap_release(kept);
    neap_release(channel);
    is_int(alive, 0, "a channel that dies releases its messages");
}

static void cycle(void)
{
    struct neap_channel *channel = neap_channel_new(3);
    struct message *message = make(0, 1);
    struct neap_list *list = neap_list_new();
    (void)neap_list_append(list, channel);
    (void)neap_list_append(list, message);
    (void)neap_channel_send(channel, list);
    neap_release(message);
    is_int(neap_collect(2), 0, "a channel that holds what holds it lives while it is held");
    is_int(alive, 1, "with its messages");
    neap_release(channel);
    ok(neap_collect(2) >= 2, "and is found when it is not");
    is_int(alive, 0, "messages and all");
}

/* ---- threads ---- */

enum { SENDERS = 3, RECEIVERS = 2, MESSAGES = 4000 };
static int received[SENDERS], disorder, not_owned;

static void trade(void *arg, unsigned index)
{
    struct neap_channel *channel = arg;
    if (index < SENDERS) {
        for (int i = 0; i < MESSAGES; i++) {
            struct message *message = make((int)index, i);
            neap_give(&message->part, make(-1, i));
            if (neap_channel_send(channel, message) != NEAP_OK)
                __atomic_fetch_add(&disorder, 1, __ATOMIC_RELAXED);
        }
        return;
    }
    int last[SENDERS] = {-1, -1, -1};
    struct message *message;
    while ((message = neap_channel_receive(channel)) != NULL) {
        if (message->number <= last[message->sender] || message->part->number != message->number)
            __atomic_fetch_add(&disorder, 1, __ATOMIC_RELAXED);
        last[message->sender] = message->number;
        if (neap_refcount(message) != 1 || neap_refcount(message->part) != 1)
            __atomic_fetch_add(&not_owned, 1, __ATOMIC_RELAXED);
        int count = __atomic_add_fetch(&received[message->sender], 1, __ATOMIC_RELAXED);
        neap_release(message);
        (void)count;
        int sum = 0;
        for (int i = 0; i < SENDERS; i++)
            sum += __atomic_load_n(&received[i], __ATOMIC_RELAXED);
        if (sum == SENDERS * MESSAGES)
            neap_channel_close(channel);
    }
}

static void together(size_t capacity)
{
    struct neap_channel *channel = neap_channel_new(capacity);
    for (int i = 0; i < SENDERS; i++)
        received[i] = 0;
    harness_run(SENDERS + RECEIVERS, trade, channel);
    is_int(disorder, 0, "capacity %zu: each receiver sees each sender's messages in order",
           capacity);
    is_int(not_owned, 0, "with one reference each");
    int sum = 0;
    for (int i = 0; i < SENDERS; i++)
        sum += received[i];
    is_int(sum, SENDERS * MESSAGES, "and every message comes once");
    neap_release(channel);
    neap_collect(0);
    is_int(alive, 0, "and goes");
}

/* A sender and a receiver that wait for ever are woken by a close. */
static struct neap_channel *full, *empty;
static int ended;

static void wait_for_close(void *arg, unsigned index)
{
    (void)arg;
    if (index == 0) {
        for (int i = 0; i < 200; i++) {
            NEAP_BLOCKED(sched_yield());
            neap_safepoint();
        }
        neap_channel_close(full);
        neap_channel_close(empty);
        return;
    }
    bool as_wanted = index == 1 ? neap_channel_receive(empty) == NULL
                                : neap_channel_send(full, make(0, 2)) == NEAP_ESTATE;
    __atomic_fetch_add(&ended, as_wanted, __ATOMIC_RELAXED);
}

static void woken(void)
{
    full = neap_channel_new(1);
    empty = neap_channel_new(1);
    (void)neap_channel_send(full, make(0, 1));
    harness_run(3, wait_for_close, NULL);
    is_int(ended, 2, "close wakes who waits");
    neap_release(full);
    neap_release(empty);
}

int main(void)
{
    plan_lazy();
    harness_begin();
    basics();
    closing();
    cycle();
    together(1);
    together(7);
    together(1000);
    woken();
    return harness_end();
}
