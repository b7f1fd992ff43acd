/* SPDX-License-Identifier: MIT
 *
 * tidepool: what the command line chose.
 *
 * Concurrency: written before the threads start, constant after, but for what CONFIG SET may
 * change, which is kept elsewhere. */
#ifndef TIDEPOOL_SETTINGS_H
#define TIDEPOOL_SETTINGS_H

#include <stdint.h>

#include "resp.h"

#define TIDEPOOL_VERSION "0.1.0"
#define REDIS_VERSION    "7.0.15" /* whose protocol, commands and error texts are spoken */

struct settings {
    const char *bind;        /* an IPv4 or IPv6 address */
    unsigned port;           /* 0: any free one */
    unsigned threads;        /* event loops */
    unsigned clients_most;   /* connections at a time */
    uint64_t reply_bytes;    /* what one client may have waiting to be sent */
    const char *stats_path;  /* NULL: no report at the end */
    const char *monitor;     /* NULL: none; else where it serves */
    uint64_t trace_bytes;    /* one allocation in so many bytes is traced; 0: none */
    const char *folder;      /* where NEAP SNAPSHOT and its like may write; NULL: nowhere */
    const char *socket_path; /* NULL: no unix socket */
    const char *password;    /* NULL: none is asked for */
    uint64_t
        memory_bytes; /* what the data may take before the least recently used is dropped; 0: any */
    struct resp_limits limits, stranger_limits; /* before AUTH, when a password is asked for */
};

enum settings_result {
    SETTINGS_RUN,  /* go on */
    SETTINGS_DONE, /* --help or --version has been served */
    SETTINGS_BAD   /* the reason is on standard error */
};

enum settings_result settings_parse(struct settings *settings, int count, char **argument);

#endif
