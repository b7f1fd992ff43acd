/* SPDX-License-Identifier: MIT
 *
 * What happened, kept short: each thread writes its last events into a ring of its own; the first
 * lie prints those that concern the objects it is about, in the order of time, and how to repeat
 * the run, and ends the process with status 1. A panic of the library, a crash and a standstill are
 * told the same way. */
#ifndef STRESS_STORY_H
#define STRESS_STORY_H

#include <stdint.h>
#include <sys/types.h>

enum { STORY_THREADS = 80 };

/* The line that repeats this run. */
void story_begin(const char *repeat);

/* The calling thread's ring: 1 ...; threads that never say so share ring 0. */
void story_thread(unsigned index);

/* what must be a literal; a and b are ids, 0 for none. */
void story_note(const char *what, uint32_t a, uint32_t b);

/* Prints the sentence and the story of objects a and b, and exits. */
_Noreturn void story_lie(uint32_t a, uint32_t b, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The lie of a program that hangs: where its threads are, and the children it waits for. */
_Noreturn void story_standstill(unsigned seconds);

/* The calling thread waits for this child; 0: for none any more. */
void story_child(pid_t child);

/* In the child of a fork: a lie there is told by the exit status; a child that takes a minute says
 * where it is and ends. */
void story_in_child(void);

/* Operations noted so far, of all threads. */
uint64_t story_count(void);

#endif
