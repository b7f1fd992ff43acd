/* SPDX-License-Identifier: MIT
 *
 * The leak report: living objects grouped by type, largest sum of bytes first. It is made on the
 * program's own heap (malloc), since it outlives the runtime. */
#include "runtime/leaks.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/fault.h"
#include "runtime/deferred.h"
#include "runtime/walk.h"

struct group {
    const char *type_name; /* static or as long-lived as the process */
    size_t objects, bytes, references;
};

struct neap_leaks {
    size_t objects, bytes;
    size_t group_count;
    struct group groups[];
};

struct tally {
    size_t objects, bytes;
    struct group *by_type; /* indexed by type; NULL: count only */
};

static bool count_object(struct neap_header *header, void *arg)
{
    struct tally *tally = arg;
    const struct neap_type *type = np_type_at(header->type);
    bool exempt;
    size_t references = np_object_count(header, &exempt);
    if (header->owner == NEAP_OWNER_IMMORTAL ||
        (header->owner == NEAP_OWNER_DEFERRED && np_deferred_is_immortal(header)))
        return true;
    size_t bytes = np_object_block_bytes(header);
    tally->objects++;
    tally->bytes += bytes;
    if (tally->by_type != NULL) {
        struct group *group = &tally->by_type[header->type];
        group->type_name = type->name;
        group->objects++;
        group->bytes += bytes;
        group->references += references;
    }
    return true;
}

static int by_bytes(const void *a, const void *b)
{
    size_t left = ((const struct group *)a)->bytes, right = ((const struct group *)b)->bytes;
    return left < right ? 1 : left > right ? -1 : 0;
}

size_t np_leaks_count(struct neap_leaks **ret_leaks)
{
    struct tally tally = {0};
    size_t types = (size_t)np_type_count() + 1, used = 0;
    if (ret_leaks != NULL) {
        *ret_leaks = NULL;
        tally.by_type = np_fault_calloc(types, sizeof *tally.by_type);
    }
    np_walk_objects(count_object, &tally);
    for (size_t i = 0; tally.by_type != NULL && i < types; i++)
        if (tally.by_type[i].objects > 0)
            tally.by_type[used++] = tally.by_type[i];
    if (used > 0 && ret_leaks != NULL) {
        struct neap_leaks *leaks =
            np_fault_calloc(1, sizeof *leaks + used * sizeof leaks->groups[0]);
        if (leaks != NULL) {
            leaks->objects = tally.objects;
            leaks->bytes = tally.bytes;
            leaks->group_count = used;
            for (size_t i = 0; i < used; i++)
                leaks->groups[i] = tally.by_type[i];
            qsort(leaks->groups, used, sizeof leaks->groups[0], by_bytes);
            *ret_leaks = leaks;
        }
    }
    free(tally.by_type);
    return tally.objects;
}

void neap_leaks_print(const struct neap_leaks *leaks, FILE *out)
{
    if (leaks == NULL) {
        fprintf(out, "neap: nothing leaked\n");
        return;
    }
    fprintf(out, "neap: %zu objects still alive, %zu bytes\n", leaks->objects, leaks->bytes);
    for (size_t i = 0; i < leaks->group_count; i++)
        fprintf(out, "  %10zu objects %12zu bytes %10zu references  %s\n", leaks->groups[i].objects,
                leaks->groups[i].bytes, leaks->groups[i].references, leaks->groups[i].type_name);
}

int neap_leaks_write_json(const struct neap_leaks *leaks, FILE *out)
{
    size_t groups = leaks != NULL ? leaks->group_count : 0;
    fprintf(out, "{\"objects\":%zu,\"bytes\":%zu,\"types\":[", leaks != NULL ? leaks->objects : 0,
            leaks != NULL ? leaks->bytes : 0);
    /* type names are C identifiers, or what the program gave to neap_type_create: quote them */
    for (size_t i = 0; i < groups; i++) {
        fprintf(out, "%s{\"type\":\"", i > 0 ? "," : "");
        for (const char *c = leaks->groups[i].type_name; *c != '\0'; c++)
            if (*c == '"' || *c == '\\')
                fprintf(out, "\\%c", *c);
            else if ((unsigned char)*c < 0x20)
                fprintf(out, "\\u%04x", (unsigned)(unsigned char)*c);
            else
                fputc(*c, out);
        fprintf(out, "\",\"objects\":%zu,\"bytes\":%zu,\"references\":%zu}",
                leaks->groups[i].objects, leaks->groups[i].bytes, leaks->groups[i].references);
    }
    fprintf(out, "]}\n");
    return fflush(out) == 0 && !ferror(out) ? NEAP_OK : NEAP_EIO;
}

void neap_leaks_free(struct neap_leaks *leaks)
{
    free(leaks);
}
