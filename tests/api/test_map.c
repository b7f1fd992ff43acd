/* SPDX-License-Identifier: MIT
 *
 * Maps find what was put in, count their references exactly, tell of each entry once, are seen
 * through by the collector, grow and shrink beside their users, and keep all of that when threads
 * read, write, walk and collect at once. */
#include <neap/neap.h>

#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/death.h"
#include "tests/harness.h"

struct thing {
    void *link;
    int id;
};
static int disposed;
static void thing_dispose(void *self)
{
    (void)self;
    __atomic_fetch_add(&disposed, 1, __ATOMIC_RELAXED);
}
NEAP_DEFINE_TYPE(thing, (link), .dispose = thing_dispose);

static struct thing *make(int id)
{
    struct thing *thing = neap_new(thing);
    thing->id = id;
    return thing;
}

/* map[key] = a new thing. */
static int put(struct neap_map *map, struct neap_string *key, int id)
{
    struct thing *thing = make(id);
    int status = neap_map_set(map, key, thing);
    neap_release(thing);
    return status;
}

static int id_of(struct neap_map *map, const struct neap_string *key)
{
    struct thing *thing = neap_map_get(map, key);
    int id = thing != NULL ? thing->id : -1;
    neap_release(thing);
    return id;
}

/* A key that was taken out is held for a grace period, which polls bring about. */
static size_t settled_count(const void *object)
{
    for (int i = 0; i < 100000 && neap_refcount(object) != 1; i++) {
        NEAP_BLOCKED(sched_yield());
        neap_safepoint();
    }
    return neap_refcount(object);
}

static void basics(void)
{
    struct neap_map *map = neap_map_new();
    struct neap_string *a = neap_string_from("a"), *b = neap_string_from("b");
    struct neap_string *same = neap_string_from("a");
    struct thing *thing = make(1);
    disposed = 0;
    is_int(neap_map_count(map), 0, "a new map is empty");
    ok(neap_map_get(map, a) == NULL && !neap_map_remove(map, a), "there is nothing in it");
    is_int(neap_map_set(map, a, thing), NEAP_OK, "set");
    ok(neap_refcount(thing) == 2 && neap_refcount(a) == 2, "counts key and value");
    is_int(id_of(map, same), 1, "an equal key finds it");
    is_int(id_of(map, b), -1, "another does not");
    is_int(put(map, same, 2), NEAP_OK, "set again");
    ok(neap_refcount(thing) == 1 && neap_map_count(map) == 1, "replaces the value");
    ok(neap_refcount(a) == 2 && neap_refcount(same) == 1, "and keeps the key");
    is_int(neap_map_set(map, b, NULL), NEAP_EINVAL, "NULL is no value");
    is_int(neap_map_set(map, NULL, thing), NEAP_EINVAL, "and no key");
    ok(neap_map_get(map, NULL) == NULL, "nor found");
    put(map, b, 3);
    is_int(neap_map_count(map), 2, "two entries");
    ok(neap_map_remove(map, a) && !neap_map_remove(map, a), "remove takes one out, once");
    is_int(disposed, 1, "and releases the value");
    is_int(id_of(map, a), -1, "it is gone");
    struct thing *taken = neap_map_take(map, b);
    ok(taken->id == 3 && neap_refcount(taken) == 1, "take gives the map's reference");
    neap_release(taken);
    is_int(put(map, a, 4), NEAP_OK, "a key may come back");
    is_int(id_of(map, a), 4, "with another value");
    neap_release(map);
    is_int(disposed, 3, "a dying map releases its values");
    neap_release(thing);
    is_int(settled_count(a), 1, "and its keys");
    neap_release(a);
    neap_release(b);
    neap_release(same);
}

static void conditions(void)
{
    struct neap_map *map = neap_map_new();
    struct neap_string *key = neap_string_from("key");
    struct thing *one = make(1), *two = make(2);
    is_int(neap_map_compare_exchange(map, key, one, two), NEAP_ESTATE, "nothing is not one");
    is_int(neap_map_compare_exchange(map, key, NULL, one), NEAP_OK, "nothing becomes one");
    is_int(neap_map_compare_exchange(map, key, NULL, two), NEAP_ESTATE, "one is not nothing");
    is_int(neap_map_compare_exchange(map, key, two, one), NEAP_ESTATE, "nor two");
    ok(neap_refcount(one) == 2 && neap_refcount(two) == 1, "what failed left no count");
    is_int(neap_map_compare_exchange(map, key, one, two), NEAP_OK, "one becomes two");
    ok(neap_refcount(one) == 1 && neap_refcount(two) == 2, "the counts follow");
    struct thing *found = neap_map_set_default(map, key, one);
    ok(found == two && neap_refcount(two) == 3, "set_default gives the value that is there");
    neap_release(found);
    is_int(neap_map_compare_exchange(map, key, two, NULL), NEAP_OK, "two becomes nothing");
    is_int(neap_map_count(map), 0, "the key is out");
    is_int(neap_map_compare_exchange(map, key, NULL, NULL), NEAP_OK, "nothing is nothing");
    found = neap_map_set_default(map, key, one);
    ok(found == one && neap_refcount(one) == 3, "or sets it");
    neap_release(found);
    neap_release(map);
    ok(neap_refcount(one) == 1 && neap_refcount(two) == 1, "in the end all counts are back");
    neap_release(one);
    neap_release(two);
    neap_release(key);
}

/* ---- keys of other types ---- */

struct point {
    int x, y;
};
NEAP_DEFINE_TYPE(point, ());

static uint64_t hash_point(const void *key)
{
    const struct point *point = key;
    return (uint64_t)point->x * 31 + (uint64_t)point->y;
}

static bool equal_points(const void *a, const void *b)
{
    const struct point *p = a, *q = b;
    return p->x == q->x && p->y == q->y;
}

static struct point *point_at(int x, int y)
{
    struct point *point = neap_new(point);
    point->x = x;
    point->y = y;
    return point;
}

static bool count_entry(struct neap_string *key, void *value, void *arg)
{
    (void)key;
    (void)value;
    return ++*(int *)arg < 400;
}

static uint64_t hash_badly(const void *key)
{
    (void)key;
    return 7;
}

static void other_keys(void)
{
    struct neap_map *map = neap_map_new_with(hash_point, equal_points);
    struct neap_map *by_address = neap_map_new_with(NULL, NULL);
    struct point *p = point_at(1, 2), *q = point_at(1, 2);
    struct thing *thing = make(1);
    is_int(neap_map_set_key(map, p, thing), NEAP_OK, "an object is a key");
    struct thing *found = neap_map_get_key(map, q);
    ok(found == thing, "its type's equality decides");
    neap_release(found);
    neap_map_set_key(by_address, p, thing);
    ok(neap_map_get_key(by_address, q) == NULL, "or its address");
    found = neap_map_take_key(by_address, p);
    ok(found == thing, "which finds itself");
    neap_release(found);
    ok(neap_map_remove_key(map, q) && neap_map_count(map) == 0, "and goes");
    neap_release(map);
    neap_release(by_address);
    neap_release(p);
    neap_release(q);

    map = neap_map_new_with(hash_badly, equal_points);
    for (int i = 0; i < 500; i++) {
        p = point_at(i, i);
        neap_map_set_key(map, p, thing);
        neap_release(p);
    }
    int calls = 0;
    is_int(neap_map_each(map, count_entry, &calls), 400, "a walk ends where it is told to");
    calls = -1000;
    is_int(neap_map_each(map, count_entry, &calls), 500, "five hundred keys of one hash");
    int missing = 0;
    for (int i = 0; i < 500; i++) {
        p = point_at(i, i);
        missing += !neap_map_remove_key(map, p);
        neap_release(p);
    }
    is_int(missing, 0, "are found all the same");
    neap_release(map);
    neap_release(thing);
}

/* ---- the collector ---- */

static void cycles(void)
{
    disposed = 0;
    struct neap_map *map = neap_map_new();
    struct neap_string *key = neap_string_from("self");
    struct thing *thing = make(1);
    neap_set((struct neap_map **)&thing->link, map);
    neap_map_set(map, key, thing);
    neap_release(thing);
    is_int(neap_collect(2), 0, "a map that is held, and holds what holds it");
    is_int(id_of(map, key), 1, "keeps it");
    neap_release(map);
    (void)neap_collect(2); /* finds it, if no other collection was first */
    harness_await(&disposed, 1);
    is_int(disposed, 1, "and dies with it");
    is_int(settled_count(key), 1, "and gives its keys back");
    neap_release(key);
}

/* ---- many entries ---- */

static struct neap_string *name_of(int i)
{
    return neap_string_format("key-%d", i);
}

static unsigned char *seen;

static bool mark_seen(struct neap_string *key, void *value, void *arg)
{
    struct thing *thing = value;
    (void)key;
    (void)arg;
    seen[thing->id]++;
    return true;
}

/* How many of the even ids in [0, count) were not shown just once. */
static int not_once(int count)
{
    int wrong = 0;
    for (int i = 0; i < count; i += 2)
        wrong += seen[i] != 1;
    return wrong;
}

static void many(void)
{
    enum { MANY = HARNESS_SLOW ? 4000 : 30000 };
    struct neap_map *map = neap_map_new();
    int wrong = 0;
    for (int i = 0; i < MANY; i++) {
        struct neap_string *name = name_of(i);
        wrong += put(map, name, i) != NEAP_OK;
        neap_release(name);
    }
    is_int(wrong, 0, "%d entries", MANY);
    is_int(neap_map_count(map), MANY, "are counted");
    for (int i = 0; i < MANY; i++) {
        struct neap_string *name = name_of(i);
        wrong += id_of(map, name) != i;
        neap_release(name);
    }
    is_int(wrong, 0, "and found while the table grows");
    seen = calloc(MANY, 1);
    is_int(neap_map_each(map, mark_seen, NULL), MANY, "a walk shows as many");
    is_int(not_once(MANY), 0, "each once");
    free(seen);
    for (int i = 0; i < MANY - 10; i++) {
        struct neap_string *name = name_of(i);
        wrong += !neap_map_remove(map, name);
        neap_release(name);
        if (i % 100 == 0)
            neap_safepoint();
    }
    is_int(wrong, 0, "they are taken out again");
    is_int(neap_map_count(map), 10, "but for ten");
    neap_tick();
    for (int i = MANY - 10; i < MANY; i++) {
        struct neap_string *name = name_of(i);
        wrong += id_of(map, name) != i;
        neap_release(name);
    }
    is_int(wrong, 0, "which stay while the table shrinks");
    neap_release(map);
}

static size_t from_malloc(void)
{
    struct mallinfo2 now = mallinfo2();
    return now.uordblks + now.hblkhd;
}

/* Its table is another thread's work, in part: all of it comes back. */
static void a_large_one_dies(void)
{
    enum {
        MANY = HARNESS_SLOW ? 8000 : 30000,
        PATIENCE = 10000,
        SMALL = 65536 /* of malloc's own, per thread */
    };
    size_t most = from_malloc() + SMALL;
    int disposed_before = disposed;
    struct neap_map *map = neap_map_new();
    for (int i = 0; i < MANY; i++) {
        struct neap_string *name = name_of(i);
        put(map, name, i);
        neap_release(name);
    }
    neap_release(map);
    for (int i = 0; i < PATIENCE && (disposed - disposed_before < MANY || from_malloc() > most);
         i++) {
        neap_safepoint();
        if (i > 2 * MANY / 100)
            usleep(1000);
    }
    is_int(disposed - disposed_before, MANY, "a large map dies a piece at a time, all of it");
    ok(from_malloc() <= most, "and its table is given back");
}

static bool drop_entry(struct neap_string *key, void *value, void *arg)
{
    struct neap_map *map = arg;
    struct neap_string *fresh = name_of(-((struct thing *)value)->id);
    neap_safepoint();
    neap_map_remove(map, key);
    put(map, fresh, 1);
    neap_release(fresh);
    return neap_map_count(map) < 5000;
}

static void change_while_walking(void)
{
    struct neap_map *map = neap_map_new();
    for (int i = 1; i < 1000; i++) {
        struct neap_string *name = name_of(i);
        put(map, name, i);
        neap_release(name);
    }
    ok(neap_map_each(map, drop_entry, map) >= 999, "visit may change the map");
    is_int(neap_map_count(map) > 0, 1, "which goes on to work");
    neap_release(map);
}

/* ---- threads ---- */

enum { THREADS = 4, KEYS = 200, ROUNDS = 6000 };
static struct neap_string *names[KEYS];
static long balance;   /* sets that added less removes */
static int bad_values; /* read under one key, made for another */

/* Values are the index of their key plus a multiple of KEYS. */
static void churn(void *arg, unsigned index)
{
    struct neap_map *map = arg;
    uint64_t state = 1234567 + index;
    for (int i = 0; i < ROUNDS; i++) {
        int key = (int)(harness_random(&state) % KEYS);
        struct thing *thing = make(key + KEYS * (int)index), *found;
        switch (harness_random(&state) % 8) {
        case 0:
            if (neap_map_compare_exchange(map, names[key], NULL, thing) == NEAP_OK)
                __atomic_fetch_add(&balance, 1, __ATOMIC_RELAXED);
            break;
        case 1:
            if (neap_map_remove(map, names[key]))
                __atomic_fetch_sub(&balance, 1, __ATOMIC_RELAXED);
            break;
        case 2:
            found = neap_map_get(map, names[key]);
            if (found != NULL)
                neap_map_compare_exchange(map, names[key], found, thing);
            neap_release(found);
            break;
        default:
            found = neap_map_get(map, names[key]);
            if (found != NULL && found->id % KEYS != key)
                __atomic_fetch_add(&bad_values, 1, __ATOMIC_RELAXED);
            neap_release(found);
        }
        neap_release(thing);
        neap_safepoint();
    }
}

static void together(void)
{
    struct neap_map *map = neap_map_new();
    for (int i = 0; i < KEYS; i++)
        names[i] = name_of(i);
    harness_run(THREADS, churn, map);
    is_int(bad_values, 0, "no key gave another key's value");
    is_int(neap_map_count(map), balance, "what was added and not taken out is there");
    seen = calloc(KEYS * THREADS, 1);
    is_int(neap_map_each(map, mark_seen, NULL), balance, "and shown");
    free(seen);
    neap_release(map);
    neap_collect(0);
    for (int i = 0; i < KEYS; i++)
        neap_release(names[i]);
}

/* Two threads walk, two add and take out odd ids all the time, enough to make the table grow. */
enum { FIXED = 4000, PASSING = 20000 };
static int walks_wrong;

static void walk_or_write(void *arg, unsigned index)
{
    struct neap_map *map = arg;
    if (index < 2) {
        for (int i = (int)index; i < PASSING; i += 2) {
            struct neap_string *name = name_of(2 * i + 1);
            put(map, name, 2 * (i % (FIXED / 2)) + 1);
            neap_release(name);
            if (i >= 8000) {
                name = name_of(2 * (i - 8000) + 1);
                neap_map_remove(map, name);
                neap_release(name);
            }
            neap_safepoint();
        }
        return;
    }
    static __thread unsigned char own[FIXED];
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < FIXED; i++)
            own[i] = 0;
        seen = own; /* of the one walker */
        neap_map_each(map, mark_seen, NULL);
        walks_wrong += not_once(FIXED);
    }
}

static void walk_beside_writers(void)
{
    struct neap_map *map = neap_map_new();
    for (int i = 0; i < FIXED; i += 2) {
        struct neap_string *name = name_of(i);
        put(map, name, i);
        neap_release(name);
    }
    harness_run(3, walk_or_write, map);
    is_int(walks_wrong, 0, "beside writers, what is there all the time is shown once");
    neap_release(map);
}

/* The map works in a child that was forked while others write. */
static bool writing;
static void fork_or_write(void *arg, unsigned index)
{
    struct neap_map *map = arg;
    if (index == 1) {
        for (int i = 0; __atomic_load_n(&writing, __ATOMIC_RELAXED); i++) {
            struct neap_string *name = name_of(i);
            put(map, name, i);
            neap_release(name);
            neap_safepoint();
        }
        return;
    }
    int failed = 0;
    for (int round = 0; round < 5; round++) {
        pid_t child = fork();
        if (child == 0) {
            for (int i = 0; i < 2000; i++) {
                struct neap_string *name = name_of(1000000 + i);
                if (put(map, name, i) != NEAP_OK || id_of(map, name) != i)
                    _exit(1);
                neap_release(name);
            }
            neap_tick();
            _exit(neap_map_count(map) >= 2000 ? 0 : 2);
        }
        int status = -1;
        if (child > 0)
            NEAP_BLOCKED(waitpid(child, &status, 0));
        failed += status != 0;
    }
    __atomic_store_n(&writing, false, __ATOMIC_RELAXED);
    is_int(failed, 0, "a forked child has a working map");
}

static void forks(void)
{
#if defined(__SANITIZE_THREAD__) || defined(NP_VALGRIND)
    /* the one refuses the helper thread in the child; to the other, what the parent's threads had
     * at hand is lost there */
    (void)fork_or_write;
    skip(1, "not under ThreadSanitizer or memcheck");
#else
    struct neap_map *map = neap_map_new();
    writing = true;
    harness_run(2, fork_or_write, map);
    neap_release(map);
#endif
}

/* ---- peeking ---- */

/* Both words are written before it is shared, and once more when nobody can peek at it any more. */
struct page {
    int id, mirror;
};
static void page_dispose(void *self)
{
    struct page *page = self;
    __atomic_store_n(&page->mirror, 0, __ATOMIC_RELAXED);
}
NEAP_DEFINE_TYPE(page, (), .dispose = page_dispose, .flags = NEAP_PEEKABLE);

enum { PAGES = 8, PEEK_ROUNDS = 4000 };

struct library {
    struct neap_map *map;
    struct neap_string *names[PAGES];
    int torn, kept, kept_wrong; /* (x) */
};

static struct page *make_page(int id)
{
    struct page *page = neap_new(page);
    if (page == NULL)
        bail("out of memory");
    page->id = id;
    page->mirror = ~id;
    return page;
}

static bool is_whole(const struct page *page)
{
    return __atomic_load_n(&page->mirror, __ATOMIC_RELAXED) == ~page->id;
}

/* One thread writes, the others read; a page that is kept is whole after a point, too. */
static void peek_or_write(void *arg, unsigned index)
{
    struct library *library = arg;
    uint64_t random = 77 + index;
    for (int i = 0; i < PEEK_ROUNDS; i++) {
        struct neap_string *name = library->names[harness_random(&random) % PAGES];
        if (index == 0) {
            struct page *page = make_page(i);
            if (i % 7 == 0)
                (void)neap_map_remove(library->map, name);
            else
                (void)neap_map_set(library->map, name, page);
            neap_release(page);
        } else {
            struct page *page = neap_map_peek(library->map, name);
            if (i % 8 == 0)
                sched_yield(); /* no point of ours: the peek lasts */
            if (page != NULL && !is_whole(page))
                __atomic_fetch_add(&library->torn, 1, __ATOMIC_RELAXED);
            struct page *kept = i % 5 == 0 ? neap_try_retain(page) : NULL;
            neap_safepoint();
            __atomic_fetch_add(&library->kept, kept != NULL, __ATOMIC_RELAXED);
            if (kept != NULL && !is_whole(kept))
                __atomic_fetch_add(&library->kept_wrong, 1, __ATOMIC_RELAXED);
            neap_release(kept);
        }
    }
}

static void peeking(void)
{
    struct library library = {.map = neap_map_new()};
    for (int i = 0; i < PAGES; i++) {
        library.names[i] = name_of(i);
        struct page *page = make_page(i);
        neap_map_set(library.map, library.names[i], page);
        is_ptr(neap_map_peek(library.map, library.names[i]), page, "a peek shows the value");
        is_int(neap_refcount(page), 2, "and does not count it");
        neap_release(page);
    }
    struct neap_string *nobodys = name_of(PAGES);
    ok(neap_map_peek(library.map, nobodys) == NULL && neap_map_peek(library.map, NULL) == NULL,
       "where there is none it shows none");
    neap_release(nobodys);
    harness_run(3, peek_or_write, &library);
    is_int(library.torn, 0, "no peek shows what has been disposed of, beside a writer");
    is_int(library.kept_wrong, 0, "and what was kept stays (%d)", library.kept);
    for (int i = 0; i < PAGES; i++)
        neap_release(library.names[i]);
    neap_release(library.map);
}

static void peek_at_another(void *arg)
{
    (void)arg;
    if (neap_init(NULL) != NEAP_OK)
        return;
    struct neap_map *map = neap_map_new();
    struct neap_string *name = name_of(1);
    neap_map_set(map, name, name);
    (void)!neap_map_peek(map, name);
}

int main(void)
{
    plan_lazy();
    dies_with(peek_at_another, NULL, "not a NEAP_PEEKABLE type",
              "a value of another type is not peeked at");
    harness_begin();
    basics();
    conditions();
    other_keys();
    cycles();
    many();
    a_large_one_dies();
    change_while_walking();
    together();
    walk_beside_writers();
    peeking();
    forks();
    return harness_end();
}
