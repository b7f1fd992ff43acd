/* SPDX-License-Identifier: MIT
 *
 * Where large blocks come from: one of large_jemalloc.c and large_os.c is built (meson option
 * large).
 *
 * Both keep the host's malloc out of it, and both may be used by any thread at any time. */
#ifndef NP_ALLOC_LARGE_BACKEND_H
#define NP_ALLOC_LARGE_BACKEND_H

#include <stdbool.h>
#include <stddef.h>

bool np_backend_init(void);

/* bytes aligned to at least 64; alignment is a power of two. NULL out of memory. */
void *np_backend_new(size_t bytes, size_t alignment, bool zero);

/* bytes and alignment as given to np_backend_new. */
void np_backend_free(void *base, size_t bytes, size_t alignment);

/* The block with another size, moved if need be; NULL out of memory, and the old one stays. */
void *np_backend_resize(void *base, size_t old_bytes, size_t bytes, size_t alignment);

/* Gives idle memory back: all of it, or what is due by the backend's own clock. */
void np_backend_trim(void);
void np_backend_decay(void);

/* Before the library registers its handlers for fork: the backend's own, if it has some, are there
 * when this returns. */
void np_backend_register(void);
/* fork: takes the backend's locks, unless it does that by itself; releases them. */
void np_backend_before_fork(void);
void np_backend_after_fork(void);

#endif
