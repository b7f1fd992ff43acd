/* SPDX-License-Identifier: MIT
 *
 * A second thread for concurrent collections: it takes a share of a pass when the first offers one
 * and it comes in time, and sleeps in a blocking region otherwise.
 *
 *   RESTING --offer--> OFFERED --the second thread takes it--> TAKEN --its share is done--> ENDED
 *                      OFFERED --the first is through, nobody came--> RESTING <--the first saw it--
 *
 * While it works it is attached and RUNNING, polls, and may read whatever the first may
 * (proposal.h): its work lies between the offer and its end as the first sees them.
 *
 * Implemented by partner.c. Used by concurrent.c, which starts and ends it, and by reach.c. All
 * calls are the collector's thread's.
 */
#ifndef NP_COLLECTOR_PARTNER_H
#define NP_COLLECTOR_PARTNER_H

#include <stdbool.h>

/* Runs work(0) here and, if there is a second thread and it comes before work(0) has ended, work(1)
 * there. Returns when both have ended. Has stop points of its own at the end. */
void np_partner_share(void (*work)(unsigned who));

/* From the next share on a second thread is wanted, or not: it costs another thread's time. */
void np_partner_want(bool wanted);
/* Ends the second thread, if there is one. */
void np_partner_end(void);
/* The child of a fork has none. */
void np_partner_forked(void);

#endif
