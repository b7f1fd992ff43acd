/* SPDX-License-Identifier: MIT
 *
 * What workers do: actions with weights, a mix per kind of program. */
#ifndef STRESS_ACTIONS_H
#define STRESS_ACTIONS_H

#include "tools/stress/oracle.h"

enum { HANDS = 24, WEAKS = 12, BLOCKS = 24, BOARDS = 3, MAIL = 128, SHARED_WEAKS = 64 };

struct weak_entry {
    struct neap_weak *weak; /* NULL: none */
    uint32_t id, serial;    /* of its object */
    bool dead;              /* has been found dead: stays so */
    bool followed;          /* the hand with the same index has held the object since */
};

struct block {
    void *memory;
    size_t bytes;
    uint64_t key;
};

struct worker {
    unsigned index;
    uint64_t random;
    uint64_t done; /* actions */
    struct node *hands[HANDS];
    struct weak_entry weaks[WEAKS];
    struct block blocks[BLOCKS];
};

struct mix {
    const char *name, *what;
    bool revives; /* finalizers may */
    uint16_t weights[64];
};

extern const struct mix mixes[];
const struct mix *mix_named(const char *name);

/* Names of actions, with commas between, that no mix does; false: there is none of that name. */
bool actions_leave_out(const char *list);

/* Shared by all workers; made and dropped by the coordinator. */
void actions_begin(void);
void actions_drop(void); /* boards emptied, mail thrown away, weak references released */
void actions_end(void);
/* After the last look. */
void containers_end(void);

/* One action, chosen by the mix's weights. */
void act(struct worker *worker, const struct mix *mix);

/* Gives everything back. */
void worker_drop(struct worker *worker);

/* Looks at a weak reference; expected: its object is surely alive, or surely dead. */
enum expectation { UNKNOWN, SURELY_ALIVE, SURELY_DEAD };
void weak_look(struct weak_entry *entry, enum expectation expected, const char *where);
/* Coordinator, quiet: every shared weak reference. */
void actions_each_weak(void (*look)(struct weak_entry *entry, void *arg), void *arg);

/* Coordinator, quiet: every object that a container holds, after a look into the container. */
void containers_each_root(void (*root)(uint32_t id, void *arg), void *arg);

/* The weak map gives to this key, which is reached, what it must. */
void ward_check(struct node *key);

/* Objects of neap's that are not records: weak references, the weak map. */
extern _Atomic long weaks_alive;
extern _Atomic long blocks_alive;

#endif
