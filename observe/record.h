/* SPDX-License-Identifier: MIT
 *
 * Option record: a program that knows nothing of it leaves a profile, a timeline and a heap
 * snapshot behind. Option profile: its marked functions' line profiles are printed.
 *
 * Implemented by record.c. Called by boot.c: at the end of the first neap_init, and at the
 * beginning of the last neap_shutdown, by attached threads. */
#ifndef NP_OBSERVE_RECORD_H
#define NP_OBSERVE_RECORD_H

void np_record_begin(void);
void np_record_end(void);

#endif
