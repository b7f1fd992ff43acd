/* SPDX-License-Identifier: MIT
 *
 * Audit mode (option audit_visit): does each type report each of its references once?
 *
 * A slot reported twice, and references found beyond a count, are certain: the collection panics
 * and names the type. A reference that is not reported only shows as a count that nothing explains;
 * when such an object's address stands in the body of another at a place that its type does not
 * report, that place is told once, on standard error. It may be a pointer that the program only
 * borrows.
 *
 * Implemented by audit.c. Used by collect.c.
 */
#ifndef NP_COLLECTOR_AUDIT_H
#define NP_COLLECTOR_AUDIT_H

#include <stdbool.h>

/* After counting, before anything is condemned: looks at every member. */
void np_audit_stopped(void);
/* The world runs: tells what was found. */
void np_audit_tell(void);

#endif
