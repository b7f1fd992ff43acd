/* SPDX-License-Identifier: MIT
 *
 * Biased counts of one object: its owner, two other threads, a merge queue, and an owner that
 * blocks or leaves while others merge on its behalf (runtime/count.c, runtime/batch.c).
 *
 * One step is one access to a shared word. `held` is the truth: references that some thread or the
 * queue has. Claims are exclusive: two claimers never drain one queue at once.
 *
 * Shown: the object dies exactly once, never while somebody holds a reference, and nothing stays
 * queued for ever when all is quiet.
 *
 * -DBROKEN_SUBTRACT: a releaser that finds count 0 subtracts and then queues (a bare fetch_sub).
 * -DBROKEN_LOOK:     the owner does not look at its queue after it published BLOCKED.
 * -DBROKEN_OWNER:    a merge that publishes MERGED before it clears owner and local.
 */
#define OWNER 1
#define NONE 0
mtype = {RUNNING, BLOCKED, CLAIMED};

byte owner = OWNER;
/* The owner's own reference and one passed to each of the others through plain memory. */
short loc = 3;
short cnt = 0; /* the signed count in `shared` */
bool queued = false, merged = false;
byte queue = 0; /* requests pushed and not drained */
byte held = 3, deaths = 0, finished = 0;
mtype state = RUNNING;

inline die() { assert(held == 0); deaths++; assert(deaths == 1) }

/* One queue entry: merge if the owner still owns it, else give the queue's reference back. One
 * process at a time. */
inline drain() {
    do
    :: atomic { queue > 0 -> queue--; held-- }
       if
       :: owner == OWNER ->
#ifdef BROKEN_OWNER
            atomic { cnt = cnt + loc - 1; merged = true; queued = false; dead = (cnt == 0) }
            if :: dead -> die() :: else fi;
            assert(deaths == 0 || dead); /* a write to a freed header */
            loc = 0; owner = NONE
#else
            moved = loc; loc = 0; owner = NONE;
            atomic { cnt = cnt + moved - 1; merged = true; queued = false; dead = (cnt == 0) }
            if :: dead -> die() :: else fi
#endif
       :: else ->
            atomic { cnt--; queued = false; dead = (merged && cnt == 0) }
            if :: dead -> die() :: else fi
       fi
    :: queue == 0 -> break
    od
}

inline foreign_release() {
    if
#ifdef BROKEN_SUBTRACT
    :: atomic { !merged && !queued && cnt <= 0 -> queued = true; cnt--; held-- }
       atomic { queue++; held++ }
       push = true
#else
    /* the queue inherits the reference */
    :: atomic { !merged && !queued && cnt <= 0 -> queued = true }
       if
       :: owner == NONE -> /* merged in between: give it back in place */
          atomic { cnt--; queued = false; held--; dead = (merged && cnt == 0) }
          if :: dead -> die() :: else fi
       :: else -> queue++; push = true
       fi
#endif
    :: atomic { (merged || queued || cnt > 0) -> cnt--; held--;
                dead = (merged && !queued && cnt == 0) }
       if :: dead -> die() :: else fi
    fi;
    if
    :: push -> push = false;
       /* pushed, now look: claim a blocked owner and merge for it */
       if
       :: atomic { state == BLOCKED -> state = CLAIMED } drain(); state = BLOCKED
       :: state == RUNNING -> skip /* its request bit is set: it drains at its next poll */
       fi /* CLAIMED: claims are exclusive, wait */
    :: else
    fi
}

active proctype owner_thread() {
    short moved; bool dead;
    /* release of its own reference */
    if
    :: owner == OWNER ->
       loc--;
       if
       :: loc == 0 ->
          if
          :: cnt == 0 && !merged && !queued -> held--; die()
          :: else ->
             owner = NONE;
             atomic { merged = true; held--; dead = (!queued && cnt == 0) }
             if :: dead -> die() :: else fi
          fi
       :: else -> held--
       fi
    :: else -> /* merged by a claimer: not before it first blocks, so not here */ assert(false)
    fi;
    /* blocks and comes back, twice; leaving for good and a new thread in the slot look the same */
    byte round = 0;
    do
    :: round < 2 ->
       drain(); /* a poll */
       do
       :: state = BLOCKED;
#ifndef BROKEN_LOOK
          if
          :: queue > 0 -> atomic { state == BLOCKED -> state = RUNNING } drain()
          :: queue == 0 -> break
          fi
#else
          break
#endif
       od;
       round++;
       if
       /* leaves, or a new thread takes the slot */
       :: atomic { round < 2 && state == BLOCKED -> state = RUNNING }
       :: round == 2 -> break /* stays away for ever */
       fi
    :: round >= 2 -> break
    od;
    finished++
}

proctype other(bool extra) {
    short moved; bool dead, push = false;
    if
    :: extra -> /* counts one up and down again first */
       atomic { assert(held > 0); cnt++; held++ }
       foreign_release()
    :: else
    fi;
    foreign_release();
    finished++
}

active proctype monitor() {
    atomic { run other(true); run other(false) }
    atomic { finished == 3 -> assert(queue == 0 && deaths == 1) }
}
