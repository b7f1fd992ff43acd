/* SPDX-License-Identifier: MIT
 *
 * tidepool: commands. A command is a row of the table: its name, its function, how many arguments
 * it takes and which of them are keys. command_run looks the row up, checks the number of
 * arguments, locks the keys' stripes, calls the function, unlocks, and then releases what the
 * function removed.
 *
 * A function reads its arguments and the keyspace and writes exactly one reply. It does not know of
 * connections unless it says so (CLIENT, QUIT, ...).
 *
 * Concurrency: the table is constant. A call belongs to one thread; counters are written by their
 * own loop and read by any. */
#ifndef TIDEPOOL_COMMAND_H
#define TIDEPOOL_COMMAND_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "keyspace.h"

struct call;

enum command_flags {
    COMMAND_WRITE = 1,
    COMMAND_READONLY = 2,
    COMMAND_FAST = 4,
    COMMAND_ADMIN = 8,
    COMMAND_LOADING = 16,  /* answered in any state of the server */
    COMMAND_ALL_KEYS = 32, /* runs with every stripe locked */
    COMMAND_SCANS = 64,    /* goes through the keyspace and locks stripes itself */
    COMMAND_AT_ONCE = 128, /* is never queued by MULTI */
    COMMAND_LISTENS = 256, /* allowed to a client that has subscribed, in RESP2 */
    COMMAND_NO_AUTH = 512, /* allowed before the password */
    COMMAND_GROWS = 1024,  /* refused when there is no memory to be made free */
};

struct command {
    const char *name;
    void (*run)(struct call *call);
    int arity;      /* arguments with the name; negative: at least so many */
    unsigned flags; /* enum command_flags */
    int first_key;  /* index of the first key; 0: none */
    int last_key;   /* of the last; negative: counted from the end */
    int step;       /* from key to key */
};

/* What one loop counts. */
struct command_counters {
    _Atomic uint64_t calls, errors; /* (o>) relaxed: sums of moments */
};

/* Runs the request; the reply is complete when it returns. counters has command_count() rows. */
void command_run(struct call *call, struct command_counters *counters);

size_t command_count(void);
const struct command *command_at(size_t index);

/* NULL when there is none. The name in any case. */
const struct command *command_find(struct slice name);

/* Builds the index of names, once, before the threads start. */
void command_init(void);

/* For EXEC, which locks for many and then runs each: the locks that a call needs by its command's
 * row (its first key is found on the way), and a run with those held. */
keyspace_locks command_locks(struct call *call);
void command_run_locked(struct call *call, struct command_counters *counters);

#endif
