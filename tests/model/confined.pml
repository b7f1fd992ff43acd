/* SPDX-License-Identifier: MIT
 *
 * A confined collection (collector/confined.c) beside a thread that moves references about
 * (runtime/slot.c). The collector owns both objects and reads their slots in two passes, one
 * memory access at a time; the mutator takes, counts up, empties, gives and drops.
 *
 * Objects 1 and 2 have one slot each; slot 0 is the mutator's own variable in an object that it
 * always holds, outside the universe. held[i]: counted references to i in the mutator's plain
 * memory. mark[i]: the shared word of i is not 0.
 *
 * -DMARK_LATE: the slot changes before the mark is made.
 * -DNO_MARK:   taking out leaves no mark.
 * -DNO_LOOK:   candidates' shared words are not read again.
 *
 * The counting anew after the last look is left out: with two objects nothing needs it (what is
 * saved is saved with what it reaches); confined.c keeps it for larger graphs.
 */
byte slot[3];         /* the object that it holds; 0: empty */
byte held[3];
short own[3];         /* the owner's count: fixed while the owner collects */
short shared[3];      /* what other threads have counted, up or down */
bool mark[3];
bool freed[3];
bool done = false;

/* The mutator may use what it holds, and what it reaches: none of it has been freed. */
#define SAFE (!(held[1] > 0 && freed[1]) && !(held[2] > 0 && freed[2]) && \
              !(slot[0] == 1 && freed[1]) && !(slot[0] == 2 && freed[2]))

inline leaves(c) {
#ifndef NO_MARK
    mark[c] = true
#else
    skip
#endif
}

proctype mutator() {
    byte at, c, ops = 0;
    do
    :: ops < 3 && !done ->
        ops++;
        /* through slot 0, or through an object in hand */
        if
        :: at = 0
        :: slot[0] != 0 -> at = slot[0]
        :: held[1] > 0 -> at = 1
        :: held[2] > 0 -> at = 2
        fi;
        c = slot[at];
        if
        :: c != 0 -> /* take */
#ifdef MARK_LATE
            slot[at] = 0; held[c]++;
            leaves(c)
#else
            leaves(c);
            slot[at] = 0; held[c]++
#endif
        :: c != 0 -> /* get: counted up with a mark in one swap */
            d_step { shared[c]++; mark[c] = true; held[c]++ }
        :: c != 0 -> /* clear: the slot's reference is dropped */
#ifdef MARK_LATE
            slot[at] = 0;
            d_step { shared[c]--; mark[c] = true }
#else
            leaves(c);
            slot[at] = 0;
            d_step { shared[c]--; mark[c] = true }
#endif
        :: c == 0 && held[1] > 0 -> d_step { slot[at] = 1; held[1]-- }
        :: c == 0 && held[2] > 0 -> d_step { slot[at] = 2; held[2]-- }
        :: held[1] > 0 -> d_step { held[1]--; shared[1]--; mark[1] = true } /* release */
        :: held[2] > 0 -> d_step { held[2]--; shared[2]--; mark[2] = true }
        :: else
        fi;
        assert(SAFE);
        at = 0; c = 0
    :: break
    od
}

/* One access to what the mutator changes in each atomic step; the rest is the collector's own. */
#define REACH(o) if :: o != 0 && member[o] -> live[o] = true :: else fi

proctype collector() {
    short left[3];
    bool member[3], live[3];
    byte c;
    bool again;
    /* members: owned, shared word 0; counts, minus references from members' slots */
    atomic { member[1] = !mark[1] && shared[1] == 0; left[1] = left[1] + own[1] }
    atomic { c = 0; if :: member[1] -> c = slot[1] :: else fi;
             if :: c != 0 -> left[c]-- :: else fi }
    atomic { member[2] = !mark[2] && shared[2] == 0; left[2] = left[2] + own[2] }
    atomic { c = 0; if :: member[2] -> c = slot[2] :: else fi;
             if :: c != 0 -> left[c]-- :: else fi }
    /* what is held lives, with what it reaches */
    atomic { live[1] = (member[1] && left[1] != 0); live[2] = (member[2] && left[2] != 0); c = 0 }
    if :: live[1] -> atomic { c = slot[1]; REACH(c) } :: else fi;
    if :: live[2] -> atomic { c = slot[2]; REACH(c) } :: else fi;
    if :: live[1] -> atomic { c = slot[1]; REACH(c) } :: else fi;
    /* look again */
#ifndef NO_LOOK
    again = true;
    do
    :: again ->
        atomic { again = false; c = 0;
                 if :: member[1] && !live[1] && (mark[1] || shared[1] != 0) ->
                       live[1] = true; again = true :: else fi }
        if :: again -> atomic { c = slot[1]; REACH(c) } :: else fi;
        if
        :: atomic { member[2] && !live[2] && (mark[2] || shared[2] != 0) ->
                    live[2] = true; again = true }
           atomic { c = slot[2]; REACH(c) }
        :: else
        fi
    :: else -> break
    od;
#endif
    atomic {
        if :: member[1] && !live[1] -> freed[1] = true :: else fi;
        if :: member[2] && !live[2] -> freed[2] = true :: else fi;
        assert(SAFE);
        /* nothing that lives refers to what was freed */
        assert(!(slot[0] != 0 && freed[slot[0]]));
        assert(freed[1] || slot[1] == 0 || !freed[slot[1]]);
        assert(freed[2] || slot[2] == 0 || !freed[slot[2]]);
        done = true
    }
}

init {
    atomic {
        /* any graph in which every object is referred to */
        if :: slot[0] = 0 :: slot[0] = 1 :: slot[0] = 2 fi;
        if :: slot[1] = 0 :: slot[1] = 1 :: slot[1] = 2 fi;
        if :: slot[2] = 0 :: slot[2] = 1 :: slot[2] = 2 fi;
        if :: held[1] = 0 :: held[1] = 1 fi;
        if :: held[2] = 0 :: held[2] = 1 fi;
        if :: slot[0] != 0 -> own[slot[0]]++ :: else fi;
        if :: slot[1] != 0 -> own[slot[1]]++ :: else fi;
        if :: slot[2] != 0 -> own[slot[2]]++ :: else fi;
        own[1] = own[1] + held[1];
        own[2] = own[2] + held[2];
        run mutator();
        run collector()
    }
}
