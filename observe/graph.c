/* SPDX-License-Identifier: MIT
 *
 * Ids: an object gets one in the first graph that shows it, kept in a table beside the region and
 * believed while the header's bit says so; a block's next object has not got the bit. Large
 * objects' ids are kept by address in a sorted list, renewed with each graph. */
#include "observe/graph.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc/large.h"
#include "alloc/meta.h"
#include "alloc/pool.h"
#include "base/check.h"
#include "base/fault.h"
#include "base/os.h"
#include "collector/collect.h"
#include "observe/tracer.h"
#include "runtime/batch.h"
#include "runtime/deferred.h"
#include "runtime/usage.h"
#include "runtime/visit.h"
#include "runtime/walk.h"
#include "threads/blocking.h"
#include "threads/handshake.h"
#include "threads/stop.h"

struct large_id {
    const struct neap_header *header;
    uint32_t id;
};

/* (L) of `lock`, held from before the stop until the graph is resolved */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t *ids; /* (c) once reserved: per 16 bytes of the region */
static uint32_t last_id;
static struct large_id *large_ids; /* sorted by address */
static size_t large_id_count;

static size_t whole_pages(size_t bytes)
{
    size_t page = np_os_page_bytes();
    return (bytes + page - 1) & ~(page - 1);
}

static size_t granules(void)
{
    return np_region.bytes / NP_CLASS_STEP;
}

static size_t granule_of(const void *block)
{
    return ((uintptr_t)block - np_region.base) / NP_CLASS_STEP;
}

/* ---- copying, in the stopped world ---- */

struct copying {
    struct neap_visitor visitor; /* first: visits hand it back */
    struct np_graph *graph;
    uint64_t slot;
    bool full;
};

static void copy_slot(struct neap_visitor *visitor, void **slot)
{
    struct copying *copying = (struct copying *)(void *)visitor;
    struct np_graph *graph = copying->graph;
    const void *child = np_load_relaxed(slot); /* relaxed: the world is stopped */
    uint64_t index = copying->slot++;
    if (child == NULL)
        return;
    if (graph->edge_count == graph->edge_room) {
        copying->full = true;
        return;
    }
    struct np_edge *edge = &graph->edges[graph->edge_count++];
    edge->target = child;
    edge->slot = index;
}

static uint32_t large_id_of(const struct neap_header *header)
{
    size_t low = 0, high = large_id_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (large_ids[middle].header == header)
            return large_ids[middle].id;
        if (large_ids[middle].header < header)
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
}

static uint32_t id_of(struct neap_header *header)
{
    bool known = (header->flags & NP_FLAG_NUMBERED) != 0;
    header->flags |= NP_FLAG_NUMBERED; /* plain: its writers are stopped */
    if (header->flags & NP_FLAG_LARGE) {
        uint32_t id = known ? large_id_of(header) : 0;
        return id != 0 ? id : ++last_id;
    }
    uint32_t *id = &ids[granule_of(header)];
    if (!known || *id == 0)
        *id = ++last_id;
    return *id;
}

static bool copy_object(struct neap_header *header, void *arg)
{
    struct copying *copying = arg;
    struct np_graph *graph = copying->graph;
    if (np_load_relaxed(&header->owner) >= NEAP_OWNER_RESERVED) /* relaxed: stopped; it is dying */
        return true;
    if (graph->node_count == graph->node_room) {
        copying->full = true;
        return false;
    }
    const struct neap_type *type = np_type_at(header->type);
    bool exempt;
    size_t count = np_object_count(header, &exempt);
    bool immortal = header->owner == NEAP_OWNER_IMMORTAL ||
                    (header->owner == NEAP_OWNER_DEFERRED && np_deferred_is_immortal(header));
    graph->nodes[graph->node_count++] = (struct np_node){
        .header = header,
        .bytes = np_object_block_bytes(header),
        .first_edge = graph->edge_count,
        .length = header->flags & NP_FLAG_ARRAY ? np_object_length(header) : 0,
        .type_index = header->type,
        .trace = header->flags & NP_FLAG_TRACED ? np_tracer_trace_of(header) : 0,
        .id = id_of(header),
        .external = exempt               ? 0
                    : count > UINT32_MAX ? UINT32_MAX
                                         : (uint32_t)count,
        .owner = header->owner <= NEAP_OWNER_LAST ? header->owner : 0,
        .kind = immortal ? NP_NODE_IMMORTAL
                : exempt ? NP_NODE_DEFERRED
                         : NP_NODE_COUNTED,
    };
    if (!(header->flags & NP_FLAG_LARGE)) {
        graph->side[granule_of(header)] = (uint32_t)graph->node_count;
        graph->small_count = graph->node_count;
    }
    copying->slot = 0;
    if (type->traits & NP_TRAIT_SLOTS)
        np_visit_object(header, type, &copying->visitor, copy_slot);
    return !copying->full;
}

/* ---- resolving ---- */

static int by_header(const void *a, const void *b)
{
    const struct np_node *const *left = a, *const *right = b;
    return (*left)->header < (*right)->header ? -1 : (*left)->header > (*right)->header;
}

static uint64_t find_large(struct np_node **sorted, size_t count, const struct np_graph *graph,
                           const struct neap_header *header)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sorted[middle]->header == header)
            return (uint64_t)(sorted[middle] - graph->nodes);
        if (sorted[middle]->header < header)
            low = middle + 1;
        else
            high = middle;
    }
    return UINT64_MAX;
}

static void resolve(struct np_graph *graph, struct np_node **sorted)
{
    size_t large = graph->node_count - graph->small_count;
    for (size_t i = 0; i < large; i++)
        sorted[i] = &graph->nodes[graph->small_count + i];
    qsort(sorted, large, sizeof *sorted, by_header);
    for (size_t i = 0; i < graph->edge_count; i++) {
        const struct neap_header *header = neap_header_of(graph->edges[i].target);
        uint64_t node = UINT64_MAX;
        if (!np_region_has(header))
            node = find_large(sorted, large, graph, header);
        else if (graph->side[granule_of(header)] != 0)
            node = graph->side[granule_of(header)] - 1;
        graph->edges[i].node = node;
        if (node != UINT64_MAX && graph->nodes[node].external > 0)
            graph->nodes[node].external--;
    }
}

/* Without memory for them the next graph numbers large objects anew. */
static void remember_large_ids(const struct np_graph *graph, struct np_node **sorted)
{
    size_t count = graph->node_count - graph->small_count;
    struct large_id *renewed = np_fault_malloc((count + 1) * sizeof *renewed);
    for (size_t i = 0; renewed != NULL && i < count; i++)
        renewed[i] = (struct large_id){sorted[i]->header, sorted[i]->id};
    free(large_ids);
    large_ids = renewed;
    large_id_count = renewed != NULL ? count : 0;
}

/* ---- memory ---- */

/* As many as there can be: every 16 bytes a node, every 8 an edge; less where the system refuses.
 */
static void *reserve_most(size_t most, size_t each, size_t *ret_room, size_t *ret_bytes)
{
    void *memory = NULL;
    for (; memory == NULL && most > 1024; most /= 2) {
        *ret_room = most;
        *ret_bytes = whole_pages((most + 1) * each);
        memory = np_os_reserve(*ret_bytes, 1);
    }
    return memory;
}

void np_graph_free(struct np_graph *graph)
{
    if (graph == NULL)
        return;
    if (graph->nodes != NULL)
        np_os_unreserve(graph->nodes, graph->nodes_bytes);
    if (graph->edges != NULL)
        np_os_unreserve(graph->edges, graph->edges_bytes);
    if (graph->side != NULL)
        np_os_unreserve(graph->side, graph->side_bytes);
    free(graph);
}

static struct np_graph *make(void)
{
    struct np_graph *graph = np_fault_calloc(1, sizeof *graph);
    if (graph == NULL)
        return NULL;
    size_t heap = np_committed() + ((size_t)64 << 20); /* it may grow until the world is stopped */
    graph->nodes = reserve_most(heap / NP_OBJECT_MIN, sizeof(struct np_node), &graph->node_room,
                                &graph->nodes_bytes);
    graph->edges = reserve_most(heap / sizeof(void *), sizeof(struct np_edge), &graph->edge_room,
                                &graph->edges_bytes);
    graph->side_bytes = whole_pages(granules() * sizeof(uint32_t));
    graph->side = np_os_reserve(graph->side_bytes, 1);
    if (ids == NULL)
        ids = np_os_reserve(graph->side_bytes, 1);
    if (graph->nodes != NULL && graph->edges != NULL && graph->side != NULL && ids != NULL)
        return graph;
    np_graph_free(graph);
    return NULL;
}

/* ---- the whole ---- */

static struct np_graph *finish(struct np_graph *graph, bool full)
{
    size_t large = graph->node_count - graph->small_count;
    struct np_node **sorted = np_fault_malloc((large + 1) * sizeof *sorted);
    if (full || sorted == NULL) {
        free(sorted);
        np_graph_free(graph);
        return NULL;
    }
    graph->nodes[graph->node_count].first_edge = graph->edge_count;
    resolve(graph, sorted);
    remember_large_ids(graph, sorted);
    free(sorted);
    return graph;
}

struct np_graph *np_graph_take_alone(void)
{
    pthread_mutex_lock(&lock);
    struct np_graph *graph = make();
    if (graph != NULL) {
        struct copying copying = {.visitor = {copy_slot}, .graph = graph};
        np_walk_objects(copy_object, &copying);
        graph = finish(graph, copying.full);
    }
    pthread_mutex_unlock(&lock);
    return graph;
}

struct np_graph *np_graph_take(const char *call)
{
    np_usage_check(call);
    np_collect_lock(call);
    np_lock_parked(&lock);
    struct np_graph *graph = make();
    bool full = false;
    if (graph != NULL) {
        /* what is on its way to owners would read as held from outside */
        for (int round = 0; round < 2; round++) {
            np_batch_settle(np_tls.thread, NULL);
            np_handshake(np_batch_settle, NULL);
        }
        struct copying copying = {.visitor = {copy_slot}, .graph = graph};
        np_world_stop(NP_STOP_WALK);
        np_walk_objects(copy_object, &copying);
        np_world_start();
        graph->stopped_ns = np_world_last_stop().stopped_ns;
        full = copying.full;
    }
    np_collect_unlock();
    np_blocking_enter(np_tls.thread); /* long work without polls */
    if (graph != NULL)
        graph = finish(graph, full);
    pthread_mutex_unlock(&lock);
    np_blocking_leave(np_tls.thread);
    return graph;
}

/* ---- names ---- */

/* The n-th member of "(next, prev, NEAP_ATOMIC(current))"; false: there are fewer. */
static bool member_name(const char *text, size_t n, char ret_name[64])
{
    int depth = 0;
    size_t length = 0;
    for (; *text != '\0'; text++) {
        char c = *text;
        if (c == '(') {
            depth++;
            length = 0; /* what stood before it was a marker */
        } else if (c == ')') {
            if (--depth == 0)
                break;
        } else if (c == ',' && depth == 1) {
            if (n == 0)
                break;
            n--;
            length = 0;
        } else if (c != ' ' && length < 63) {
            ret_name[length++] = c;
        }
    }
    ret_name[length] = '\0';
    return n == 0 && length > 0;
}

static uint64_t width_of(const struct neap_type *type)
{
    uint64_t width = 0;
    for (uint32_t i = 0; i < type->slot_count; i++)
        width += type->slots[i].count;
    return width;
}

void np_graph_slot_name(const struct neap_type *type, bool is_array, uint64_t slot,
                        char ret_name[64], uint64_t *ret_index)
{
    char name[64];
    *ret_index = slot;
    ret_name[0] = '\0';
    uint64_t element = 0, width = width_of(type), within = slot;
    if (is_array && (type->visit != NULL || width == 0))
        return;
    if (is_array) {
        element = slot / width;
        within = slot % width;
    }
    for (uint32_t i = 0; i < type->slot_count; i++) {
        const struct neap_slot *declared = &type->slots[i];
        bool trailing = (declared->kind & NEAP_SLOT_TRAILING) != 0;
        if (!trailing && within >= declared->count) {
            within -= declared->count;
            continue;
        }
        if (type->slot_text == NULL || !member_name(type->slot_text, i, name))
            return;
        if (trailing || declared->count > 1)
            snprintf(ret_name, 64, "%.40s[%llu]", name, (unsigned long long)within);
        else if (is_array)
            snprintf(ret_name, 64, "[%llu].%.40s", (unsigned long long)element, name);
        else
            memcpy(ret_name, name, sizeof name);
        return;
    }
    *ret_index = within; /* of the visit's own */
}
