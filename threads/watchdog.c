/* SPDX-License-Identifier: MIT
 *
 * The limit and the report function are set rarely and read by who waits, which is slow anyway. The
 * registry's slots never go away, so a straggler may be described while it runs: every field read
 * here is written relaxed by its thread. */
#include "threads/watchdog.h"

#include <errno.h>
#include <inttypes.h>
#include <link.h>
#include <stdio.h>
#include <unistd.h>

#include "base/os.h"
#include "threads/word.h"

typedef void report_fn(const struct np_straggler *straggler);

static void print_straggler(const struct np_straggler *straggler);

static uint64_t limit;                      /* (x) relaxed: nanoseconds, 0: off */
static report_fn *report = print_straggler; /* (x) acquire and release */
static uint64_t reported;                   /* (x) relaxed: a count */

void np_watchdog_set(uint64_t limit_ns, report_fn *function)
{
    /* [MM-watchdog-1] release: what the function needs is there before it is called; pairs with the
     * acquire in report_stragglers */
    np_store_release(&report, function != NULL ? function : print_straggler);
    np_store_relaxed(&limit, limit_ns);
}

uint64_t np_watchdog_count(void)
{
    return np_load_relaxed(&reported);
}

/* ---- the module of a code address; dladdr would take the loader's lock, which a thread that is
 * stopped inside a constructor holds ---- */

struct module {
    uintptr_t address, offset;
    const char *path; /* "" for the program itself */
};

static int find_module(struct dl_phdr_info *info, size_t bytes, void *arg)
{
    (void)bytes;
    struct module *module = arg;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + segment->p_vaddr;
        if (segment->p_type != PT_LOAD || module->address - start >= segment->p_memsz)
            continue;
        module->path = info->dlpi_name;
        module->offset = module->address - info->dlpi_addr;
        return 1;
    }
    return 0;
}

static void print_straggler(const struct np_straggler *straggler)
{
    char text[768], site[320] = "it has not polled yet";
    struct module module = {.address = (uintptr_t)straggler->site};
    if (straggler->site != NULL && dl_iterate_phdr(find_module, &module) != 0)
        snprintf(site, sizeof site, "last poll: addr2line -fe %s %#" PRIxPTR,
                 module.path[0] != '\0' ? module.path : program_invocation_name, module.offset);
    else if (straggler->site != NULL)
        snprintf(site, sizeof site, "last poll at %p", straggler->site);
    int length = snprintf(text, sizeof text,
                          "neap: thread \"%s\" (%d) has kept a %s waiting for %" PRIu64
                          " ms; %s. A mutex that is held across neap calls is to be taken by "
                          "neap_mutex_lock; a call that blocks belongs in NEAP_BLOCKED.\n",
                          straggler->name, straggler->os_id,
                          straggler->token == NP_REQUEST_STOP ? "stop" : "handshake",
                          straggler->waited_ns / 1000000, site);
    if (length > 0) {
        size_t bytes = (size_t)length < sizeof text ? (size_t)length : sizeof text - 1;
        ssize_t ignored = write(STDERR_FILENO, text, bytes);
        (void)ignored;
    }
}

static void report_stragglers(const struct np_watch *watch, uint64_t waited_ns)
{
    report_fn *function = np_load_acquire(&report); /* [MM-watchdog-1] */
    uint32_t high = np_thread_high();
    for (uint32_t id = 1; id <= high; id++) {
        struct np_thread *thread = np_thread_at((uint16_t)id);
        if (!(np_requests_load(thread) & watch->token))
            continue;
        struct np_straggler straggler = {
            .os_id = np_load_relaxed(&thread->os_id), /* relaxed: hints, here and below */
            .id = thread->id,
            .state = np_thread_state_of(thread),
            .site = np_load_relaxed(&thread->site),
            .token = watch->token,
            .waited_ns = waited_ns,
        };
        np_thread_name(thread, straggler.name);
        np_fetch_add_relaxed(&reported, 1);
        function(&straggler);
    }
}

uint64_t np_watchdog_look(struct np_watch *watch)
{
    uint64_t limit_ns = np_load_relaxed(&limit);
    if (limit_ns == 0 || watch->reported)
        return UINT64_MAX;
    uint64_t waited_ns = np_os_now_ns() - watch->since_ns;
    if (waited_ns < limit_ns)
        return limit_ns - waited_ns;
    watch->reported = true;
    int saved = errno;
    report_stragglers(watch, waited_ns);
    errno = saved;
    return UINT64_MAX;
}
