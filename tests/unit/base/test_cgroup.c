/* SPDX-License-Identifier: MIT
 *
 * The memory limits of a control group, read from trees that look like what systems and containers
 * show; and what becomes of them in the options. */
#include "base/cgroup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/compiler.h"
#include "neap/options.h"
#include "tests/tap.h"

enum { MIB = 1 << 20 };

static char root[64];

static void make_parents(char *path)
{
    for (char *at = path + strlen(root) + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        (void)mkdir(path, 0700);
        *at = '/';
    }
}

static void put(const char *path, const char *text)
{
    char whole[512];
    snprintf(whole, sizeof whole, "%s%s", root, path);
    make_parents(whole);
    FILE *file = fopen(whole, "we");
    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
        bail("%s cannot be written", whole);
}

/* A tree: pairs of path and text, up to NULL. */
struct tree {
    const char *name;
    const char *files[16];
    bool found;
    uint64_t max, high;
};

#define SELF      "/proc/self/cgroup"
#define MOUNTS    "/proc/self/mountinfo"
#define V2_MOUNT  "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_MOUNT  "33 25 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
#define CPU_MOUNT "34 25 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
#define NO_V1     "9223372036854771712\n"

static const struct tree trees[] = {
    {"no cgroups at all", {NULL}, false, 0, 0},
    {"version 2, one group",
     {SELF, "0::/job\n", MOUNTS, V2_MOUNT, "/sys/fs/cgroup/job/memory.max", "104857600\n",
      "/sys/fs/cgroup/job/memory.high", "max\n"},
     true,
     100 * MIB,
     0},
    {"version 2, the lowest of all groups around it",
     {SELF, "0::/outer/inner\n", MOUNTS, V2_MOUNT, "/sys/fs/cgroup/outer/inner/memory.max", "max\n",
      "/sys/fs/cgroup/outer/inner/memory.high", "41943040\n", "/sys/fs/cgroup/outer/memory.max",
      "52428800\n", "/sys/fs/cgroup/outer/memory.high", "62914560\n"},
     true,
     50 * MIB,
     40 * MIB},
    {"version 2 in a container: its group is the root of the mount",
     {SELF, "0::/\n", MOUNTS, V2_MOUNT, "/sys/fs/cgroup/memory.max", "20971520\n"},
     true,
     20 * MIB,
     0},
    {"version 2, the path is the host's and not to be seen here",
     {SELF, "0::/system.slice/docker-1.scope\n", MOUNTS, V2_MOUNT, "/sys/fs/cgroup/memory.max",
      "31457280\n"},
     true,
     30 * MIB,
     0},
    {"version 2, the mount shows a part of the hierarchy",
     {SELF, "0::/kubepods/pod1/c1\n", MOUNTS,
      "30 23 0:26 /kubepods/pod1 /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
      "/sys/fs/cgroup/c1/memory.max", "10485760\n"},
     true,
     10 * MIB,
     0},
    {"version 2, bind mounts show other parts before and after",
     {SELF, "0::/job/inner\n", MOUNTS,
      "40 23 0:26 /job/inner /inner rw - cgroup2 cgroup2 rw\n" V2_MOUNT
      "41 23 0:26 /other /mnt/other rw - cgroup2 cgroup2 rw\n"
      "42 23 0:26 /job /mnt/job rw - cgroup2 cgroup2 rw\n",
      "/sys/fs/cgroup/job/inner/memory.max", "max\n", "/sys/fs/cgroup/job/memory.max", "52428800\n",
      "/mnt/other/memory.max", "1048576\n", "/mnt/job/memory.max", "2097152\n"},
     true,
     50 * MIB,
     0},
    {"version 2, only another part is shown, its name the beginning of the group's",
     {SELF, "0::/ab\n", MOUNTS, "30 23 0:26 /a /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
      "/sys/fs/cgroup/memory.max", "10485760\n", "/sys/fs/cgroup/b/memory.max", "10485760\n",
      "/sys/fs/cgroupb/memory.max", "10485760\n"},
     false,
     0,
     0},
    {"version 2, the mount shows the group alone",
     {SELF, "0::/a/b\n", MOUNTS, "30 23 0:26 /a/b /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
      "/sys/fs/cgroup/memory.max", "10485760\n"},
     true,
     10 * MIB,
     0},
    {"spaces and backslashes in paths",
     {SELF, "0::/a job/\\x2d\n", MOUNTS,
      "30 23 0:26 /a\\040job /sys/c\\040g\\134\\04 rw - cgroup2 cgroup2 rw\n",
      "/sys/c g\\\\04/\\x2d/memory.max", "10485760\n"},
     true,
     10 * MIB,
     0},
    {"version 1",
     {SELF, "5:cpu,cpuacct:/other\n4:memory:/job\n1:name=systemd:/\n", MOUNTS, CPU_MOUNT V1_MOUNT,
      "/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "73400320\n",
      "/sys/fs/cgroup/memory/job/memory.soft_limit_in_bytes", NO_V1,
      "/sys/fs/cgroup/memory/memory.limit_in_bytes", NO_V1},
     true,
     70 * MIB,
     0},
    {"both, the controller with version 1",
     {SELF, "0::/job\n4:memory:/job\n", MOUNTS, V2_MOUNT V1_MOUNT,
      "/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "83886080\n",
      "/sys/fs/cgroup/memory/job/memory.soft_limit_in_bytes", "62914560\n"},
     true,
     80 * MIB,
     60 * MIB},
    {"version 1, bind mounts",
     {SELF, "4:memory:/job\n", MOUNTS,
      V1_MOUNT "50 25 0:30 /jo /mnt rw - cgroup cgroup rw,memory\n",
      "/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "83886080\n", "/mnt/memory.limit_in_bytes",
      "1048576\n"},
     true,
     80 * MIB,
     0},
    {"a group without the controller", {SELF, "0::/job\n", MOUNTS, V2_MOUNT}, false, 0, 0},
    {"files that say nothing",
     {SELF, "\n:\n0::\n", MOUNTS, "no mount\n - cgroup2\n" V2_MOUNT, "/sys/fs/cgroup/memory.max",
      "many\n"},
     true,
     0,
     0},
};

static void begin_tree(const struct tree *tree)
{
    strcpy(root, "/tmp/neap-cgroup-XXXXXX");
    if (mkdtemp(root) == NULL)
        bail("no temporary directory");
    for (int i = 0; tree->files[i] != NULL; i += 2)
        put(tree->files[i], tree->files[i + 1]);
}

static void end_tree(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", root);
    if (system(command) != 0)
        diag("%s is left behind", root);
}

static void apply(struct neap_options *options, uint64_t percent, uint64_t hard, uint64_t soft)
{
    *options = (struct neap_options)NEAP_OPTIONS_INIT;
    options->cgroup_percent = percent;
    options->heap_hard_limit = hard;
    options->heap_soft_limit = soft;
    np_cgroup_apply(root, options);
}

static void test_options(void)
{
    struct neap_options options;
    begin_tree(&trees[1]); /* 100 MiB, no memory.high */
    apply(&options, 0, 0, 0);
    is_int(options.heap_hard_limit, 0, "not asked: no limit");
    apply(&options, 80, 0, 0);
    is_int(options.heap_hard_limit / MIB, 80, "80 percent of the group's");
    is_int(options.heap_soft_limit, options.heap_hard_limit - options.heap_hard_limit / 8,
           "and seven eighths of that for the soft limit");
    apply(&options, 50, 7 * MIB, 5 * MIB);
    is_int(options.heap_hard_limit, 7 * MIB, "what the program says itself stays");
    is_int(options.heap_soft_limit, 5 * MIB, "both");
    end_tree();
    begin_tree(&trees[2]); /* 50 and 40 MiB */
    apply(&options, 50, 0, 0);
    is_int(options.heap_hard_limit / 100, (uint64_t)50 * MIB / 200, "memory.max");
    is_int(options.heap_soft_limit / 100, (uint64_t)40 * MIB / 200, "memory.high");
    end_tree();
    apply(&options, 50, 0, 0); /* the tree is gone */
    is_int(options.heap_hard_limit, 0, "no group: no limit");
}

int main(void)
{
    plan_lazy();
    for (size_t i = 0; i < np_count_of(trees); i++) {
        struct np_cgroup group;
        begin_tree(&trees[i]);
        is_int(np_cgroup_read(root, &group), trees[i].found, "%s", trees[i].name);
        is_int(group.max_bytes, trees[i].max, "... the hard limit");
        is_int(group.high_bytes, trees[i].high, "... the soft limit");
        end_tree();
    }
    test_options();
    return done();
}
