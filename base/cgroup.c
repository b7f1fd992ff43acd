/* SPDX-License-Identifier: MIT
 *
 * /proc/self/cgroup says which group, /proc/self/mountinfo where its files are. In a container the
 * two need not agree: the path may be the host's, of which the mount shows a part only. So the part
 * that the mount leaves out is cut off, and a group that is not there is looked for further up.
 * Other mounts may show other parts, where the group is not (bind mounts): they are left alone. */
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
    char point[PATH_BYTES]; /* where it is mounted */
    char shown[PATH_BYTES]; /* which part of the hierarchy it shows */
};

struct place {
    char path[2 * PATH_BYTES]; /* the group's directory */
    size_t point_length;       /* of it: where the hierarchy is mounted */
    const char *max, *high;    /* names of the files */
};

static FILE *open_under(const char *root, const char *path)
{
    char whole[4 * PATH_BYTES];
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

/* The group's path below the part of the hierarchy that is shown; NULL: it is not in it. */
static const char *below(const char *shown, const char *group)
{
    size_t length = strcmp(shown, "/") == 0 ? 0 : strlen(shown);
    bool inside = strncmp(group, shown, length) == 0 && strchr("/", group[length]) != NULL;
    return inside ? group + length : NULL;
}

/* Spaces, tabs, line ends and backslashes of paths are written as \040. */
static void decode(char *path)
{
    char *to = path;
    for (const char *from = path; *from != '\0'; to++) {
        bool escaped = from[0] == '\\' && strspn(from + 1, "01234567") >= 3;
        *to =
            escaped ? (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0')) : *from;
        from += escaped ? 4 : 1;
    }
    *to = '\0';
}

/* "36 35 98:0 /shown /point rw,noatime - cgroup2 source options". False: another file system. */
static bool read_mount(const char *line, bool old, struct mount *ret_mount)
{
    char type[16], options[256] = "";
    const char *rest = strstr(line, " - ");
    if (rest == NULL || sscanf(rest, " - %15s %*s %255s", type, options) < 1 ||
        sscanf(line, "%*s %*s %*s %1023s %1023s", ret_mount->shown, ret_mount->point) != 2)
        return false;
    decode(ret_mount->shown);
    decode(ret_mount->point);
    return old ? strcmp(type, "cgroup") == 0 && has_word(options, "memory")
               : strcmp(type, "cgroup2") == 0;
}

/* Of the mounts that show the group the one that shows most of what is around it. */
static bool find_mount(const char *root, const char *group, bool old, struct mount *ret_mount)
{
    char line[LINE_BYTES];
    struct mount mount;
    bool found = false;
    FILE *file = open_under(root, "/proc/self/mountinfo");
    if (file == NULL)
        return false;
    while (fgets(line, sizeof line, file) != NULL) {
        if (!read_mount(line, old, &mount) || below(mount.shown, group) == NULL ||
            (found && strlen(mount.shown) > strlen(ret_mount->shown)))
            continue;
        *ret_mount = mount;
        found = true;
    }
    fclose(file);
    return found;
}

/* The group as a directory under the mount. */
static bool place_in(const struct mount *mount, const char *group, struct place *ret_place)
{
    ret_place->point_length = strlen(mount->point);
    int length = snprintf(ret_place->path, sizeof ret_place->path, "%s%s", mount->point,
                          below(mount->shown, group));
    return length > 0 && (size_t)length < sizeof ret_place->path;
}

/* "0::/user.slice" in version 2, "4:cpu,memory:/user.slice" in version 1, which comes first where
 * it has the controller. */
static bool find_place(const char *root, struct place *ret_place)
{
    char line[LINE_BYTES];
    struct mount mount;
    struct place place;
    bool found = false;
    FILE *file = open_under(root, "/proc/self/cgroup");
    if (file == NULL)
        return false;
    while (fgets(line, sizeof line, file) != NULL) {
        char *controllers = strchr(line, ':');
        char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (group == NULL)
            continue;
        *group++ = '\0';
        group[strcspn(group, "\n")] = '\0';
        bool old = has_word(controllers + 1, "memory");
        if ((!old && (found || controllers[1] != '\0')) || !find_mount(root, group, old, &mount) ||
            !place_in(&mount, group, &place))
            continue;
        *ret_place = place;
        ret_place->max = old ? "memory.limit_in_bytes" : "memory.max";
        ret_place->high = old ? "memory.soft_limit_in_bytes" : "memory.high";
        found = true;
    }
    fclose(file);
    return found;
}

/* The file's number is lower than *least; "max" is none. False: there is no such file. */
static bool lower(const char *root, const char *directory, const char *name, uint64_t *least)
{
    char path[2 * PATH_BYTES + 64];
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
    bool any = false;
    *ret_cgroup = (struct np_cgroup){0};
    if (!find_place(root, &place))
        return false;
    for (;;) { /* this group and those around it, up to where the hierarchy is mounted */
        any |= lower(root, place.path, place.max, &ret_cgroup->max_bytes);
        any |= lower(root, place.path, place.high, &ret_cgroup->high_bytes);
        char *last = strrchr(place.path, '/');
        if (last == NULL || (size_t)(last - place.path) < place.point_length)
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
