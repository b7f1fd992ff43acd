/* SPDX-License-Identifier: MIT
 *
 * Records, objects and the checks at each operation. Ids that are free are handed out from one
 * stack under a lock, many at a time to each thread. */
#include "tools/stress/oracle.h"

#include <pthread.h>
#include <stdlib.h>

#include "tools/stress/story.h"

enum { IDS_AT_ONCE = 64 };

struct record *records;
struct neap_type *kind_types[KINDS];
uint64_t stress_seed;
bool stress_revives, stress_refused;
atomic_ulong revivals, disposals;
struct node *limbo;

static pthread_mutex_t id_lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t *free_ids;             /* (L) */
static _Atomic uint32_t free_id_count; /* (L) written; read as a hint */
static __thread uint32_t own_ids[IDS_AT_ONCE], own_id_count;

static pthread_mutex_t undefer_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t stripes[STRIPES] = {[0 ... STRIPES - 1] = PTHREAD_MUTEX_INITIALIZER};

/* ---- numbers ---- */

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static uint64_t canary_of(const struct record *record, const void *object)
{
    uint64_t id = (uint64_t)(record - records);
    return mix(id << 32 | record->serial) ^ (uint64_t)(uintptr_t)object;
}

/* Most are small, a few are large blocks. */
static uint32_t leaf_bytes(uint32_t id, uint32_t serial)
{
    uint64_t choice = mix((uint64_t)serial << 32 | id);
    return (uint32_t)(choice >> 32) % (choice % 16 == 0 ? 3000 : 200);
}

/* What is written looks, wherever it is read as a header, like a merged object without owner that
 * has one reference: what a late reader takes for acquirable. */
static uint64_t pattern_at(size_t index, uint64_t key)
{
    return (index & 1) != 0 ? mix(key) << 32 | 0x28 : 0;
}

void pattern_fill(void *memory, size_t bytes, uint64_t key)
{
    uint64_t *words = memory;
    for (size_t i = 0; i < bytes / sizeof *words; i++)
        words[i] = pattern_at(i, key);
}

void pattern_check(const void *memory, size_t bytes, uint64_t key, const char *where)
{
    const uint64_t *words = memory;
    for (size_t i = 0; i < bytes / sizeof *words; i++)
        if (words[i] != pattern_at(i, key))
            story_lie(0, 0, "%s: somebody wrote into a block of ours: word %zu is %#llx, not %#llx",
                      where, i, (unsigned long long)words[i],
                      (unsigned long long)pattern_at(i, key));
}

/* ---- ids ---- */

static uint32_t take_id(void)
{
    if (own_id_count == 0) {
        pthread_mutex_lock(&id_lock);
        while (own_id_count < IDS_AT_ONCE && free_id_count > 0)
            own_ids[own_id_count++] = free_ids[--free_id_count];
        pthread_mutex_unlock(&id_lock);
    }
    return own_id_count > 0 ? own_ids[--own_id_count] : 0;
}

static void put_id(uint32_t id)
{
    pthread_mutex_lock(&id_lock);
    free_ids[free_id_count++] = id;
    pthread_mutex_unlock(&id_lock);
}

void record_recycle(struct record *record)
{
    if (record->edges != record->inline_edges)
        free((void *)record->edges);
    record->edges = NULL;
    atomic_store(&record->state, UNUSED);
    put_id((uint32_t)(record - records));
}

void ids_give_back(void)
{
    while (own_id_count > 0)
        put_id(own_ids[--own_id_count]);
}

void records_forget(void)
{
    for (uint32_t id = 1; id < RECORDS; id++)
        if (atomic_load(&records[id].state) != UNUSED)
            record_recycle(&records[id]);
}

uint32_t records_free(void)
{
    return atomic_load_explicit(&free_id_count, memory_order_relaxed);
}

/* ---- slots ---- */

static uint32_t slots_of(const struct node *object, uint32_t more)
{
    switch ((enum kind)object->head.kind) {
    case LEAF:
    case BARE:
        return 0;
    case BIG:
        return 4 + more;
    case ROWS:
        return 4 * (more + 1);
    default:
        return 4;
    }
}

uint32_t object_slots(const struct node *object)
{
    return records[object->head.id].edge_count;
}

bool slot_is_atomic(const struct node *object, uint32_t index)
{
    return (object->head.kind == BIG && index >= 4) || (index & 3) >= 2;
}

struct node **object_slot(struct node *object, uint32_t index)
{
    if (object->head.kind == BIG && index >= 4)
        return &((struct big *)(void *)object)->more[index - 4];
    struct node *row = object + index / 4;
    return index % 4 < 2 ? &row->plain[index % 4] : &row->atomic[index % 4 - 2];
}

/* ---- checks ---- */

struct record *object_check(const struct node *object, const char *where)
{
    uint32_t id = object->head.id;
    if (id == 0 || id >= RECORDS || records[id].object != object)
        story_lie(id < RECORDS ? id : 0, 0, "%s: %p is no object of ours (it says id %u)", where,
                  (const void *)object, id);
    struct record *record = &records[id];
    if (object->head.canary != canary_of(record, object) || object->head.kind != record->kind)
        story_lie(id, 0, "%s: object %u at %p is not whole", where, id, (const void *)object);
    if (atomic_load_explicit(&record->state, memory_order_relaxed) != ALIVE)
        story_lie(id, 0, "%s: object %u is dead and we have a reference to it", where, id);
    return record;
}

/* ALIVE to DISPOSED; false: it was dead. One that was deferred does not die under record_undefer.
 */
static bool record_die(struct record *record)
{
    uint32_t alive = ALIVE;
    bool deferred = atomic_load(&record->deferred);
    if (deferred)
        pthread_mutex_lock(&undefer_lock);
    bool died = atomic_compare_exchange_strong(&record->state, &alive, DISPOSED);
    if (deferred)
        pthread_mutex_unlock(&undefer_lock);
    return died;
}

void record_undefer(struct record *record)
{
    pthread_mutex_lock(&undefer_lock);
    if (atomic_load(&record->state) == ALIVE && atomic_load(&record->deferred)) {
        neap_undefer(record->object);
        atomic_store(&record->deferred, false); /* afterwards: until then its death waits for us */
    }
    pthread_mutex_unlock(&undefer_lock);
}

bool record_is_silent(const struct record *record)
{
    return record->kind == BARE || record->kind == QUIET;
}

static void dispose(void *self)
{
    struct node *object = self;
    uint32_t id = object->head.id;
    if (id == 0)
        return; /* never became an object of the oracle's: out of ids */
    if (id >= RECORDS || records[id].object != object)
        story_lie(id < RECORDS ? id : 0, 0, "disposal of %p, which is no object of ours (id %u)",
                  self, id);
    struct record *record = &records[id];
    story_note("dispose", id, 0);
    if (!record_die(record))
        story_lie(id, 0, "object %u is disposed of twice", id);
    if (atomic_load(&record->hands) != 0)
        story_lie(id, 0, "object %u is disposed of, and %d references to it are in our hands", id,
                  atomic_load(&record->hands));
    if (object->head.canary != canary_of(record, object))
        story_lie(id, 0, "object %u is not whole at its disposal", id);
    for (uint32_t i = 0; i < record->edge_count; i++) {
        const struct node *child = __atomic_load_n(object_slot(object, i), __ATOMIC_RELAXED);
        uint32_t expected = atomic_load_explicit(&record->edges[i], memory_order_relaxed);
        if (child == NULL && expected == 0)
            continue;
        if (child == NULL || child->head.id != expected || neap_type_of(child) == NULL ||
            child->head.canary != canary_of(&records[expected], child))
            story_lie(id, expected,
                      "at the disposal of %u slot %u holds %p, which is not the "
                      "intact object %u",
                      id, i, (const void *)child, expected);
    }
    if (record->kind == LEAF)
        pattern_check(&object->head + 1, leaf_bytes(id, record->serial), id, "leaf");
    atomic_fetch_add_explicit(&disposals, 1, memory_order_relaxed);
}

/* Some come back, some bring a child back, some allocate. */
static void finalize(void *self)
{
    struct node *object = self;
    uint32_t id = object->head.id;
    if (id == 0)
        return;
    struct record *record = &records[id];
    story_note("finalize", id, 0);
    if (atomic_load(&record->state) != ALIVE || atomic_load(&record->hands) != 0)
        story_lie(id, 0, "finalizer of object %u, which is %s", id,
                  atomic_load(&record->state) == ALIVE ? "in our hands" : "disposed of");
    if (atomic_fetch_add(&record->finalized, 1) != 0)
        story_lie(id, 0, "object %u is finalized twice", id);
    uint64_t choice = mix(stress_seed ^ ((uint64_t)record->serial << 20) ^ id);
    if (!stress_revives || limbo == NULL)
        return;
    uint32_t place = 4 + (uint32_t)(choice >> 32) % (object_slots(limbo) - 4);
    if (choice % 4 == 0) {
        atomic_fetch_add_explicit(&revivals, 1, memory_order_relaxed);
        edge_exchange(limbo, place, object);
    } else if (choice % 4 == 1) {
        struct node *child = edge_load(object, 2);
        if (child != NULL) {
            atomic_fetch_add_explicit(&revivals, 1, memory_order_relaxed);
            edge_exchange(limbo, place, child);
            hand_give(child);
        }
    } else if (choice % 4 == 2) {
        struct node *leaf = object_make(LEAF, 16);
        if (leaf != NULL)
            hand_give(leaf);
    }
}

/* ---- making ---- */

bool refused(int status)
{
    return stress_refused && status == NEAP_ENOMEM;
}

struct node *object_make(enum kind kind, uint32_t more)
{
    uint32_t id = take_id();
    if (id == 0)
        return NULL;
    struct record *record = &records[id];
    uint32_t serial = record->serial + 1, body = 0;
    void *memory;
    if (kind == LEAF || kind == BARE) {
        body = kind == LEAF ? leaf_bytes(id, serial) : more % 512;
        memory = neap_object_new(kind_types[kind], body);
    } else if (kind == BIG) {
        memory = neap_object_new(kind_types[kind], more * sizeof(struct node *));
    } else if (kind == ROWS) {
        memory = neap_object_new_array(kind_types[kind], more + 1);
    } else {
        memory = neap_object_new(kind_types[kind], 0);
    }
    struct node *object = memory;
    if (object == NULL) {
        own_ids[own_id_count++] = id;
        return NULL;
    }
    object->head.kind = kind;
    record->kind = kind;
    record->serial = serial;
    record->object = object;
    record->immortal = false;
    record->home = 0;
    atomic_store_explicit(&record->ward, 0, memory_order_relaxed);
    atomic_store_explicit(&record->deferred, false, memory_order_relaxed);
    record->edge_count = slots_of(object, more);
    record->edges = record->edge_count <= INLINE_EDGES
                        ? record->inline_edges
                        : calloc(record->edge_count, sizeof *record->edges);
    if (record->edges == NULL)
        abort();
    for (uint32_t i = 0; i < INLINE_EDGES; i++)
        atomic_init(&record->inline_edges[i], 0);
    atomic_store_explicit(&record->finalized, 0, memory_order_relaxed);
    atomic_store_explicit(&record->hands, 1, memory_order_relaxed);
    if (kind == LEAF)
        pattern_fill(&object->head + 1, body, id);
    object->head.canary = canary_of(record, object);
    object->head.id = id;
    atomic_store_explicit(&record->state, ALIVE, memory_order_relaxed);
    story_note("make", id, (uint32_t)kind);
    return object;
}

static struct neap_type *make_type(const char *name, enum kind kind)
{
    static const struct neap_slot slots[] = {
        {offsetof(struct node, plain), 2, NEAP_SLOT_PLAIN},
        {offsetof(struct node, atomic), 2, NEAP_SLOT_ATOMIC},
        {offsetof(struct big, more), 0, NEAP_SLOT_ATOMIC | NEAP_SLOT_TRAILING},
    };
    bool leaf = kind == LEAF || kind == BARE;
    struct neap_type_spec spec = {
        .struct_size = sizeof spec,
        .name = name,
        .size = leaf ? sizeof(struct head) : sizeof(struct node),
        .alignment = 8,
        .slots = leaf ? NULL : slots,
        .slot_count = leaf          ? 0
                      : kind == BIG ? 3
                                    : 2,
        .dispose = kind == BARE || kind == QUIET ? NULL : dispose,
        .finalize = kind == PHOENIX ? finalize : NULL,
        .flags = kind == PEEKED   ? NEAP_PEEKABLE | NEAP_POOLED
                 : kind == PROMPT ? NEAP_PROMPT
                                  : 0,
    };
    return neap_type_create(&spec);
}

void oracle_begin(void)
{
    static const char *const names[KINDS] = {"leaf",   "bare",   "node", "quiet", "phoenix",
                                             "peeked", "prompt", "big",  "rows"};
    records = calloc(RECORDS, sizeof *records);
    free_ids = calloc(RECORDS, sizeof *free_ids);
    if (records == NULL || free_ids == NULL)
        abort();
    for (uint32_t id = RECORDS - 1; id > 0; id--)
        free_ids[free_id_count++] = id;
    for (unsigned i = 0; i < KINDS; i++) {
        kind_types[i] = make_type(names[i], (enum kind)i);
        if (kind_types[i] == NULL)
            abort();
    }
}

/* ---- hands ---- */

void hand_take(struct node *object, const char *where)
{
    struct record *record = object_check(object, where);
    atomic_fetch_add_explicit(&record->hands, 1, memory_order_relaxed);
    story_note(where, object->head.id, 0);
    if (atomic_load_explicit(&record->state, memory_order_relaxed) != ALIVE)
        story_lie(object->head.id, 0, "%s: object %u died while we had a reference", where,
                  object->head.id);
}

void hand_forget(struct node *object)
{
    struct record *record = object_check(object, "give");
    atomic_fetch_sub_explicit(&record->hands, 1, memory_order_relaxed);
}

void hand_give(struct node *object)
{
    story_note("release", object->head.id, 0);
    hand_forget(object);
    neap_release(object);
}

/* ---- edges ---- */

static void edge_swap(const struct node *object, uint32_t index, uint32_t out, uint32_t in)
{
    atomic_fetch_xor_explicit(&records[object->head.id].edges[index], out ^ in,
                              memory_order_relaxed);
}

struct node *edge_load(struct node *object, uint32_t index)
{
    struct node *value = neap_load(object_slot(object, index));
    if (value != NULL)
        hand_take(value, "load");
    return value;
}

void edge_exchange(struct node *object, uint32_t index, struct node *value)
{
    story_note("exchange into", object->head.id, object_id(value));
    struct node *old = neap_exchange(object_slot(object, index), value);
    if (old != NULL)
        hand_take(old, "exchange out");
    edge_swap(object, index, object_id(old), object_id(value));
    if (old != NULL)
        hand_give(old);
}

void edge_compare_exchange(struct node *object, uint32_t index, struct node *value)
{
    struct node *expected = edge_load(object, index);
    uint32_t id = object_id(expected);
    story_note("compare and exchange", object->head.id, object_id(value));
    if (neap_compare_exchange(object_slot(object, index), expected, value))
        edge_swap(object, index, id, object_id(value));
    if (expected != NULL)
        hand_give(expected);
}

static pthread_mutex_t *stripe_of(const struct node *object)
{
    return &stripes[object->head.id % STRIPES];
}

struct node *edge_get(struct node *object, uint32_t index)
{
    (void)neap_mutex_lock(stripe_of(object));
    struct node *value = neap_get(object_slot(object, index));
    if (value != NULL)
        hand_take(value, "get");
    pthread_mutex_unlock(stripe_of(object));
    return value;
}

static struct node *replace(struct node *object, uint32_t index, struct node *value)
{
    (void)neap_mutex_lock(stripe_of(object));
    struct node *old = neap_take(object_slot(object, index));
    if (old != NULL)
        hand_take(old, "take");
    if (value != NULL)
        neap_set(object_slot(object, index), value);
    edge_swap(object, index, object_id(old), object_id(value));
    pthread_mutex_unlock(stripe_of(object));
    return old;
}

void edge_set(struct node *object, uint32_t index, struct node *value)
{
    story_note("set", object->head.id, object_id(value));
    struct node *old = replace(object, index, value);
    if (old != NULL)
        hand_give(old);
}

struct node *edge_take(struct node *object, uint32_t index)
{
    story_note("take from", object->head.id, 0);
    return replace(object, index, NULL);
}

void edge_build(struct node *object, uint32_t index, struct node *value)
{
    story_note("build", object->head.id, value->head.id);
    if (slot_is_atomic(object, index))
        neap_store(object_slot(object, index), value);
    else
        neap_set(object_slot(object, index), value);
    atomic_store_explicit(&records[object->head.id].edges[index], value->head.id,
                          memory_order_relaxed);
}
