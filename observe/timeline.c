/* SPDX-License-Identifier: MIT
 *
 * The timeline: spans from every thread as Chrome trace events, for Perfetto, chrome://tracing and
 * the Firefox Profiler.
 *
 * A thread writes its spans into a ring of its slot, without a lock and in a stopped world too (the
 * collector's helpers, which have no slot, into rings of their own behind those); a
 * thread of the timeline's own, which neap does not know and nobody stops, empties the rings into
 * the file ten times a second. A full ring drops spans and counts them; the sum is the file's last
 * event.
 *
 * Flows tie a stop's request, on the stopper's track, to every thread that it stopped. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/event.h"
#include "base/fault.h"
#include "base/os.h"
#include "neap/gc.h"
#include "neap/profile.h"
#include "neap/status.h"
#include "neap/stops.h"
#include "observe/file.h"
#include "observe/timeline.h"
#include "runtime/usage.h"
#include "threads/thread.h"

enum { RING = 4096, PERIOD_MS = 100, TRACKS = NEAP_OWNER_LAST + 1 + NP_EVENT_HELPERS };

struct event {
    uint64_t start_ns, end_ns;
    uint32_t value, serial;
    int os_id;
    uint32_t kind;
};

/* One writer, the slot's thread or the helper; one reader, under `lock`. */
struct ring {
    uint64_t written __attribute__((aligned(NP_CACHE_LINE))); /* (o>) */
    uint64_t dropped;                                         /* (o>) */
    int os_id;                                             /* (o>) a helper's, of its last event */
    uint64_t read __attribute__((aligned(NP_CACHE_LINE))); /* (L>) */
    struct event events[RING];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* the file, and reading rings */
static struct ring *rings[TRACKS];                       /* (x) each made by its only writer */
static struct {
    FILE *out;           /* (L) file's; NULL: off */
    struct np_file file; /* (L) */
    pthread_t thread;
    pthread_cond_t wake;
    bool end;          /* (L) */
    bool first;        /* (L) no event is in the file yet */
    uint64_t start_ns; /* (L) spans from before are not of this timeline */
    uint64_t dropped;  /* (L) of rings when it began */
} timeline = {.wake = PTHREAD_COND_INITIALIZER};

/* ---- telling ---- */

static struct ring *make_ring(uint32_t track)
{
    size_t page = np_os_page_bytes();
    struct ring *ring = np_os_reserve((sizeof *ring + page - 1) & ~(page - 1), NP_CACHE_LINE);
    if (ring != NULL) /* [MM-ring-1] release: the reader sees it zero */
        np_store_release(&rings[track], ring);
    return ring;
}

static void note(enum np_event_kind kind, uint64_t start_ns, uint64_t end_ns, uint32_t value,
                 uint32_t serial)
{
    struct np_thread *thread = np_tls.thread;
    if (thread == NULL && np_event_helper == 0)
        return;
    uint32_t track = thread != NULL ? thread->id : NEAP_OWNER_LAST + np_event_helper;
    struct ring *ring = np_load_relaxed(&rings[track]); /* relaxed: this thread made it */
    if (ring == NULL && (ring = make_ring(track)) == NULL)
        return;
    int os_id = thread != NULL ? np_load_relaxed(&thread->os_id) : np_os_thread_id();
    np_store_relaxed(&ring->os_id, os_id);              /* relaxed, both: hints */
    uint64_t written = np_load_relaxed(&ring->written); /* relaxed: ours */
    /* [MM-ring-2] acquire: the reader is done with the place; pairs with the release in drain */
    if (written - np_load_acquire(&ring->read) == RING) {
        np_store_relaxed(&ring->dropped, np_load_relaxed(&ring->dropped) + 1); /* relaxed: ours */
        return;
    }
    ring->events[written % RING] = (struct event){
        start_ns, end_ns != 0 ? end_ns : np_os_now_ns(), value, serial, os_id, (uint32_t)kind};
    np_store_release(&ring->written, written + 1); /* [MM-ring-1] release: the event is whole */
}

/* ---- writing ---- */

static void begin_event(void)
{
    fputs(timeline.first ? "\n" : ",\n", timeline.out);
    timeline.first = false;
}

static double microseconds(uint64_t ns)
{
    return (double)ns / 1e3;
}

static const char *name_of(const struct event *event)
{
    switch (event->kind) {
    case NP_EVENT_TO_SAFEPOINT:
        return "time to safepoint";
    case NP_EVENT_WORLD:
        return "world stopped";
    case NP_EVENT_STOPPED:
        return "stopped";
    case NP_EVENT_BLOCKING:
        return "blocking";
    case NP_EVENT_CONFINED:
        return "confined collection";
    case NP_EVENT_FINISH:
        return "end of a collection";
    case NP_EVENT_PHASE:
        return neap_gc_phase_name((enum neap_gc_phase)event->value);
    default:
        return "collection";
    }
}

static void put_flow(const struct event *event, bool begins)
{
    begin_event();
    fprintf(timeline.out,
            "{\"ph\":\"%s\",\"id\":%" PRIu32 ",\"name\":\"stop\",\"cat\":\"stop\",\"pid\":%d,"
            "\"tid\":%d,\"ts\":%.3f%s}",
            begins ? "s" : "f", event->serial, (int)getpid(), event->os_id,
            microseconds(event->start_ns), begins ? "" : ",\"bp\":\"e\"");
}

static void put_args(const struct event *event)
{
    if (event->kind == NP_EVENT_WORLD)
        fprintf(timeline.out, ",\"args\":{\"cause\":\"%s\"}",
                neap_stop_cause_name((int)event->value));
    else if (event->kind == NP_EVENT_COLLECTION)
        fprintf(timeline.out, ",\"args\":{\"generation\":%" PRIu32 ",\"cause\":\"%s\"}",
                event->value & 0xFF, neap_gc_cause_name((enum neap_gc_cause)(event->value >> 8)));
    else if (event->kind == NP_EVENT_CONFINED || event->kind == NP_EVENT_FINISH)
        fprintf(timeline.out, ",\"args\":{\"generation\":%" PRIu32 "}", event->value);
}

static void put_event(const struct event *event)
{
    static const char *const categories[NP_EVENT_KINDS] = {
        [NP_EVENT_TO_SAFEPOINT] = "stop", [NP_EVENT_WORLD] = "stop",    [NP_EVENT_STOPPED] = "stop",
        [NP_EVENT_BLOCKING] = "thread",   [NP_EVENT_COLLECTION] = "gc", [NP_EVENT_CONFINED] = "gc",
        [NP_EVENT_FINISH] = "gc",         [NP_EVENT_PHASE] = "phase"};
    if (event->start_ns < timeline.start_ns)
        return;
    begin_event();
    fprintf(timeline.out,
            "{\"ph\":\"X\",\"name\":\"%s\",\"cat\":\"%s\",\"pid\":%d,\"tid\":%d,\"ts\":%.3f,"
            "\"dur\":%.3f",
            name_of(event), categories[event->kind], (int)getpid(), event->os_id,
            microseconds(event->start_ns), microseconds(event->end_ns - event->start_ns));
    put_args(event);
    fputc('}', timeline.out);
    if (event->kind == NP_EVENT_TO_SAFEPOINT)
        put_flow(event, true);
    else if (event->kind == NP_EVENT_STOPPED)
        put_flow(event, false);
}

static void drain(struct ring *ring, bool keep)
{
    uint64_t read = ring->read;
    uint64_t written = np_load_acquire(&ring->written); /* [MM-ring-1] */
    for (; keep && read < written; read++)
        put_event(&ring->events[read % RING]);
    np_store_release(&ring->read, written); /* [MM-ring-2] release: the places are free */
}

static uint64_t drain_all(bool keep)
{
    uint64_t dropped = 0;
    for (uint32_t track = 1; track < TRACKS; track++) {
        struct ring *ring = np_load_acquire(&rings[track]); /* [MM-ring-1] */
        if (ring == NULL)
            continue;
        drain(ring, keep);
        dropped += np_load_relaxed(&ring->dropped); /* relaxed: a figure */
    }
    return dropped;
}

static void *write_all_the_time(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&lock);
    while (!timeline.end) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += PERIOD_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        pthread_cond_timedwait(&timeline.wake, &lock, &until);
        drain_all(true);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void put_name(int os_id, const char *name)
{
    begin_event();
    fprintf(timeline.out,
            "{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":%d,\"tid\":%d,\"args\":{\"name\":"
            "\"%s\"}}",
            (int)getpid(), os_id, name);
}

static void put_helper_names(void)
{
    for (uint32_t track = NEAP_OWNER_LAST + 1; track < TRACKS; track++) {
        const struct ring *ring = np_load_acquire(&rings[track]); /* [MM-ring-1] */
        char name[NP_THREAD_NAME_BYTES];
        if (ring == NULL)
            continue;
        snprintf(name, sizeof name, "neap crew %" PRIu32, track - NEAP_OWNER_LAST);
        put_name(np_load_relaxed(&ring->os_id), name); /* relaxed: a hint */
    }
}

static void put_names(void)
{
    begin_event();
    fprintf(timeline.out,
            "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":%d,\"args\":{\"name\":\"neap\"}}",
            (int)getpid());
    uint32_t high = np_thread_high();
    for (uint32_t id = 1; id <= high; id++) {
        const struct np_thread *thread = np_thread_at((uint16_t)id);
        int os_id = np_load_relaxed(&thread->os_id); /* relaxed: a hint */
        char name[NP_THREAD_NAME_BYTES];
        if (os_id == 0)
            continue;
        np_thread_name(thread, name);
        for (char *c = name; *c != '\0'; c++)
            if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7F || *c == '"' || *c == '\\')
                *c = '?';
        put_name(os_id, name);
    }
    put_helper_names();
}

/* ---- the public face ---- */

int neap_timeline_start(const char *path)
{
    np_usage_check("neap_timeline_start");
    int saved = errno, status = NEAP_OK;
    pthread_mutex_lock(&lock);
    if (timeline.out != NULL) {
        status = NEAP_ESTATE;
    } else if ((status = np_file_open_growing(&timeline.file, path)) == NEAP_OK) {
        timeline.out = timeline.file.out;
        timeline.first = true;
        timeline.end = false;
        timeline.dropped = drain_all(false);
        timeline.start_ns = np_os_now_ns();
        fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", timeline.out);
        if (np_fault() || pthread_create(&timeline.thread, NULL, write_all_the_time, NULL) != 0) {
            status = np_file_close(&timeline.file, NEAP_ENOMEM);
            timeline.out = NULL;
        } else {
            pthread_setname_np(timeline.thread, "neap-timeline");
        }
    }
    pthread_mutex_unlock(&lock);
    if (status == NEAP_OK)
        np_store_relaxed(&np_event_hook, note); /* relaxed: a function */
    errno = saved;
    return status;
}

static int close_file(void)
{
    uint64_t dropped = drain_all(true) - timeline.dropped;
    put_names();
    begin_event();
    fprintf(timeline.out,
            "{\"ph\":\"i\",\"s\":\"p\",\"name\":\"end\",\"pid\":%d,\"tid\":%d,\"ts\":%.3f,\"args\":"
            "{\"dropped\":%" PRIu64 "}}\n]}\n",
            (int)getpid(), np_os_thread_id(), microseconds(np_os_now_ns()), dropped);
    timeline.out = NULL;
    return np_file_close(&timeline.file, NEAP_OK);
}

int neap_timeline_stop(void)
{
    int saved = errno, status = NEAP_ESTATE;
    np_store_relaxed(&np_event_hook, NULL); /* relaxed: a span under way may still be noted */
    pthread_mutex_lock(&lock);
    bool mine = timeline.out != NULL && !timeline.end;
    timeline.end = true;
    pthread_cond_signal(&timeline.wake);
    pthread_mutex_unlock(&lock);
    if (mine) {
        pthread_join(timeline.thread, NULL);
        pthread_mutex_lock(&lock);
        status = close_file();
        pthread_mutex_unlock(&lock);
    }
    errno = saved;
    return status;
}

/* ---- fork: the writing thread is the parent's ---- */

void np_timeline_before_fork(void)
{
    pthread_mutex_lock(&lock);
    if (timeline.out != NULL)
        fflush(timeline.out);
}

void np_timeline_after_fork_parent(void)
{
    pthread_mutex_unlock(&lock);
}

/* The file is the parent's; its buffer was empty. */
void np_timeline_after_fork_child(void)
{
    np_store_relaxed(&np_event_hook, NULL); /* relaxed: the only thread */
    timeline.out = NULL;
    np_file_forget(&timeline.file);
    pthread_mutex_unlock(&lock);
}
