/* SPDX-License-Identifier: MIT
 *
 * V8's .heapsnapshot (docs/observe.md): what Chrome DevTools and memlab open.
 *
 * Roots: the snapshot's root refers to "(GC roots)", which refers to one node per class of root,
 * and directly to every object of a class, so that DevTools counts distances from there. "(external
 * references)" is what no slot explains: locals, globals, memory that neap does not know.
 * "(threads)" has the same, by owning thread. Contents of objects are not written.
 *
 * One pass to intern strings and count edges, one to write; nothing is sorted. */
#include "neap/profile.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "neap/status.h"
#include "neap/trace.h"
#include "observe/graph.h"
#include "observe/file.h"
#include "observe/json.h"
#include "observe/trace_table.h"
#include "observe/tracer.h"
#include "observe/writers.h"
#include "runtime/header.h"
#include "runtime/usage.h"
#include "threads/blocking.h"
#include "threads/thread.h"

enum {
    ROOT,
    GC_ROOTS,
    EXTERNAL,
    IMMORTAL,
    DEFERRED,
    THREADS,
    FIXED, /* then the threads, then the objects */
    FIELDS = 6,
    /* node types; arrays are objects too: what V8 calls an array is the storage of something else,
     * and DevTools counts its size to whoever holds it */
    TYPE_OBJECT = 3,
    TYPE_SYNTHETIC = 9,
    /* edge types */
    EDGE_ELEMENT = 1,
    EDGE_PROPERTY = 2,
    NAMES_KEPT = 1 << 12
};

static const char *const fixed_names[FIXED] = {"",           "(GC roots)", "(external references)",
                                               "(immortal)", "(deferred)", "(threads)"};

/* ---- strings ---- */

struct strings {
    char **texts;
    size_t count, room;
    uint32_t *buckets; /* open addressing: index + 1 */
    size_t bucket_count;
    bool failed;
};

static uint64_t hash_of(const char *text)
{
    uint64_t hash = 1469598103934665603u;
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * 1099511628211u;
    return hash;
}

static void grow(struct strings *strings)
{
    size_t room = strings->room == 0 ? 1024 : strings->room * 2;
    char **texts = np_fault_realloc(strings->texts, room * sizeof *texts);
    uint32_t *buckets = np_fault_calloc(room * 2, sizeof *buckets);
    if (texts != NULL)
        strings->texts = texts;
    if (texts == NULL || buckets == NULL) {
        free(buckets);
        strings->failed = true;
        return;
    }
    for (size_t i = 0; i < strings->count; i++) {
        size_t at = hash_of(texts[i]) & (room * 2 - 1);
        while (buckets[at] != 0)
            at = (at + 1) & (room * 2 - 1);
        buckets[at] = (uint32_t)i + 1;
    }
    free(strings->buckets);
    strings->buckets = buckets;
    strings->bucket_count = room * 2;
    strings->room = room;
}

static uint32_t intern(struct strings *strings, const char *text)
{
    if (strings->count == strings->room)
        grow(strings);
    if (strings->failed)
        return 0;
    size_t at = hash_of(text) & (strings->bucket_count - 1);
    while (strings->buckets[at] != 0) {
        if (strcmp(strings->texts[strings->buckets[at] - 1], text) == 0)
            return strings->buckets[at] - 1;
        at = (at + 1) & (strings->bucket_count - 1);
    }
    char *copy = np_fault_strdup(text);
    if (copy == NULL) {
        strings->failed = true;
        return 0;
    }
    strings->texts[strings->count++] = copy;
    strings->buckets[at] = (uint32_t)strings->count;
    return (uint32_t)strings->count - 1;
}

static void free_strings(struct strings *strings)
{
    for (size_t i = 0; i < strings->count; i++)
        free(strings->texts[i]);
    free(strings->texts);
    free(strings->buckets);
}

/* ---- the writer ---- */

struct writer {
    struct np_json out;
    const struct np_graph *graph;
    struct strings strings;
    uint64_t of_root[FIXED]; /* objects of each class of root */
    uint32_t *threads;       /* by slot: objects held from outside, 0: no node */
    uint32_t thread_high, thread_nodes;
    uint32_t *thread_node; /* by slot */
    uint32_t *sites;       /* by trace: node of the trace tree */
    uint32_t trace_count;
    struct slot_name *slot_names;
};

/* Interned names of slots, by type and slot; direct mapped. */
struct slot_name {
    const struct neap_type *type;
    uint64_t slot, index;
    uint32_t name; /* 0: an element */
};

static const struct slot_name *slot_name(struct writer *writer, const struct np_node *node,
                                         uint64_t slot)
{
    const struct neap_type *type = np_type_at(node->type_index);
    static const struct slot_name none;
    size_t at = ((uintptr_t)type / 64 * 31 + slot) % NAMES_KEPT;
    struct slot_name *kept = &writer->slot_names[at];
    if (kept->type == type && kept->slot == slot && node->length == 0)
        return kept;
    char text[64];
    np_graph_slot_name(type, node->length != 0, slot, text, &kept->index);
    /* elements of long arrays have no names of their own: strings would not stay few */
    bool many = node->length != 0 || slot >= 4096;
    kept->type = many ? NULL : type;
    kept->slot = slot;
    kept->name = text[0] != '\0' && !many ? intern(&writer->strings, text) : 0;
    if (many)
        kept->index = slot;
    return writer->strings.failed ? &none : kept;
}

/* Which class of root holds it; 0: none. */
static unsigned root_of(const struct np_node *node)
{
    if (node->kind == NP_NODE_IMMORTAL)
        return IMMORTAL;
    if (node->kind == NP_NODE_DEFERRED)
        return DEFERRED;
    return node->external > 0 ? EXTERNAL : 0;
}

static bool prepare(struct writer *writer)
{
    const struct np_graph *graph = writer->graph;
    writer->thread_high = np_thread_high();
    writer->trace_count = neap_trace_is_on() ? np_trace_count() : 0;
    writer->threads = np_fault_calloc(writer->thread_high + 1u, sizeof *writer->threads);
    writer->thread_node = np_fault_calloc(writer->thread_high + 1u, sizeof *writer->thread_node);
    writer->sites = np_fault_calloc(writer->trace_count + 1u, sizeof *writer->sites);
    writer->slot_names = np_fault_calloc(NAMES_KEPT, sizeof *writer->slot_names);
    if (writer->threads == NULL || writer->thread_node == NULL || writer->sites == NULL ||
        writer->slot_names == NULL)
        return false;
    for (unsigned i = 0; i < FIXED; i++)
        intern(&writer->strings, fixed_names[i]);
    for (size_t i = 0; i < graph->node_count; i++) {
        const struct np_node *node = &graph->nodes[i];
        unsigned root = root_of(node);
        if (root != 0)
            writer->of_root[root]++;
        if (root == EXTERNAL && node->owner != 0 && node->owner <= writer->thread_high)
            writer->threads[node->owner]++;
        if (node->trace != 0 && node->trace <= writer->trace_count)
            writer->sites[node->trace]++;
    }
    for (uint32_t id = 1; id <= writer->thread_high; id++)
        if (writer->threads[id] > 0)
            writer->thread_node[id] = FIXED + writer->thread_nodes++;
    return !writer->strings.failed;
}

static void numbers(struct writer *writer, bool *first, const uint64_t *values, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (!*first)
            np_json_char(&writer->out, ',');
        *first = false;
        np_json_number(&writer->out, values[i]);
    }
    np_json_char(&writer->out, '\n');
}

/* ---- sections ---- */

static uint64_t objects_at(const struct writer *writer)
{
    return FIXED + writer->thread_nodes;
}

static uint64_t edges_of(const struct np_graph *graph, size_t node)
{
    uint64_t count = 0;
    for (uint64_t e = graph->nodes[node].first_edge; e < graph->nodes[node + 1].first_edge; e++)
        count += graph->edges[e].node != UINT64_MAX;
    return count;
}

static void write_meta(struct writer *writer, uint64_t edges)
{
    np_json_text(
        &writer->out,
        "{\"snapshot\":{\"meta\":{\"node_fields\":[\"type\",\"name\",\"id\",\"self_size\","
        "\"edge_count\",\"trace_node_id\"],\"node_types\":[[\"hidden\",\"array\",\"string\","
        "\"object\",\"code\",\"closure\",\"regexp\",\"number\",\"native\",\"synthetic\","
        "\"concatenated string\",\"sliced string\",\"symbol\",\"bigint\"],\"string\",\"number\","
        "\"number\",\"number\",\"number\"],\"edge_fields\":[\"type\",\"name_or_index\",\"to_node\"]"
        ",\"edge_types\":[[\"context\",\"element\",\"property\",\"internal\",\"hidden\","
        "\"shortcut\",\"weak\"],\"string_or_number\",\"node\"],\"trace_function_info_fields\":["
        "\"function_id\",\"name\",\"script_name\",\"script_id\",\"line\",\"column\"],"
        "\"trace_node_fields\":[\"id\",\"function_info_index\",\"count\",\"size\",\"children\"],"
        "\"sample_fields\":[\"timestamp_us\",\"last_assigned_id\"],\"location_fields\":["
        "\"object_index\",\"script_id\",\"line\",\"column\"]},\"node_count\":");
    np_json_number(&writer->out, objects_at(writer) + writer->graph->node_count);
    np_json_text(&writer->out, ",\"edge_count\":");
    np_json_number(&writer->out, edges);
    np_json_text(&writer->out, ",\"trace_function_count\":");
    np_json_number(&writer->out, writer->trace_count == 0 ? 0 : writer->trace_count + 1);
    np_json_text(&writer->out, "},\n");
}

static uint64_t root_edges(const struct writer *writer, unsigned node)
{
    switch (node) {
    case ROOT:
        return 1 + writer->of_root[EXTERNAL] + writer->of_root[IMMORTAL] +
               writer->of_root[DEFERRED];
    case GC_ROOTS:
        return FIXED - EXTERNAL;
    case THREADS:
        return writer->thread_nodes;
    default:
        return writer->of_root[node];
    }
}

static uint64_t count_edges(const struct writer *writer)
{
    uint64_t edges = 0;
    for (unsigned i = 0; i < FIXED; i++)
        edges += root_edges(writer, i);
    for (uint32_t id = 1; id <= writer->thread_high; id++)
        edges += writer->threads[id];
    for (size_t i = 0; i < writer->graph->node_count; i++)
        edges += edges_of(writer->graph, i);
    return edges;
}

/* Ids of ours are even, objects' are odd. */
static void write_nodes(struct writer *writer)
{
    bool first = true;
    np_json_text(&writer->out, "\"nodes\":[");
    for (unsigned i = 0; i < FIXED; i++)
        numbers(writer, &first,
                (uint64_t[]){TYPE_SYNTHETIC, intern(&writer->strings, fixed_names[i]), 2 * i + 2, 0,
                             root_edges(writer, i), 0},
                FIELDS);
    for (uint32_t id = 1; id <= writer->thread_high; id++) {
        if (writer->threads[id] == 0)
            continue;
        char name[NP_THREAD_NAME_BYTES], text[NP_THREAD_NAME_BYTES + 32];
        np_thread_name(np_thread_at((uint16_t)id), name);
        snprintf(text, sizeof text, "(thread %u %s)", id, name);
        numbers(writer, &first,
                (uint64_t[]){TYPE_SYNTHETIC, intern(&writer->strings, text),
                             2 * (FIXED + (uint64_t)id) + 2, 0, writer->threads[id], 0},
                FIELDS);
    }
    for (size_t i = 0; i < writer->graph->node_count; i++) {
        const struct np_node *node = &writer->graph->nodes[i];
        char name[128];
        snprintf(name, sizeof name, "%s%s", np_type_at(node->type_index)->name,
                 node->length != 0 ? "[]" : "");
        uint32_t trace = node->trace <= writer->trace_count ? node->trace : 0;
        numbers(writer, &first,
                (uint64_t[]){TYPE_OBJECT, intern(&writer->strings, name),
                             2 * (uint64_t)node->id + 1,
                             node->bytes < UINT32_MAX ? node->bytes : UINT32_MAX,
                             edges_of(writer->graph, i), trace == 0 ? 0 : trace + 1},
                FIELDS);
    }
    np_json_text(&writer->out, "],\n");
}

static void edge(struct writer *writer, bool *first, unsigned type, uint64_t name, uint64_t node)
{
    numbers(writer, first, (uint64_t[]){type, name, node * FIELDS}, 3);
}

/* To every object of the class, or of all classes (0). */
static void write_root_edges(struct writer *writer, bool *first, unsigned root, uint64_t index)
{
    for (size_t i = 0; i < writer->graph->node_count; i++) {
        unsigned of = root_of(&writer->graph->nodes[i]);
        if (of != 0 && (root == 0 || of == root))
            edge(writer, first, EDGE_ELEMENT, index++, objects_at(writer) + i);
    }
}

static void write_thread_edges(struct writer *writer, bool *first)
{
    /* by thread, without a pass per thread: chains through the nodes */
    size_t count = writer->graph->node_count;
    uint32_t *next = np_fault_calloc(count + 1, sizeof *next);
    uint32_t *head = np_fault_calloc(writer->thread_high + 1u, sizeof *head);
    if (next == NULL || head == NULL)
        writer->strings.failed = true;
    for (size_t i = count; next != NULL && head != NULL && i-- > 0;) {
        const struct np_node *node = &writer->graph->nodes[i];
        if (root_of(node) == EXTERNAL && node->owner != 0 && node->owner <= writer->thread_high) {
            next[i] = head[node->owner];
            head[node->owner] = (uint32_t)i + 1;
        }
    }
    for (uint32_t id = 1; next != NULL && head != NULL && id <= writer->thread_high; id++) {
        uint64_t index = 1;
        for (uint32_t i = head[id]; i != 0; i = next[i - 1])
            edge(writer, first, EDGE_ELEMENT, index++, objects_at(writer) + i - 1);
    }
    free(next);
    free(head);
}

static void write_edges(struct writer *writer)
{
    bool first = true;
    np_json_text(&writer->out, "\"edges\":[");
    edge(writer, &first, EDGE_ELEMENT, 1, GC_ROOTS);
    write_root_edges(writer, &first, 0, 2);
    for (unsigned i = EXTERNAL; i < FIXED; i++)
        edge(writer, &first, EDGE_ELEMENT, i, i);
    for (unsigned i = EXTERNAL; i < THREADS; i++)
        write_root_edges(writer, &first, i, 1);
    for (uint32_t id = 1; id <= writer->thread_high; id++)
        if (writer->threads[id] > 0)
            edge(writer, &first, EDGE_ELEMENT, id, writer->thread_node[id]);
    write_thread_edges(writer, &first);
    for (size_t i = 0; i < writer->graph->node_count; i++) {
        const struct np_node *node = &writer->graph->nodes[i];
        for (uint64_t e = node->first_edge; e < node[1].first_edge; e++) {
            const struct np_edge *from = &writer->graph->edges[e];
            if (from->node == UINT64_MAX)
                continue;
            const struct slot_name *name = slot_name(writer, node, from->slot);
            edge(writer, &first, name->name != 0 ? EDGE_PROPERTY : EDGE_ELEMENT,
                 name->name != 0 ? name->name : name->index, objects_at(writer) + from->node);
        }
    }
    np_json_text(&writer->out, "],\n");
}

static void describe(const struct neap_site *site, const char **ret_function, const char **ret_file,
                     unsigned *ret_line)
{
    bool known = site != NULL && np_site_code(site) == NULL;
    *ret_function = known ? site->function : "(no site)";
    *ret_file = known ? site->file : "";
    *ret_line = known ? site->line : 1;
}

/* The tree of allocation stacks: a root, below it one node per trace. */
static void write_traces(struct writer *writer)
{
    bool first = true;
    np_json_text(&writer->out, "\"trace_function_infos\":[");
    for (uint32_t i = 0; writer->trace_count > 0 && i <= writer->trace_count; i++) {
        const char *function = "(root)", *file = "";
        unsigned line = 1;
        if (i > 0)
            describe(np_trace_at(i)->site, &function, &file, &line);
        /* lines count from 0 here */
        numbers(writer, &first,
                (uint64_t[]){i, intern(&writer->strings, function), intern(&writer->strings, file),
                             0, line - 1, 0},
                6);
    }
    np_json_text(&writer->out, "],\n\"trace_tree\":[");
    for (uint32_t i = 1; i <= writer->trace_count; i++) {
        np_json_text(&writer->out, i == 1 ? "1,0,0,0,[" : ",");
        np_json_number(&writer->out, i + 1);
        np_json_char(&writer->out, ',');
        np_json_number(&writer->out, i);
        np_json_char(&writer->out, ',');
        np_json_number(&writer->out, writer->sites[i]);
        np_json_text(&writer->out, ",0,[]");
    }
    np_json_text(&writer->out, writer->trace_count > 0 ? "]],\n" : "],\n");
    np_json_text(&writer->out, "\"samples\":[],\n\"locations\":[],\n");
}

static void write_strings(struct writer *writer)
{
    np_json_text(&writer->out, "\"strings\":[");
    for (size_t i = 0; i < writer->strings.count; i++) {
        if (i > 0)
            np_json_text(&writer->out, ",\n");
        np_json_string(&writer->out, writer->strings.texts[i]);
    }
    np_json_text(&writer->out, "]}\n");
}

int np_heap_snapshot_to(FILE *file)
{
    struct writer writer = {.graph = np_graph_take("neap_heap_snapshot_write")};
    int status = NEAP_ENOMEM;
    if (writer.graph != NULL) {
        np_blocking_enter(np_tls.thread); /* writing is slow */
        np_tracer_lock();                 /* traces stay until they are written */
        np_json_begin(&writer.out, file);
        if (prepare(&writer)) {
            write_meta(&writer, count_edges(&writer));
            write_nodes(&writer);
            write_edges(&writer);
            write_traces(&writer);
            write_strings(&writer);
            status = np_json_end(&writer.out);
        }
        np_tracer_unlock();
        np_blocking_leave(np_tls.thread);
        if (writer.strings.failed)
            status = NEAP_ENOMEM;
    }
    free_strings(&writer.strings);
    free(writer.threads);
    free(writer.thread_node);
    free(writer.sites);
    free(writer.slot_names);
    np_graph_free((struct np_graph *)(uintptr_t)writer.graph);
    return status;
}

int neap_heap_snapshot_write(const char *path)
{
    np_usage_check("neap_heap_snapshot_write");
    return np_write_file(path, np_heap_snapshot_to);
}
