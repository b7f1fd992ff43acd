/* SPDX-License-Identifier: MIT
 *
 * The reader of NEAP_OPTIONS. Oracle: what it accepts leaves every option in its range and reads
 * the same when written out and read again; what it refuses changes nothing and has a reason. */
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "base/options.h"
#include "base/perturb.h"
#include "tests/fuzz/fuzz.h"

enum { MOST = 2000 };

static void check_range(const char *name, uint64_t value, uint64_t least, uint64_t most)
{
    fuzz_check(value >= least && value <= most, "%s is %" PRIu64, name, value);
}

static void check_ranges(void)
{
#define CHECK_RANGE(name, default_value, least, most, sentence) \
    check_range(#name, np_options.name, least, most);
    NEAP_OPTIONS_TABLE(CHECK_RANGE)
#undef CHECK_RANGE
}

static void read_again(void)
{
    static char text[8192];
    char error[200];
    struct neap_options before = np_options;
    size_t used = 0;
#define WRITE(name, default_value, least, most, sentence) \
    used += (size_t)snprintf(text + used, sizeof text - used, #name "=0x%" PRIx64 ",", before.name);
    NEAP_OPTIONS_TABLE(WRITE)
#undef WRITE
    fuzz_check(np_options_load(NULL, text, error, sizeof error) == 0, "%s: %s", text, error);
    fuzz_check(memcmp(&before, &np_options, sizeof before) == 0, "%s reads otherwise", text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[MOST + 1], error[64] = "";
    size_t length = size < MOST ? size : MOST;
    memcpy(text, data, length);
    text[length] = '\0';
    if (strstr(text, "help") != NULL)
        return 0; /* prints the table */
    struct neap_options before = np_options;
    int status = np_options_load(NULL, text, error, sizeof error);
    fuzz_check(memchr(error, '\0', sizeof error) != NULL, "a reason without end");
    if (status == 0) {
        check_ranges();
        read_again();
    } else {
        fuzz_check(status == -1 && error[0] != '\0', "status %d without a reason", status);
        fuzz_check(memcmp(&before, &np_options, sizeof before) == 0, "refused, and changed");
    }
    np_perturb_set(0);
    return 0;
}
