/* SPDX-License-Identifier: MIT
 *
 * Names of code addresses: the modules of the process, and the symbol tables of their files (the
 * full table where the file has one, else the dynamic one). Read when something is written, never
 * when it happens; on the program's own heap.
 *
 * Implemented by symbols.c. One thread uses a set. */
#ifndef NP_OBSERVE_SYMBOLS_H
#define NP_OBSERVE_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct np_module {
    char *path;                /* of the file */
    uintptr_t bias;            /* what was added to the file's addresses */
    uintptr_t start, end;      /* its executable part in memory */
    uint64_t offset;           /* of that part in the file */
    char build_id[65];         /* hexadecimal; "" for none */
    struct np_symbol *symbols; /* sorted; NULL until asked for */
    size_t symbol_count;
    char *names; /* the string table */
    bool is_read;
};

struct np_symbols {
    struct np_module *modules;
    size_t count;
};

struct np_symbols *np_symbols_new(void); /* NULL out of memory */
void np_symbols_free(struct np_symbols *symbols);

/* The module of a code address; NULL: none. */
struct np_module *np_symbols_module(struct np_symbols *symbols, const void *address);

/* "function", or "function+0x12" with offset, or "0x1234 (module)" when it has no name. */
void np_symbols_name(struct np_symbols *symbols, const void *address, bool offset, char *ret_name,
                     size_t bytes);

#endif
