/* SPDX-License-Identifier: MIT
 *
 * Lists keep their elements, count them exactly, grow and shrink, and are seen through by the
 * collector. */
#include <neap/neap.h>

#include "tests/harness.h"

struct item {
    int id;
};
static int disposed;
static void item_dispose(void *self)
{
    (void)self;
    disposed++;
}
NEAP_DEFINE_TYPE(item, (), .dispose = item_dispose);

static struct item *make(int id)
{
    struct item *item = neap_new(item);
    item->id = id;
    return item;
}

static void elements(void)
{
    enum { COUNT = 1000 };
    struct neap_list *list = neap_list_new();
    is_int(neap_list_length(list), 0, "a new list is empty");
    ok(neap_list_pop(list) == NULL && neap_list_get(list, 0) == NULL, "there is nothing in it");
    for (int i = 0; i < COUNT; i++) {
        struct item *item = make(i);
        if (neap_list_append(list, item) != NEAP_OK || neap_refcount(item) != 2)
            fail("append %d", i);
        neap_release(item);
    }
    is_int(neap_list_length(list), COUNT, "appended");
    struct item *item = neap_list_get(list, 500);
    ok(item->id == 500 && neap_refcount(item) == 2, "get counts");
    neap_release(item);
    item = make(-1);
    is_int(neap_list_set(list, 500, item), NEAP_OK, "set");
    is_int(disposed, 1, "releases the old element");
    is_int(neap_refcount(item), 2, "counts the new one");
    is_int(neap_list_set(list, COUNT, item), NEAP_EINVAL, "there is nothing past the end");
    neap_release(item);
    for (int i = COUNT - 1; i > 0; i--) {
        item = neap_list_pop(list);
        if (item->id != (i == 500 ? -1 : i) || neap_refcount(item) != 1)
            fail("pop %d", i);
        neap_release(item);
    }
    is_int(neap_list_length(list), 1, "popped all but one");
    is_int(neap_list_append(list, NULL), NEAP_OK, "NULL is an element");
    neap_release(list);
    is_int(disposed, COUNT + 1, "the list releases what is left");
}

static void cycles(void)
{
    disposed = 0;
    struct neap_list *outer = neap_list_new(), *inner = neap_list_new();
    struct item *item = make(1);
    (void)neap_list_append(outer, inner);
    (void)neap_list_append(inner, outer);
    (void)neap_list_append(inner, item);
    (void)neap_list_append(inner, item);
    is_int(neap_collect(2), 0, "two lists that are held");
    neap_release(inner);
    neap_release(outer);
    is_int(neap_collect(2), 2, "two lists that hold each other");
    is_int(neap_refcount(item), 1, "release their elements");
    neap_release(item);
    is_int(disposed, 1, "which die with the last reference");
}

int main(void)
{
    plan_lazy();
    harness_begin();
    neap_gc_disable();
    elements();
    cycles();
    return harness_end();
}
