/* SPDX-License-Identifier: MIT
 *
 * Attach, suspend and resume with two suspenders: one slot's thread that blocks, leaves and polls;
 * a stopper that stops the world again and again; a claimer that acts as the thread while it is not
 * RUNNING. The word, the STOP token and who looks at what in which order are those of
 * threads/word.c, blocking.c and stop.c; memory is sequentially consistent, as they are.
 *
 * Checked: in a stop nobody runs and nobody acts for the thread; who acts as the thread acts alone;
 * a waiter is not suspended before it has run; no wake-up is lost (no invalid end state).
 *
 * Broken on purpose, spin must object: PLAIN_STORE (leaving tests the count and stores RUNNING
 * instead of swapping), ONE_LOOK (the stopper does not look again after it set the token),
 * NO_TOKEN_LOOK (the thread does not look at the token after it published BLOCKING), TWICE (the
 * stopper suspends a waiter), DROP_BLIND (a claimer does not look at the token after its drop). */
#define RUNNING  1
#define BLOCKING 2
#define PARKED   3
#define WAITING  4
#define CLAIMED  8
#define ONE      16
#define STATE(w)    ((w) & 3)
#define SUSPENDS(w) ((w) / ONE)

#ifdef TWICE
#    define AT_REST(w) (STATE(w) != RUNNING && !((w) & CLAIMED))
#else
#    define AT_REST(w) (STATE(w) != RUNNING && !((w) & (WAITING | CLAIMED)))
#endif

#define ROUNDS 2
#define CLAIMS 1

short word = RUNNING;
bit token;
byte pending, wakes;
bit stopped, acting; /* ghosts */
bit wants;           /* ghost: the thread waits to run */
#define running (STATE(word) == RUNNING)

inline change(seen, wanted, done)
{
    atomic {
        if
        :: word == seen -> word = wanted; done = 1
        :: else -> seen = word; done = 0
        fi
    }
}

inline take(taken)
{
    atomic { taken = token; token = 0 }
}

/* np_stop_settle */
inline settle(w, taken, done)
{
    w = word;
    do
    :: AT_REST(w) ->
        take(taken);
        if
        :: !taken -> break
        :: else
        fi;
        atomic {
            if
            :: word == w -> assert(!wants); word = w + ONE; done = 1
            :: else -> done = 0
            fi
        }
        if
        :: done -> pending--; break
        :: else -> token = 1; w = word
        fi
    :: else -> break
    od
}

/* np_word_enter */
inline enter(w, done, count)
{
    w = word;
    do
    :: SUSPENDS(w) == 0 ->
#ifdef PLAIN_STORE
        word = RUNNING; wants = 0; break
#else
        atomic {
            if
            :: word == w -> word = RUNNING; wants = 0; done = 1
            :: else -> w = word; done = 0
            fi
        }
        if
        :: done -> break
        :: else
        fi
#endif
    :: SUSPENDS(w) > 0 && (w & WAITING) ->
        count = wakes;
        w = word;
        if
        :: SUSPENDS(w) > 0 -> wakes != count; w = word /* the futex */
        :: else
        fi
    :: else ->
        atomic {
            if
            :: word == w -> word = w | WAITING; wants = 1; w = w | WAITING
            :: else -> w = word
            fi
        }
    od
}

active proctype thread()
{
    short w;
    bit taken, done;
    byte count, round = 0;
    do
    :: round < ROUNDS ->
        round++;
        /* a poll */
        if
        :: token ->
            take(taken);
            if
            :: taken ->
                atomic {
                    assert(word == RUNNING);
                    word = (PARKED + ONE) | WAITING;
                    wants = 1
                }
                pending--;
                enter(w, done, count)
            :: else
            fi
        :: else
        fi;
        /* a blocking region */
        atomic { assert(word == RUNNING); word = BLOCKING }
#ifndef NO_TOKEN_LOOK
        if
        :: token -> settle(w, taken, done)
        :: else
        fi;
#endif
        enter(w, done, count)
    :: else -> break
    od;
    word = BLOCKING; /* for ever */
#ifndef NO_TOKEN_LOOK
    if
    :: token -> settle(w, taken, done)
    :: else
    fi
#endif
}

active proctype claimer()
{
    short w;
    bit taken, done;
    byte round = 0;
    do
    :: round < CLAIMS ->
        round++;
        w = word;
        if
        :: STATE(w) != RUNNING && SUSPENDS(w) == 0 && !(w & WAITING) ->
            change(w, (w + ONE) | CLAIMED, done);
            if
            :: done ->
                acting = 1;
                assert(!running && !stopped);
                acting = 0;
                w = word;
                done = 0;
                do
                :: !done -> change(w, (w & ~CLAIMED) - ONE, done)
                :: else -> break
                od;
                if
                :: (w & WAITING) && SUSPENDS(w) == 1 -> wakes++
                :: else
                fi;
#ifndef DROP_BLIND
                if
                :: token -> settle(w, taken, done)
                :: else
                fi
#endif
            :: else
            fi
        :: else
        fi
    :: else -> break
    od
}

active proctype stopper()
{
    short w;
    bit taken, done, asked;
    byte round = 0;
    do
    :: round < ROUNDS ->
        round++;
        pending = 1;
        w = word;
        asked = 1;
        do
        :: AT_REST(w) ->
            atomic {
                if
                :: word == w -> assert(!wants); word = w + ONE; done = 1
                :: else -> w = word; done = 0
                fi
            }
            if
            :: done -> asked = 0; break
            :: else
            fi
        :: else -> break
        od;
        if
        :: asked ->
            pending++;
            token = 1;
#ifndef ONE_LOOK
            settle(w, taken, done)
#endif
        :: else
        fi;
        pending--;
        pending == 0;
        stopped = 1;
        assert(!running && !acting && SUSPENDS(word) == 1);
        stopped = 0;
        w = word;
        done = 0;
        do
        :: !done -> change(w, w - ONE, done)
        :: else -> break
        od;
        if
        :: w & WAITING -> wakes++
        :: else
        fi
    :: else -> break
    od
}
