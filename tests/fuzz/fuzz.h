/* SPDX-License-Identifier: MIT
 *
 * A fuzz target is one function from bytes to nothing that aborts where something is wrong. clang's
 * libFuzzer drives it (-Dfuzz=true); in every other build replay.c runs it over its corpus. */
#ifndef NP_TESTS_FUZZ_H
#define NP_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define fuzz_wrong(...) \
    (fprintf(stderr, "WRONG: "), fprintf(stderr, __VA_ARGS__), fputc('\n', stderr), abort())
#define fuzz_check(condition, ...) ((condition) ? (void)0 : fuzz_wrong(__VA_ARGS__))

#endif
