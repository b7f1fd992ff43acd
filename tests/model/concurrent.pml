/* SPDX-License-Identifier: MIT
 *
 * The stop of a concurrent old collection (collector/judge.c) after a proposal about which nothing
 * is assumed: any objects may be candidates, dead and reused ones too. Two mutators load, store,
 * take, give, drop and make; a store counts first, exchanges, and releases last, in three steps.
 *
 * Objects 1 and 2 have one slot each; slot 0 is in an object that lives for ever. hand[m]: the one
 * reference in mutator m's plain memory. cnt: the whole count.
 *
 * -DTRUST:     what is proposed is freed without judging.
 * -DEDGE_TWICE: a reference found in a candidate is subtracted twice.
 * -DNO_STOP:   counts and slots are read one by one while the mutators run.
 */
byte slot[3];
byte hand[2];
short cnt[3];
bool freed[3];
bool busy[2];  /* between two stop points of the mutator */
bool stopped;

#define SAFE (!(hand[0] != 0 && freed[hand[0]]) && !(hand[1] != 0 && freed[hand[1]]) && \
              !(slot[0] != 0 && freed[slot[0]]) && \
              !(!freed[1] && slot[1] != 0 && freed[slot[1]]) && \
              !(!freed[2] && slot[2] != 0 && freed[slot[2]]))

/* In one step: x and what it holds, as far as they die. */
inline release(x, y) {
    if
    :: x != 0 ->
        cnt[x]--;
        if
        :: cnt[x] == 0 ->
            freed[x] = true; y = slot[x]; slot[x] = 0;
            if
            :: y != 0 ->
                cnt[y]--;
                if :: cnt[y] == 0 -> freed[y] = true; slot[y] = 0 :: else fi
            :: else
            fi
        :: else
        fi
    :: else
    fi;
    y = 0
}

proctype mutator(byte me) {
    byte at, old, other, ops = 0;
    do
    :: ops < 2 ->
        atomic { !stopped -> busy[me] = true; ops++ }
        d_step { at = 0; old = 0 }
        if
        :: true
        :: hand[me] != 0 -> at = hand[me]
        fi;
        if
        :: d_step { hand[me] == 0 && slot[at] != 0 ->          /* load */
                    hand[me] = slot[at]; cnt[hand[me]]++ }
        :: d_step { hand[me] == 0 && slot[at] != 0 ->          /* take */
                    hand[me] = slot[at]; slot[at] = 0 }
        :: d_step { hand[me] != 0 && at == 0 && slot[0] == 0 -> /* give */
                    slot[0] = hand[me]; hand[me] = 0 }
        :: hand[me] != 0 ->                                     /* store, into itself too */
            d_step { cnt[hand[me]]++ }
            d_step { old = slot[at]; slot[at] = hand[me] }
            d_step { release(old, other) }
        :: d_step { hand[me] != 0 -> old = hand[me]; hand[me] = 0; release(old, other) } /* drop */
        :: d_step { hand[me] == 0 && freed[2] ->                /* the block's next life */
                    freed[2] = false; cnt[2] = 1; slot[2] = 0; hand[me] = 2 }
        :: true
        fi;
        assert(SAFE);
        d_step { at = 0; old = 0; busy[me] = false }
    :: break
    od
}

#ifdef EDGE_TWICE
#define EDGES 2
#else
#define EDGES 1
#endif

#define IS_ONE(i) (candidate[i] && !freed[i])

proctype collector() {
    bool candidate[3], live[3];
    short left[3];
    byte leaving, other;
    if :: candidate[1] = true :: skip fi;
    if :: candidate[2] = true :: skip fi;
#ifndef NO_STOP
    stopped = true;
    atomic {
        !busy[0] && !busy[1];
#endif
#ifdef NO_STOP
    atomic { candidate[1] = IS_ONE(1); candidate[2] = IS_ONE(2) }
#define STEP(action) atomic { action }
#else
    candidate[1] = IS_ONE(1); candidate[2] = IS_ONE(2);
#define STEP(action) action
#endif
    STEP(left[1] = left[1] + cnt[1]);
    STEP(left[2] = left[2] + cnt[2]);
    STEP(if :: candidate[1] && slot[1] != 0 -> left[slot[1]] = left[slot[1]] - EDGES :: else fi);
    STEP(if :: candidate[2] && slot[2] != 0 -> left[slot[2]] = left[slot[2]] - EDGES :: else fi);
#ifndef TRUST
    STEP(live[1] = (left[1] > 0); live[2] = (left[2] > 0));
    STEP(if :: candidate[1] && live[1] && slot[1] != 0 -> live[slot[1]] = true :: else fi);
    STEP(if :: candidate[2] && live[2] && slot[2] != 0 -> live[slot[2]] = true :: else fi);
    STEP(if :: candidate[1] && live[1] && slot[1] != 0 -> live[slot[1]] = true :: else fi);
#endif
    STEP(if :: candidate[1] && !live[1] -> freed[1] = true :: else fi;
         if :: candidate[2] && !live[2] -> freed[2] = true :: else fi;
         assert(SAFE));
#ifndef NO_STOP
        /* the world goes on: references that leave the set */
        leaving = 0;
        if
        :: freed[1] && slot[1] != 0 && !freed[slot[1]] -> leaving = slot[1]
        :: freed[2] && slot[2] != 0 && !freed[slot[2]] -> leaving = slot[2]
        :: else
        fi;
        slot[1] = (freed[1] -> 0 : slot[1]);
        slot[2] = (freed[2] -> 0 : slot[2]);
        release(leaving, other);
        stopped = false
    }
#endif
    assert(SAFE)
}

init {
    atomic {
        if :: slot[0] = 0 :: slot[0] = 1 :: slot[0] = 2 fi;
        if :: slot[1] = 0 :: slot[1] = 1 :: slot[1] = 2 fi;
        if :: slot[2] = 0 :: slot[2] = 1 :: slot[2] = 2 fi;
        if :: hand[0] = 0 :: hand[0] = 1 fi;
        if :: hand[1] = 0 :: hand[1] = 2 fi;
        if :: slot[0] != 0 -> cnt[slot[0]]++ :: else fi;
        if :: slot[1] != 0 -> cnt[slot[1]]++ :: else fi;
        if :: slot[2] != 0 -> cnt[slot[2]]++ :: else fi;
        if :: hand[0] != 0 -> cnt[hand[0]]++ :: else fi;
        if :: hand[1] != 0 -> cnt[hand[1]]++ :: else fi;
        if
        :: cnt[1] > 0 && cnt[2] > 0 -> /* every object is referred to */
            run mutator(0);
            run mutator(1);
            run collector()
        :: else
        fi
    }
}
