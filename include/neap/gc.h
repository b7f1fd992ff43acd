/* SPDX-License-Identifier: MIT
 *
 * neap: the cycle collector, Python's gc module in C. Counting frees nearly everything; the
 * collector frees what refers to itself. It starts by itself (thresholds) at stop points and never
 * runs user code there.
 *
 *     ptrdiff_t found = neap_collect(2);      everything, now
 *     struct neap_gc_stats old;
 *     neap_gc_get_stats(2, &old);             how often, how long the world was stopped
 */
#ifndef NEAP_GC_H
#define NEAP_GC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <neap/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Collects generations 0 to generation (0..2) and returns how many unreachable tracked objects it
 * found, after all of them have been finalized, called back, disposed of and freed. NEAP_EINVAL
 * for another generation, NEAP_ESTATE inside a dispose, finalizer, callback or walker's function.
 * refs: none | user code: yes | point: quiescent | threads: attached | fails: status */
NEAP_PUBLIC ptrdiff_t neap_collect(int generation);

/* Automatic collections on and off; on at the start. neap_collect works in both.
 * refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC void neap_gc_enable(void);

/* refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC void neap_gc_disable(void);

/* refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC bool neap_gc_is_enabled(void);

/* young: tracked objects made and not freed before generation 0 is collected; middle and old:
 * collections of the generation below before this one is collected too. 0: never by itself. Always
 * NEAP_OK.
 * refs: none | user code: no | point: none | threads: any | fails: status */
NEAP_PUBLIC int neap_gc_set_threshold(uint64_t young, uint64_t middle, uint64_t old);

/* refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC void neap_gc_get_threshold(uint64_t ret_threshold[3]);

/* The counters compared with the thresholds.
 * refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC void neap_gc_get_count(uint64_t ret_count[3]);

/* object holds delta bytes more (or less) outside neap: buffers, mappings, handles of a device.
 * Pacing counts them like its own, so that few objects that hold much are collected in time. A
 * disposal gives back what it told.
 * refs: none | user code: no | point: none | threads: attached | fails: no */
NEAP_PUBLIC void neap_external_bytes(const void *object, ptrdiff_t delta);

struct neap_list;

/* What a collection does, in this order; docs/collector.md says more. The world is stopped from
 * GATHER to PROMOTE; in a concurrent one (docs/concurrent.md) for PART alone. */
enum neap_gc_phase {
    NEAP_GC_PHASE_HANDSHAKE, /* every thread sends and merges what it has gathered */
    NEAP_GC_PHASE_STOP,      /* until every thread stands still */
    NEAP_GC_PHASE_GATHER,    /* which pools and large objects */
    NEAP_GC_PHASE_KNOWN,     /* what immortal and frozen objects reach */
    NEAP_GC_PHASE_COUNT,     /* counts minus references from inside */
    NEAP_GC_PHASE_TRACE,     /* what is reachable from what is held from outside */
    NEAP_GC_PHASE_PART,      /* weak references cleared, garbage condemned */
    NEAP_GC_PHASE_PROMOTE,   /* lists of young and middle pools */
    NEAP_GC_PHASE_CLEAN,     /* the collector's own memory, while the world runs */
    NEAP_GC_PHASE_SWEEP,     /* garbage without user code is freed */
    NEAP_GC_PHASE_FINALIZE,  /* callbacks and finalizers of the rest */
    NEAP_GC_PHASE_RECHECK,   /* a second stop: is it still garbage? */
    NEAP_GC_PHASE_DISPOSE,   /* disposals, cleanups, and freeing it */
    NEAP_GC_PHASES           /* how many there are */
};

/* "count" for NEAP_GC_PHASE_COUNT, and so on; NULL for no phase.
 * refs: none | user code: no | point: none | threads: any | fails: NULL */
NEAP_PUBLIC const char *neap_gc_phase_name(enum neap_gc_phase phase);

/* Why there was a collection. */
enum neap_gc_cause {
    NEAP_GC_CAUSE_ASKED,      /* neap_collect, neap_shutdown */
    NEAP_GC_CAUSE_PACED,      /* a threshold was passed; the thread that passed it collected */
    NEAP_GC_CAUSE_CONCURRENT, /* the same, by the collector's own thread while the program ran */
    NEAP_GC_CAUSE_MEMORY,     /* there was no memory for an allocation */
    NEAP_GC_CAUSES            /* how many there are */
};

/* "asked" for NEAP_GC_CAUSE_ASKED, and so on; NULL for no cause.
 * refs: none | user code: no | point: none | threads: any | fails: NULL */
NEAP_PUBLIC const char *neap_gc_cause_name(enum neap_gc_cause cause);

struct neap_gc_stats {
    uint64_t collections;   /* of this generation */
    uint64_t collected;     /* objects found unreachable */
    uint64_t uncollectable; /* of those, objects that could not be freed */
    uint64_t pause_p50_ns, pause_p99_ns,
        pause_max_ns;                  /* world stopped, per stop; p50 and p99 within 13 % */
    uint64_t stopped_ns;               /* world stopped, in all */
    uint64_t total_ns;                 /* collections from request to end, in all */
    uint64_t phase_ns[NEAP_GC_PHASES]; /* of that, in each phase; those that ran as pending
                                                  user code are beside total_ns */
    uint64_t confined; /* generation 0: collections by one thread of its own objects, nobody
                        * stopped, that freed something; not among `collections` */
    uint64_t confined_collected;       /* objects they freed */
    uint64_t by_cause[NEAP_GC_CAUSES]; /* of `collections`, by enum neap_gc_cause */
    uint64_t pause_p999_ns;            /* as pause_p99_ns */
};

/* The macro neap_gc_get_stats(generation, &stats) passes the size, so that the struct may grow.
 * NEAP_OK, or NEAP_EINVAL for a generation not in 0..2.
 * refs: none | user code: no | point: none | threads: any | fails: status */
NEAP_PUBLIC int neap_gc_get_stats_sized(int generation, struct neap_gc_stats *ret_stats,
                                        size_t stats_bytes);
#define neap_gc_get_stats(generation, ret_stats) \
    neap_gc_get_stats_sized((generation), (ret_stats), sizeof *(ret_stats))

/* Moves every tracked object out of the collector's sight, until neap_gc_unfreeze: before a fork,
 * so that collections in the child dirty no page of what it shares. Frozen objects still die by
 * their counts.
 * refs: none | user code: no | point: quiescent | threads: attached | fails: no */
NEAP_PUBLIC void neap_gc_freeze(void);

/* Frozen objects are in generation 2 again.
 * refs: none | user code: no | point: quiescent | threads: attached | fails: no */
NEAP_PUBLIC void neap_gc_unfreeze(void);

/* Frozen objects alive.
 * refs: none | user code: no | point: quiescent | threads: attached | fails: no */
NEAP_PUBLIC size_t neap_gc_freeze_count(void);

enum neap_gc_debug {
    NEAP_GC_DEBUG_STATS = 1,         /* a line per collection on standard error, times in ms */
    NEAP_GC_DEBUG_COLLECTABLE = 2,   /* a line per object found that can be freed */
    NEAP_GC_DEBUG_UNCOLLECTABLE = 4, /* a line per object found that cannot */
    NEAP_GC_DEBUG_SAVEALL = 32       /* what would be freed goes to the garbage list instead */
};

/* Sets the bits of enum neap_gc_debug; 0 at the start.
 * refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC void neap_gc_set_debug(unsigned flags);

/* refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC unsigned neap_gc_get_debug(void);

/* The list of objects that were found unreachable and not freed: those whose visit hands out slots
 * that cannot be cleared, and all under NEAP_GC_DEBUG_SAVEALL. It is the program's to empty; while
 * a collection may run in another thread it may grow. neap_shutdown drops it.
 * refs: new | user code: no | point: stop | threads: attached | fails: NULL, out of memory */
NEAP_PUBLIC struct neap_list *neap_gc_garbage(void);

/* What walkers call: object is borrowed for the call; false ends the walk. The world goes on
 * meanwhile. It may not collect (neap_collect says NEAP_ESTATE); what it releases dies after the
 * walk. */
typedef bool neap_visit_fn(void *object, void *arg);

/* Walkers return the calls made. Objects made during a walk may be left out. This one: every
 * tracked object of a generation, or of all with -1.
 * refs: none | user code: yes | point: quiescent | threads: attached | fails: no */
NEAP_PUBLIC size_t neap_gc_each_object(int generation, neap_visit_fn *visit, void *arg);

/* Every object that refers to object, once per slot that does.
 * refs: none | user code: yes | point: quiescent | threads: attached | fails: no */
NEAP_PUBLIC size_t neap_referrers(const void *object, neap_visit_fn *visit, void *arg);

/* Every object that object refers to, once per slot.
 * refs: none | user code: yes | point: quiescent | threads: attached | fails: no */
NEAP_PUBLIC size_t neap_referents(const void *object, neap_visit_fn *visit, void *arg);

/* Bytes of object and of what would die with it if it died now: what it alone keeps alive. 0 out
 * of memory.
 * refs: none | user code: no | point: quiescent | threads: attached | fails: 0 */
NEAP_PUBLIC size_t neap_retained_size(const void *object);

struct neap_gc_event {
    bool start; /* a collection begins; the figures below are 0 */
    int generation;
    uint64_t collected, uncollectable; /* objects found unreachable; of those, not freed */
    uint64_t stopped_ns, total_ns;     /* world stopped; from request to end */
    uint64_t phase_ns[NEAP_GC_PHASES]; /* of that, in each phase; of an automatic collection
                                                  up to SWEEP: the rest is pending user code */
    enum neap_gc_cause cause;          /* at the start too */
};

typedef void neap_gc_callback_fn(const struct neap_gc_event *event, void *arg);

/* callback is called when a collection starts and when it has ended: around and inside
 * neap_collect; for an automatic collection both calls come afterwards, where its pending user
 * code runs. NEAP_OK or NEAP_ENOMEM.
 * refs: none | user code: no | point: none | threads: any | fails: status */
NEAP_PUBLIC int neap_gc_add_callback(neap_gc_callback_fn *callback, void *arg);

/* Ends what neap_gc_add_callback with the same arguments began: its turn does not come any more,
 * also where other callbacks are being called now. Only a call whose turn another thread has taken
 * already may still begin or be under way: arg has to outlive it.
 * refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC void neap_gc_remove_callback(neap_gc_callback_fn *callback, void *arg);

#ifdef __cplusplus
}
#endif

#endif
