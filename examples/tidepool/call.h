/* SPDX-License-Identifier: MIT
 *
 * tidepool: one execution of a command: its arguments, its reply, and what many commands do with
 * them.
 *
 * A function of a command reads its arguments and the keyspace and writes exactly one reply. The
 * stripes of its keys are locked. What it takes out of the keyspace goes to the call's graveyard.
 *
 * Concurrency: a call belongs to one thread. */
#ifndef TIDEPOOL_CALL_H
#define TIDEPOOL_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "command.h"
#include "graveyard.h"
#include "keyspace.h"
#include "reply.h"
#include "text.h"

struct client;
struct feed;

/* One execution. */
struct call {
    struct reply *reply;
    const struct slice *argument; /* argument[0] is the name */
    size_t count;
    struct client *client;
    const struct command *command;
    struct key first_key; /* when the command has keys */
    struct graveyard *dead;
    bool collect;       /* dead holds cycles: collect them soon, on no loop's thread */
    bool all_locked;    /* every stripe is locked already */
    struct feed **feed; /* where a reply in slices goes; NULL: replies have to be whole */
};

/* The key in argument index, its stripe locked. */
static inline struct key call_key(const struct call *call, size_t index)
{
    if ((int)index == call->command->first_key)
        return call->first_key;
    return keyspace_key(call->argument[index]);
}

/* ---- what many commands do ---- */

/* The value at the key in argument index, borrowed, NULL when it is missing; false after an error
 * reply, when it has another type. A writing command gets one that no feed reads. */
bool call_find(struct call *call, size_t index, const struct neap_type *type,
               struct value **ret_value);

/* Stores a new value (stolen, or NULL for out of memory) there; false after an error reply. */
bool call_store(struct call *call, size_t index, struct value *value);

/* The value there was changed and has count elements left: tells, and removes the key when there
 * are none. */
void call_changed(struct call *call, size_t index, size_t count);

/* Replies of which the number is known last: what was written to parts, which is freed, as count
 * elements. */
void call_reply_parts(struct call *call, struct reply *parts, size_t count);

/* The options COUNT and MATCH of a scan from argument index on; false after an error reply. */
struct scan_options {
    const struct slice *pattern, *type; /* NULL: any; type is taken by SCAN alone */
    int64_t count;
};
bool call_scan_options(struct call *call, size_t index, bool typed, struct scan_options *options);

/* ---- replies that many commands give ---- */

void call_wrong_type(struct call *call);
void call_syntax_error(struct call *call);
void call_not_an_integer(struct call *call);
void call_out_of_memory(struct call *call);

/* "wrong number of arguments": of the command, or of its subcommand. */
void call_wrong_arity(struct call *call, const char *subcommand);

/* A command of commands. Runs the one that argument 1 names, or replies that there is none, or that
 * the number of arguments is wrong. */
struct subcommand {
    const char *name;
    int arity; /* as of a command, the command's name counted too */
    void (*run)(struct call *call);
};
void call_subcommand(struct call *call, const struct subcommand *table, size_t count);
#define CALL_SUBCOMMAND(call, table) \
    call_subcommand((call), (table), sizeof(table) / sizeof(table)[0])

/* Lines of help. */
void call_help(struct call *call, const char *const *lines, size_t count);
#define CALL_HELP(call, lines) call_help((call), (lines), sizeof(lines) / sizeof(lines)[0])

void call_invalid_expire_time(struct call *call);
void call_not_a_float(struct call *call);

/* How many bytes of a text an error reply shows. */
int call_shown_length(struct slice text);

/* The argument as a cursor of a scan; false after an error reply. */
bool call_cursor(struct call *call, size_t index, uint64_t *ret_cursor);

/* A random number, from a generator of this thread's own. */
uint64_t call_random(void);

/* The argument as an integer; false after an error reply. */
bool call_integer(struct call *call, size_t index, int64_t *ret_value);

/* The argument as an integer that is not negative; false after an error reply, refusal for a
 * negative. */
bool call_not_negative(struct call *call, size_t index, const char *refusal, int64_t *ret_value);

/* The argument as an integer of this range; false after an error reply. */
bool call_integer_within(struct call *call, size_t index, int64_t least, int64_t most,
                         int64_t *ret_value);

/* What a scan of a missing key replies: the end, and nothing. */
void call_empty_scan(struct call *call);

/* The argument as a number; false after an error reply. */
bool call_double(struct call *call, size_t index, double *ret_value);

#endif
