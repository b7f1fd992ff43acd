/* SPDX-License-Identifier: MIT
 *
 * Probes for perf, bpftrace, SystemTap and gdb (USDT): each is one instruction that does nothing,
 * and a note in the file that says where it is and where its arguments are. Built without
 * sys/sdt.h they are nothing at all; docs/observe.md lists them. */
#ifndef NP_BASE_PROBE_H
#define NP_BASE_PROBE_H

#ifdef NP_HAVE_PROBES
#    include <sys/sdt.h>
#    define NP_PROBE(name, first, second) DTRACE_PROBE2(neap, name, first, second)
#else
#    define NP_PROBE(name, first, second) ((void)(first), (void)(second))
#endif

#endif
