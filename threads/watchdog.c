/* SPDX-License-Identifier: MIT
 *
 * The limit and the report function are set rarely and read by who waits, which is slow anyway. The
 * registry's slots never go away, so a straggler may be described while it runs: every field read
 * here is written relaxed by its thread. */
#include "threads/watchdog.h"

#include <errno.h>
#include <execinfo.h>
#include <inttypes.h>
#include <link.h>
#include <stdio.h>
#include <unistd.h>

#include "base/os.h"
#include "neap/site.h"
#include "threads/word.h"

typedef void report_fn(const struct np_straggler *straggler);

static void print_straggler(const struct np_straggler *straggler);

static uint64_t limit;                      /* (x) relaxed: nanoseconds, 0: off */
static report_fn *report = print_straggler; /* (x) acquire and release */
static uint64_t reported;                   /* (x) relaxed: a count */
static bool backtraces;                     /* (x) relaxed: wanted */

enum { FRAMES = 32 };

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

/* false: no loaded module has the address; what stood there may be gone. */
static bool is_loaded(const void *address)
{
    struct module module = {.address = (uintptr_t)address};
    return address != NULL && dl_iterate_phdr(find_module, &module) != 0;
}

/* In the form that addr2line takes. */
static void describe_code(const void *code, char *text, size_t bytes)
{
    struct module module = {.address = (uintptr_t)code};
    if (dl_iterate_phdr(find_module, &module) != 0)
        snprintf(text, bytes, "%s %#" PRIxPTR,
                 module.path[0] != '\0' ? module.path : program_invocation_name, module.offset);
    else
        snprintf(text, bytes, "%p", code);
}

static void describe_poll(const struct np_straggler *straggler, char *text, size_t bytes)
{
    const struct neap_site *site = straggler->site;
    char code[320];
    if (site != NULL && is_loaded(site) && is_loaded(site->file) && is_loaded(site->function)) {
        snprintf(text, bytes, "last poll: %s:%u (%s)", site->file, site->line, site->function);
    } else if (straggler->code != NULL) {
        describe_code(straggler->code, code, sizeof code);
        snprintf(text, bytes, "last poll: addr2line -fe %s", code);
    } else {
        snprintf(text, bytes, "it has not polled yet");
    }
}

static const char *remedy(enum np_os_activity activity)
{
    switch (activity) {
    case NP_OS_RUNS:
        return "It computes: neap_safepoint belongs in its loop.";
    case NP_OS_WAITS_FOR_LOCK:
        return "It waits for a lock: a mutex that is held across neap calls is to be taken by "
               "neap_mutex_lock, a condition to be waited for by neap_cond_wait.";
    case NP_OS_SLEEPS:
        return "It sleeps in a system call: that belongs in NEAP_BLOCKED.";
    default:
        return "A mutex that is held across neap calls is to be taken by neap_mutex_lock; a call "
               "that blocks belongs in NEAP_BLOCKED.";
    }
}

static void put(const char *text, int length, size_t bytes)
{
    if (length > 0) {
        ssize_t ignored =
            write(STDERR_FILENO, text, (size_t)length < bytes ? (size_t)length : bytes - 1);
        (void)ignored;
    }
}

static void print_straggler(const struct np_straggler *straggler)
{
    char text[1024], poll[512];
    describe_poll(straggler, poll, sizeof poll);
    int length = snprintf(
        text, sizeof text,
        "neap: thread \"%s\" (%d) has kept a %s waiting for %" PRIu64 " ms; %s. %s\n",
        straggler->name, straggler->os_id,
        straggler->token == NP_REQUEST_STOP ? "stop" : "handshake", straggler->waited_ns / 1000000,
        poll, remedy(np_os_thread_activity(straggler->os_id)));
    put(text, length, sizeof text);
}

/* ---- the backtrace: nobody can walk the stack of another thread without a signal, so that a
 * thread that was named does it itself as soon as it polls or blocks ---- */

void np_watchdog_set_backtrace(bool wanted)
{
    void *frame[1];
    if (wanted)
        (void)backtrace(frame, 1); /* loads the unwinder now: later a lock may be held */
    np_store_relaxed(&backtraces, wanted);
}

void np_watchdog_caught(struct np_thread *thread)
{
    void *frames[FRAMES];
    char text[512], code[320], name[NP_THREAD_NAME_BYTES];
    int saved = errno;
    np_store_relaxed(&thread->caught, 0);
    np_thread_name(thread, name);
    int length = snprintf(text, sizeof text, "neap: thread \"%s\" (%d) is back; it came from\n",
                          name, np_load_relaxed(&thread->os_id));
    put(text, length, sizeof text);
    int count = backtrace(frames, FRAMES);
    for (int i = 1; i < count; i++) { /* not this function */
        describe_code(frames[i], code, sizeof code);
        length = snprintf(text, sizeof text, "  %s\n", code);
        put(text, length, sizeof text);
    }
    errno = saved;
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
            .code = np_load_relaxed(&thread->code),
            .token = watch->token,
            .waited_ns = waited_ns,
        };
        np_thread_name(thread, straggler.name);
        np_fetch_add_relaxed(&reported, 1);
        np_store_relaxed(&thread->caught, (uint8_t)np_load_relaxed(&backtraces));
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
