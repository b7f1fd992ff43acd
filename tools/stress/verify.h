/* SPDX-License-Identifier: MIT
 *
 * The truth when the world is quiet: every worker waits and holds what it holds. */
#ifndef STRESS_VERIFY_H
#define STRESS_VERIFY_H

#include <stdbool.h>

#include "tools/stress/actions.h"

/* Before the first worker. */
void verify_begin(void);

/* Collects until nothing more is found and compares neap with the records; tells a lie where they
 * differ. all_gone: the workers have dropped all and left; memory must have gone back too. */
void verify_quiet(struct worker *workers, unsigned count, bool all_gone);

/* Looks taken. */
extern atomic_ulong verify_looks;

#endif
