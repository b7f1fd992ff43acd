/* SPDX-License-Identifier: MIT
 *
 * pprof's profile.proto, and collapsed stacks (docs/observe.md). The message is put together in
 * memory, then written as gzip without compression: a reader takes both, and no library is needed.
 *
 * A place has a location with file and line of its own; the functions that called it have locations
 * at addresses, with the modules they lie in, so that pprof can look up their lines itself. */
#include "neap/profile.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "alloc/trace.h"
#include "base/fault.h"
#include "base/os.h"
#include "neap/status.h"
#include "observe/file.h"
#include "observe/snapshot.h"
#include "observe/symbols.h"
#include "observe/writers.h"
#include "runtime/usage.h"
#include "threads/blocking.h"

/* ---- bytes ---- */

struct bytes {
    unsigned char *data;
    size_t count, room;
    bool failed;
};

static void put(struct bytes *bytes, const void *data, size_t count)
{
    if (count == 0)
        return;
    if (bytes->count + count > bytes->room) {
        size_t room = (bytes->count + count) * 2 + 64;
        unsigned char *more = np_fault_realloc(bytes->data, room);
        if (more == NULL) {
            bytes->failed = true;
            return;
        }
        bytes->data = more;
        bytes->room = room;
    }
    memcpy(bytes->data + bytes->count, data, count);
    bytes->count += count;
}

static void varint(struct bytes *bytes, uint64_t value)
{
    unsigned char out[10];
    size_t length = 0;
    for (; value >= 0x80; value >>= 7)
        out[length++] = (unsigned char)(value | 0x80);
    out[length++] = (unsigned char)value;
    put(bytes, out, length);
}

static void number(struct bytes *bytes, unsigned field, uint64_t value)
{
    if (value == 0)
        return; /* the default */
    varint(bytes, field << 3);
    varint(bytes, value);
}

static void text(struct bytes *bytes, unsigned field, const void *data, size_t count)
{
    varint(bytes, field << 3 | 2);
    varint(bytes, count);
    put(bytes, data, count);
}

/* The message becomes a field of the outer one, and is empty again. */
static void message(struct bytes *outer, unsigned field, struct bytes *inner)
{
    text(outer, field, inner->data, inner->count);
    outer->failed |= inner->failed;
    inner->count = 0;
}

/* ---- tables: strings, functions and locations by a key, numbered from 1 ---- */

struct table {
    char **keys;
    uint32_t *buckets;
    size_t count, room;
    bool failed;
};

static size_t place_of(const struct table *table, const char *key)
{
    uint64_t hash = 1469598103934665603u;
    for (const char *c = key; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * 1099511628211u;
    size_t at = (hash ^ hash >> 32) & (table->room * 2 - 1);
    while (table->buckets[at] != 0 && strcmp(table->keys[table->buckets[at] - 1], key) != 0)
        at = (at + 1) & (table->room * 2 - 1);
    return at;
}

static void grow(struct table *table)
{
    size_t room = table->room == 0 ? 256 : table->room * 2;
    char **keys = np_fault_realloc(table->keys, room * sizeof *keys);
    uint32_t *buckets = np_fault_calloc(room * 2, sizeof *buckets);
    if (keys != NULL)
        table->keys = keys;
    if (keys == NULL || buckets == NULL) {
        free(buckets);
        table->failed = true;
        return;
    }
    free(table->buckets);
    table->buckets = buckets;
    table->room = room;
    for (size_t i = 0; i < table->count; i++)
        table->buckets[place_of(table, table->keys[i])] = (uint32_t)i + 1;
}

/* The key's number; *ret_new: it has just got it. 0 out of memory. */
static uint32_t number_of(struct table *table, const char *key, bool *ret_new)
{
    *ret_new = false;
    if (table->count == table->room)
        grow(table);
    if (table->failed)
        return 0;
    size_t at = place_of(table, key);
    if (table->buckets[at] != 0)
        return table->buckets[at];
    char *copy = np_fault_strdup(key);
    if (copy == NULL) {
        table->failed = true;
        return 0;
    }
    *ret_new = true;
    table->keys[table->count++] = copy;
    table->buckets[at] = (uint32_t)table->count;
    return (uint32_t)table->count;
}

static void free_table(struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->keys[i]);
    free(table->keys);
    free(table->buckets);
}

/* ---- the profile ---- */

enum { WORDS = 512 };

struct profile {
    struct bytes out, part, inner, ids;
    struct table strings, functions, locations;
    struct np_symbols *symbols;
    bool *mapped;      /* by module: its mapping is written */
    const char *first; /* the sample type that viewers show first */
};

static uint64_t string(struct profile *profile, const char *words)
{
    bool is_new;
    if (words[0] == '\0')
        return 0;
    return number_of(&profile->strings, words, &is_new); /* entry 0 is the empty one */
}

static uint64_t function(struct profile *profile, const char *name, const char *file)
{
    char key[WORDS * 2];
    bool is_new;
    snprintf(key, sizeof key, "%s\n%s", name, file);
    uint64_t id = number_of(&profile->functions, key, &is_new);
    if (is_new) {
        number(&profile->part, 1, id);
        number(&profile->part, 2, string(profile, name));
        number(&profile->part, 3, string(profile, name));
        number(&profile->part, 4, string(profile, file));
        message(&profile->out, 5, &profile->part);
    }
    return id;
}

static uint64_t mapping(struct profile *profile, const struct np_module *module)
{
    size_t index = (size_t)(module - profile->symbols->modules);
    if (!profile->mapped[index]) {
        profile->mapped[index] = true;
        number(&profile->part, 1, index + 1);
        number(&profile->part, 2, module->start);
        number(&profile->part, 3, module->end);
        number(&profile->part, 4, module->offset);
        number(&profile->part, 5, string(profile, module->path));
        number(&profile->part, 6, string(profile, module->build_id));
        message(&profile->out, 3, &profile->part);
    }
    return index + 1;
}

static void put_location(struct profile *profile, uint64_t id, uint64_t mapping_id,
                         const void *address, uint64_t function_id, unsigned line)
{
    number(&profile->inner, 1, function_id);
    number(&profile->inner, 2, line);
    number(&profile->part, 1, id);
    number(&profile->part, 2, mapping_id);
    number(&profile->part, 3, (uintptr_t)address);
    message(&profile->part, 4, &profile->inner);
    message(&profile->out, 4, &profile->part);
}

/* A return address: the call is just before it. */
static uint64_t location_of_code(struct profile *profile, const void *address)
{
    char key[32], name[WORDS];
    bool is_new;
    snprintf(key, sizeof key, "%p", address);
    uint64_t id = number_of(&profile->locations, key, &is_new);
    if (is_new) {
        const struct np_module *module = np_symbols_module(profile->symbols, address);
        uint64_t mapping_id = module != NULL ? mapping(profile, module) : 0;
        np_symbols_name(profile->symbols, address, false, name, sizeof name);
        put_location(profile, id, mapping_id, (const char *)address - 1,
                     function(profile, name, ""), 0);
    }
    return id;
}

static uint64_t location_of_site(struct profile *profile, const struct neap_site *site)
{
    char key[WORDS];
    bool is_new;
    if (site != NULL && np_site_code(site) != NULL)
        return location_of_code(profile, np_site_code(site));
    static const struct neap_site others = {"", "(other places)", 0};
    site = site != NULL ? site : &others;
    snprintf(key, sizeof key, "%s:%u %s", site->file, site->line, site->function);
    uint64_t id = number_of(&profile->locations, key, &is_new);
    if (is_new)
        put_location(profile, id, 0, NULL, function(profile, site->function, site->file),
                     site->line);
    return id;
}

static void label(struct profile *profile, const char *key, const char *words, uint64_t value)
{
    number(&profile->inner, 1, string(profile, key));
    number(&profile->inner, 2, words != NULL ? string(profile, words) : 0);
    number(&profile->inner, 3, value);
    number(&profile->inner, 4, words == NULL ? string(profile, "bytes") : 0);
    message(&profile->part, 3, &profile->inner);
}

static void put_sample(struct profile *profile, const struct np_snapshot_row *row)
{
    struct bytes sample = {0};
    varint(&profile->ids, location_of_site(profile, row->site));
    for (uint32_t i = 0; i < row->frame_count; i++)
        varint(&profile->ids, location_of_code(profile, row->frames[i]));
    text(&sample, 1, profile->ids.data, profile->ids.count);
    profile->ids.count = 0;
    varint(&profile->ids, row->made_objects);
    varint(&profile->ids, row->made_bytes);
    varint(&profile->ids, row->objects);
    varint(&profile->ids, row->bytes);
    text(&sample, 2, profile->ids.data, profile->ids.count);
    profile->ids.count = 0;
    label(profile, "type", row->type, 0);
    if (row->thread[0] != '\0')
        label(profile, "thread", row->thread, 0);
    uint64_t each = row->block_bytes != 0    ? row->block_bytes
                    : row->made_objects != 0 ? row->made_bytes / row->made_objects
                                             : 0;
    label(profile, "bytes", NULL, each);
    put(&sample, profile->part.data, profile->part.count); /* the labels */
    profile->part.count = 0;
    message(&profile->out, 2, &sample);
    free(sample.data);
}

static void put_value_type(struct profile *profile, unsigned field, const char *type,
                           const char *unit)
{
    number(&profile->part, 1, string(profile, type));
    number(&profile->part, 2, string(profile, unit));
    message(&profile->out, field, &profile->part);
}

static void put_profile(struct profile *profile, const struct neap_snapshot *snapshot)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    put_value_type(profile, 1, "alloc_objects", "count");
    put_value_type(profile, 1, "alloc_space", "bytes");
    put_value_type(profile, 1, "inuse_objects", "count");
    put_value_type(profile, 1, "inuse_space", "bytes");
    for (size_t i = 0; i < snapshot->count; i++)
        put_sample(profile, &snapshot->rows[i]);
    number(&profile->out, 9, now_ns);
    number(&profile->out, 10, now_ns - snapshot->started_ns);
    put_value_type(profile, 11, "space", "bytes");
    number(&profile->out, 12, snapshot->period != 0 ? snapshot->period : 1);
    number(&profile->out, 14, string(profile, profile->first));
    text(&profile->out, 6, "", 0);
    for (size_t i = 0; i < profile->strings.count; i++)
        text(&profile->out, 6, profile->strings.keys[i], strlen(profile->strings.keys[i]));
}

/* ---- gzip, stored ---- */

static uint32_t crc_of(const unsigned char *data, size_t count)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < count; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0xEDB88320u & -(crc & 1));
    }
    return ~crc;
}

static void put_little(FILE *out, uint32_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        fputc((int)(value >> 8 * i & 0xFF), out);
}

static int write_gzip(const unsigned char *data, size_t count, FILE *out)
{
    static const unsigned char header[10] = {0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3};
    fwrite(header, 1, sizeof header, out);
    size_t at = 0;
    do {
        size_t piece = count - at < 65535 ? count - at : 65535;
        fputc(at + piece == count ? 1 : 0, out);
        put_little(out, (uint32_t)piece, 2);
        put_little(out, ~(uint32_t)piece, 2);
        fwrite(data + at, 1, piece, out);
        at += piece;
    } while (at < count);
    put_little(out, crc_of(data, count), 4);
    put_little(out, (uint32_t)count, 4);
    return fflush(out) == 0 && !ferror(out) ? NEAP_OK : NEAP_EIO;
}

/* ---- the public face ---- */

static int write_profile(const struct neap_snapshot *snapshot, struct np_symbols *symbols,
                         const char *first, FILE *out)
{
    struct profile profile = {.symbols = symbols, .first = first};
    int status = NEAP_ENOMEM;
    profile.mapped = np_fault_calloc(symbols->count + 1, sizeof *profile.mapped);
    if (profile.mapped != NULL) {
        put_profile(&profile, snapshot);
        bool failed = profile.out.failed || profile.part.failed || profile.inner.failed ||
                      profile.ids.failed || profile.strings.failed || profile.functions.failed ||
                      profile.locations.failed;
        if (!failed)
            status = write_gzip(profile.out.data, profile.out.count, out);
    }
    free_table(&profile.strings);
    free_table(&profile.functions);
    free_table(&profile.locations);
    free(profile.out.data);
    free(profile.part.data);
    free(profile.inner.data);
    free(profile.ids.data);
    free(profile.mapped);
    return status;
}

static int write_pprof(const struct neap_snapshot *snapshot, struct np_symbols *symbols, FILE *out)
{
    return write_profile(snapshot, symbols, "inuse_space", out);
}

static int write_pprof_allocs(const struct neap_snapshot *snapshot, struct np_symbols *symbols,
                              FILE *out)
{
    return write_profile(snapshot, symbols, "alloc_space", out);
}

/* A frame's name must not part frames. */
static void put_frame(FILE *out, const char *name)
{
    for (; *name != '\0'; name++)
        fputc(*name == ';' || *name == '\n' ? ' ' : *name, out);
}

static int write_collapsed(const struct neap_snapshot *snapshot, struct np_symbols *symbols,
                           FILE *out)
{
    char name[WORDS];
    for (size_t i = 0; i < snapshot->count; i++) {
        const struct np_snapshot_row *row = &snapshot->rows[i];
        if (row->bytes == 0)
            continue;
        for (uint32_t k = row->frame_count; k-- > 0;) {
            np_symbols_name(symbols, row->frames[k], false, name, sizeof name);
            put_frame(out, name);
            fputc(';', out);
        }
        if (row->site == NULL)
            snprintf(name, sizeof name, "(other places)");
        else if (np_site_code(row->site) != NULL)
            np_symbols_name(symbols, np_site_code(row->site), false, name, sizeof name);
        else
            snprintf(name, sizeof name, "%s (%s:%u)", row->site->function, row->site->file,
                     row->site->line);
        put_frame(out, name);
        fputc(';', out);
        put_frame(out, row->type);
        fprintf(out, " %" PRIu64 "\n", row->bytes);
    }
    return fflush(out) == 0 && !ferror(out) ? NEAP_OK : NEAP_EIO;
}

/* With the world going on: files are slow. */
int np_with_trace_snapshot(FILE *out,
                           int (*write)(const struct neap_snapshot *, struct np_symbols *, FILE *))
{
    if (!neap_trace_is_on())
        return NEAP_ESTATE;
    struct neap_snapshot *snapshot = neap_trace_snapshot();
    if (snapshot == NULL)
        return neap_trace_is_on() ? NEAP_ENOMEM : NEAP_ESTATE;
    np_blocking_enter(np_tls.thread);
    struct np_symbols *symbols = np_symbols_new();
    int status = symbols != NULL ? write(snapshot, symbols, out) : NEAP_ENOMEM;
    np_symbols_free(symbols);
    np_blocking_leave(np_tls.thread);
    neap_snapshot_free(snapshot);
    return status;
}

int np_pprof_to(FILE *out)
{
    return np_with_trace_snapshot(out, write_pprof);
}

static int pprof_allocs_to(FILE *out)
{
    return np_with_trace_snapshot(out, write_pprof_allocs);
}

int np_collapsed_to(FILE *out)
{
    return np_with_trace_snapshot(out, write_collapsed);
}

int neap_pprof_write(const char *path)
{
    np_usage_check("neap_pprof_write");
    return np_write_file(path, np_pprof_to);
}

int neap_pprof_write_allocs(const char *path)
{
    np_usage_check("neap_pprof_write_allocs");
    return np_write_file(path, pprof_allocs_to);
}

int neap_collapsed_write(const char *path)
{
    np_usage_check("neap_collapsed_write");
    return np_write_file(path, np_collapsed_to);
}
