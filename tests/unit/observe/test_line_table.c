/* SPDX-License-Identifier: MIT
 *
 * The line table of this very program names this very line, and a damaged one is survived. */
#include "observe/line_table.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observe/symbols.h"
#include "tests/random.h"
#include "tests/tap.h"

enum { MARKED_LINE = __LINE__ + 3 };
static __attribute__((noinline)) const void *marked(void)
{
    const void *here = __builtin_return_address(0);
    __asm__ volatile("" : "+r"(here));
    return here;
}

static char *read_self(size_t *ret_bytes)
{
    FILE *in = fopen("/proc/self/exe", "re");
    if (in == NULL || fseek(in, 0, SEEK_END) != 0)
        bail("this program cannot be read");
    long bytes = ftell(in);
    char *file = malloc((size_t)bytes);
    rewind(in);
    if (file == NULL || fread(file, 1, (size_t)bytes, in) != (size_t)bytes)
        bail("this program cannot be read whole");
    fclose(in);
    *ret_bytes = (size_t)bytes;
    return file;
}

static bool is_this_file(const char *path)
{
    return path != NULL && strstr(path, "test_line_table.c") != NULL;
}

int main(void)
{
    plan_lazy();
    enum { CALL_LINE = __LINE__ + 1 };
    const void *call = marked();
    struct np_symbols *symbols = np_symbols_new();
    struct np_module *module = np_symbols_module(symbols, call);
    if (module == NULL)
        bail("no module");
    uint64_t function = (uintptr_t)&marked - module->bias;
    uint64_t behind = (uintptr_t)call - 1 - module->bias;
    struct np_line lines[] = {
        {1, 0, NULL, NULL}, {function, 0, NULL, NULL}, {behind, 0, NULL, NULL}};
    is_int(np_line_table_find(module->path, lines, 3), 0, "the table is read");
    is_int(lines[0].line, 0, "an address of no code has no line");
    ok(lines[1].line == MARKED_LINE - 2 || lines[1].line == MARKED_LINE - 1,
       "a function begins at its head (line %u)", lines[1].line);
    is_int(lines[2].line, CALL_LINE, "a call has its line");
    ok(is_this_file(lines[1].path) && is_this_file(lines[2].path), "in this file (%s)",
       lines[2].path != NULL ? lines[2].path : "none");
    np_line_table_forget(lines, 3);
    ok(lines[2].path == NULL && lines[2].line == 0, "what was found is forgotten");
    is_int(np_line_table_find("/nowhere/at/all", lines, 3), 0, "a file that is not there");
    is_int(np_line_table_find("/proc/self/status", lines, 3), 0, "and one that is no program");
    is_int(lines[2].line, 0, "have no lines");

    size_t bytes;
    char *file = read_self(&bytes);
    is_int(np_line_table_find_in(file, bytes, lines, 3), 0, "read from memory");
    is_int(lines[2].line, CALL_LINE, "the line is the same");
    np_line_table_forget(lines, 3);
    /* the places that are damaged are drawn from the whole file, the sections' table among them */
    enum { ROUNDS = 24, FLIPS = 2000 };
    unsigned survived = 0;
    uint64_t state = 9;
    char *copy = malloc(bytes);
    if (copy == NULL)
        bail("malloc");
    for (unsigned round = 0; round < ROUNDS; round++) {
        memcpy(copy, file, bytes);
        for (unsigned i = 0; i < FLIPS; i++)
            copy[harness_random(&state) % bytes] = (char)harness_random(&state);
        if (round % 2 == 0)
            memcpy(copy, file, bytes / 100); /* so that it is a program still */
        size_t left = round % 3 == 0 ? harness_random(&state) % bytes : bytes;
        survived += np_line_table_find_in(copy, left, lines, 3) == 0;
        np_line_table_forget(lines, 3);
    }
    is_int(survived, ROUNDS, "damaged tables are read to their end");
    free(copy);
    free(file);
    np_symbols_free(symbols);
    return done();
}
