/* SPDX-License-Identifier: MIT
 *
 * Runs a fuzz target over the files of a corpus: replay FOLDER. What fuzzing found once is not to
 * come back. Each file is tried whole and cut short at every length. */
#include <dirent.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/tap.h"

static uint8_t *read_file(const char *folder, const char *name, size_t *ret_size)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(1 << 16);
    if (file == NULL || data == NULL)
        bail("%s cannot be read", path);
    *ret_size = fread(data, 1, 1 << 16, file);
    fclose(file);
    return data;
}

static void try_all_lengths(const uint8_t *data, size_t size)
{
    for (size_t length = 0; length <= size; length++) {
        uint8_t *exact = malloc(length == 0 ? 1 : length);
        if (exact == NULL)
            bail("no memory");
        memcpy(exact, data, length);
        (void)LLVMFuzzerTestOneInput(exact, length);
        free(exact);
    }
}

int main(int count, char **arguments)
{
    plan_lazy();
    DIR *folder = count == 2 ? opendir(arguments[1]) : NULL;
    if (folder == NULL)
        bail("usage: replay FOLDER");
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        size_t size;
        uint8_t *data = read_file(arguments[1], entry->d_name, &size);
        try_all_lengths(data, size);
        free(data);
        pass("%s, %zu bytes, at every length", entry->d_name, size);
    }
    closedir(folder);
    return done();
}
