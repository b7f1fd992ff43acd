/* SPDX-License-Identifier: MIT
 *
 * Handshake completion: a requester, the thread it asks, and a claimer that holds the slot now and
 * then. The token, the claim and the looks are those of threads/handshake.c, word.c and blocking.c.
 *
 * Checked: each handshake runs the function once, by one that has the slot to itself, and the
 * requester comes back (no invalid end state).
 *
 * Broken on purpose: NO_LEAVE_LOOK (the thread does not look at the token after it published
 * BLOCKING), NO_DROP_LOOK (a claimer does not look at the token after its drop), NO_CLAIM (the
 * requester leaves a thread that is not RUNNING to itself), SHARED_CLAIM (a claim does not exclude
 * another). */
#define RUNNING  1
#define BLOCKING 2
#define ROUNDS   2

byte state = RUNNING;
bit claimed, token;
byte pending, runs;
bit inside; /* ghost: somebody runs the function */

inline serve(taken)
{
    atomic { taken = token; token = 0 }
    if
    :: taken ->
        assert(!inside); inside = 1;
        runs++;
        inside = 0;
        pending--
    :: else
    fi
}

inline claim(done)
{
    atomic {
        if
#ifdef SHARED_CLAIM
        :: state != RUNNING -> claimed = 1; done = 1
#else
        :: state != RUNNING && !claimed -> claimed = 1; done = 1
#endif
        :: else -> done = 0
        fi
    }
}

/* np_thread_unclaim: round again while a token is there and the claim can be had. A claim that
 * fails is somebody else's duty: of who holds it, or of the thread that runs. */
inline unclaim(done, taken)
{
    do
    :: claimed = 0;
#ifdef NO_DROP_LOOK
       break
#else
       if
       :: !token -> break
       :: else
       fi;
       claim(done);
       if
       :: !done -> break
       :: else
       fi;
       serve(taken)
#endif
    od
}

active proctype thread()
{
    bit taken;
    byte round = 0;
    do
    :: round < ROUNDS ->
        round++;
        if
        :: token -> serve(taken) /* a poll */
        :: else
        fi;
again:  state = BLOCKING;
#ifndef NO_LEAVE_LOOK
        if
        :: token ->
            atomic { !claimed; state = RUNNING }
            serve(taken);
            goto again
        :: else
        fi;
#endif
        if
        :: round < ROUNDS -> atomic { !claimed; state = RUNNING }
        :: else
        fi
    :: else -> break
    od
}

active proctype claimer()
{
    bit done, taken;
    byte round = 0;
    do
    :: round < ROUNDS ->
        round++;
        claim(done);
        if
        :: done ->
            assert(!inside); inside = 1; inside = 0;
            unclaim(done, taken)
        :: else
        fi
    :: else -> break
    od
}

active proctype requester()
{
    bit done, taken;
    byte round = 0;
    do
    :: round < ROUNDS ->
        round++;
        pending = 1;
        pending++;
        token = 1;
#ifndef NO_CLAIM
        claim(done);
        if
        :: done -> serve(taken); unclaim(done, taken)
        :: else
        fi;
#endif
        pending--;
        pending == 0;
        assert(runs == round)
    :: else -> break
    od
}
