/* SPDX-License-Identifier: MIT
 *
 * neap: untyped blocks, for a program's own data without references (Python's PyMem_Malloc). Faster
 * than malloc for small sizes, counted in neap's statistics and limits. Any thread may call these,
 * attached or not, also while the world is stopped; a block may be freed by another thread than the
 * one that made it. Not for data that holds references to neap objects which the collector should
 * see: make those objects.
 *
 *     char *line = neap_alloc(100);
 *     line = neap_realloc(line, 200);
 *     neap_free(line);
 */
#ifndef NEAP_BLOCK_H
#define NEAP_BLOCK_H

#include <stddef.h>

#include <neap/export.h>
#include <neap/site.h>

#ifdef __cplusplus
extern "C" {
#endif

/* bytes of uninitialised memory, aligned to 16; 0 bytes gives a unique block. Freed by neap_free.
 * refs: none | user code: no | point: none | threads: any | fails: NULL, out of memory */
NEAP_PUBLIC void *neap_alloc(size_t bytes);

/* count * bytes of zeroed memory; an overflowing product fails.
 * refs: none | user code: no | point: none | threads: any | fails: NULL, out of memory */
NEAP_PUBLIC void *neap_calloc(size_t count, size_t bytes);

/* The block with its size changed and its content kept up to the smaller size; NULL is allocated
 * anew. On failure the old block is untouched. 0 bytes gives a smallest block.
 * refs: none | user code: no | point: none | threads: any | fails: NULL, out of memory */
NEAP_PUBLIC void *neap_realloc(void *block, size_t bytes);

/* bytes aligned to alignment, a power of two of at most 1 MiB (else NULL).
 * refs: none | user code: no | point: none | threads: any | fails: NULL, memory or alignment */
NEAP_PUBLIC void *neap_aligned_alloc(size_t alignment, size_t bytes);

/* The four above for a caller that says where in its source the block is made; the macros of the
 * same names say it for every caller. (neap_alloc)(bytes), in parentheses, calls the function.
 * refs: none | user code: no | point: none | threads: any | fails: NULL, out of memory */
NEAP_PUBLIC void *neap_alloc_at(size_t bytes, const struct neap_site *site);
/* refs: none | user code: no | point: none | threads: any | fails: NULL, out of memory */
NEAP_PUBLIC void *neap_calloc_at(size_t count, size_t bytes, const struct neap_site *site);
/* refs: none | user code: no | point: none | threads: any | fails: NULL, out of memory */
NEAP_PUBLIC void *neap_realloc_at(void *block, size_t bytes, const struct neap_site *site);
/* refs: none | user code: no | point: none | threads: any | fails: NULL, memory or alignment */
NEAP_PUBLIC void *neap_aligned_alloc_at(size_t alignment, size_t bytes,
                                        const struct neap_site *site);

#define neap_alloc(bytes)                    neap_alloc_at((bytes), NEAP_HERE)
#define neap_calloc(count, bytes)            neap_calloc_at((count), (bytes), NEAP_HERE)
#define neap_realloc(block, bytes)           neap_realloc_at((block), (bytes), NEAP_HERE)
#define neap_aligned_alloc(alignment, bytes) neap_aligned_alloc_at((alignment), (bytes), NEAP_HERE)

/* Frees a block; NULL is fine.
 * refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC void neap_free(void *block);

/* Bytes the block can hold, at least those asked for; 0 for NULL.
 * refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC size_t neap_usable_size(const void *block);

/* Gives idle memory back to the system now. Returns the bytes given back.
 * refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC size_t neap_trim(void);

#ifdef __cplusplus
}
#endif

#endif
