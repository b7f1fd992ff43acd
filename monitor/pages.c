/* SPDX-License-Identifier: MIT
 *
 * A connection's thread is attached only while it asks neap for something, never while it sends:
 * what is asked for is written to memory, or to a file in TMPDIR that has no name any more when it
 * is sent. So a slow client delays nobody.
 *
 * One heap snapshot is made at a time, each stops the world: whoever asks meanwhile is told to come
 * back. */
#include "monitor/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "monitor/access.h"
#include "neap/gc.h"
#include "neap/profile.h"
#include "neap/stats.h"
#include "neap/thread.h"

enum { SECONDS_MOST = 300, PATH_BYTES = 4096, TEXT_BYTES = 1024, CONFLICT = 1 };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool end;         /* (L) */
    bool is_snapping; /* (L) */
} pages = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct page {
    const char *path;
    bool takes_post;         /* besides GET */
    const char *type, *file; /* its media type; the name to save it by, or NULL */
    const char *what;        /* for the list of pages */
    struct np_page (*make)(struct MHD_Connection *connection, const struct page *page);
};

/* ---- responses ---- */

struct np_page np_page_text(unsigned status, const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list list;
    va_start(list, format);
    int length = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    size_t bytes = length < 0 ? 0 : (size_t)length < sizeof text ? (size_t)length : sizeof text - 1;
    struct np_page page = {MHD_create_response_from_buffer(bytes, text, MHD_RESPMEM_MUST_COPY),
                           status};
    if (page.response != NULL)
        MHD_add_response_header(page.response, "Content-Type", "text/plain; charset=utf-8");
    return page;
}

static struct np_page as(struct MHD_Response *response, const char *type, const char *file)
{
    char disposition[128];
    if (response == NULL)
        return (struct np_page){NULL, 0};
    MHD_add_response_header(response, "Content-Type", type);
    if (file != NULL) {
        snprintf(disposition, sizeof disposition, "attachment; filename=\"%s\"", file);
        MHD_add_response_header(response, "Content-Disposition", disposition);
    }
    return (struct np_page){response, MHD_HTTP_OK};
}

static struct np_page refuse(int status)
{
    if (status == NEAP_ENOMEM)
        return np_page_text(MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory\n");
    if (status == NEAP_ESTATE)
        return np_page_text(MHD_HTTP_SERVICE_UNAVAILABLE, "the runtime is not running\n");
    return np_page_text(MHD_HTTP_INTERNAL_SERVER_ERROR, "%s\n", neap_strerror(status));
}

/* What write prints, from memory. */
static struct np_page from_stream(int (*write)(FILE *out), const char *type)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (out == NULL)
        return refuse(NEAP_ENOMEM);
    int status = write(out);
    if (fclose(out) != 0)
        status = NEAP_ENOMEM;
    if (status == NEAP_OK) {
        struct MHD_Response *response =
            MHD_create_response_from_buffer(bytes, text, MHD_RESPMEM_MUST_FREE);
        if (response != NULL)
            return as(response, type, NULL);
    }
    free(text);
    return refuse(status == NEAP_EIO ? NEAP_ENOMEM : status);
}

/* ---- files ---- */

/* A new file that only this process knows. */
static int make_file(char path[PATH_BYTES])
{
    const char *folder = secure_getenv("TMPDIR");
    int length = snprintf(path, PATH_BYTES, "%s/neap-monitor-XXXXXX",
                          folder != NULL && *folder != '\0' ? folder : "/tmp");
    return length < PATH_BYTES ? mkostemp(path, O_CLOEXEC) : -1;
}

/* The file that fd has, from its beginning. Takes fd. */
static struct np_page from_file(int fd, const struct page *page)
{
    struct stat status;
    struct MHD_Response *response = NULL;
    if (fstat(fd, &status) == 0)
        response = MHD_create_response_from_fd64((uint64_t)status.st_size, fd);
    if (response == NULL)
        close(fd);
    return response != NULL ? as(response, page->type, page->file) : refuse(NEAP_ENOMEM);
}

/* A status, or CONFLICT when it is the call that does not fit: NEAP_ESTATE is no runtime. */
static int call_attached(int (*write)(const char *path), const char *path)
{
    int status = neap_thread_attach("neap-monitor");
    if (status != NEAP_OK)
        return status;
    status = write(path);
    neap_thread_detach();
    return status == NEAP_ESTATE ? CONFLICT : status;
}

static struct np_page busy(const char *what)
{
    struct np_page page = np_page_text(MHD_HTTP_SERVICE_UNAVAILABLE, "%s\n", what);
    if (page.response != NULL)
        MHD_add_response_header(page.response, "Retry-After", "1");
    return page;
}

static struct np_page no_file(void)
{
    return np_page_text(MHD_HTTP_INTERNAL_SERVER_ERROR,
                        "no file could be made in TMPDIR (or /tmp)\n");
}

/* What write writes; conflict: the words for a state that it does not fit. */
static struct np_page from_writer(int (*write)(const char *path), const struct page *page,
                                  const char *conflict)
{
    char path[PATH_BYTES];
    int fd = make_file(path);
    if (fd < 0)
        return no_file();
    close(fd); /* a writer puts a new file in its place */
    int status = call_attached(write, path);
    fd = status == NEAP_OK ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    unlink(path);
    if (fd >= 0)
        return from_file(fd, page);
    if (status == NEAP_OK)
        return no_file();
    if (status == CONFLICT)
        return np_page_text(MHD_HTTP_CONFLICT, "%s\n", conflict);
    return refuse(status);
}

/* ---- pages ---- */

static struct np_page metrics_page(struct MHD_Connection *connection, const struct page *page)
{
    const char *accept =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
    (void)page;
    if (np_access_wants_open_metrics(accept))
        return from_stream(neap_metrics_write,
                           "application/openmetrics-text; version=1.0.0; charset=utf-8");
    return from_stream(neap_metrics_write_prometheus, "text/plain; version=0.0.4; charset=utf-8");
}

static struct np_page stats_page(struct MHD_Connection *connection, const struct page *page)
{
    (void)connection;
    return from_stream(neap_stats_write_json, page->type);
}

static const char tracing_is_off[] =
    "tracing is off: the program has not called neap_trace_start, for example "
    "neap_trace_start(8, 512 << 10)";

static struct np_page heap_profile_page(struct MHD_Connection *connection, const struct page *page)
{
    (void)connection;
    return from_writer(neap_pprof_write, page, tracing_is_off);
}

static struct np_page allocs_profile_page(struct MHD_Connection *connection,
                                          const struct page *page)
{
    (void)connection;
    return from_writer(neap_pprof_write_allocs, page, tracing_is_off);
}

static struct np_page heap_snapshot_page(struct MHD_Connection *connection, const struct page *page)
{
    (void)connection;
    pthread_mutex_lock(&pages.lock);
    bool mine = !pages.is_snapping;
    pages.is_snapping = true;
    pthread_mutex_unlock(&pages.lock);
    if (!mine)
        return busy("another heap snapshot is being written");
    struct np_page made = from_writer(neap_heap_snapshot_write, page, "not now");
    pthread_mutex_lock(&pages.lock);
    pages.is_snapping = false;
    pthread_mutex_unlock(&pages.lock);
    return made;
}

/* The argument of the request, or what stands for it; false: it is no number in the range. */
static bool number_argument(struct MHD_Connection *connection, const char *name, unsigned least,
                            unsigned most, unsigned *number)
{
    const char *text = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, name);
    if (text == NULL)
        return true;
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value < least || value > most)
        return false;
    *number = (unsigned)value;
    return true;
}

static void wait_seconds(unsigned seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += seconds;
    pthread_mutex_lock(&pages.lock);
    while (!pages.end && pthread_cond_timedwait(&pages.wake, &pages.lock, &until) == 0)
        ;
    pthread_mutex_unlock(&pages.lock);
}

static struct np_page timeline_page(struct MHD_Connection *connection, const struct page *page)
{
    unsigned seconds = 1;
    char path[PATH_BYTES];
    if (!number_argument(connection, "seconds", 1, SECONDS_MOST, &seconds))
        return np_page_text(MHD_HTTP_BAD_REQUEST, "seconds must be a number from 1 to %d\n",
                            SECONDS_MOST);
    int fd = make_file(path);
    if (fd < 0)
        return no_file();
    int status = call_attached(neap_timeline_start, path);
    unlink(path);
    if (status == NEAP_OK) {
        wait_seconds(seconds);
        status = neap_timeline_stop();
        if (status == NEAP_OK)
            return from_file(fd, page);
        if (status == NEAP_ESTATE)
            status = CONFLICT; /* the program has ended it */
    }
    close(fd);
    if (status == CONFLICT)
        return np_page_text(MHD_HTTP_CONFLICT, "the program writes timelines itself just now\n");
    return refuse(status);
}

static struct np_page gc_page(struct MHD_Connection *connection, const struct page *page)
{
    unsigned generation = 2;
    char text[64];
    if (!number_argument(connection, "generation", 0, 2, &generation))
        return np_page_text(MHD_HTTP_BAD_REQUEST, "generation must be 0, 1 or 2\n");
    int status = neap_thread_attach("neap-monitor");
    if (status != NEAP_OK)
        return refuse(status);
    ptrdiff_t found = neap_collect((int)generation);
    neap_thread_detach();
    if (found < 0)
        return refuse((int)found);
    int length = snprintf(text, sizeof text, "{\"collected\":%td}\n", found);
    return as(MHD_create_response_from_buffer((size_t)length, text, MHD_RESPMEM_MUST_COPY),
              page->type, NULL);
}

static struct np_page index_page(struct MHD_Connection *connection, const struct page *page);

static const char json[] = "application/json", binary[] = "application/octet-stream";

static const struct page table[] = {
    {"/", false, "text/html; charset=utf-8", NULL, "this page", index_page},
    {"/metrics", false, NULL, NULL, "metrics for Prometheus: OpenMetrics, or the older text",
     metrics_page},
    {"/stats.json", false, json, NULL, "statistics as JSON", stats_page},
    {"/debug/pprof/heap", false, binary, "heap.pb.gz",
     "memory alive by place, for go tool pprof (while tracing is on)", heap_profile_page},
    {"/debug/pprof/allocs", false, binary, "allocs.pb.gz",
     "the same, what was allocated first (while tracing is on)", allocs_profile_page},
    {"/debug/heapsnapshot", false, json, "heap.heapsnapshot",
     "who holds what, for Chrome DevTools (Memory, Load) or memlab; stops the world for a moment",
     heap_snapshot_page},
    {"/debug/timeline", false, json, "timeline.json",
     "pauses and collections, for Perfetto; ?seconds=N, 1 to 300", timeline_page},
    {"/debug/gc", true, json, NULL, "collects; ?generation=0, 1 or 2 (all)", gc_page},
};
enum { PAGES = sizeof table / sizeof table[0] };

static int write_index(FILE *out)
{
    fprintf(out,
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>neap</title>"
            "</head><body>\n<h1>neap %s</h1>\n<ul>\n",
            neap_version());
    for (size_t i = 1; i < PAGES; i++)
        fprintf(out, "<li><a href=\"%s\">%s</a>: %s</li>\n", table[i].path, table[i].path,
                table[i].what);
    fprintf(out, "</ul>\n</body></html>\n");
    return NEAP_OK;
}

static struct np_page index_page(struct MHD_Connection *connection, const struct page *page)
{
    (void)connection;
    return from_stream(write_index, page->type);
}

struct np_page np_pages_answer(struct MHD_Connection *connection, const char *path,
                               const char *method)
{
    for (size_t i = 0; i < PAGES; i++) {
        if (strcmp(path, table[i].path) != 0)
            continue;
        if (strcmp(method, "GET") == 0 || (strcmp(method, "POST") == 0 && table[i].takes_post))
            return table[i].make(connection, &table[i]);
        const char *allowed = table[i].takes_post ? "GET, POST" : "GET";
        struct np_page page =
            np_page_text(MHD_HTTP_METHOD_NOT_ALLOWED, "only %s is answered\n", allowed);
        if (page.response != NULL)
            MHD_add_response_header(page.response, "Allow", allowed);
        return page;
    }
    return np_page_text(MHD_HTTP_NOT_FOUND, "no such page; / lists them\n");
}

/* ---- beginning, end and fork ---- */

void np_pages_begin(void)
{
    static bool is_made; /* under the server's lock */
    if (!is_made) {
        pthread_condattr_t attributes;
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(&pages.wake, &attributes);
        pthread_condattr_destroy(&attributes);
        is_made = true;
    }
    pthread_mutex_lock(&pages.lock);
    pages.end = false;
    pthread_mutex_unlock(&pages.lock);
}

void np_pages_end(void)
{
    pthread_mutex_lock(&pages.lock);
    pages.end = true;
    pthread_cond_broadcast(&pages.wake);
    pthread_mutex_unlock(&pages.lock);
}

void np_pages_before_fork(void)
{
    pthread_mutex_lock(&pages.lock);
}

void np_pages_after_fork(void)
{
    pthread_mutex_unlock(&pages.lock);
}
