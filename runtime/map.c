/* SPDX-License-Identifier: MIT
 *
 * An entry's life is in its value word:
 *
 *   object --set, by compare-and-swap--> another object
 *     | remove, by compare-and-swap to 1
 *     v
 *   dead (odd) --the remover deletes it from the table, then retires it--> freed
 *
 * Dead is for good: a key that comes back gets a new entry, which may stand beside the dead one for
 * a moment; lookups pass over the dead. So each call takes effect at one atomic access of one value
 * word, or, for a new key, at the table's insertion, which is unique among the living.
 *
 * Reading a value follows the protocol of an atomic slot (slot.c). Key and value are published
 * before the entry can be found. No call stops between finding an entry and its last use of it.
 *
 * Walking goes in batches: the entries of a batch are retained within one operation, shown after
 * it, and a marker (a dead entry) keeps the place for the next batch. */
#include "neap/map.h"

#include "base/check.h"
#include "neap/block.h"
#include "neap/slot.h"
#include "neap/status.h"
#include "runtime/count.h"
#include "runtime/hash.h"
#include "runtime/map.h"
#include "runtime/retire.h"
#include "runtime/table.h"
#include "runtime/usage.h"

enum { BATCH = 128 };

struct neap_map {
    struct np_table *table;                      /* (c) */
    struct np_entry *next;                       /* once it is dead: where its release goes on */
    uint64_t (*hash)(const void *key);           /* (c) */
    bool (*equal)(const void *a, const void *b); /* (c) NULL: by address */
};

static bool is_dead(const void *value)
{
    return np_is_retired((uintptr_t)value);
}

/* ---- keys ---- */

static uint64_t hash_string(const void *key)
{
    return neap_string_hash(key);
}

static bool equal_strings(const void *a, const void *b)
{
    return neap_string_equal(a, b);
}

static uint64_t hash_address(const void *key)
{
    return (uintptr_t)key >> 4;
}

struct wanted {
    const struct neap_map *map;
    const void *key;
};

static int is_wanted(struct cds_lfht_node *node, const void *arg)
{
    const struct wanted *wanted = arg;
    np_tsan_acquire(node);
    const struct np_entry *entry = np_container_of(node, struct np_entry, node);
    if (is_dead(np_load_relaxed(&entry->value))) /* relaxed: asked again when it is used */
        return 0;
    return entry->key == wanted->key ||
           (wanted->map->equal != NULL && wanted->map->equal(entry->key, wanted->key));
}

/* The number of bits that make a place: a hash of the program's may have only its low ones good. */
static uint64_t hash_of(const struct neap_map *map, const void *key)
{
    uint64_t hash = map->hash(key);
    return map->hash == hash_string ? hash : np_hash_mix(hash);
}

static struct np_entry *find(const struct neap_map *map, const void *key)
{
    struct wanted wanted = {map, key};
    np_tls.operation++;
    struct np_entry *entry = np_table_find(map->table, hash_of(map, key), is_wanted, &wanted);
    np_tls.operation--;
    return entry;
}

/* ---- values ---- */

/* Counts and publishes: from here on any thread may acquire it from the map. */
static void retain_published(const void *object)
{
    neap_retain_inline(object);
    np_publish(neap_header_of(object));
}

/* A reference to the entry's value; NULL: it is dead. */
static void *load(struct np_entry *entry)
{
    for (;;) {
        /* [MM-slot-1] acquire: the value as it was when it was stored */
        void *value = np_load_acquire(&entry->value);
        if (is_dead(value))
            return NULL;
        struct neap_header *header = neap_header_of(value);
        if (np_load_relaxed(&header->owner) == np_tls.id) { /* relaxed: as in neap_slot_load */
            np_retain(header);
            return value;
        }
        if (!np_try_retain(header)) {
            np_spin_hint();
            continue;
        }
        /* [MM-slot-1] acquire: with the reference held, equal means it is the entry's */
        if (np_likely(np_load_acquire(&entry->value) == value))
            return value;
        np_release(header, NP_QUIET);
    }
}

/* What is in the entry, dead or not: the peek clock keeps it. The type is that of a peekable object
 * as long as a peek lasts, and 0 where it is not one and has been freed. */
static void *peek(const struct np_entry *entry)
{
    /* [MM-slot-1] acquire: the value as it was when it was stored */
    void *value = np_load_acquire(&entry->value);
    if (is_dead(value))
        return NULL;
    uint32_t type =
        np_load_relaxed(&neap_header_of(value)->type); /* relaxed: constant, or misuse */
    if (np_unlikely(type != 0 && !(np_type_at(type)->flags & NEAP_PEEKABLE)))
        np_panic_at("neap_map_peek",
                    "%s is not a NEAP_PEEKABLE type: only values that wait for the "
                    "end of a peek before they are freed can be read without a reference",
                    np_type_at(type)->name);
    return value;
}

/* The entry's value becomes `value`, already counted for it; the old one's reference is the
 * caller's. NULL: the entry is dead. */
static void *replace(struct np_entry *entry, const void *value)
{
    void *old = np_load_relaxed(&entry->value); /* relaxed: the swap decides */
    do {
        if (is_dead(old))
            return NULL;
        /* [MM-slot-1] acq_rel: publishes the value's content and count; we see the old one's */
    } while (!np_cas_acq_rel(&entry->value, &old, (void *)(uintptr_t)value));
    return old;
}

static void bury(struct neap_map *map, struct np_entry *entry)
{
    np_table_delete(map->table, entry);
    np_retire(entry, NP_RETIRED_ENTRY);
    np_table_changed(map->table, -1);
}

void np_map_entry_free(void *self)
{
    struct np_entry *entry = self;
    if (entry->key != NULL) /* a marker has none */
        np_release(neap_header_of(entry->key), NP_QUIET);
    neap_free(entry);
}

/* ---- the object ---- */

static void map_visit(void *self, struct neap_visitor *visitor)
{
    struct neap_map *map = self;
    struct cds_lfht_iter iter;
    if (map->table == NULL)
        return;
    for (struct np_entry *entry = np_table_first(map->table, &iter); entry != NULL;
         entry = np_table_next(map->table, &iter)) {
        if (is_dead(np_load_relaxed(&entry->value))) /* relaxed: its owner is stopped */
            continue;
        neap_visit(visitor, &entry->key);
        neap_visit(visitor, &entry->value);
    }
}

/* The map is dead, so nobody but the helper reads the table. */
static bool map_release(void *self, uint64_t *budget, enum np_manner manner)
{
    struct neap_map *map = self;
    if (map->table == NULL)
        return true;
    bool is_changing = np_table_is_changing(map->table);
    struct cds_lfht_iter iter;
    struct np_entry *entry = map->next;
    if (entry != NULL) /* not from the start, where ever more empty buckets stand */
        np_table_resume(&iter, entry);
    else
        entry = np_table_first(map->table, &iter);
    for (struct np_entry *next; entry != NULL; entry = next) {
        map->next = entry;
        if (*budget == 0)
            return false;
        next = np_table_next(map->table, &iter);
        void *value = np_load_relaxed(&entry->value), *key = entry->key; /* relaxed: ours alone */
        np_table_delete(map->table, entry);
        if (is_changing) {
            entry->key = NULL;
            np_store_relaxed(&entry->value, (void *)1);
            np_retire(entry, NP_RETIRED_ENTRY);
        } else {
            neap_free(entry);
        }
        *budget -= *budget < 2 ? *budget : 2;
        np_release(neap_header_of(value), manner);
        np_release(neap_header_of(key), manner);
    }
    np_table_destroy(map->table);
    map->table = NULL;
    return true;
}

static const struct np_piecemeal pieces = {map_release};
NEAP_DEFINE_TYPE(neap_map, (), .visit = map_visit, .flags = NP_TYPE_INTERNAL | NP_TYPE_PIECEMEAL,
                 .user = (void *)&pieces);

static struct neap_map *make(uint64_t (*hash)(const void *key),
                             bool (*equal)(const void *a, const void *b))
{
    struct neap_map *map = neap_new(neap_map);
    if (map == NULL)
        return NULL;
    map->hash = hash;
    map->equal = equal;
    map->table = np_table_new();
    if (map->table == NULL) {
        neap_release(map);
        return NULL;
    }
    return map;
}

struct neap_map *neap_map_new(void)
{
    return make(hash_string, equal_strings);
}

struct neap_map *neap_map_new_with(uint64_t (*hash)(const void *key),
                                   bool (*equal)(const void *a, const void *b))
{
    return make(hash != NULL ? hash : hash_address, hash != NULL ? equal : NULL);
}

size_t neap_map_count(const struct neap_map *map)
{
    return np_load_relaxed(&map->table->count); /* relaxed: a number */
}

/* ---- reading ---- */

void *neap_map_get_key(struct neap_map *map, const void *key)
{
    if (key == NULL || !np_usage_may("neap_map_get"))
        return NULL;
    struct np_entry *entry = find(map, key);
    return entry != NULL ? load(entry) : NULL;
}

void *neap_map_get(struct neap_map *map, const struct neap_string *key)
{
    return neap_map_get_key(map, key);
}

void *neap_map_peek_key(struct neap_map *map, const void *key)
{
    if (key == NULL || !np_usage_may("neap_map_peek"))
        return NULL;
    struct np_entry *entry = find(map, key);
    return entry != NULL ? peek(entry) : NULL;
}

void *neap_map_peek(struct neap_map *map, const struct neap_string *key)
{
    return neap_map_peek_key(map, key);
}

/* ---- writing ---- */

/* An entry that is in no table, with references to both; NULL: out of memory. */
static struct np_entry *make_entry(void *key, void *value)
{
    struct np_entry *entry = neap_alloc(sizeof *entry);
    if (entry == NULL)
        return NULL;
    retain_published(key);
    retain_published(value);
    entry->key = key;
    entry->value = value;
    cds_lfht_node_init(&entry->node);
    return entry;
}

/* It was never in a table. Gives the value's reference to the caller. */
static void drop_entry(struct np_entry *entry)
{
    np_release(neap_header_of(entry->key), NP_QUIET);
    neap_free(entry);
}

/* Adds a new entry; else the living entry that is there, in *ret_found. */
static int add(struct neap_map *map, void *key, void *value, struct np_entry **ret_found)
{
    struct np_entry *entry = make_entry(key, value);
    if (entry == NULL)
        return NEAP_ENOMEM;
    struct wanted wanted = {map, key};
    np_tls.operation++;
    struct np_entry *found = np_table_add(map->table, hash_of(map, key), is_wanted, &wanted, entry);
    np_tls.operation--;
    if (found == entry) {
        np_table_changed(map->table, 1);
        *ret_found = NULL;
        return NEAP_OK;
    }
    drop_entry(entry);
    np_release(neap_header_of(value), NP_QUIET); /* the caller has its own */
    *ret_found = found;
    return NEAP_OK;
}

int neap_map_set_key(struct neap_map *map, void *key, void *value)
{
    if (key == NULL || value == NULL)
        return NEAP_EINVAL;
    if (!np_usage_may("neap_map_set"))
        return NEAP_ESTATE;
    struct np_entry *entry = find(map, key);
    void *old = NULL;
    do {
        if (entry == NULL) {
            int status = add(map, key, value, &entry);
            if (status != NEAP_OK || entry == NULL)
                return status;
        }
        retain_published(value);
        old = replace(entry, value);
        if (old == NULL) { /* removed in between */
            np_release(neap_header_of(value), NP_QUIET);
            entry = NULL;
        }
    } while (old == NULL);
    neap_release_inline(old);
    return NEAP_OK;
}

int neap_map_set(struct neap_map *map, struct neap_string *key, void *value)
{
    return neap_map_set_key(map, key, value);
}

void *neap_map_take_key(struct neap_map *map, const void *key)
{
    if (key == NULL || !np_usage_may("neap_map_take"))
        return NULL;
    struct np_entry *entry = find(map, key);
    void *old = entry != NULL ? replace(entry, (void *)1) : NULL;
    if (old != NULL)
        bury(map, entry);
    return old;
}

void *neap_map_take(struct neap_map *map, const struct neap_string *key)
{
    return neap_map_take_key(map, key);
}

bool neap_map_remove_key(struct neap_map *map, const void *key)
{
    void *old = neap_map_take_key(map, key);
    if (old == NULL)
        return false;
    neap_release_inline(old);
    return true;
}

bool neap_map_remove(struct neap_map *map, const struct neap_string *key)
{
    return neap_map_remove_key(map, key);
}

void *neap_map_set_default(struct neap_map *map, struct neap_string *key, void *value)
{
    if (key == NULL || value == NULL || !np_usage_may("neap_map_set_default"))
        return NULL;
    struct np_entry *entry = find(map, key);
    for (;;) {
        if (entry == NULL) {
            if (add(map, key, value, &entry) != NEAP_OK)
                return NULL;
            if (entry == NULL)
                return neap_retain(value);
        }
        void *found = load(entry);
        if (found != NULL)
            return found;
        entry = NULL; /* removed in between */
    }
}

/* expected is not NULL. */
static int exchange(struct neap_map *map, struct np_entry *entry, const void *expected,
                    void *desired)
{
    void *found = (void *)(uintptr_t)expected;
    if (desired != NULL)
        retain_published(desired);
    /* [MM-slot-1] acq_rel: as in neap_slot_compare_exchange; the caller's reference keeps the
     * address from being reused */
    bool swapped = np_cas_acq_rel(&entry->value, &found, desired != NULL ? desired : (void *)1);
    if (!swapped) {
        if (desired != NULL)
            np_release(neap_header_of(desired), NP_QUIET);
        return NEAP_ESTATE;
    }
    if (desired == NULL)
        bury(map, entry);
    neap_release_inline(expected);
    return NEAP_OK;
}

int neap_map_compare_exchange(struct neap_map *map, struct neap_string *key, const void *expected,
                              void *desired)
{
    if (key == NULL)
        return NEAP_EINVAL;
    if (!np_usage_may("neap_map_compare_exchange"))
        return NEAP_ESTATE;
    struct np_entry *entry = find(map, key);
    if (expected != NULL)
        return entry != NULL ? exchange(map, entry, expected, desired) : NEAP_ESTATE;
    if (entry != NULL)
        return NEAP_ESTATE;
    if (desired == NULL)
        return NEAP_OK;
    int status = add(map, key, desired, &entry);
    return status == NEAP_OK && entry != NULL ? NEAP_ESTATE : status;
}

/* ---- walking ---- */

struct shown {
    void *key, *value; /* counted */
};

struct walk {
    struct neap_map *map;
    struct np_entry *marker; /* in the table, behind all that was shown; NULL: none */
    unsigned long place;     /* of the last that was gathered */
    bool begun, done;
    struct shown *shown; /* `few`, or a block of its own */
    size_t count, room;
    struct shown few[BATCH];
};

static bool make_room(struct walk *walk)
{
    if (walk->count < walk->room)
        return true;
    struct shown *more = neap_alloc(2 * walk->room * sizeof *more);
    if (more == NULL)
        return false;
    for (size_t i = 0; i < walk->count; i++)
        more[i] = walk->shown[i];
    if (walk->shown != walk->few)
        neap_free(walk->shown);
    walk->shown = more;
    walk->room *= 2;
    return true;
}

static void drop_marker(struct walk *walk)
{
    if (walk->marker == NULL)
        return;
    np_table_delete(walk->map->table, walk->marker);
    np_retire(walk->marker, NP_RETIRED_ENTRY);
    walk->marker = NULL;
}

/* Without memory the place is found from the start again. */
static void set_marker(struct walk *walk)
{
    walk->marker = neap_alloc(sizeof *walk->marker);
    if (walk->marker == NULL)
        return;
    walk->marker->key = NULL;
    walk->marker->value = (void *)1;
    cds_lfht_node_init(&walk->marker->node);
    np_table_add_marker(walk->map->table, walk->place, walk->marker);
}

static struct np_entry *resume(struct walk *walk, struct cds_lfht_iter *iter)
{
    if (walk->marker != NULL)
        return np_table_after(walk->map->table, walk->marker, iter);
    struct np_entry *entry = np_table_first(walk->map->table, iter);
    while (walk->begun && entry != NULL && entry->node.reverse_hash <= walk->place)
        entry = np_table_next(walk->map->table, iter);
    return entry;
}

/* One operation: at least BATCH entries, and all that share the last one's place. */
static void gather(struct walk *walk)
{
    struct cds_lfht_iter iter;
    struct np_entry *entry = resume(walk, &iter);
    walk->count = 0;
    for (; entry != NULL; entry = np_table_next(walk->map->table, &iter)) {
        if (walk->count >= BATCH && entry->node.reverse_hash != walk->place)
            break;
        void *value = load(entry);
        if (value == NULL)
            continue;
        if (!make_room(walk)) {
            np_release(neap_header_of(value), NP_QUIET);
            continue;
        }
        neap_retain_inline(entry->key);
        walk->shown[walk->count++] = (struct shown){entry->key, value};
        walk->place = entry->node.reverse_hash;
        walk->begun = true;
    }
    walk->done = entry == NULL;
    drop_marker(walk);
    if (!walk->done)
        set_marker(walk);
}

size_t neap_map_each(struct neap_map *map, neap_entry_fn *visit, void *arg)
{
    if (!np_usage_may("neap_map_each"))
        return 0;
    struct walk walk = {.map = map, .room = BATCH};
    walk.shown = walk.few;
    size_t calls = 0;
    bool more = true;
    neap_retain_inline(map); /* visit may give the caller's away */
    while (more && !walk.done) {
        gather(&walk);
        for (size_t i = 0; i < walk.count; i++) {
            if (more) {
                calls++;
                more = visit(walk.shown[i].key, walk.shown[i].value, arg);
            }
            neap_release_inline(walk.shown[i].key);
            neap_release_inline(walk.shown[i].value);
        }
    }
    drop_marker(&walk);
    if (walk.shown != walk.few)
        neap_free(walk.shown);
    neap_release_inline(map);
    return calls;
}
