/* SPDX-License-Identifier: MIT
 *
 * The leak report: living objects grouped by type and, where tracing knows it, place; largest sum
 * of bytes first. An object with more references than slots refer to it is held from outside:
 * somebody has not released it. What is reachable from there is held by it, and the report shows
 * the shortest way. What is reachable from nowhere is a cycle that the collector could not free.
 *
 * It is made on the program's own heap (malloc), since it outlives the runtime. */
#include "observe/leaks.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "alloc/trace.h"
#include "base/fault.h"
#include "collector/saved.h"
#include "neap/gc.h"
#include "neap/list.h"
#include "neap/object.h"
#include "observe/graph.h"
#include "observe/json.h"
#include "observe/trace_table.h"
#include "runtime/deferred.h"
#include "runtime/header.h"
#include "runtime/walk.h"

enum { PATH_BYTES = 512, PATH_STEPS = 8 };

struct group {
    const char *type_name;        /* static or as long-lived as the process */
    const struct neap_site *site; /* NULL: not known */
    size_t objects, bytes, references;
    size_t extra;     /* references that no slot explains */
    size_t in_cycles; /* objects reachable from none that has such a reference */
    char path[PATH_BYTES];
};

struct neap_leaks {
    size_t objects, bytes;
    size_t group_count;
    struct group groups[];
};

/* ---- counting ---- */

static bool is_exempt(const struct neap_header *header, void *arg)
{
    (void)arg;
    return header->owner == NEAP_OWNER_IMMORTAL ||
           (np_type_at(header->type)->flags & NP_TYPE_INTERNAL) != 0 ||
           (header->owner == NEAP_OWNER_DEFERRED && np_deferred_is_immortal(header));
}

static bool count_object(struct neap_header *header, void *arg)
{
    *(size_t *)arg += !is_exempt(header, NULL);
    return true;
}

/* ---- the shortest way from outside ---- */

enum { NOWHERE = UINT32_MAX };

struct search {
    const struct np_graph *graph;
    size_t garbage;  /* the node of the collector's list of what it could not free, or node_count */
    uint32_t *from;  /* by node: the node before it, itself when held from outside, or NOWHERE */
    uint64_t *edge;  /* by node: the edge it was reached by */
    uint32_t *queue; /* breadth first */
    uint32_t *incoming; /* by node: edges to it */
};

static void run_search(struct search *search)
{
    const struct np_graph *graph = search->graph;
    size_t tail = 0;
    for (size_t i = 0; i < graph->node_count; i++) {
        bool held = i != search->garbage &&
                    (graph->nodes[i].external > 0 || graph->nodes[i].kind != NP_NODE_COUNTED);
        search->from[i] = held ? (uint32_t)i : NOWHERE;
        if (held)
            search->queue[tail++] = (uint32_t)i;
    }
    for (size_t i = 0; i < graph->node_count; i++)
        for (uint64_t e = graph->nodes[i].first_edge; e < graph->nodes[i + 1].first_edge; e++)
            if (i != search->garbage && graph->edges[e].node != UINT64_MAX)
                search->incoming[graph->edges[e].node]++;
    for (size_t head = 0; head < tail; head++) {
        const struct np_node *node = &graph->nodes[search->queue[head]];
        for (uint64_t e = node->first_edge; e < node[1].first_edge; e++) {
            uint64_t to = graph->edges[e].node;
            if (to == UINT64_MAX || search->from[to] != NOWHERE)
                continue;
            search->from[to] = search->queue[head];
            search->edge[to] = e;
            search->queue[tail++] = (uint32_t)to;
        }
    }
}

/* "outside -> session.next -> node.name -> string", at most PATH_STEPS steps of it. */
static void describe_path(const struct search *search, uint32_t node, char path[PATH_BYTES])
{
    uint32_t steps[PATH_STEPS];
    size_t count = 0, length;
    const struct np_graph *graph = search->graph;
    bool cut = false;
    uint32_t at = node;
    while (search->from[at] != at && search->from[at] != NOWHERE) {
        if (count == PATH_STEPS) {
            cut = true;
            break;
        }
        steps[count++] = at;
        at = search->from[at];
    }
    length = (size_t)snprintf(path, PATH_BYTES, cut ? "outside -> ... -> " : "outside -> ");
    while (count-- > 0 && length < PATH_BYTES) {
        const struct np_node *source = &graph->nodes[search->from[steps[count]]];
        const struct neap_type *type = np_type_at(source->type_index);
        char slot[64];
        uint64_t index;
        np_graph_slot_name(type, source->length != 0, graph->edges[search->edge[steps[count]]].slot,
                           slot, &index);
        if (slot[0] == '\0')
            snprintf(slot, sizeof slot, "[%" PRIu64 "]", index);
        length += (size_t)snprintf(path + length, PATH_BYTES - length, "%s%s%s -> ", type->name,
                                   slot[0] == '[' ? "" : ".", slot);
    }
    if (length < PATH_BYTES)
        snprintf(path + length, PATH_BYTES - length, "%s",
                 np_type_at(graph->nodes[node].type_index)->name);
}

/* ---- grouping ---- */

struct member {
    uint32_t node;
    uint32_t type_index;
    const struct neap_site *site;
};

/* Two allocations in one line are one place. */
static int compare_sites(const struct neap_site *a, const struct neap_site *b)
{
    if (a == b || a == NULL || b == NULL)
        return (a != NULL) - (b != NULL);
    int files = strcmp(a->file, b->file);
    return files != 0 ? files : (a->line > b->line) - (a->line < b->line);
}

static int by_group(const void *a, const void *b)
{
    const struct member *left = a, *right = b;
    if (left->type_index != right->type_index)
        return left->type_index < right->type_index ? -1 : 1;
    int sites = compare_sites(left->site, right->site);
    if (sites != 0)
        return sites;
    return left->node < right->node ? -1 : left->node > right->node;
}

static int by_bytes(const void *a, const void *b)
{
    size_t left = ((const struct group *)a)->bytes, right = ((const struct group *)b)->bytes;
    return left < right ? 1 : left > right ? -1 : 0;
}

static const struct neap_site *site_of(const struct np_node *node)
{
    const struct neap_site *site = node->trace != 0 ? np_trace_at(node->trace)->site : NULL;
    return site != NULL && np_site_code(site) == NULL ? site : NULL;
}

/* How far outside is; a group's path is that of its nearest member. */
static size_t distance_of(const struct search *search, uint32_t node)
{
    size_t steps = 0;
    for (; search->from[node] != node && steps < PATH_STEPS; steps++)
        node = search->from[node];
    return steps;
}

static void add_member(struct group *group, const struct search *search,
                       const struct member *member, size_t *nearest)
{
    const struct np_node *node = &search->graph->nodes[member->node];
    group->objects++;
    group->bytes += node->bytes;
    group->references += (size_t)node->external + search->incoming[member->node];
    group->extra += node->external;
    if (search->from[member->node] == NOWHERE) {
        group->in_cycles++;
        return;
    }
    size_t distance = distance_of(search, member->node);
    if (distance < *nearest) {
        *nearest = distance;
        describe_path(search, member->node, group->path);
    }
}

static size_t gather_members(const struct np_graph *graph, struct member *members)
{
    size_t count = 0;
    for (size_t i = 0; i < graph->node_count; i++) {
        const struct np_node *node = &graph->nodes[i];
        if (!is_exempt(node->header, NULL)) /* it is still there: nobody else runs */
            members[count++] = (struct member){(uint32_t)i, node->type_index, site_of(node)};
    }
    qsort(members, count, sizeof *members, by_group);
    return count;
}

static bool same_group(const struct member *a, const struct member *b)
{
    return a->type_index == b->type_index && compare_sites(a->site, b->site) == 0;
}

static struct neap_leaks *make_report(const struct search *search, struct member *members)
{
    size_t count = gather_members(search->graph, members), groups = 0, nearest = SIZE_MAX;
    for (size_t i = 0; i < count; i++)
        groups += i == 0 || !same_group(&members[i], &members[i - 1]);
    struct neap_leaks *leaks = np_fault_calloc(1, sizeof *leaks + groups * sizeof leaks->groups[0]);
    if (leaks == NULL || count == 0) {
        free(leaks);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || !same_group(&members[i], &members[i - 1])) {
            nearest = SIZE_MAX;
            leaks->groups[leaks->group_count++] = (struct group){
                .type_name = np_type_at(members[i].type_index)->name, .site = members[i].site};
        }
        add_member(&leaks->groups[leaks->group_count - 1], search, &members[i], &nearest);
        leaks->objects++;
        leaks->bytes += search->graph->nodes[members[i].node].bytes;
    }
    qsort(leaks->groups, leaks->group_count, sizeof leaks->groups[0], by_bytes);
    return leaks;
}

static size_t node_of(const struct np_graph *graph, const void *object)
{
    size_t node = 0;
    while (node < graph->node_count &&
           (object == NULL || graph->nodes[node].header != neap_header_of(object)))
        node++;
    return node;
}

static struct neap_leaks *report(void)
{
    struct neap_list *list = neap_gc_garbage();
    struct np_graph *graph = np_graph_take_alone();
    if (graph == NULL) {
        neap_release(list);
        np_saved_drop();
        return NULL;
    }
    size_t n = graph->node_count + 1;
    struct search search = {.graph = graph,
                            .from = np_fault_malloc(n * sizeof *search.from),
                            .edge = np_fault_malloc(n * sizeof *search.edge),
                            .queue = np_fault_malloc(n * sizeof *search.queue),
                            .incoming = np_fault_calloc(n, sizeof *search.incoming)};
    struct member *members = np_fault_malloc(n * sizeof *members);
    struct neap_leaks *leaks = NULL;
    if (search.from != NULL && search.edge != NULL && search.queue != NULL &&
        search.incoming != NULL && members != NULL) {
        search.garbage = node_of(graph, list);
        run_search(&search);
        leaks = make_report(&search, members);
    }
    free(search.from);
    free(search.edge);
    free(search.queue);
    free(search.incoming);
    free(members);
    np_graph_free(graph);
    neap_release(list);
    np_saved_drop(); /* a next runtime has a list of its own */
    return leaks;
}

size_t np_leaks_count(struct neap_leaks **ret_leaks)
{
    size_t objects = 0;
    np_walk_objects(count_object, &objects);
    if (ret_leaks != NULL)
        *ret_leaks = objects > 0 ? report() : NULL;
    return objects;
}

/* ---- telling ---- */

void neap_leaks_print(const struct neap_leaks *leaks, FILE *out)
{
    if (leaks == NULL) {
        fprintf(out, "neap: nothing leaked\n");
        return;
    }
    fprintf(out, "neap: %zu objects still alive, %zu bytes\n", leaks->objects, leaks->bytes);
    for (size_t i = 0; i < leaks->group_count; i++) {
        const struct group *group = &leaks->groups[i];
        fprintf(out, "  %10zu objects %12zu bytes %10zu references  %s", group->objects,
                group->bytes, group->references, group->type_name);
        if (group->site != NULL)
            fprintf(out, ", made at %s:%u (%s)", group->site->file, group->site->line,
                    group->site->function);
        fputc('\n', out);
        if (group->extra > 0)
            fprintf(out, "             %zu references from outside were not released\n",
                    group->extra);
        if (group->in_cycles > 0)
            fprintf(out, "             %zu objects are in cycles that could not be freed\n",
                    group->in_cycles);
        if (group->path[0] != '\0')
            fprintf(out, "             held by: %s\n", group->path);
    }
}

int neap_leaks_write_json(const struct neap_leaks *leaks, FILE *out)
{
    struct np_json json;
    np_json_begin(&json, out);
    np_json_text(&json, "{\"objects\":");
    np_json_number(&json, leaks != NULL ? leaks->objects : 0);
    np_json_text(&json, ",\"bytes\":");
    np_json_number(&json, leaks != NULL ? leaks->bytes : 0);
    np_json_text(&json, ",\"types\":[");
    for (size_t i = 0; leaks != NULL && i < leaks->group_count; i++) {
        const struct group *group = &leaks->groups[i];
        static const char *const keys[] = {",\"objects\":", ",\"bytes\":", ",\"references\":",
                                           ",\"extra_references\":", ",\"in_cycles\":"};
        const size_t values[] = {group->objects, group->bytes, group->references, group->extra,
                                 group->in_cycles};
        np_json_text(&json, i > 0 ? ",{\"type\":" : "{\"type\":");
        np_json_string(&json, group->type_name);
        for (size_t k = 0; k < sizeof values / sizeof values[0]; k++) {
            np_json_text(&json, keys[k]);
            np_json_number(&json, values[k]);
        }
        if (group->site != NULL) {
            np_json_text(&json, ",\"file\":");
            np_json_string(&json, group->site->file);
            np_json_text(&json, ",\"line\":");
            np_json_number(&json, group->site->line);
            np_json_text(&json, ",\"function\":");
            np_json_string(&json, group->site->function);
        }
        if (group->path[0] != '\0') {
            np_json_text(&json, ",\"path\":");
            np_json_string(&json, group->path);
        }
        np_json_char(&json, '}');
    }
    np_json_text(&json, "]}\n");
    return np_json_end(&json);
}

void neap_leaks_free(struct neap_leaks *leaks)
{
    free(leaks);
}
