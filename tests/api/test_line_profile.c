/* SPDX-License-Identifier: MIT
 *
 * Marked functions are told, line by line, what they and what they call make and free. Built
 * without optimization: a line that was inlined is another function's. */
#include "tests/harness.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <neap/neap.h>

enum { CHAIN = 100, LARGE = 1 << 20, DEPTH = 5, THREADS = 4, ROUNDS = 10 };

struct node {
    struct node *next;
    long value;
};
NEAP_DEFINE_TYPE(node, (next));

static struct node *make_chain(int length)
{
    struct node *first = NULL;
    for (int i = 0; i < length; i++) {
        struct node *node = neap_new(node);
        if (node == NULL)
            bail("neap_new");
        neap_give(&node->next, first);
        first = node;
    }
    return first;
}

static size_t node_bytes;

static void work(void)
{
    NEAP_PROFILE;
    struct node *chain = make_chain(CHAIN); /* the chain's line */
    char *block = neap_alloc(LARGE);        /* the block's line: a brace { in a comment */
    if (block == NULL)
        bail("neap_alloc: } \" // no end");
    neap_free(block);    /* the block's end */
    neap_release(chain); /* the chain's end */
}

static void outer(void)
{
    NEAP_PROFILE;
    work(); /* all of it */
}

static void down(int depth)
{
    NEAP_PROFILE;
    struct node *node = make_chain(1); /* one per depth */
    if (depth > 1)
        down(depth - 1); /* nothing of its own */
    neap_release(node);
}

static void shared(void)
{
    NEAP_PROFILE;
    void *block = neap_alloc(LARGE); /* by all threads */
    neap_free(block);                /* and freed */
}

static void threads_work(void *arg, unsigned index)
{
    (void)arg, (void)index;
    for (int i = 0; i < ROUNDS; i++)
        shared();
}

static jmp_buf back;

static __attribute__((noinline)) void leave_by_jump(void)
{
    NEAP_PROFILE;
    longjmp(back, 1);
}

static void no_marks(void)
{
    neap_release(make_chain(1));
}

/* ---- reading the tables ---- */

static int line_of(const char *mark)
{
    static char *source;
    if (source == NULL) {
        FILE *in = fopen(SOURCE_FOLDER "/test_line_profile.c", "re");
        if (in == NULL)
            bail("the source cannot be read");
        source = calloc(1, 1 << 16);
        if (source == NULL || fread(source, 1, (1 << 16) - 1, in) == 0)
            bail("the source cannot be read");
        fclose(in);
    }
    int line = 1;
    const char *end = strstr(source, mark);
    for (const char *c = source; end != NULL && c < end; c++)
        line += *c == '\n';
    return end != NULL ? line : 0;
}

static char *tables(void)
{
    FILE *out = tmpfile();
    if (out == NULL)
        bail("tmpfile");
    is_int(neap_profile_print(out), NEAP_OK, "the tables are printed");
    long bytes = ftell(out);
    char *text = calloc(1, (size_t)bytes + 1);
    rewind(out);
    if (text == NULL || fread(text, 1, (size_t)bytes, out) != (size_t)bytes)
        bail("the tables cannot be read");
    fclose(out);
    return text;
}

struct seen {
    double memory, more;
    int times;
    char text[200];
};

/* The row of a line in a function's table; times -1: the line has no figures, -2: there is none. */
static struct seen row(const char *text, const char *function, int line)
{
    struct seen seen = {0, 0, -2, ""};
    char head[100];
    snprintf(head, sizeof head, "Function: %s\n", function);
    const char *at = strstr(text, head);
    for (; at != NULL && strncmp(at, "\n\n\n", 3) != 0; at++) {
        int number, length = 0;
        if (*at != '\n' || sscanf(at, "\n%6d%n", &number, &length) != 1 || number != line)
            continue;
        if (sscanf(at + length, " %lf MiB %lf MiB %d", &seen.memory, &seen.more, &seen.times) != 3)
            seen.times = -1;
        sscanf(at + 1 + 48, "%199[^\n]", seen.text);
        return seen;
    }
    return seen;
}

/* As the table rounds. */
static bool is_mib(double seen, double bytes)
{
    char text[2][40];
    snprintf(text[0], sizeof text[0], "%.3f", seen + 0.0);
    snprintf(text[1], sizeof text[1], "%.3f", bytes / 1048576 + 0.0);
    return strcmp(text[0], text[1]) == 0 ||
           (seen == 0 && strspn(text[1], "-0.") == strlen(text[1]));
}

static void one_function(void)
{
    is_int(neap_profile_print(stderr), NEAP_ESTATE, "while tracing is off there is nothing");
    is_int(neap_trace_start(1, 4096), NEAP_OK, "a sample is traced");
    work();
    is_int(neap_profile_print(stderr), NEAP_ESTATE, "which is not enough");
    neap_trace_stop();
    is_int(neap_trace_start(1, 0), NEAP_OK, "everything is traced");
    work();
    work();
    char *text = tables();
    const char *head = "Line #    Mem usage    Increment  Occurrences   Line Contents\n====";
    ok(strstr(text, head) != NULL, "the layout is memory_profiler's");
    struct seen call = row(text, "work", line_of("work(void)\n{") + 2);
    is_int(call.times, 2, "the mark has the calls");
    is_str(call.text, "    NEAP_PROFILE;", "and its text");
    double chain = (double)(CHAIN * node_bytes);
    struct seen made = row(text, "work", line_of("/* the chain's line */"));
    ok(made.times == 2 * CHAIN && is_mib(made.more, 2 * chain) && is_mib(made.memory, chain),
       "what a helper makes is told of the line that calls it (%f, %d)", made.more, made.times);
    struct seen block = row(text, "work", line_of("/* the block's line"));
    ok(block.times == 2 && block.more >= 2 && block.more < 2.1 && block.memory >= 1,
       "a block is told of its line (%f, %d)", block.more, block.times);
    struct seen freed = row(text, "work", line_of("/* the block's end */"));
    ok(freed.times == 2 && freed.more == -block.more && is_mib(freed.memory, chain),
       "what is freed is told of the line that frees it (%f)", freed.more);
    struct seen died = row(text, "work", line_of("/* the chain's end */"));
    ok(died.times == 2 * CHAIN && died.more == -made.more && is_mib(died.memory, 0),
       "what dies is told of the release (%f, %d)", died.more, died.times);
    is_int(row(text, "work", line_of("work(void)\n{")).times, -1, "the function's head is shown");
    is_int(row(text, "work", line_of("/* the chain's end */") + 1).times, -1, "so is its end");
    is_int(row(text, "work", line_of("/* the chain's end */") + 2).times, -2, "and nothing more");
    if (call.times != 2 || made.times != 2 * CHAIN)
        diag("%s", text);
    free(text);
}

static void several_functions(void)
{
    neap_trace_stop();
    is_int(neap_trace_start(1, 0), NEAP_OK, "tracing begins anew");
    outer();
    down(DEPTH);
    harness_run(THREADS, threads_work, NULL);
    if (setjmp(back) == 0)
        leave_by_jump();
    no_marks();
    work();
    char *text = tables();
    struct seen all = row(text, "outer", line_of("/* all of it */"));
    ok(all.times == 2 * CHAIN + 2 && is_mib(all.more, 0), "a marked caller is told of all (%f, %d)",
       all.more, all.times);
    is_int(row(text, "work", line_of("/* the chain's line */")).times, 2 * CHAIN,
           "and so is the callee, which forgot what was before");
    struct seen each = row(text, "down", line_of("/* one per depth */"));
    ok(each.times == DEPTH && is_mib(each.more, (double)(DEPTH * node_bytes)),
       "a recursive function is told once of each block (%d)", each.times);
    is_int(row(text, "down", line_of("/* nothing of its own */")).times, -1,
           "in the innermost call");
    struct seen made = row(text, "shared", line_of("/* by all threads */"));
    struct seen freed = row(text, "shared", line_of("/* and freed */"));
    ok(made.times == THREADS * ROUNDS && freed.times == made.times && freed.more == -made.more,
       "threads are added up (%d, %d)", made.times, freed.times);
    is_int(row(text, "leave_by_jump", line_of("leave_by_jump(void)\n{") + 2).times, 1,
           "a function that is left by longjmp is told");
    if (all.times != 2 * CHAIN + 2 || each.times != DEPTH)
        diag("%s", text);
    free(text);
}

static void write_errors(void)
{
    FILE *full = fopen("/dev/full", "we");
    if (full == NULL) {
        skip(1, "no /dev/full");
        return;
    }
    is_int(neap_profile_print(full), NEAP_EIO, "a full device is told");
    fclose(full);
}

static void out_of_memory(void)
{
    int failed = 0, printed = 0;
    FILE *out = tmpfile();
    for (unsigned nth = 1; nth < 2000 && out != NULL && (failed < 2 || printed == 0); nth++) {
        struct neap_options options = NEAP_OPTIONS_INIT;
        options.fail_nth = nth;
        options.helper = 0;
        if (neap_init(&options) != NEAP_OK)
            continue;
        int status = neap_trace_start(1, 0);
        if (status == NEAP_OK) {
            void *block = neap_alloc(LARGE);
            neap_free(block);
            shared();
            status = neap_profile_print(out);
            failed += status == NEAP_ENOMEM;
            printed += status == NEAP_OK && failed > 0;
        }
        if (status != NEAP_OK && status != NEAP_ENOMEM)
            fail("another status than out of memory: %d", status);
        if (neap_shutdown(NULL) != 0)
            fail("an object is left");
    }
    ok(failed >= 2 && printed > 0, "each allocation of the printing can fail");
    if (out != NULL)
        fclose(out);
}

int main(void)
{
    plan_lazy();
    out_of_memory();
    harness_begin();
    struct node *node = neap_new(node);
    node_bytes = neap_size_of(node);
    neap_release(node);
    one_function();
    several_functions();
    write_errors();
    neap_trace_stop();
    return harness_end();
}
