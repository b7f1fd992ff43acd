/* SPDX-License-Identifier: MIT
 *
 * The pages: what is asked of neap for each address, and the response made of it.
 *
 * Implemented by pages.c, used by monitor.c. Called by the threads of connections, several at once;
 * np_pages_begin and np_pages_end by who starts and stops the server. */
#ifndef NP_MONITOR_PAGES_H
#define NP_MONITOR_PAGES_H

#include <microhttpd.h>

/* A response that is queued once and destroyed, or NULL out of memory. */
struct np_page {
    struct MHD_Response *response;
    unsigned status;
};

void np_pages_begin(void);
void np_pages_end(void); /* whoever waits inside a page goes on */

struct np_page np_pages_answer(struct MHD_Connection *connection, const char *path,
                               const char *method);

/* A line of text with that status. */
struct np_page np_page_text(unsigned status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void np_pages_before_fork(void);
void np_pages_after_fork(void);

#endif
