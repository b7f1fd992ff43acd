/* SPDX-License-Identifier: MIT
 *
 * Fills, canaries and what the sanitizers see. All sizes are multiples of 8. */
#include "alloc/guard.h"

#include <string.h>

#include "base/shadow.h"

/* A freed byte and a fresh one: odd as an address, unlikely as a count, told from each other. */
enum { FREED = 0xDD, FRESH = 0xCD };
static const np_word freed_word = 0xDDDDDDDDDDDDDDDD;

static const void *region(void)
{
    return (const void *)np_region.base;
}

void np_guard_init(void)
{
    np_shadow_region(region());
}

/* What is filled and hidden of a block. */
static char *body_of(const struct np_pool *pool, void *block, size_t *ret_bytes)
{
    size_t header = pool->kind == NP_POOL_OBJECTS ? NP_GUARD_HEADER : 0;
    *ret_bytes = pool->block_bytes - header;
    return (char *)block + header;
}

_Noreturn void np_guard_changed(const void *block, const void *where)
{
    np_panic_at("neap", "%p was written to after it was freed, at offset %td", block,
                (const char *)where - (const char *)block);
}

static const np_word *find_change(const void *body, size_t bytes)
{
    const np_word *word = body, *end = (const np_word *)((const char *)body + bytes);
    for (; word < end; word++)
        if (*word != freed_word)
            return word;
    return NULL;
}

void np_guard_verify(const struct np_pool *pool, void *block)
{
    size_t bytes;
    char *body = body_of(pool, block, &bytes);
    np_shadow_show(body, bytes);
    const np_word *where = find_change(body, bytes);
    if (where != NULL)
        np_guard_changed(block, where);
    np_shadow_hide(body, bytes);
}

void np_guard_fill(const struct np_pool *pool, void *block)
{
    size_t bytes;
    char *body = body_of(pool, block, &bytes);
    np_shadow_show(body, bytes);
    memset(body, FREED, bytes);
    np_shadow_hide(body, bytes);
}

uint64_t np_guard_sum(const struct np_pool *pool, void *block)
{
    size_t bytes;
    const np_word *word = (const np_word *)(void *)body_of(pool, block, &bytes);
    uint64_t sum = 0;
    np_shadow_show(word, bytes);
    for (size_t i = 0; i < bytes / sizeof *word; i++)
        sum = (sum ^ word[i]) * 0x9E3779B97F4A7C15;
    np_shadow_hide(word, bytes);
    return sum;
}

/* ---- a pool's blocks ---- */

void np_guard_pool(const struct np_pool *pool)
{
    np_shadow_hide(np_pool_memory(pool), NP_POOL_BYTES);
}

void np_guard_carve(const struct np_pool *pool, void *block)
{
    if (pool->kind == NP_POOL_OBJECTS)
        np_shadow_show(block, NP_GUARD_HEADER);
    np_guard_fill(pool, block);
}

void np_guard_arrive(const struct np_pool *pool, void *block)
{
    if (pool->kind == NP_POOL_OBJECTS)
        np_guard_fill(pool, block);
    else
        np_guard_verify(pool, block);
}

/* ---- to and from the program ---- */

/* Depends on the address, so that a copy is noticed; no byte of it is a NUL or a letter. */
static np_word canary_of(const void *block)
{
    np_word mixed = (np_word)(uintptr_t)block * 0x9E3779B97F4A7C15;
    return (mixed ^ mixed >> 32) | 0x8080808080808080;
}

void np_guard_seal(void *block, size_t bytes)
{
    np_word *canary = (np_word *)(void *)((char *)block + bytes) - 1;
    *canary = canary_of(block);
    np_shadow_hide(canary, sizeof *canary);
}

void np_guard_unseal(const char *function, void *block, size_t bytes)
{
    np_word *canary = (np_word *)(void *)((char *)block + bytes) - 1;
    np_shadow_show(canary, sizeof *canary);
    if (*canary == freed_word)
        np_panic_at(function, "%p was freed twice", block);
    if (*canary != canary_of(block))
        np_panic_at(function, "%p: written past the end of its %zu usable bytes", block,
                    bytes - sizeof *canary);
}

void np_guard_take(const struct np_pool *pool, void *block)
{
    size_t bytes = pool->block_bytes;
    np_guard_verify(pool, block);
    np_shadow_show(block, bytes);
    memset(block, FRESH, bytes - NP_GUARD_TAIL);
    np_guard_seal(block, bytes);
    np_shadow_alloc(region(), block, bytes - NP_GUARD_TAIL);
}

void np_guard_give(const struct np_pool *pool, void *block)
{
    size_t bytes = pool->block_bytes;
    np_guard_unseal("neap_free", block, bytes);
    np_shadow_free(region(), block, bytes - NP_GUARD_TAIL);
    np_guard_fill(pool, block);
}

void np_guard_take_object(void *block)
{
    size_t bytes;
    const struct np_pool *pool = np_pool_of(block);
    char *body = body_of(pool, block, &bytes);
    np_guard_verify(pool, block);
    np_shadow_alloc(region(), body, bytes);
}

void np_guard_give_object(const struct np_pool *pool, void *block)
{
    size_t bytes;
    char *body = body_of(pool, block, &bytes);
    np_shadow_free(region(), body, bytes);
}
