/* SPDX-License-Identifier: MIT
 *
 * A folder of the test's own, for the tests that write files. */
#ifndef NP_TESTS_UNIT_OBSERVE_FOLDER_H
#define NP_TESTS_UNIT_OBSERVE_FOLDER_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tap.h"

static char folder[64];

/* The path of a file in it, until the next call. */
static inline const char *in_folder(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static inline void folder_make(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/neap-test-XXXXXX",
             base != NULL && strlen(base) < 40 ? base : "/tmp");
    if (mkdtemp(folder) == NULL)
        bail("mkdtemp");
}

static inline int count_files(void)
{
    int count = 0;
    DIR *open = opendir(folder);
    if (open == NULL)
        bail("opendir");
    for (const struct dirent *entry = readdir(open); entry != NULL; entry = readdir(open))
        count += entry->d_name[0] != '.';
    closedir(open);
    return count;
}

#endif
