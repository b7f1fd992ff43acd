/* SPDX-License-Identifier: MIT
 *
 * neap: places in the program's source, held as one pointer. neap_new, neap_alloc and their like
 * pass the place they stand at, so that tracing (<neap/trace.h>) can name it without debug
 * information. A language runtime that calls neap_object_new_at passes sites of its own.
 *
 * Not for places that come and go: a site lives as long as the process. */
#ifndef NEAP_SITE_H
#define NEAP_SITE_H

#ifdef __cplusplus
extern "C" {
#endif

struct neap_site {
    const char *file, *function;
    unsigned line;
};

/* The place where it stands. */
#define NEAP_HERE \
    __extension__({ \
        static const struct neap_site neap_here_ = {__FILE__, __func__, __LINE__}; \
        &neap_here_; \
    })

#ifdef __cplusplus
}
#endif

#endif
