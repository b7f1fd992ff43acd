/* SPDX-License-Identifier: MIT
 *
 * Option huge_pages: small blocks lie in huge pages where the system has them, and go back. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "alloc/stats.h"
#include "base/options.h"
#include "neap/block.h"
#include "tests/unit/alloc/slots.h"

enum { BLOCKS = 200000, BYTES = 200 };

static bool system_has_them(void)
{
    char text[128] = "";
    FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
    bool has =
        file != NULL && fgets(text, sizeof text, file) != NULL && strstr(text, "[never]") == NULL;
    if (file != NULL)
        fclose(file);
    return has;
}

/* AnonHugePages of the region's mapping; `present` tells whether it was found. */
static unsigned long huge_kib(bool *ret_present)
{
    char line[512];
    unsigned long kib = 0;
    bool inside = false;
    *ret_present = false;
    FILE *file = fopen("/proc/self/smaps", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        uintptr_t first, end;
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &first, &end) == 2)
            inside = np_region.base >= first && np_region.base < end;
        if (inside && sscanf(line, "AnonHugePages: %lu", &kib) == 1)
            *ret_present = true;
        if (*ret_present)
            break;
    }
    if (file != NULL)
        fclose(file);
    return kib;
}

static unsigned long blocks_kib(bool *ret_present)
{
    static void *blocks[BLOCKS];
    for (unsigned i = 0; i < BLOCKS; i++)
        memset(blocks[i] = neap_alloc(BYTES), 1, BYTES);
    unsigned long kib = huge_kib(ret_present);
    for (unsigned i = 0; i < BLOCKS; i++)
        neap_free(blocks[i]);
    return kib;
}

/* qemu-user takes any advice, and does nothing about it. */
static bool any_advice_will_do(void)
{
    enum { NONSENSE = 12345 };
    static _Alignas(4096) char page[4096];
    return madvise(page, sizeof page, NONSENSE) == 0;
}

int main(void)
{
    bool present;
    struct np_alloc_stats stats;
    plan(3);
    np_options.huge_pages = 1;
    slots_init();
    slots_enter(1);
    unsigned long kib = blocks_kib(&present);
    if (!system_has_them() || !present)
        skip(1, "no transparent huge pages here");
    else if (any_advice_will_do())
        skip(1, "an emulator ignores advice");
    else
        ok(kib >= 2048, "blocks lie in huge pages: %lu KiB of them", kib);
    (void)neap_trim();
    np_alloc_stats_read(&stats);
    is_int(stats.idle_bytes, 0, "they go back");
    ok(huge_kib(&present) < 8192, "the system has them");
    slots_leave();
    return done();
}
