/* SPDX-License-Identifier: MIT
 *
 * One object at a time: its reported slots are sorted, which shows duplicates, and are then taken
 * out of a scan of its body. Findings are kept in a small table, one line per type and place, and
 * told when the world runs. */
#include "collector/audit.h"

#include <stdio.h>

#include "base/check.h"
#include "base/os.h"
#include "collector/side.h"
#include "collector/trace.h"
#include "runtime/visit.h"

enum { FINDINGS = 64 };

struct finding {
    uint32_t type, target_type; /* indices */
    size_t offset;              /* bytes from the start of the struct */
    bool told;
};

static struct finding findings[FINDINGS]; /* (s), then the collecting thread's */
static unsigned finding_count;

struct slots {
    struct neap_visitor visitor; /* first: visits hand it back */
    uintptr_t *places;           /* NULL: count only */
    size_t count;
};

static void note_slot(struct neap_visitor *visitor, void **slot)
{
    struct slots *slots = (struct slots *)(void *)visitor;
    if (slots->places != NULL)
        slots->places[slots->count] = (uintptr_t)slot;
    slots->count++;
}

static void visit(struct neap_header *header, struct slots *slots)
{
    slots->count = 0;
    np_visit_object(header, np_type_at(header->type), &slots->visitor, note_slot);
}

/* Heap sort: nothing is allocated in a stop. */
static void sift(uintptr_t *values, size_t start, size_t count)
{
    for (size_t child; (child = 2 * start + 1) < count; start = child) {
        if (child + 1 < count && values[child + 1] > values[child])
            child++;
        if (values[start] >= values[child])
            return;
        uintptr_t value = values[start];
        values[start] = values[child];
        values[child] = value;
    }
}

static void sort(uintptr_t *values, size_t count)
{
    for (size_t i = count / 2; i > 0; i--)
        sift(values, i - 1, count);
    for (size_t end = count; end > 1; end--) {
        uintptr_t last = values[end - 1];
        values[end - 1] = values[0];
        values[0] = last;
        sift(values, 0, end - 1);
    }
}

static void refuse_duplicates(const struct neap_header *header, const struct slots *slots)
{
    for (size_t i = 1; i < slots->count; i++)
        if (slots->places[i] == slots->places[i - 1])
            np_panic("%s at %p: its slots and visit report the slot at offset %td twice",
                     np_type_at(header->type)->name, np_object_of(header),
                     (char *)slots->places[i] - (char *)np_object_of(header));
}

/* The living small object that starts at the address, or NULL. */
static struct neap_header *object_at(uintptr_t address)
{
    struct neap_header *header = (struct neap_header *)address - 1;
    if (address % sizeof(void *) != 0 || !np_region_has(header))
        return NULL;
    const struct np_pool *pool = np_pool_of(header);
    if (pool->kind != NP_POOL_OBJECTS)
        return NULL;
    uint32_t index = np_block_index(pool, header);
    if (index >= pool->carved || np_block_at(pool, index) != header)
        return NULL;
    return header->type != 0 && header->owner < NEAP_OWNER_RESERVED ? header : NULL;
}

static void note_finding(const struct neap_header *header, const struct neap_header *target,
                         size_t offset)
{
    offset %= np_type_at(header->type)->size == 0 ? 1 : np_type_at(header->type)->size;
    for (unsigned i = 0; i < finding_count; i++)
        if (findings[i].type == header->type && findings[i].offset == offset)
            return;
    if (finding_count < FINDINGS)
        findings[finding_count++] = (struct finding){header->type, target->type, offset, false};
}

/* Places in the body that hold the address of an object with more references than are explained. */
static void scan_body(struct neap_header *header, const struct slots *slots)
{
    char *body = np_object_of(header);
    size_t words = (np_object_block_bytes(header) - sizeof *header) / sizeof(void *), next = 0;
    for (size_t i = 0; i < words; i++) {
        uintptr_t place = (uintptr_t)(body + i * sizeof(void *));
        while (next < slots->count && slots->places[next] < place)
            next++;
        if (next < slots->count && slots->places[next] == place)
            continue;
        struct neap_header *target = object_at(*(uintptr_t *)place);
        uint32_t *word = target != NULL ? np_side_word(target) : NULL;
        if (word != NULL && (*word & NP_SIDE_MEMBER) && np_side_count(*word) > 0)
            note_finding(header, target, i * sizeof(void *));
    }
}

static void audit(struct neap_header *header, void *arg)
{
    struct slots slots = {.visitor = {note_slot}};
    (void)arg;
    visit(header, &slots);
    size_t page = np_os_page_bytes(),
           bytes = (slots.count * sizeof(uintptr_t) + page) & ~(page - 1);
    slots.places = np_os_reserve(bytes, 1);
    if (slots.places == NULL)
        return; /* not looked at this time */
    visit(header, &slots);
    sort(slots.places, slots.count);
    refuse_duplicates(header, &slots);
    scan_body(header, &slots);
    np_os_unreserve(slots.places, bytes);
}

void np_audit_stopped(void)
{
    np_trace_each_stopped(NP_SIDE_MEMBER, audit, NULL);
}

void np_audit_tell(void)
{
    for (unsigned i = 0; i < finding_count; i++) {
        struct finding *finding = &findings[i];
        if (finding->told)
            continue;
        finding->told = true;
        fprintf(stderr,
                "neap: audit: %s has a pointer to a %s at offset %zu that it does not report: a "
                "borrowed pointer, or a slot that is missing in the type\n",
                np_type_at(finding->type)->name, np_type_at(finding->target_type)->name,
                finding->offset);
    }
}
