/* SPDX-License-Identifier: MIT
 *
 * tidepool: the parser of requests, pure: bytes in, arguments out, no connection and no reply.
 *
 * A request is an array of bulk strings, "*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n", or an inline line,
 * "ECHO hi\r\n", with Redis's quoting. The bytes may come in pieces of any size; the caller keeps
 * them together, from the first byte of the request on, and calls again with more:
 *
 *     while ((result = resp_parse(&parser, data, length)) == RESP_READY) {
 *         use(parser.argument, parser.count);      slices of data, or of the parser for inline
 *         data += parser.consumed, length -= parser.consumed;
 *     }
 *
 * What was scanned is not scanned again, so a request that comes byte by byte costs linear time.
 * Nothing is allocated on the strength of an announced length: memory follows what has arrived.
 *
 * Invariants: between calls, every span lies within the first `scanned` bytes; span_count <= room.
 * Concurrency: a parser belongs to one connection. */
#ifndef TIDEPOOL_RESP_H
#define TIDEPOOL_RESP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

struct resp_limits {
    size_t line_bytes;     /* an inline request, or a line that announces a count */
    size_t bulk_bytes;     /* one argument */
    size_t argument_count; /* arguments of a request */
    size_t request_bytes;  /* a request */
    bool stranger;         /* has not given the password: at most 10 arguments of 16 kB */
};

/* Redis's own limits, and a bound of a request that Redis sets for its query buffer. */
#define RESP_LIMITS_DEFAULT \
    { \
        .line_bytes = 64 * 1024, .bulk_bytes = 512u * 1024 * 1024, .argument_count = 1024 * 1024, \
        .request_bytes = 1024u * 1024 * 1024 \
    }

enum resp_result {
    RESP_MORE,  /* the request is not complete */
    RESP_READY, /* argument[0 .. count): count may be 0, an empty request that gets no reply */
    RESP_ERROR  /* error says why; the connection cannot go on */
};

struct resp_span {
    size_t offset, length; /* in the request's bytes */
};

struct resp_parser {
    const struct resp_limits *limits;
    /* of the request just completed */
    struct slice *argument;
    size_t count;
    size_t consumed;
    char error[64];
    /* of the request being read */
    struct resp_span *span;
    size_t span_count;
    size_t room;      /* of argument and span */
    size_t scanned;   /* bytes understood */
    size_t searched;  /* bytes known not to hold the next line's end */
    size_t announced; /* arguments of the array; 0 before its first line */
    size_t bulk;      /* bytes of the argument being read, or SIZE_MAX before its line */
    char *line;       /* the arguments of an inline request, unquoted */
};

/* limits stay the caller's. Nothing is allocated yet. */
void resp_init(struct resp_parser *parser, const struct resp_limits *limits);

/* Frees what the parser holds. */
void resp_fini(struct resp_parser *parser);

/* Reads on in a request whose bytes from the first on are data. */
enum resp_result resp_parse(struct resp_parser *parser, const char *data, size_t length);

/* Bytes that the argument under way still lacks, 0 when unknown: how much to read at once. */
size_t resp_wanted(const struct resp_parser *parser, size_t length);

#endif
