/* SPDX-License-Identifier: MIT
 *
 * The C++ face: references count exactly through copies and moves, destructors and finalizers run
 * once, slots and weak references do what their C forms do, guards leave on every way out. */
#include <neap/neap.hpp>

#include <stdexcept>
#include <thread>

#include "tests/harness.h"

static int destroyed, finalized;

struct route {
    int hops = 3;
    explicit route(int given) noexcept : hops(given)
    {
    }
};
NEAP_TYPE(route);

static int destroy(int unused)
{
    (void)unused;
    return ++destroyed;
}

struct session {
    neap::slot<session> next;
    neap::atomic_slot<route> current;
    int fd = -1;
    ~session()
    {
        destroy(fd);
    }
};
NEAP_TYPE(session, &session::next, &session::current);

struct phoenix {
    neap::slot<phoenix> self;
    void finalize()
    {
        finalized++;
    }
};
NEAP_TYPE_FLAGS(phoenix, NEAP_POOLED, &phoenix::self);

static void references()
{
    auto one = neap::make<session>();
    ok(one && one->fd == -1, "an object is constructed");
    ok(neap::is<session>(one.get()) && !neap::is<route>(one.get()), "and has its type");
    is_str(neap_type_name(neap_type_of(one.get())), "session", "by name");
    is_int(neap_refcount(one.get()), 1, "one reference");
    auto two = one;
    is_int(neap_refcount(one.get()), 2, "a copy counts");
    auto three = std::move(two);
    ok(!two && neap_refcount(one.get()) == 2, "a move does not");
    ok(three == one && three != two, "references compare by object");
    three = nullptr;
    is_int(neap_refcount(one.get()), 1, "what is replaced is released");
    session *raw = one.release();
    ok(!one && neap_refcount(raw) == 1, "release gives it away");
    one = neap::ref<session>::take(raw);
    auto &same = one;
    one = same;
    is_int(neap_refcount(raw), 1, "assigning itself changes nothing");
    one = nullptr;
    is_int(destroyed, 1, "the last reference destroys");
    auto text = neap::ref<neap_string>::take(neap_string_from("tern"));
    is_str(neap_string_data(text.get()), "tern", "types of C are at home");
}

static void slots()
{
    destroyed = 0;
    auto a = neap::make<session>(), b = neap::make<session>();
    a->next.set(b);
    is_int(neap_refcount(b.get()), 2, "set counts");
    ok(a->next->fd == -1 && a->next.get() == b, "get and -> read");
    auto out = a->next.take();
    ok(out == b && !a->next, "take empties");
    a->next.set(std::move(out));
    is_int(neap_refcount(b.get()), 2, "a moved reference is given");
    a->next.clear();
    is_int(neap_refcount(b.get()), 1, "clear releases");
    auto first = neap::make<route>(1), second = neap::make<route>(2);
    a->current.store(first);
    is_int(a->current.load()->hops, 1, "store and load");
    ok(!a->current.compare_exchange(second, first) && a->current.compare_exchange(first, second),
       "compare_exchange compares");
    ok(a->current.exchange(nullptr) == second && !a->current.load(), "exchange gives the old");
    is_int(neap_refcount(first.get()), 1, "all counts are back");
    a->next.set(a);
    a = nullptr;
    is_int(neap_collect(2), 1, "a cycle is found");
    is_int(destroyed, 1, "and destroyed");
    auto p = neap::make<phoenix>();
    p->self.set(p);
    p = nullptr;
    ok(neap_collect(2) == 1 && finalized == 1, "a finalizer runs");
}

static void header_example()
{
    destroyed = 0;
    neap::ref<session> s = neap::make<session>();
    s->next.set(s);
    neap::weak<session> watch(s);
    s = nullptr;
    ok(neap_collect(2) == 1 && destroyed == 1 && !watch.lock(), "the example of the header");
}

static void weak_references()
{
    neap::weak<session> none;
    ok(!none && !none.lock(), "an empty weak reference");
    auto object = neap::make<session>();
    neap::weak<session> watch(object);
    ok(watch && watch.lock() == object, "sees the living");
    is_int(neap_refcount(object.get()), 1, "without keeping it");
    object = nullptr;
    ok(!watch.lock(), "nor the dead");
}

static void guards()
{
    auto shared = neap::make<route>(5);
    bool attached = false;
    std::thread worker([&] {
        neap::attach_guard guard("worker");
        attached = guard.status() == NEAP_OK;
        auto mine = shared;
        shared = nullptr;
    });
    {
        neap::blocking_region region;
        worker.join();
    }
    ok(attached && !shared, "a thread attaches for a scope");
    bool caught = false;
    try {
        neap::blocking_region region;
        throw std::runtime_error("out");
    } catch (const std::exception &) {
        caught = true;
    }
    auto after = neap::make<route>(6);
    ok(caught && after, "an exception leaves a blocking region");
}

int main()
{
    plan_lazy();
    harness_begin();
    references();
    slots();
    header_example();
    weak_references();
    guards();
    return harness_end();
}
