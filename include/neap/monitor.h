/* SPDX-License-Identifier: MIT
 *
 * neap: a web server inside the program that shows it running: metrics for Prometheus, profiles for
 * pprof, heap snapshots for Chrome DevTools, timelines for Perfetto. A library of its own,
 * libneap-monitor (pkg-config neap-monitor), on libmicrohttpd.
 *
 *     if (neap_monitor_start("127.0.0.1:9464") != NEAP_OK)
 *         fprintf(stderr, "no monitor: %s\n", neap_monitor_error());
 *     serve();
 *     neap_monitor_stop();
 *
 * /metrics, /stats.json, /debug/pprof/heap, /debug/pprof/allocs, /debug/heapsnapshot,
 * /debug/timeline?seconds=N and /debug/gc; / lists them. Profiles need tracing (<neap/trace.h>).
 *
 * Who may connect sees the names of types, functions and files, and may stop the world for as long
 * as a heap snapshot takes. So only this machine is listened to unless there is a token. There is
 * no encryption: for more than a trusted network put a proxy in front. Not for programs that serve
 * pages already and can call the writers of <neap/profile.h> themselves.
 */
#ifndef NEAP_MONITOR_H
#define NEAP_MONITOR_H

#include <stddef.h>

#include <neap/export.h>
#include <neap/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Starts serving at "127.0.0.1:PORT", "[::1]:PORT", "localhost:PORT" or "unix:PATH"; port 0 takes a
 * free one (neap_monitor_address). Every request must carry the environment variable
 * NEAP_MONITOR_TOKEN as its bearer token, if that is set; another machine's address is refused
 * without one. NEAP_EINVAL for an address that is none or needs a token, NEAP_ESTATE when it serves
 * already, NEAP_EIO when nobody may listen there (the port is taken), NEAP_ENOMEM; the reason is
 * neap_monitor_error.
 * refs: none | user code: no | point: none | threads: any | fails: status */
NEAP_PUBLIC int neap_monitor_start(const char *address);

/* The same with a token of the caller's, which is copied; NULL: without one.
 * refs: none | user code: no | point: none | threads: any | fails: status */
NEAP_PUBLIC int neap_monitor_start_with_token(const char *address, const char *token);

/* Ends all connections and waits for requests under way, a timeline's seconds cut short; does
 * nothing when nothing is served. Call it before the last neap_shutdown, which counts a request's
 * thread like any other.
 * refs: none | user code: no | point: quiescent | threads: any | fails: no */
NEAP_PUBLIC void neap_monitor_stop(void);

/* Where it serves, as neap_monitor_start takes it, with the port it took. The length of the
 * address, 0 when nothing is served; at most bytes - 1 characters are stored.
 * refs: none | user code: no | point: none | threads: any | fails: 0 */
NEAP_PUBLIC size_t neap_monitor_address(char *ret_address, size_t bytes);

/* Why this thread's last neap_monitor_start failed: a sentence, "" if it did not. Good until the
 * next.
 * refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC const char *neap_monitor_error(void);

#ifdef __cplusplus
}
#endif

#endif
