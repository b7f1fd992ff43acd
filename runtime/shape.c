/* SPDX-License-Identifier: MIT
 *
 * Concurrency: a shared shape never changes but for its list of children, which is prepended to
 * under `lock` and read without: a child is found through the release store that published it
 * (MM-shape-1) or not yet found. An own shape is its object's. */
#include "runtime/shape.h"

#include <pthread.h>
#include <string.h>

#include "base/atomics.h"
#include "base/compiler.h"
#include "neap/block.h"

enum {
    SHARED_MOST = 4096, /* shapes: programs have hundreds; names made from data have no end */
    CHILDREN_MOST = 64, /* that a search goes through */
    NAMES_MOST = 64     /* of a shared shape */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct np_shape root = {.is_shared = true};
static size_t shared_count; /* (L) */

struct np_shape *np_shape_root(void)
{
    return &root;
}

static bool has_name(const struct neap_string *name, const char *bytes, size_t length)
{
    return neap_string_length(name) == length && memcmp(neap_string_data(name), bytes, length) == 0;
}

size_t np_shape_find(const struct np_shape *shape, const char *name, size_t length, uint32_t hash)
{
    for (size_t i = 0; i < shape->count; i++)
        if (shape->hashes[i] == hash && has_name(shape->names[i], name, length))
            return i;
    return SIZE_MAX;
}

/* Names and hashes of `from`; its count is theirs. */
static struct np_shape *copy(const struct np_shape *from, uint32_t room, bool is_shared)
{
    size_t hash_bytes = (room * sizeof(uint32_t) + 7) & ~(size_t)7;
    struct np_shape *shape = neap_alloc(sizeof *shape + hash_bytes + room * sizeof shape->names[0]);
    if (shape == NULL)
        return NULL;
    *shape = (struct np_shape){.room = room, .is_shared = is_shared};
    shape->names = (struct neap_string **)(void *)((char *)shape->hashes + hash_bytes);
    for (uint32_t i = 0; i < from->count; i++) {
        shape->hashes[i] = from->hashes[i];
        shape->names[i] = neap_retain(from->names[i]);
    }
    shape->count = from->count;
    return shape;
}

static void destroy(struct np_shape *shape)
{
    for (uint32_t i = 0; i < shape->count; i++)
        neap_release(shape->names[i]);
    neap_free(shape);
}

/* Takes the caller's reference to the name. */
static void append(struct np_shape *shape, struct neap_string *name, uint32_t hash)
{
    shape->hashes[shape->count] = hash;
    shape->names[shape->count++] = name;
}

/* ---- own shapes ---- */

static struct np_shape *add_own(struct np_shape *shape, struct neap_string *name, uint32_t hash)
{
    struct np_shape *own = shape;
    if (shape->is_shared || shape->count == shape->room) {
        own = copy(shape, shape->count < 4 ? 8 : 2 * shape->count, false);
        if (own == NULL)
            return NULL;
    }
    append(own, neap_retain(name), hash);
    if (own != shape)
        np_shape_drop(shape);
    return own;
}

struct np_shape *np_shape_without(struct np_shape *shape, size_t place)
{
    struct np_shape *own = shape->is_shared ? copy(shape, shape->count, false) : shape;
    if (own == NULL)
        return NULL;
    struct neap_string *name = own->names[place];
    own->count--;
    size_t behind = own->count - place;
    memmove(&own->names[place], &own->names[place + 1], behind * sizeof own->names[0]);
    memmove(&own->hashes[place], &own->hashes[place + 1], behind * sizeof own->hashes[0]);
    neap_release(name); /* a string: no user code */
    return own;
}

void np_shape_drop(struct np_shape *shape)
{
    if (shape != NULL && !shape->is_shared)
        destroy(shape);
}

/* ---- the tree ---- */

/* The child by one name more; *ret_count: how many there are. */
static struct np_shape *child_of(struct np_shape *shape, const char *name, size_t length,
                                 uint32_t hash, unsigned *ret_count)
{
    *ret_count = 0;
    /* [MM-shape-1] acquire: the child as it was published; its siblings were before */
    for (struct np_shape *child = np_load_acquire(&shape->child); child != NULL;
         child = child->sibling, ++*ret_count)
        if (child->hashes[shape->count] == hash &&
            has_name(child->names[shape->count], name, length))
            return child;
    return NULL;
}

/* NULL: there are too many, or no memory. */
static struct np_shape *add_child_locked(struct np_shape *shape, struct neap_string *name,
                                         uint32_t hash, unsigned children)
{
    if (children >= CHILDREN_MOST || shared_count >= SHARED_MOST || shape->count >= NAMES_MOST)
        return NULL;
    struct np_shape *child = copy(shape, shape->count + 1, true);
    if (child == NULL)
        return NULL;
    append(child, neap_retain(name), hash);
    child->sibling = shape->child;
    shared_count++;
    np_store_release(&shape->child, child); /* [MM-shape-1] publishes the child */
    return child;
}

struct np_shape *np_shape_add(struct np_shape *shape, const char *text, size_t length,
                              uint32_t hash)
{
    unsigned children;
    struct np_shape *next =
        shape->is_shared ? child_of(shape, text, length, hash, &children) : NULL;
    if (next != NULL)
        return next;
    struct neap_string *name = neap_string_intern_bytes(text, length);
    if (name == NULL)
        return NULL;
    if (shape->is_shared) {
        pthread_mutex_lock(&lock);
        next = child_of(shape, text, length, hash, &children);
        if (next == NULL)
            next = add_child_locked(shape, name, hash, children);
        pthread_mutex_unlock(&lock);
    }
    if (next == NULL)
        next = add_own(shape, name, hash);
    neap_release(name);
    return next;
}

void np_shape_fini(void)
{
    struct np_shape *shape = root.child;
    root.child = NULL;
    while (shape != NULL) { /* the children of each join the list */
        struct np_shape *next = shape->sibling;
        for (struct np_shape *child = shape->child, *after; child != NULL; child = after) {
            after = child->sibling;
            child->sibling = next;
            next = child;
        }
        destroy(shape);
        shape = next;
    }
    shared_count = 0;
}
