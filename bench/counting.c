/* SPDX-License-Identifier: MIT
 *
 * What does it cost to count one more reference and to give it back?
 *
 * Models: a program that passes references between its own functions (one, rotation_64), keeps them
 * for a while (batch_64), finds its objects cold (random_1m: a million objects of about 48 bytes,
 * visited at random), and two threads that do so at the same time, each with its own object
 * (own_objects) or all with one (one_object; one_object_4 with four threads).
 *
 * Peers: a plain int (the floor: one thread only), the same behind two calls of a shared library
 * (plain_call: the floor of any library that is called, neap's function mode), C11 atomics,
 * std::shared_ptr. neap in both its modes: calls (the default), inline. All objects carry 24 bytes
 * and die when the last reference goes; nothing dies in the loop.
 *
 * Leaves out: birth and death (alloc.c), counting through slots (slots.c).
 *
 * Reading: time is nanoseconds per pair; in the rows with two threads multiply Google Benchmark's
 * figure by two for what each thread sees (bench/run-bench does). */
#include "bench/counting.h"
#include "bench/shim.h"

int main(int argc, char **argv)
{
    counting_add_plain();
    counting_add_plain_call();
    counting_add_atomic();
    counting_add_shared_ptr();
    counting_add_neap();
    counting_add_neap_inline();
    counting_add_neap_deferred();
    return bench_main(argc, argv);
}
