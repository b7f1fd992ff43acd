/* SPDX-License-Identifier: MIT
 *
 * What CPython's own tests of its collector, finalizers and weak references show, shown of neap.
 * docs/python.md says which test here stands for which there. */
#include <neap/neap.h>

#include <stdlib.h>

#include "tests/harness.h"

enum kind { SIMPLE, RESURRECTING, SUICIDAL };

struct link {
    struct link *left, *right;
    enum kind kind;
    bool finalized, suicided;
};

static struct {
    unsigned finalized, disposed, insane;
    struct neap_list *survivors;
} seen;

/* Whatever finalizers have done to the neighbours, both ends of each reference agree. */
static void check_sanity(struct link *self)
{
    if (self->suicided) {
        seen.insane += self->left != NULL || self->right != NULL;
        return;
    }
    seen.insane += self->left->right != (self->left->suicided ? NULL : self);
    seen.insane += self->right->left != (self->right->suicided ? NULL : self);
}

static void link_finalize(void *object)
{
    struct link *self = object;
    seen.insane += self->finalized;
    self->finalized = true;
    seen.finalized++;
    check_sanity(self);
    if (self->kind == RESURRECTING)
        (void)neap_list_append(seen.survivors, self);
    if (self->kind == SUICIDAL) {
        self->suicided = true;
        neap_clear(&self->left);
        neap_clear(&self->right);
    }
}
static void link_dispose(void *object)
{
    (void)object;
    seen.disposed++;
}
NEAP_DEFINE_TYPE(link, (left, right), .finalize = link_finalize, .dispose = link_dispose);

static void begin(void)
{
    struct neap_list *survivors = neap_list_new();
    (void)neap_collect(2);
    neap_release(seen.survivors);
    seen = (typeof(seen)){.survivors = survivors};
}

/* A ring in which each refers to both neighbours. */
static void chain(const enum kind *kinds, unsigned count, struct neap_weak **weaks)
{
    struct link *links[8];
    for (unsigned i = 0; i < count; i++) {
        links[i] = neap_new(link);
        links[i]->kind = kinds[i];
        weaks[i] = neap_weak_new(links[i]);
    }
    for (unsigned i = 0; i < count; i++) {
        struct link *left = links[(i + count - 1) % count];
        neap_set(&links[i]->left, left);
        neap_set(&left->right, links[i]);
    }
    for (unsigned i = 0; i < count; i++)
        neap_release(links[i]);
}

static void chain_of(const char *name, const enum kind *kinds, unsigned count)
{
    struct neap_weak *weaks[8];
    unsigned resurrecting = 0;
    begin();
    for (unsigned i = 0; i < count; i++)
        resurrecting += kinds[i] == RESURRECTING;
    chain(kinds, count, weaks);
    (void)neap_collect(2);
    is_int(seen.finalized, count, "%s: each is finalized", name);
    is_int(neap_list_length(seen.survivors), resurrecting, "%s: the right ones survive", name);
    unsigned alive = 0;
    for (unsigned i = 0; i < count; i++)
        alive += neap_weak_get(weaks[i]) != NULL;
    is_int(alive, 0, "%s: all weak references are dead", name);
    while (neap_list_length(seen.survivors) > 0)
        neap_release(neap_list_pop(seen.survivors));
    (void)neap_collect(2);
    is_int(seen.finalized, count, "%s: none is finalized again", name);
    is_int(seen.disposed, count, "%s: all are gone", name);
    is_int(seen.insane, 0, "%s: and were sane", name);
    for (unsigned i = 0; i < count; i++)
        neap_release(weaks[i]);
}

static void chains(void)
{
#define CHAIN(name, ...) \
    chain_of(name, (const enum kind[]){__VA_ARGS__}, \
             sizeof((const enum kind[]){__VA_ARGS__}) / sizeof(enum kind))
    CHAIN("self-cycle", SIMPLE);
    CHAIN("self-cycle, resurrecting", RESURRECTING);
    CHAIN("self-cycle, suicidal", SUICIDAL);
    CHAIN("homogenous", SIMPLE, SIMPLE, SIMPLE);
    CHAIN("homogenous resurrect", RESURRECTING, RESURRECTING, RESURRECTING);
    CHAIN("homogenous suicidal", SUICIDAL, SUICIDAL, SUICIDAL);
    CHAIN("heterogenous suicidal one", SUICIDAL, SIMPLE, SUICIDAL, SIMPLE);
    CHAIN("heterogenous suicidal two", SUICIDAL, SUICIDAL, SIMPLE, SIMPLE);
    CHAIN("heterogenous resurrect one", RESURRECTING, SIMPLE, RESURRECTING, SIMPLE);
    CHAIN("heterogenous resurrect two", RESURRECTING, SIMPLE, SUICIDAL, RESURRECTING, SIMPLE,
          SUICIDAL);
    CHAIN("heterogenous resurrect three", RESURRECTING, RESURRECTING, SIMPLE, SIMPLE, SUICIDAL,
          SUICIDAL);
#undef CHAIN
}

struct plain {
    struct plain *me, *keeps;
};
NEAP_DEFINE_TYPE(plain, (me, keeps));

static struct plain *loop(void)
{
    struct plain *plain = neap_new(plain);
    neap_set(&plain->me, plain);
    return plain;
}

static struct link *lazarus(void)
{
    struct link *link = neap_new(link);
    link->kind = RESURRECTING;
    neap_set(&link->left, link);
    neap_set(&link->right, link);
    return link;
}

static void resurrection_among_others(void)
{
    enum { N = 100 };
    struct neap_gc_stats before, after;
    begin();
    (void)neap_gc_get_stats(2, &before);
    for (int i = 0; i < N; i++)
        neap_release(loop());
    is_int(neap_collect(2), N, "loops are collected");
    neap_release(lazarus());
    is_int(neap_collect(2), 0, "one that resurrects itself is not");
    for (int i = 0; i < N; i++)
        neap_release(loop());
    neap_release(lazarus());
    is_int(neap_collect(2), N, "and keeps no other from being collected");
    while (neap_list_length(seen.survivors) > 0)
        neap_release(neap_list_pop(seen.survivors));
    is_int(neap_collect(2), 2, "both are, once dropped");
    (void)neap_gc_get_stats(2, &after);
    is_int(after.collected - before.collected, 2 * N + 2, "statistics say the same");
    is_int(after.uncollectable - before.uncollectable, 0, "nothing is uncollectable");
}

/* ---- weak references and callbacks ---- */

static struct {
    struct neap_weak *looked_at[2];
    unsigned calls, alive;
} looking;

static void look(struct neap_weak *weak, void *arg)
{
    (void)weak;
    (void)arg;
    looking.calls++;
    for (int i = 0; i < 2; i++) {
        void *object = looking.looked_at[i] != NULL ? neap_weak_get(looking.looked_at[i]) : NULL;
        looking.alive += object != NULL;
        neap_release(object);
    }
}

static void callbacks_see_nothing(void)
{
    begin();
    struct plain *first = loop(), *second = loop();
    looking.looked_at[0] = neap_weak_new_with(first, look, NULL);
    looking.looked_at[1] = neap_weak_new_with(second, look, NULL);
    neap_release(first);
    neap_release(second);
    is_int(neap_collect(2), 2, "two loops watched by callbacks that look at both");
    ok(looking.calls == 2 && looking.alive == 0, "no callback gets hold of garbage");
    neap_release(looking.looked_at[0]);
    neap_release(looking.looked_at[1]);
}

/* An old object dies because young garbage held it; its callback looks at other young garbage. */
static void callback_of_an_old_object(void)
{
    begin();
    looking = (typeof(looking)){0};
    struct plain *c0 = neap_new(plain);
    (void)neap_collect(2);
    (void)neap_collect(2);
    struct plain *c1 = loop(), *c2 = loop();
    neap_set(&c1->keeps, c0);
    looking.looked_at[0] = neap_weak_new(c2);
    struct neap_weak *weak = neap_weak_new_with(c0, look, NULL);
    neap_release(c0);
    neap_release(c1);
    neap_release(c2);
    is_int(neap_collect(0), 2, "a young collection finds the young");
    ok(looking.calls == 1 && looking.alive == 0, "the old one's callback cannot reach them");
    neap_release(weak);
    neap_release(looking.looked_at[0]);
}

/* A reference that no type reports hides an object from the collector: it is alive to it. */
struct hiding {
    struct plain *hidden;
};
static void hiding_dispose(void *self)
{
    neap_clear(&((struct hiding *)self)->hidden);
}
NEAP_DEFINE_TYPE(hiding, (), .dispose = hiding_dispose);

struct owner {
    struct owner *me;
    struct hiding *hiding;
    struct neap_weak *weak;
};
NEAP_DEFINE_TYPE(owner, (me, hiding, weak));

static void hidden_reference(void)
{
    begin();
    looking = (typeof(looking)){0};
    struct owner *owner = neap_new(owner);
    neap_set(&owner->me, owner);
    neap_give(&owner->hiding, neap_new(hiding));
    owner->hiding->hidden = neap_new(plain);
    looking.looked_at[0] = neap_weak_new_with(owner->hiding->hidden, look, NULL);
    neap_set(&owner->weak, looking.looked_at[0]);
    neap_release(owner);
    is_int(neap_collect(2), 1, "garbage that holds something behind the collector's back");
    is_int(looking.calls, 1, "it dies with its holder");
    is_int(looking.alive, 0, "and is not seen again");
    neap_release(looking.looked_at[0]);
}

static void deep_nesting(void)
{
    begin();
    struct neap_list *outer = neap_list_new();
    for (int i = 0; i < 200000; i++) {
        struct neap_list *next = neap_list_new();
        (void)neap_list_append(next, outer);
        neap_release(outer);
        outer = next;
    }
    neap_release(outer);
    while (neap_run_pending(SIZE_MAX) > 0)
        ;
    neap_safepoint();
    outer = neap_list_new();
    struct neap_list *first = neap_retain(outer);
    for (int i = 0; i < 200000; i++) {
        struct neap_list *next = neap_list_new();
        (void)neap_list_append(next, outer);
        neap_release(outer);
        outer = next;
    }
    (void)neap_list_append(first, outer); /* a very long way round */
    neap_release(first);
    neap_release(outer);
    is_int(neap_collect(2), 200001, "deeply nested lists, and a cycle of them, on a small stack");
}

int main(void)
{
    plan_lazy();
    setenv("NEAP_OPTIONS", "finalize_ms=0", 0);
    harness_begin();
    neap_gc_disable();
    chains();
    resurrection_among_others();
    callbacks_see_nothing();
    callback_of_an_old_object();
    hidden_reference();
    deep_nesting();
    neap_release(seen.survivors);
    return harness_end();
}
