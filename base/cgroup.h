/* SPDX-License-Identifier: MIT
 *
 * The memory limits of the control group that this process is in: of it and of the groups around
 * it the lowest, since all of them hold. Version 2 (memory.max, memory.high) and, where the memory
 * controller is not there, version 1 (memory.limit_in_bytes, memory.soft_limit_in_bytes).
 *
 * Implemented by cgroup.c. Reads files through stdio; not for signal handlers. */
#ifndef NP_BASE_CGROUP_H
#define NP_BASE_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

struct np_cgroup {
    uint64_t max_bytes, high_bytes; /* 0: no limit */
};

/* root is put before every path: "" outside of tests. False: there is no such group. */
bool np_cgroup_read(const char *root, struct np_cgroup *ret_cgroup);

struct neap_options;

/* Option cgroup_percent: limits of the heap that are 0 become that share of the group's. A group
 * without memory.high gives a soft limit of seven eighths of the hard one. */
void np_cgroup_apply(const char *root, struct neap_options *options);

#endif
