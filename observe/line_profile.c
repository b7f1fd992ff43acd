/* SPDX-License-Identifier: MIT
 *
 * A marked function under way stands in a list on its thread's stack, innermost first. The frame it
 * stands in is found by address: while the stack is unwound, the first frame that begins above the
 * mark is the caller's, and the place before it is the function's own.
 *
 * Lines and source text are looked up when a table is printed. */
#include "observe/line_profile.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unwind.h>

#include "alloc/heap.h"
#include "base/fault.h"
#include "base/os.h"
#include "neap/line_profile.h"
#include "neap/status.h"
#include "neap/trace.h"
#include "observe/line_table.h"
#include "observe/symbols.h"
#include "observe/tracer.h"
#include "runtime/usage.h"
#include "threads/blocking.h"

enum { ROWS = 1 << 14, DEEP = 16, HEAD_LINES = 20 };

/* Of one place in a marked function; code NULL: its calls. */
struct row {
    const struct neap_site *site;
    const void *code; /* a return address */
    uint64_t count;
    int64_t bytes;  /* more, or less, because of it */
    int64_t memory; /* alive after it ran last; of the calls, before the first */
    uint64_t when;  /* of calls: when the function was first called; else, when it ran last */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct row *rows; /* (c) once reserved; (L) what is in it; chained by linear probing */
static size_t row_count; /* (L) */
static uint64_t moments; /* (L) told apart by counting */
static bool wanted;      /* (s) written in a stopped world; read relaxed, a hint */
static __thread struct neap_profiled_ *innermost __attribute__((tls_model("initial-exec")));

static size_t rows_bytes(void)
{
    size_t page = np_os_page_bytes();
    return (sizeof(struct row) * ROWS + page - 1) & ~(page - 1);
}

int np_line_profile_init(void)
{
    if (rows == NULL)
        rows = np_os_reserve(rows_bytes(), 1);
    return rows != NULL ? 0 : -1;
}

void np_line_profile_switch(int on)
{
    np_store_relaxed(&wanted, on != 0); /* relaxed: a hint */
}

void np_line_profile_clear(void)
{
    pthread_mutex_lock(&lock);
    if (rows != NULL)
        np_os_give_back(rows, rows_bytes());
    row_count = 0;
    pthread_mutex_unlock(&lock);
}

/* NULL: there is no room. */
static struct row *row_locked(const struct neap_site *site, const void *code)
{
    uint64_t hash = ((uintptr_t)site ^ (uintptr_t)code * 31) * UINT64_C(0x9E3779B97F4A7C15);
    for (size_t at = hash >> 40;; at++) {
        struct row *row = &rows[at % ROWS];
        if (row->site == site && row->code == code)
            return row;
        if (row->site != NULL)
            continue;
        if (row_count == ROWS / 2)
            return NULL;
        *row = (struct row){.site = site, .code = code};
        row_count++;
        return row;
    }
}

static int64_t memory_now(void)
{
    size_t current;
    neap_trace_memory(&current, NULL);
    return (int64_t)current;
}

/* ---- marks ---- */

static uintptr_t check_of(const struct neap_profiled_ *call, const struct neap_site *site,
                          const struct neap_profiled_ *outer)
{
    return (uintptr_t)call * 3 ^ (uintptr_t)site * 5 ^ (uintptr_t)outer * 7;
}

/* False: longjmp went over it, and its frame may be another function's by now; AddressSanitizer
 * would take the question itself for a mistake. */
static np_noinline __attribute__((no_sanitize("address"))) bool
is_whole(const struct neap_profiled_ *call)
{
    return (uintptr_t)call > (uintptr_t)__builtin_frame_address(0) &&
           call->check == check_of(call, call->site, call->outer);
}

void neap_profile_enter_(struct neap_profiled_ *call, const struct neap_site *site)
{
    call->site = NULL;
    if (!np_load_relaxed(&wanted)) /* relaxed: a hint */
        return;
    *call = (struct neap_profiled_){site, innermost, check_of(call, site, innermost)};
    innermost = call;
    if (np_tls.thread != NULL && np_tls.thread->heap != NULL)
        np_tls.thread->heap->trace_quick = NULL; /* every block comes by np_line_profile_note */
    int64_t memory = memory_now();
    pthread_mutex_lock(&lock);
    struct row *row = row_locked(site, NULL);
    if (row != NULL && row->count++ == 0) {
        row->memory = row->bytes = memory;
        row->when = ++moments;
    }
    pthread_mutex_unlock(&lock);
}

void neap_profile_leave_(struct neap_profiled_ *call)
{
    if (call->site == NULL)
        return;
    call->check = 0;
    innermost = call->outer;
}

struct unwinding {
    const struct neap_profiled_ *next; /* the mark that is looked for */
    const void *before;                /* the place in the frame inside this one */
    unsigned count;
    struct {
        const struct neap_site *site;
        const void *code;
    } found[DEEP];
};

/* A recursive function is told once, of its innermost call. */
static void found_mark(struct unwinding *unwinding)
{
    const struct neap_site *site = unwinding->next->site;
    for (unsigned i = 0; i < unwinding->count; i++)
        if (unwinding->found[i].site == site)
            return;
    unwinding->found[unwinding->count].site = site;
    unwinding->found[unwinding->count++].code = unwinding->before;
}

/* The frame that a context tells of begins where its callee's ends, at its CFA. */
static _Unwind_Reason_Code step(struct _Unwind_Context *context, void *arg)
{
    struct unwinding *unwinding = arg;
    uintptr_t begins = _Unwind_GetCFA(context);
    while (unwinding->next != NULL && (uintptr_t)unwinding->next < begins) {
        if (!is_whole(unwinding->next))
            return _URC_END_OF_STACK; /* longjmp went over it */
        found_mark(unwinding);
        unwinding->next = unwinding->next->outer;
        if (unwinding->count == DEEP)
            return _URC_END_OF_STACK;
    }
    unwinding->before = (const void *)_Unwind_GetIP(context);
    return unwinding->next == NULL ? _URC_END_OF_STACK : _URC_NO_REASON;
}

static np_noinline void note(int64_t bytes)
{
    struct unwinding unwinding = {.next = innermost};
    _Unwind_Backtrace(step, &unwinding);
    int64_t memory = memory_now();
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < unwinding.count; i++) {
        struct row *row = row_locked(unwinding.found[i].site, unwinding.found[i].code);
        if (row == NULL)
            continue;
        row->count++;
        row->bytes += bytes;
        row->memory = memory;
        row->when = ++moments;
    }
    pthread_mutex_unlock(&lock);
}

void np_line_profile_note(int64_t bytes)
{
    struct neap_profiled_ *call = innermost;
    if (np_likely(call == NULL) || !np_load_relaxed(&wanted)) /* relaxed: a hint */
        return;
    if (!is_whole(call))
        innermost = NULL; /* longjmp went over it */
    else
        note(bytes);
}

bool np_line_profile_is_inside(void)
{
    return innermost != NULL;
}

/* ---- fork ---- */

void np_line_profile_lock(void)
{
    pthread_mutex_lock(&lock);
}

void np_line_profile_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

/* ---- printing: rows become lines ---- */

/* A line of a table. */
struct entry {
    const struct neap_site *site; /* the marked function */
    uint64_t order;               /* among the functions */
    struct np_line line;          /* path: NULL where the function's own file is meant */
    uint64_t count, when;
    int64_t bytes, memory;
    uintptr_t code;
};

/* Is it a line of the function's own file? */
static bool is_own(const struct entry *entry)
{
    return entry->line.path == NULL && entry->line.line != 0;
}

struct report {
    struct entry *entries;
    size_t count;
    struct np_symbols *symbols;
};

static int copy_rows(struct report *report)
{
    report->entries = np_fault_calloc(ROWS / 2 + 1, sizeof *report->entries);
    if (report->entries == NULL)
        return NEAP_ENOMEM;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].site != NULL)
            report->entries[report->count++] = (struct entry){
                .site = rows[i].site,
                .count = rows[i].count,
                .when = rows[i].when,
                .bytes = rows[i].bytes,
                .memory = rows[i].memory,
                .code = (uintptr_t)rows[i].code,
            };
    pthread_mutex_unlock(&lock);
    return NEAP_OK;
}

static int by_code(const void *a, const void *b)
{
    uintptr_t left = ((const struct entry *)a)->code, right = ((const struct entry *)b)->code;
    return left < right ? -1 : left > right;
}

/* Entries are sorted by code: those of a module stand together. */
static int find_lines(struct report *report)
{
    struct np_line *lines = np_fault_calloc(report->count + 1, sizeof *lines);
    if (lines == NULL)
        return NEAP_ENOMEM;
    int status = NEAP_OK;
    size_t i = 0;
    while (i < report->count && status == NEAP_OK) {
        struct entry *first = &report->entries[i];
        struct np_module *module =
            first->code != 0 ? np_symbols_module(report->symbols, (void *)first->code) : NULL;
        if (module == NULL) {
            if (first->code == 0)
                first->line.line = first->site->line;
            i++;
            continue;
        }
        size_t count = 0;
        for (; i + count < report->count && first[count].code < module->end; count++)
            /* the call is just before the return address */
            lines[count] = (struct np_line){.address = first[count].code - 1 - module->bias};
        if (np_line_table_find(module->path, lines, count) != 0)
            status = NEAP_ENOMEM;
        for (size_t k = 0; k < count; k++)
            first[k].line = lines[k];
        i += count;
    }
    free(lines);
    return status;
}

static int compare_paths(const char *a, const char *b)
{
    return a == NULL || b == NULL ? (a != NULL) - (b != NULL) : strcmp(a, b);
}

/* Functions as they were called, in each its own file first, by line; calls before the rest. */
static int by_line(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;
    if (left->order != right->order)
        return left->order < right->order ? -1 : 1;
    if (left->site != right->site)
        return (uintptr_t)left->site < (uintptr_t)right->site ? -1 : 1;
    if (is_own(left) != is_own(right))
        return is_own(left) ? -1 : 1;
    int paths = compare_paths(left->line.path, right->line.path);
    if (paths != 0)
        return paths;
    if (left->line.line != right->line.line)
        return left->line.line < right->line.line ? -1 : 1;
    return by_code(a, b);
}

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static uint64_t order_of(const struct report *report, const struct neap_site *site)
{
    for (size_t i = 0; i < report->count; i++)
        if (report->entries[i].site == site && report->entries[i].code == 0)
            return report->entries[i].when;
    return 0;
}

/* Places of one line become one entry. */
static void merge(struct report *report)
{
    size_t used = 0;
    for (size_t i = 0; i < report->count; i++) {
        struct entry *from = &report->entries[i], *into = &report->entries[used];
        if (used > 0 && into[-1].site == from->site && into[-1].code != 0 &&
            into[-1].line.line == from->line.line && from->line.line != 0 &&
            compare_paths(into[-1].line.path, from->line.path) == 0) {
            into[-1].count += from->count;
            into[-1].bytes += from->bytes;
            if (from->when > into[-1].when) {
                into[-1].memory = from->memory;
                into[-1].when = from->when;
            }
            np_line_table_forget(&from->line, 1);
            continue;
        }
        if (from != into)
            *into = *from;
        used++;
    }
    report->count = used;
}

static int make_report(struct report *report)
{
    if (np_fault() || (report->symbols = np_symbols_new()) == NULL)
        return NEAP_ENOMEM;
    for (size_t i = 0; i < report->count; i++)
        report->entries[i].order = order_of(report, report->entries[i].site);
    qsort(report->entries, report->count, sizeof *report->entries, by_code);
    int status = find_lines(report);
    for (size_t i = 0; i < report->count; i++) {
        struct np_line *line = &report->entries[i].line;
        bool own = line->path != NULL &&
                   strcmp(base_of(line->path), base_of(report->entries[i].site->file)) == 0;
        if (own) {
            free(line->path);
            line->path = NULL;
        }
    }
    qsort(report->entries, report->count, sizeof *report->entries, by_line);
    merge(report);
    return status;
}

static void free_report(struct report *report)
{
    for (size_t i = 0; i < report->count; i++)
        np_line_table_forget(&report->entries[i].line, 1);
    free(report->entries);
    np_symbols_free(report->symbols);
}

/* ---- source text ---- */

struct source {
    char *text;   /* NULL: it cannot be read */
    char **lines; /* from 1 */
    size_t count;
};

static FILE *open_source(const char *path, const char *folder)
{
    char whole[PATH_MAX];
    FILE *in = fopen(path, "re");
    if (in != NULL || path[0] == '/' || folder == NULL)
        return in;
    snprintf(whole, sizeof whole, "%s/%s", folder, path);
    return fopen(whole, "re");
}

static void read_source(struct source *source, const char *path, const char *folder)
{
    *source = (struct source){NULL, NULL, 0};
    FILE *in = open_source(path, folder);
    if (in == NULL)
        return;
    long bytes = fseek(in, 0, SEEK_END) == 0 ? ftell(in) : -1;
    if (bytes > 0 && bytes < INT_MAX && fseek(in, 0, SEEK_SET) == 0 &&
        (source->text = np_fault_malloc((size_t)bytes + 1)) != NULL &&
        (source->lines = np_fault_calloc((size_t)bytes + 2, sizeof *source->lines)) != NULL) {
        source->text[fread(source->text, 1, (size_t)bytes, in)] = '\0';
        for (char *at = source->text; at != NULL && *at != '\0';) {
            source->lines[++source->count] = at;
            at = strchr(at, '\n');
            if (at != NULL)
                *at++ = '\0';
        }
    }
    fclose(in);
}

static void free_source(struct source *source)
{
    free(source->text);
    free(source->lines);
}

/* The line of the function's head, at or above the mark's. */
static size_t first_line(const struct source *source, const struct neap_site *site)
{
    size_t length = strlen(site->function);
    for (size_t line = site->line; line > 0 && line + HEAD_LINES > site->line; line--) {
        const char *at = line <= source->count ? source->lines[line] : "";
        while ((at = strstr(at, site->function)) != NULL) {
            at += length;
            if (at[strspn(at, " \t")] == '(')
                return line;
        }
    }
    return site->line;
}

/* Behind a string, a character or a comment that begins here, else the next character; *ret_open: a
 * comment goes on on the next line. */
static const char *skip_token(const char *at, bool *ret_open)
{
    char quote = *at;
    if (quote == '/' && at[1] == '/')
        return at + strlen(at);
    if (quote == '/' && at[1] == '*') {
        const char *end = strstr(at + 2, "*/");
        *ret_open = end == NULL;
        return end != NULL ? end + 2 : at + strlen(at);
    }
    if (quote != '"' && quote != '\'')
        return at + 1;
    for (at++; *at != '\0' && *at != quote; at++)
        if (*at == '\\' && at[1] != '\0')
            at++;
    return *at != '\0' ? at + 1 : at;
}

/* The line of the brace that closes the block that the mark stands in. */
static size_t last_line(const struct source *source, const struct neap_site *site)
{
    int depth = 1;
    bool open = false;
    for (size_t line = site->line; line <= source->count; line++) {
        const char *at = source->lines[line];
        while (*at != '\0') {
            if (open) {
                const char *end = strstr(at, "*/");
                open = end == NULL;
                at = end != NULL ? end + 2 : at + strlen(at);
                continue;
            }
            depth += *at == '{' ? 1 : *at == '}' ? -1 : 0;
            if (depth == 0)
                return line;
            at = skip_token(at, &open);
        }
    }
    return source->count;
}

/* ---- tables ---- */

static void put_line(FILE *out, size_t line, const struct entry *entry, const char *words)
{
    if (entry == NULL)
        fprintf(out, "%6zu %12s %12s  %11s   %s\n", line, "", "", "", words);
    else
        fprintf(out, "%6zu %8.3f MiB %8.3f MiB  %11llu   %s\n", line,
                (double)entry->memory / 1048576, (double)entry->bytes / 1048576,
                (unsigned long long)entry->count, words);
}

static const char *words_at(const struct source *source, size_t line)
{
    return line > 0 && line <= source->count ? source->lines[line] : "";
}

/* A line of another file, inlined; or a place without one. */
static void put_elsewhere(struct report *report, FILE *out, const struct entry *entry)
{
    char name[256];
    if (entry->line.line == 0) {
        np_symbols_name(report->symbols, (const void *)entry->code, true, name, sizeof name);
        put_line(out, 0, entry, name);
        return;
    }
    struct source source;
    read_source(&source, entry->line.path, entry->line.folder);
    snprintf(name, sizeof name, "[%s] %s", base_of(entry->line.path),
             words_at(&source, entry->line.line));
    put_line(out, entry->line.line, entry, name);
    free_source(&source);
}

/* One function's: entries first to first + count - 1. */
static void put_function(struct report *report, size_t first, size_t count, FILE *out)
{
    const struct entry *entries = &report->entries[first];
    const struct neap_site *site = entries[0].site;
    const char *folder = NULL;
    struct source source;
    for (size_t i = 0; i < count && folder == NULL; i++)
        if (entries[i].line.path == NULL)
            folder = entries[i].line.folder;
    read_source(&source, site->file, folder);
    fprintf(out, "Filename: %s\nFunction: %s\n\n", site->file, site->function);
    static const char head[] = "Line #    Mem usage    Increment  Occurrences   Line Contents";
    fprintf(out, "%s\n", head);
    for (size_t i = 1; i < sizeof head; i++)
        fputc('=', out);
    fputc('\n', out);
    bool readable = site->line <= source.count;
    size_t line = readable ? first_line(&source, site) : 1;
    size_t end = readable ? last_line(&source, site) : 0;
    size_t own = 0;
    for (; own < count && is_own(&entries[own]); own++) {
        size_t next = entries[own].line.line;
        for (; line < next && line <= end; line++)
            put_line(out, line, NULL, words_at(&source, line));
        put_line(out, next, &entries[own], words_at(&source, next));
        line = line <= next ? next + 1 : line;
    }
    for (; line <= end; line++)
        put_line(out, line, NULL, words_at(&source, line));
    for (; own < count; own++)
        put_elsewhere(report, out, &entries[own]);
    fputs("\n\n", out);
    free_source(&source);
}

static void put_report(struct report *report, FILE *out)
{
    for (size_t i = 0; i < report->count;) {
        size_t count = 1;
        while (i + count < report->count &&
               report->entries[i + count].site == report->entries[i].site)
            count++;
        put_function(report, i, count, out);
        i += count;
    }
}

int neap_profile_print(FILE *out)
{
    np_usage_check("neap_profile_print");
    if (!np_tracer_lock_if_on())
        return NEAP_ESTATE;
    struct report report = {NULL, 0, NULL};
    int saved = errno, status = np_tracer_period() == 0 ? copy_rows(&report) : NEAP_ESTATE;
    np_tracer_unlock();
    if (status == NEAP_OK) {
        np_blocking_enter(np_tls.thread); /* files are slow */
        status = make_report(&report);
        if (status == NEAP_OK) {
            put_report(&report, out);
            status = fflush(out) == 0 && !ferror(out) ? NEAP_OK : NEAP_EIO;
        }
        free_report(&report);
        np_blocking_leave(np_tls.thread);
    }
    errno = saved;
    return status;
}
