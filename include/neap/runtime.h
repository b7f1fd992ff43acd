/* SPDX-License-Identifier: MIT
 *
 * neap: starting and ending the runtime, and what was still alive at its end.
 *
 *     struct neap_options options = NEAP_OPTIONS_INIT;
 *     options.release_budget = 0;
 *     if (neap_init(&options) != NEAP_OK) return 1;
 *     ...
 *     struct neap_leaks *leaks;
 *     if (neap_shutdown(&leaks) != 0) neap_leaks_print(leaks, stderr);
 *     neap_leaks_free(leaks);
 */
#ifndef NEAP_RUNTIME_H
#define NEAP_RUNTIME_H

#include <stddef.h>
#include <stdio.h>

#include <neap/export.h>
#include <neap/options.h>
#include <neap/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Starts the runtime and attaches the calling thread. Nests: later calls count and their options
 * are ignored. options may be NULL; the environment's NEAP_OPTIONS overrides it, field by field.
 * Returns NEAP_OK, NEAP_ENOMEM, or NEAP_EINVAL for an option out of range (a sentence goes to
 * standard error when it came from NEAP_OPTIONS).
 * refs: none | user code: no | point: none | threads: any | fails: status */
NEAP_PUBLIC int neap_init(const struct neap_options *options);

struct neap_leaks;

/* Ends what neap_init began. The outermost call releases what is pending, collects, runs pending
 * user code, detaches the caller and returns the number of objects still alive, immortal ones and
 * the runtime's own left out; from then on retain and release do nothing and neap_new returns NULL,
 * until a new neap_init. While other threads are attached, or inside a dispose, finalizer or
 * callback, it returns SIZE_MAX and changes nothing; an inner call returns 0. When ret_leaks is not
 * NULL it receives a report to be freed by neap_leaks_free, or NULL when nothing is alive or there
 * was no memory for it.
 * refs: none | user code: yes | point: quiescent | threads: attached | fails: SIZE_MAX */
NEAP_PUBLIC size_t neap_shutdown(struct neap_leaks **ret_leaks);

/* Prints the report, a line per type, largest first. leaks may be NULL: prints that nothing leaked.
 * refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC void neap_leaks_print(const struct neap_leaks *leaks, FILE *out);

/* Writes the report as one JSON object. Returns NEAP_OK or NEAP_EIO.
 * refs: none | user code: no | point: none | threads: any | fails: status */
NEAP_PUBLIC int neap_leaks_write_json(const struct neap_leaks *leaks, FILE *out);

/* Frees a report; NULL is fine.
 * refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC void neap_leaks_free(struct neap_leaks *leaks);

#ifdef __cplusplus
}
#endif

#endif
