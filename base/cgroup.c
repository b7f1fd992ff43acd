/* SPDX-License-Identifier: MIT
 *
 * /proc/self/cgroup says which group, /proc/self/mountinfo where its files are. In a container the
 * two need not agree: the path may be the host's, of which the mount shows a part only. So the part
 * that the mount leaves out is cut off, and a group that is not there is looked for further up. */
#include "base/cgroup.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "neap/options.h"

enum { PATH_BYTES = 1024, LINE_BYTES = 4096 };

/* Version 1 says "no limit" by the largest multiple of a page below 2^63. */
#define NO_LIMIT (UINT64_C(1) << 62)

struct mount {
    bool found;
    char point[PATH_BYTES]; /* where it is mounted */
    char shown[PATH_BYTES]; /* which part of the hierarchy it shows */
};

struct place {
    char path[PATH_BYTES];
    const char *max, *high; /* names of the files */
};

static FILE *open_under(const char *root, const char *path)
{
    char whole[3 * PATH_BYTES];
    int length = snprintf(whole, sizeof whole, "%s%s", root, path);
    return length < 0 || (size_t)length >= sizeof whole ? NULL : fopen(whole, "re");
}

static bool has_word(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, word, length) == 0 && strchr(",\n", at[length]) != NULL)
            return true;
    }
    return false;
}

/* "36 35 98:0 /shown /point rw,noatime - cgroup2 source options" */
static void read_mount(const char *line, struct mount *v1, struct mount *v2)
{
    struct mount mount = {.found = true};
    char type[16], options[256] = "";
    const char *rest = strstr(line, " - ");
    if (rest == NULL || sscanf(rest, " - %15s %*s %255s", type, options) < 1 ||
        sscanf(line, "%*s %*s %*s %1023s %1023s", mount.shown, mount.point) != 2)
        return;
    if (strcmp(type, "cgroup2") == 0)
        *v2 = mount;
    else if (strcmp(type, "cgroup") == 0 && has_word(options, "memory"))
        *v1 = mount;
}

static void read_mounts(const char *root, struct mount *v1, struct mount *v2)
{
    char line[LINE_BYTES];
    FILE *file = open_under(root, "/proc/self/mountinfo");
    v1->found = v2->found = false;
    if (file == NULL)
        return;
    while (fgets(line, sizeof line, file) != NULL)
        read_mount(line, v1, v2);
    fclose(file);
}

/* The group's path in the hierarchy as a directory under the mount. */
static bool place_in(const struct mount *mount, const char *group, char *ret_path)
{
    size_t left_out = strcmp(mount->shown, "/") == 0 ? 0 : strlen(mount->shown);
    if (strncmp(group, mount->shown, left_out) == 0)
        group += left_out;
    int length = snprintf(ret_path, PATH_BYTES, "%s%s", mount->point, group);
    return length > 0 && length < PATH_BYTES;
}

/* "0::/user.slice" in version 2, "4:cpu,memory:/user.slice" in version 1, which comes first where
 * it has the controller. */
static bool find_place(const char *root, struct place *ret_place, size_t *ret_point_length)
{
    char line[LINE_BYTES];
    struct mount v1, v2;
    bool found = false;
    FILE *file = open_under(root, "/proc/self/cgroup");
    if (file == NULL)
        return false;
    read_mounts(root, &v1, &v2);
    while (fgets(line, sizeof line, file) != NULL) {
        char *controllers = strchr(line, ':');
        char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (group == NULL)
            continue;
        *group++ = '\0';
        group[strcspn(group, "\n")] = '\0';
        bool old = has_word(controllers + 1, "memory");
        const struct mount *mount = old ? &v1 : &v2;
        if ((!old && (found || controllers[1] != '\0')) || !mount->found ||
            !place_in(mount, group, ret_place->path))
            continue;
        ret_place->max = old ? "memory.limit_in_bytes" : "memory.max";
        ret_place->high = old ? "memory.soft_limit_in_bytes" : "memory.high";
        *ret_point_length = strlen(mount->point);
        found = true;
    }
    fclose(file);
    return found;
}

/* The file's number is lower than *least; "max" is none. False: there is no such file. */
static bool lower(const char *root, const char *directory, const char *name, uint64_t *least)
{
    char path[PATH_BYTES + 64];
    uint64_t value;
    int length = snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = length > 0 && (size_t)length < sizeof path ? open_under(root, path) : NULL;
    if (file == NULL)
        return false;
    if (fscanf(file, "%" SCNu64, &value) == 1 && value < NO_LIMIT &&
        (*least == 0 || value < *least))
        *least = value;
    fclose(file);
    return true;
}

bool np_cgroup_read(const char *root, struct np_cgroup *ret_cgroup)
{
    struct place place;
    size_t point_length;
    bool any = false;
    *ret_cgroup = (struct np_cgroup){0};
    if (!find_place(root, &place, &point_length))
        return false;
    for (;;) { /* this group and those around it, up to where the hierarchy is mounted */
        any |= lower(root, place.path, place.max, &ret_cgroup->max_bytes);
        any |= lower(root, place.path, place.high, &ret_cgroup->high_bytes);
        char *last = strrchr(place.path, '/');
        if (last == NULL || (size_t)(last - place.path) < point_length)
            return any;
        *last = '\0';
    }
}

static uint64_t share(uint64_t bytes, uint64_t percent)
{
    return bytes / 100 * percent;
}

void np_cgroup_apply(const char *root, struct neap_options *options)
{
    struct np_cgroup group;
    uint64_t percent = options->cgroup_percent;
    if (percent == 0 || !np_cgroup_read(root, &group))
        return;
    if (options->heap_hard_limit == 0)
        options->heap_hard_limit = share(group.max_bytes, percent);
    uint64_t hard = options->heap_hard_limit, soft = share(group.high_bytes, percent);
    if (options->heap_soft_limit == 0)
        options->heap_soft_limit = soft != 0 ? soft : hard - hard / 8;
}
