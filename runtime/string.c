/* SPDX-License-Identifier: MIT
 *
 * A string is born either ordinary or interned and stays so: an ordinary one is as cheap to destroy
 * as a block without hooks (NP_FLAG_BARE), an interned one leaves its table when it is disposed of.
 *
 * The table holds addresses and no references. A string whose last reference goes is dead by value
 * before its disposal comes to take it out, so whoever finds it in between cannot retain it and
 * puts a new one in its place; the disposal takes out what is still there of its own.
 *
 * Concurrency: stripes by the hash's high bits, each under a lock that is held for one chain walk,
 * never across a poll, an allocation of an object, or user code. */
#include "neap/string.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "neap/block.h"
#include "runtime/count.h"
#include "runtime/hash.h"
#include "runtime/string.h"
#include "runtime/usage.h"

enum { STRIPES = 64, STRIPE_SHIFT = 32 - 6, FIRST_BUCKETS = 64 };

struct neap_string {
    uint64_t length : 63, interned : 1; /* (c) */
    uint32_t hash;                      /* (x) relaxed: 0, or the one value it can have */
    char bytes[]; /* (c) and a NUL; an interned string's chain link stands behind them */
};

static struct stripe {
    pthread_mutex_t lock;
    struct neap_string **buckets; /* (L) bucket_count, a power of two; NULL before first use */
    size_t bucket_count, count;   /* (L) */
} __attribute__((aligned(NP_CACHE_LINE))) stripes[STRIPES] = {
    [0 ... STRIPES - 1] = {.lock = PTHREAD_MUTEX_INITIALIZER},
};

static size_t link_offset(size_t length)
{
    return (offsetof(struct neap_string, bytes) + length + 1 + 7) & ~(size_t)7;
}

/* Of an interned string: the next in its bucket. (L) its stripe. */
static struct neap_string **link_of(struct neap_string *string)
{
    return (struct neap_string **)(void *)((char *)string + link_offset(string->length));
}

static uint32_t hash_of(const char *bytes, size_t length)
{
    uint32_t hash = (uint32_t)np_hash_bytes(bytes, length);
    return hash == 0 ? 1 : hash;
}

static bool has_bytes(const struct neap_string *string, const char *bytes, size_t length)
{
    return string->length == length && memcmp(string->bytes, bytes, length) == 0;
}

/* ---- making ---- */

static void string_dispose(void *self);
NEAP_DEFINE_TYPE(neap_string, (), .dispose = string_dispose, .flags = NP_TYPE_INTERNAL);

static struct neap_string *make(const char *bytes, size_t length, bool interned)
{
    size_t body;
    if (__builtin_add_overflow(length, offsetof(struct neap_string, bytes) + 1 + 7 + sizeof(void *),
                               &body))
        return NULL;
    body = interned ? link_offset(length) + sizeof(void *)
                    : offsetof(struct neap_string, bytes) + length + 1;
    size_t extra = body > sizeof(struct neap_string) ? body - sizeof(struct neap_string) : 0;
    struct neap_string *string = neap_new_extra(neap_string, extra);
    if (string == NULL)
        return NULL;
    string->length = length & (SIZE_MAX >> 1);
    string->interned = interned;
    if (length > 0 && bytes != NULL)
        memcpy(string->bytes, bytes, length);
    struct neap_header *header = neap_header_of(string);
    if (!interned && !(header->flags & (NP_FLAG_LARGE | NP_FLAG_TRACED)))
        header->flags |= NP_FLAG_BARE; /* at birth: nobody else knows it */
    return string;
}

struct neap_string *neap_string_new(const char *bytes, size_t length)
{
    return make(bytes, length, false);
}

struct neap_string *neap_string_from(const char *text)
{
    return text == NULL ? NULL : make(text, strlen(text), false);
}

struct neap_string *neap_string_vformat(const char *format, va_list arguments)
{
    va_list again;
    int saved = errno;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    struct neap_string *string = length < 0 ? NULL : make(NULL, (size_t)length, false);
    if (string != NULL && vsnprintf(string->bytes, (size_t)length + 1, format, again) != length) {
        neap_release(string); /* an argument was changed in between */
        string = NULL;
    }
    va_end(again);
    errno = saved;
    return string;
}

struct neap_string *neap_string_format(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    struct neap_string *string = neap_string_vformat(format, arguments);
    va_end(arguments);
    return string;
}

/* ---- asking ---- */

const char *neap_string_data(const struct neap_string *string)
{
    return string->bytes;
}

size_t neap_string_length(const struct neap_string *string)
{
    return string->length;
}

uint32_t neap_string_hash(const struct neap_string *string)
{
    uint32_t hash = np_load_relaxed(&string->hash);
    if (np_unlikely(hash == 0)) {
        hash = hash_of(string->bytes, string->length);
        /* relaxed: whoever computes it gets the same */
        np_store_relaxed(&((struct neap_string *)(uintptr_t)string)->hash, hash);
    }
    return hash;
}

bool neap_string_equal(const struct neap_string *a, const struct neap_string *b)
{
    if (a == b)
        return true;
    return a != NULL && b != NULL && has_bytes(a, b->bytes, b->length);
}

int neap_string_compare(const struct neap_string *a, const struct neap_string *b)
{
    size_t shorter = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->bytes, b->bytes, shorter);
    if (order != 0)
        return order;
    return a->length < b->length ? -1 : a->length > b->length;
}

bool neap_string_is_interned(const struct neap_string *string)
{
    return string->interned;
}

/* ---- interning ---- */

static struct neap_string **bucket_of(struct stripe *stripe, uint32_t hash)
{
    return &stripe->buckets[hash & (stripe->bucket_count - 1)];
}

/* False: there is no table at all. Without memory for a larger one chains grow longer. */
static bool grow_locked(struct stripe *stripe)
{
    if (stripe->buckets != NULL && stripe->count < stripe->bucket_count)
        return true;
    size_t count = stripe->buckets == NULL ? FIRST_BUCKETS : 2 * stripe->bucket_count;
    struct neap_string **buckets = neap_calloc(count, sizeof *buckets);
    if (buckets == NULL)
        return stripe->buckets != NULL;
    struct neap_string **old = stripe->buckets;
    size_t old_count = old == NULL ? 0 : stripe->bucket_count;
    stripe->buckets = buckets;
    stripe->bucket_count = count;
    for (size_t i = 0; i < old_count; i++)
        for (struct neap_string *string = old[i], *next; string != NULL; string = next) {
            next = *link_of(string);
            struct neap_string **bucket = bucket_of(stripe, string->hash);
            *link_of(string) = *bucket;
            *bucket = string;
        }
    neap_free(old);
    return true;
}

static void remove_locked(struct stripe *stripe, struct neap_string *string)
{
    if (stripe->buckets == NULL)
        return;
    for (struct neap_string **at = bucket_of(stripe, string->hash); *at != NULL; at = link_of(*at))
        if (*at == string) {
            *at = *link_of(string);
            stripe->count--;
            return;
        }
}

static struct stripe *lock_stripe(uint32_t hash)
{
    struct stripe *stripe = &stripes[hash >> STRIPE_SHIFT];
    pthread_mutex_lock(&stripe->lock);
    return stripe;
}

/* The living interned string, retained; a dead one that is found leaves the table. */
static struct neap_string *find_locked(struct stripe *stripe, const char *bytes, size_t length,
                                       uint32_t hash)
{
    if (stripe->buckets == NULL)
        return NULL;
    struct neap_string *string = *bucket_of(stripe, hash);
    while (string != NULL && !(string->hash == hash && has_bytes(string, bytes, length)))
        string = *link_of(string);
    if (string == NULL || np_try_retain(neap_header_of(string)))
        return string;
    remove_locked(stripe, string);
    return NULL;
}

static struct neap_string *find(const char *bytes, size_t length, uint32_t hash)
{
    struct stripe *stripe = lock_stripe(hash);
    struct neap_string *found = find_locked(stripe, bytes, length, hash);
    pthread_mutex_unlock(&stripe->lock);
    return found;
}

static struct neap_string *intern(const char *bytes, size_t length, uint32_t hash)
{
    struct neap_string *found = find(bytes, length, hash);
    if (found != NULL)
        return found;
    struct neap_string *made = make(bytes, length, true); /* a stop point: not under the lock */
    if (made == NULL)
        return NULL;
    made->hash = hash;
    np_publish(neap_header_of(made));
    struct stripe *stripe = lock_stripe(hash);
    found = find_locked(stripe, bytes, length, hash); /* another thread was faster? */
    if (found == NULL && grow_locked(stripe)) {
        struct neap_string **bucket = bucket_of(stripe, hash);
        *link_of(made) = *bucket;
        *bucket = made;
        stripe->count++;
        found = neap_retain(made);
    }
    pthread_mutex_unlock(&stripe->lock);
    neap_release(made);
    return found;
}

struct neap_string *neap_string_intern(const struct neap_string *string)
{
    if (string == NULL || !np_usage_alive())
        return NULL;
    np_usage_check("neap_string_intern");
    if (string->interned)
        return neap_retain((struct neap_string *)(uintptr_t)string);
    return intern(string->bytes, string->length, neap_string_hash(string));
}

struct neap_string *neap_string_intern_bytes(const char *bytes, size_t length)
{
    if (!np_usage_alive())
        return NULL;
    np_usage_check("neap_string_intern_bytes");
    bytes = length == 0 ? "" : bytes;
    return intern(bytes, length, hash_of(bytes, length));
}

static void string_dispose(void *self)
{
    struct neap_string *string = self;
    if (!string->interned || string->hash == 0)
        return;
    struct stripe *stripe = lock_stripe(string->hash);
    remove_locked(stripe, string);
    pthread_mutex_unlock(&stripe->lock);
}

/* ---- life ---- */

void np_string_fini(void)
{
    for (unsigned i = 0; i < STRIPES; i++) {
        if (stripes[i].count > 0)
            continue; /* leaked strings keep their table */
        neap_free(stripes[i].buckets);
        stripes[i].buckets = NULL;
        stripes[i].bucket_count = 0;
    }
}
