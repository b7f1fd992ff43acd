/* SPDX-License-Identifier: MIT
 *
 * Lines of code addresses, from the line tables of debug information (DWARF 2 to 5) in a module's
 * own file. One pass over the table finds all that is asked for. What is compressed, split off or
 * damaged is not found.
 *
 * Implemented by line_table.c. */
#ifndef NP_OBSERVE_LINE_TABLE_H
#define NP_OBSERVE_LINE_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct np_line {
    uint64_t address; /* asked for; as in the file */
    uint32_t line;    /* 0: not found */
    char *path;       /* of the source, malloc'ed, as the compiler was given it; NULL: not known */
    char *folder;     /* where the compiler ran, malloc'ed; NULL: not known */
};

/* Fills in lines, which is sorted by address. 0, or -1 out of memory. */
int np_line_table_find(const char *module_path, struct np_line *lines, size_t count);
/* Frees what the lines refer to. */
void np_line_table_forget(struct np_line *lines, size_t count);

/* The same over a file in memory. */
int np_line_table_find_in(const char *file, size_t bytes, struct np_line *lines, size_t count);

#endif
