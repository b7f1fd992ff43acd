/* SPDX-License-Identifier: MIT
 *
 * A push to a thread that goes to sleep: two senders push and try to claim the owner; the owner
 * drains, publishes BLOCKING, looks again, and in the end sleeps for ever. The steps are those of
 * np_word_leave, np_thread_claim and np_thread_unclaim.
 *
 * Checked: one at a time drains; when all is quiet nothing is left in the queue.
 *
 * Broken on purpose: ONE_LOOK (the owner does not look after it published), CLAIM_FIRST (a sender
 * looks at the state before it pushes), NO_AGAIN (a claim that fails at a claim leaves no mark). */
#define RUNNING  1
#define BLOCKING 2
#define ROUNDS   2
#define SENDERS  2

byte state = RUNNING, queue, quiet;
bit claimed, again;
bit draining; /* ghost */

inline drain()
{
    assert(!draining); draining = 1;
    queue = 0;
    draining = 0
}

inline claim(done)
{
    atomic {
        if
        :: state != RUNNING && !claimed -> claimed = 1; done = 1
        :: state != RUNNING && claimed ->
#ifndef NO_AGAIN
            again = 1;
#endif
            done = 0
        :: else -> done = 0
        fi
    }
}

inline unclaim(done, mark)
{
    do
    :: atomic { mark = again; again = 0; claimed = 0 }
       if
       :: !mark -> break
       :: else
       fi;
       claim(done);
       if
       :: !done -> break
       :: else
       fi;
       drain()
    od
}

active proctype owner()
{
    byte round = 0;
    do
    :: round < ROUNDS ->
        round++;
        drain();
again_:
        state = BLOCKING;
#ifndef ONE_LOOK
        if
        :: queue > 0 ->
            atomic { !claimed; state = RUNNING; again = 0 }
            drain();
            goto again_
        :: else
        fi;
#endif
        if
        :: round < ROUNDS -> atomic { !claimed; state = RUNNING; again = 0 }
        :: else
        fi
    :: else -> break
    od;
    quiet++
}

active [SENDERS] proctype sender()
{
    bit done, mark;
    byte round = 0;
    do
    :: round < ROUNDS ->
        round++;
#ifdef CLAIM_FIRST
        claim(done);
        queue++;
#else
        queue++;
        claim(done);
#endif
        if
        :: done -> drain(); unclaim(done, mark)
        :: else
        fi
    :: else -> break
    od;
    quiet++
}

active proctype end()
{
    quiet == SENDERS + 1;
    assert(queue == 0)
}
