/* SPDX-License-Identifier: MIT
 *
 * Misuse of blocks is reported: in every build where the look costs nothing, in builds with guards
 * (alloc/guard.h) each use after free, overrun and second free. Under AddressSanitizer it reports
 * them at the access, under Valgrind Valgrind does. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alloc/sample.h"
#include "base/options.h"
#include "base/shadow.h"
#include "neap/block.h"
#include "tests/death.h"
#include "tests/unit/alloc/slots.h"

enum { MANY = 1000 };

#ifdef NP_ASAN
/* What ends in a panic elsewhere ends in the sanitizer's report, by the same signal. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "abort_on_error=1:handle_abort=0";
}
#    define REPORTED(message) "use-after-poison"
#else
#    define REPORTED(message) message
#endif

/* What the compiler must not see to be wrong. */
static unsigned char *hide(void *block)
{
    unsigned char *volatile pointer = block;
    return pointer;
}

/* So many frees that what was freed before is taken again. */
static void push_through(size_t bytes)
{
    static void *blocks[MANY];
    for (unsigned i = 0; i < MANY; i++)
        blocks[i] = neap_alloc(bytes);
    for (unsigned i = 0; i < MANY; i++)
        neap_free(blocks[i]);
    for (unsigned i = 0; i < MANY; i++)
        blocks[i] = neap_alloc(bytes);
}

/* ---- every build ---- */

static void free_twice_in_a_row(void *unused)
{
    (void)unused;
    unsigned char *block = neap_alloc(40);
    neap_free(block);
    neap_free(hide(block));
}

static void free_twice_and_trim(void *unused)
{
    (void)unused;
    unsigned char *block = neap_alloc(40), *other = neap_alloc(40);
    neap_free(block);
    neap_free(other);
    neap_free(hide(block));
    (void)neap_trim();
}

static void free_inside(void *unused)
{
    (void)unused;
    unsigned char *block = neap_alloc(64);
    neap_free(hide(block) + 16);
    (void)neap_trim();
}

static void free_an_object(void *unused)
{
    (void)unused;
    neap_free(hide(slots_object(64, 3)));
}

static void test_every_build(void)
{
    dies_with(free_twice_in_a_row, NULL, "was freed twice", "freeing twice in a row");
    dies_with(free_twice_and_trim, NULL, "was freed twice", "freeing again later");
    dies_with(free_inside, NULL, "is not a block", "freeing by a pointer into the block");
    dies_with(free_an_object, NULL, "is not a block of neap_alloc", "neap_free of an object");
}

/* ---- builds with guards ---- */

static void write_freed(void *unused)
{
    (void)unused;
    unsigned char *block = hide(neap_alloc(40));
    neap_free(block);
    block[20] = 1;
    push_through(40);
}

static void write_long_freed(void *unused)
{
    (void)unused;
    unsigned char *block = hide(neap_alloc(40));
    (void)neap_alloc(40); /* keeps the pool */
    neap_free(block);
    (void)neap_trim(); /* out of the quarantine, back in its pool */
    block[0] = 1;
    push_through(40);
}

static void write_freed_elsewhere(void *unused)
{
    (void)unused;
    struct np_heap *mine = np_tls.heap;
    unsigned char *block = hide(neap_alloc(40));
    slots_block();
    slots_enter(2);
    neap_free(block);
    block[8] = 1;
    slots_leave();
    slots_resume(mine);
    np_heap_drain_remote(mine);
    push_through(40);
}

static void write_freed_object(void *unused)
{
    (void)unused;
    struct neap_header *header = slots_object(64, 3);
    unsigned char *body = hide(header + 1);
    slots_object_free(header);
    body[10] = 1;
    for (unsigned i = 0; i < MANY; i++)
        slots_object_free(slots_object(64, 3));
}

static void write_past_end(void *arg)
{
    size_t bytes = *(size_t *)arg;
    unsigned char *block = hide(neap_alloc(bytes));
    block[neap_usable_size(block)] = 1;
    neap_free(block);
}

static void write_past_end_and_grow(void *arg)
{
    size_t bytes = *(size_t *)arg;
    unsigned char *block = hide(neap_alloc(bytes));
    block[neap_usable_size(block)] = 1;
    neap_free(neap_realloc(block, bytes * 3));
}

static void free_twice_large(void *unused)
{
    (void)unused;
    unsigned char *block = neap_alloc(3000);
    neap_free(block);
    neap_free(hide(block));
}

static void test_guards(void)
{
    static size_t small = 40, large = 3000, larger = 100000;
    if (!NP_GUARD) {
        skip(11, "a release build has no guards");
        return;
    }
    const char *changed = REPORTED("was written to after it was freed, at offset");
    const char *past = REPORTED("written past the end of its");
    dies_with(write_freed, NULL, changed, "writing to a freed block");
    dies_with(write_long_freed, NULL, changed, "writing to one that was freed long ago");
    dies_with(write_freed_elsewhere, NULL, changed, "writing to one that another thread freed");
    dies_with(write_freed_object, NULL, changed, "writing to a freed object");
    dies_with(write_past_end, &small, past, "writing past a block's end");
    dies_with(write_past_end, &large, past, "past a large block's end");
    dies_with(write_past_end, &larger, past, "past a very large one's");
    dies_with(write_past_end_and_grow, &small, past, "noticed by neap_realloc");
    dies_with(write_past_end_and_grow, &larger, past, "of a large block");
    dies_with(free_twice_large, NULL, "was freed twice", "freeing a large block twice");

    unsigned char *block = neap_alloc(40);
    bool fresh = true, usable = neap_usable_size(block) == 40;
    np_shadow_show(block, 40); /* to Valgrind it has no value */
    for (unsigned i = 0; i < 40; i++)
        fresh &= block[i] == 0xCD;
    ok(fresh && usable, "a fresh block is filled: what reads it unwritten finds 0xCD");
    neap_free(block);
}

/* A stale reader's view of a dead object: its header, through everything that follows. */
static void test_headers_stay_visible(void)
{
    struct neap_header *headers[64];
    bool dead = true;
    for (unsigned i = 0; i < np_count_of(headers); i++)
        headers[i] = slots_object(96, 3);
    for (unsigned i = 0; i < np_count_of(headers); i++)
        slots_object_free(headers[i]);
    for (unsigned turn = 0; turn < 2; turn++) {
        for (unsigned i = 0; i < np_count_of(headers); i++)
            dead &= np_load_relaxed(&headers[i]->type) == 0;
        (void)neap_trim();
    }
    ok(dead, "the headers of dead objects can be read, in the quarantine and behind it");
}

/* ---- guard pages ---- */

/* Each refill gives a block of these, so the first block of an empty magazine is one. */
static unsigned char *sampled(size_t bytes)
{
    for (unsigned i = 0; i < MANY; i++) {
        unsigned char *block = neap_alloc(bytes);
        if (np_sample_has(block))
            return hide(block);
    }
    bail("no block was sampled");
}

static void sample_past_end(void)
{
    unsigned char *block = sampled(100);
    block[neap_usable_size(block)] = 1;
}

static void sample_read_freed(void)
{
    unsigned char *block = sampled(100);
    neap_free(block);
    (void)*(volatile unsigned char *)block;
}

static void sample_before_start(void *unused)
{
    (void)unused;
    unsigned char *block = sampled(100);
    block[-1] = 1;
    neap_free(block);
}

static void sample_free_twice(void *unused)
{
    (void)unused;
    unsigned char *block = sampled(100);
    neap_free(block);
    neap_free(block);
}

/* Does it end by a signal, at the access? */
static bool is_stopped(void (*run)(void))
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL); /* under a sanitizer too */
        run();
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

static void test_samples(void)
{
    np_options.guard_sample = 1;
    ok(is_stopped(sample_past_end), "writing past a sampled block's end stops the program");
    ok(is_stopped(sample_read_freed), "so does reading one that was freed");
    dies_with(sample_before_start, NULL, "written before its start", "a write before it is found");
    dies_with(sample_free_twice, NULL, "was freed twice", "a second free too");

    struct np_sample_counts counts;
    unsigned char *blocks[2 * NP_SAMPLE_PLACES];
    unsigned count = 0;
    for (unsigned i = 0; i < np_count_of(blocks); i++) {
        blocks[i] = neap_aligned_alloc(64, 64 + i * 8); /* another size, another class */
        memset(blocks[i], 1, neap_usable_size(blocks[i]));
        count += np_sample_has(blocks[i]);
        if ((uintptr_t)blocks[i] % 64 != 0)
            bail("an aligned block is not");
    }
    np_sample_count(&counts);
    ok(count > 10 && count <= NP_SAMPLE_PLACES,
       "%u blocks are sampled, as long as there are places", count);
    is_int(counts.blocks, count, "and counted");
    unsigned char *grown = sampled(50);
    memset(grown, 7, 50);
    grown = neap_realloc(grown, 5000);
    ok(!np_sample_has(grown) && grown[49] == 7, "one that grows moves out");
    neap_free(grown);
    for (unsigned i = 0; i < np_count_of(blocks); i++)
        neap_free(blocks[i]);
    np_options.guard_sample = 0;
}

/* ---- Valgrind ---- */

#ifdef NP_VALGRIND
static volatile unsigned char value_read; /* Valgrind drops a load whose value nobody uses */

static void read_freed(void)
{
    unsigned char *block = hide(neap_alloc(40));
    neap_free(block);
    value_read = block[5];
    struct neap_header *header = slots_object(64, 3);
    unsigned char *body = hide(header + 1);
    slots_object_free(header);
    value_read = body[3];
    block = hide(neap_alloc(40));
    if (block[7] == 0) /* nobody has written it */
        puts("the fresh block has a zero");
}

static void test_valgrind(const char *self)
{
    char command[512], said[16384];
    snprintf(command, sizeof command, "valgrind --max-threads=100 %s read-freed 2>&1", self);
    FILE *output = popen(command, "r");
    size_t length = output != NULL ? fread(said, 1, sizeof said - 1, output) : 0;
    said[length] = '\0';
    int status = output != NULL ? pclose(output) : -1;
    if (strstr(said, "Memcheck") == NULL) {
        skip(4, "valgrind does not run here (status %d)", status);
        return;
    }
    const char *first = strstr(said, "Invalid read of size 1");
    ok(first != NULL, "Valgrind reports the use of a freed block");
    ok(strstr(said, "is 5 bytes inside a block of size 40") != NULL, "and which block it was");
    ok(first != NULL && strstr(first + 1, "is 3 bytes inside a block of size 48") != NULL,
       "the use of a freed object");
    ok(strstr(said, "depends on uninitialised value") != NULL, "and of what nobody has written");
}
#else
static void read_freed(void)
{
}

static void test_valgrind(const char *self)
{
    (void)self;
    skip(4, "built without -Dvalgrind=true");
}
#endif

int main(int count, char **arguments)
{
    np_options.heap_reserve_bytes = (uint64_t)1 << 30; /* Valgrind walks all of it */
    slots_init();
    slots_enter(1);
    if (count > 1 && strcmp(arguments[1], "read-freed") == 0) {
        read_freed();
        return 0;
    }
    plan_lazy();
    test_every_build();
    test_guards();
    test_headers_stay_visible();
    test_samples();
    test_valgrind(arguments[0]);
    slots_leave();
    return done();
}
