/* SPDX-License-Identifier: MIT
 *
 * neap: a bounded queue of objects from any number of senders to any number of receivers, first in
 * first out. Who has to wait does so in a blocking region, so it delays nobody. A message changes
 * its owner on the way: what the receiver does with it costs what it costs with objects of its own.
 *
 *     neap_channel_send(jobs, job);                         your reference goes with it
 *     while ((job = neap_channel_receive(jobs)) != NULL)
 *         work(job);      until it is closed and empty
 *     neap_channel_close(jobs);
 *
 * An object that others hold as well may be sent too, into several channels at once: it is then
 * counted by atomic instructions. Values that many threads look up are better off in a slot or map.
 */
#ifndef NEAP_CHANNEL_H
#define NEAP_CHANNEL_H

#include <neap/object.h>
#include <neap/status.h>

#ifdef __cplusplus
extern "C" {
#endif

struct neap_channel;
extern NEAP_PUBLIC struct neap_type neap_typeof_neap_channel;

/* A channel that holds at most capacity messages, at least 1.
 * refs: new | user code: no | point: stop | threads: attached | fails: NULL, memory or capacity */
NEAP_PUBLIC NEAP_NODISCARD struct neap_channel *neap_channel_new(size_t capacity);

/* Sends object, whose reference is gone afterwards in any case; waits while the channel is full.
 * NEAP_OK; NEAP_ESTATE: the channel is closed, and object was released; NEAP_EINVAL for NULL.
 * refs: steals object | user code: yes | point: quiescent | threads: attached | fails: status */
NEAP_PUBLIC int neap_channel_send(struct neap_channel *channel, void *object);

/* The next message; waits for one. NULL: the channel is closed and empty.
 * refs: new | user code: yes | point: quiescent | threads: attached | fails: NULL, closed */
NEAP_PUBLIC NEAP_NODISCARD void *neap_channel_receive(struct neap_channel *channel);

/* Sends object if there is room. False: there is none, or the channel is closed, and the reference
 * is still the caller's.
 * refs: steals if true | user code: no | point: none | threads: attached | fails: false */
NEAP_PUBLIC bool neap_channel_try_send(struct neap_channel *channel, void *object);

/* The next message; NULL: there is none now.
 * refs: new | user code: no | point: none | threads: attached | fails: NULL, empty */
NEAP_PUBLIC NEAP_NODISCARD void *neap_channel_try_receive(struct neap_channel *channel);

/* As neap_channel_try_send, after waiting up to `ms` milliseconds for room.
 * refs: steals if true | user code: yes | point: quiescent | threads: attached | fails: false */
NEAP_PUBLIC bool neap_channel_send_within(struct neap_channel *channel, void *object, uint64_t ms);

/* As neap_channel_try_receive, after waiting up to `ms` milliseconds for a message.
 * refs: new | user code: yes | point: quiescent | threads: attached | fails: NULL, empty */
NEAP_PUBLIC NEAP_NODISCARD void *neap_channel_receive_within(struct neap_channel *channel,
                                                             uint64_t ms);

/* Nothing can be sent any more; what is in the channel can be received. Wakes all who wait.
 * Harmless when repeated.
 * refs: none | user code: no | point: none | threads: attached | fails: no */
NEAP_PUBLIC void neap_channel_close(struct neap_channel *channel);

/* refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC bool neap_channel_is_closed(const struct neap_channel *channel);

/* Messages in the channel; a hint while others send and receive.
 * refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC size_t neap_channel_count(const struct neap_channel *channel);

#ifdef __cplusplus
}
#endif

#endif
