/* SPDX-License-Identifier: MIT
 *
 * Loading from an atomic slot against death and reuse of the block (runtime/slot.c): read the slot,
 * retain by compare-and-swap if the word is acquirable, read the slot again.
 *
 * One block. A writer takes the object out of the slot and drops it; the block is freed, and used
 * again for an object that is private to the writer, or stored into the slot anew. The reader may
 * stall anywhere. Objects are merged (no owner): the word is the whole truth.
 *
 * Shown: what the reader keeps is the object that was in the slot; a private object is never
 * touched by more than a transient count that is undone; each life ends once.
 *
 * -DBROKEN_RECHECK: the second look is left out.
 * -DBROKEN_ADD:     fetch_add in place of compare-and-swap: a dead word is written.
 */
#define DEAD 0

byte slot = 1;       /* 1: the block's address; 0: empty */
byte life = 1;       /* which object lives in the block; 0 while free */
byte slot_life = 1;  /* which object the slot means */
short word = 1;      /* count; published and merged throughout */
bool private = false;
byte died = 0;

inline dispose() { assert(life != 0); life = 0; died++ }

inline release() {
    atomic { assert(word > 0); word--; last = (word == DEAD) }
    if :: last -> dispose() :: else fi
}

active proctype writer() {
    bool last;
    byte round = 0;
    do
    :: round < 2 ->
       /* takes the object out and drops the slot's reference */
       atomic { slot = 0; slot_life = 0 }
       release();
       /* the block is free once everybody let go: used again */
       if
       :: atomic { life == 0 -> life = round + 2; word = 1; private = true }
          if
          :: atomic { private = false; slot_life = life; slot = 1 } /* stored into the slot */
          :: release(); private = false; break                      /* kept private, dropped */
          fi
       :: life != 0 -> break /* the reader still has it */
       fi;
       round++
    :: round == 2 -> break
    od
}

active proctype reader() {
    bool last, got;
    short seen;
    byte tries = 0;
    do
    :: tries < 3 ->
       tries++;
       if :: slot == 0 -> break :: else fi;
       got = false;
#ifdef BROKEN_ADD
       word++;
       got = true;
#else
       seen = word;
       do
       :: seen > 0 ->
          if
          :: atomic { word == seen -> word = seen + 1; got = true } break
          :: atomic { word != seen -> seen = word }
          fi
       :: seen <= 0 -> break
       od;
#endif
       if
       :: got ->
          assert(life != 0); /* a reference to a living object, not to a free block */
#ifndef BROKEN_RECHECK
          if
          :: atomic { slot == 1 -> assert(slot_life == life && !private) } release(); break
          :: slot == 0 -> release() /* undone */
          fi
#else
          assert(slot_life == life);
          release(); break
#endif
       :: else
       fi
    :: tries == 3 -> break
    od
}
