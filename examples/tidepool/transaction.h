/* SPDX-License-Identifier: MIT
 *
 * tidepool: MULTI. The requests between MULTI and EXEC are copied, each into an object, and run by
 * EXEC under the locks of all their keys together: nobody sees a part of them done.
 *
 * Concurrency: a transaction belongs to its client. */
#ifndef TIDEPOOL_TRANSACTION_H
#define TIDEPOOL_TRANSACTION_H

#include "call.h"

struct queued {
    struct queued *next; /* slot */
    const struct command *command;
    size_t count;
    struct slice argument[]; /* of the bytes behind them */
};
NEAP_DECLARE_TYPE(queued);

struct transaction {
    struct queued *first, *last; /* slots */
    size_t count, bytes;
    bool failed; /* a request was refused: EXEC will be too */
};
NEAP_DECLARE_TYPE(transaction);

/* A new reference; NULL out of memory. */
struct transaction *transaction_new(void);

/* Queues the call's request and replies so. */
void transaction_add(struct transaction *transaction, struct call *call);

/* An EXEC that cannot be: the client's transaction ends, and the reply says why. */
void transaction_refuse(struct call *call);

#endif
