/* SPDX-License-Identifier: MIT
 *
 * tidepool: slow commands (see slowlog.h), and SLOWLOG. */
#include "slowlog.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <neap/neap.h>

#include "client.h"
#include "commands.h"

#define ENTRIES        128
#define ARGUMENTS_MOST 32  /* of a command are kept */
#define BYTES_MOST     128 /* of an argument are kept */
#define COARSE_FROM_US 10000

/* One slow command: a copy of its arguments, shortened as Redis does. */
struct slow {
    int64_t id, at_s, took_us;
    char address[CLIENT_ADDRESS_BYTES];
    char name[CLIENT_NAME_BYTES];
    size_t count;
    struct string *argument[ARGUMENTS_MOST]; /* slots */
};
NEAP_DECLARE_TYPE(slow);
NEAP_DEFINE_TYPE(slow, (argument));

static _Atomic int64_t threshold_us = 10000; /* relaxed: a number of its own */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct slow *entries[ENTRIES]; /* (L lock) references; entry id at id % ENTRIES */
static int64_t next_id;               /* (L lock) */
static size_t count;                  /* (L lock) of entries */

void slowlog_set_threshold(int64_t us)
{
    atomic_store_explicit(&threshold_us, us, memory_order_relaxed);
}

int64_t slowlog_threshold(void)
{
    return atomic_load_explicit(&threshold_us, memory_order_relaxed);
}

int64_t slowlog_now_us(void)
{
    struct timespec now;
    int64_t threshold = slowlog_threshold();
    if (threshold < 0)
        return 0;
    clock_gettime(threshold >= COARSE_FROM_US ? CLOCK_MONOTONIC_COARSE : CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* An argument as it is shown: whole, or its beginning and how much was left out. */
static struct string *shortened(struct slice text)
{
    if (text.length <= BYTES_MOST)
        return string_new(text);
    char shown[BYTES_MOST + 48];
    memcpy(shown, text.bytes, BYTES_MOST);
    int more = snprintf(shown + BYTES_MOST, sizeof shown - BYTES_MOST, "... (%zu more bytes)",
                        text.length - BYTES_MOST);
    return string_new((struct slice){shown, BYTES_MOST + (size_t)more});
}

/* A copy; parts of it are missing when memory is. */
static struct slow *slow_new(const struct call *call, int64_t took_us)
{
    struct slow *slow = neap_new(slow);
    if (slow == NULL)
        return NULL;
    slow->at_s = keyspace_now_ms / 1000;
    slow->took_us = took_us;
    memcpy(slow->address, call->client->address, sizeof slow->address);
    if (call->client->name != NULL)
        snprintf(slow->name, sizeof slow->name, "%s", call->client->name);
    slow->count = call->count < ARGUMENTS_MOST ? call->count : ARGUMENTS_MOST;
    for (size_t i = 0; i < slow->count; i++) {
        struct string *string = shortened(call->argument[i]);
        if (string == NULL)
            slow->count = i;
        else
            neap_give(&slow->argument[i], string);
    }
    return slow;
}

void slowlog_note(const struct call *call, int64_t started_us)
{
    int64_t threshold = slowlog_threshold();
    if (threshold < 0)
        return;
    int64_t took_us = slowlog_now_us() - started_us;
    if (took_us < threshold)
        return;
    struct slow *slow = slow_new(call, took_us);
    if (slow == NULL)
        return;
    neap_mutex_lock(&lock);
    slow->id = next_id++;
    struct slow **place = &entries[slow->id % ENTRIES];
    struct slow *old = *place;
    *place = slow;
    count += count < ENTRIES;
    pthread_mutex_unlock(&lock);
    neap_release(old);
}

static void clear(void)
{
    for (size_t i = 0; i < ENTRIES; i++) {
        neap_release(entries[i]);
        entries[i] = NULL;
    }
    count = 0;
}

void slowlog_fini(void)
{
    clear();
}

/* ---- SLOWLOG ---- */

static void reply_slow(struct call *call, const struct slow *slow)
{
    reply_array(call->reply, 6);
    reply_integer(call->reply, slow->id);
    reply_integer(call->reply, slow->at_s);
    reply_integer(call->reply, slow->took_us);
    reply_array(call->reply, slow->count);
    for (size_t i = 0; i < slow->count; i++)
        reply_bulk(call->reply, string_text(slow->argument[i]));
    reply_bulk(call->reply, text_from(slow->address));
    reply_bulk(call->reply, text_from(slow->name));
}

static void reply_latest(struct call *call)
{
    int64_t most = 10;
    if (call->count >= 3 && (!text_to_integer(call->argument[2], &most) || most < -1)) {
        reply_error(call->reply, "ERR count should be greater than or equal to -1");
        return;
    }
    neap_mutex_lock(&lock);
    size_t shown = most < 0 || (uint64_t)most > count ? count : (size_t)most;
    reply_array(call->reply, shown);
    for (size_t i = 1; i <= shown; i++)
        reply_slow(call, entries[(next_id - (int64_t)i) % ENTRIES]);
    pthread_mutex_unlock(&lock);
}

static void reply_length(struct call *call)
{
    neap_mutex_lock(&lock);
    size_t length = count;
    pthread_mutex_unlock(&lock);
    reply_integer(call->reply, (int64_t)length);
}

static void reset(struct call *call)
{
    neap_mutex_lock(&lock);
    clear();
    pthread_mutex_unlock(&lock);
    reply_status(call->reply, "OK");
}

void command_slowlog(struct call *call)
{
    static const struct subcommand subcommands[] = {
        {"get", -2, reply_latest},
        {"len", 2, reply_length},
        {"reset", 2, reset},
    };
    CALL_SUBCOMMAND(call, subcommands);
}
