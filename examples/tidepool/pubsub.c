/* SPDX-License-Identifier: MIT
 *
 * tidepool: SUBSCRIBE and PUBLISH (see pubsub.h), with the commands. */
#include "pubsub.h"

#include <string.h>

#include "client.h"
#include "commands.h"
#include "hash.h"
#include "set.h"

/* One client on one channel or pattern. */
struct subscription {
    struct subscription *next; /* slot */
    struct neap_weak *client;  /* slot */
};
NEAP_DECLARE_TYPE(subscription);
NEAP_DEFINE_TYPE(subscription, (next, client));

/* A channel or pattern with at least one subscription. */
struct channel {
    struct node node;
    struct subscription *first; /* slot */
    size_t count;
    char name[];
};
NEAP_DECLARE_TYPE(channel);
NEAP_DEFINE_TYPE(channel, (node.chain, first));

/* All of one kind. */
struct channels {
    struct dict dict;
};
NEAP_DECLARE_TYPE(channels);
NEAP_DEFINE_TYPE(channels, (dict.table, dict.next));

NEAP_DEFINE_TYPE(mail, (next, client, pattern, channel, message));

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct channels *all[2]; /* (L lock) references, by enum pubsub_kind; NULL until the first */

/* ---- mailboxes ---- */

int mailbox_init(struct mailbox *mailbox)
{
    mailbox->first = mailbox->last = NULL;
    return pthread_mutex_init(&mailbox->mutex, NULL);
}

void mailbox_fini(struct mailbox *mailbox)
{
    neap_release(mailbox->first);
    mailbox->first = mailbox->last = NULL;
    pthread_mutex_destroy(&mailbox->mutex);
}

struct mail *mailbox_take(struct mailbox *mailbox)
{
    neap_mutex_lock(&mailbox->mutex);
    struct mail *mail = mailbox->first;
    mailbox->first = mailbox->last = NULL;
    pthread_mutex_unlock(&mailbox->mutex);
    return mail;
}

/* Leaves mail (stolen) for the client's loop and wakes it. */
static void post(struct mail *mail)
{
    struct loop *loop = mail->client->loop;
    neap_mutex_lock(&loop->mailbox.mutex);
    struct mail *last = loop->mailbox.last;
    loop->mailbox.last = mail;
    if (last == NULL)
        loop->mailbox.first = mail;
    else
        neap_give(&last->next, mail);
    pthread_mutex_unlock(&loop->mailbox.mutex);
    uv_async_send(&loop->wake);
}

bool mail_end(struct client *client)
{
    struct mail *mail = neap_new(mail);
    if (mail == NULL)
        return false;
    neap_set(&mail->client, client);
    post(mail);
    return true;
}

void mail_write(const struct mail *mail, struct reply *reply)
{
    reply_push(reply, mail->pattern == NULL ? 3 : 4);
    reply_bulk(reply, text_from(mail->pattern == NULL ? "message" : "pmessage"));
    if (mail->pattern != NULL)
        reply_bulk(reply, string_text(mail->pattern));
    reply_bulk(reply, string_text(mail->channel));
    reply_bulk(reply, string_text(mail->message));
}

/* ---- channels, their lock held ---- */

static struct channel *find(enum pubsub_kind kind, struct slice name)
{
    return all[kind] == NULL ? NULL : (struct channel *)dict_find(&all[kind]->dict, name);
}

static struct channel *find_or_make(enum pubsub_kind kind, struct slice name)
{
    struct channel *channel = find(kind, name);
    if (channel != NULL)
        return channel;
    if (all[kind] == NULL) {
        struct channels *channels = neap_new(channels);
        if (channels == NULL || !dict_init(&channels->dict, offsetof(struct channel, name))) {
            neap_release(channels);
            return NULL;
        }
        all[kind] = channels;
    }
    channel = neap_new_extra(channel, name.length);
    if (channel == NULL)
        return NULL;
    dict_name_node(&all[kind]->dict, &channel->node, name);
    dict_add(&all[kind]->dict, &channel->node);
    return channel;
}

static void drop_if_empty(enum pubsub_kind kind, struct channel *channel)
{
    if (channel->count == 0)
        neap_release(dict_take(&all[kind]->dict, dict_name(&all[kind]->dict, &channel->node)));
}

/* False out of memory. */
static bool join(enum pubsub_kind kind, struct slice name, struct client *client)
{
    struct subscription *subscription = neap_new(subscription);
    struct neap_weak *weak = neap_weak_new(client);
    struct channel *channel = find_or_make(kind, name);
    if (subscription == NULL || weak == NULL || channel == NULL) {
        neap_release(subscription);
        neap_release(weak);
        if (channel != NULL)
            drop_if_empty(kind, channel);
        return false;
    }
    neap_give(&subscription->client, weak);
    neap_give(&subscription->next, neap_take(&channel->first));
    neap_give(&channel->first, subscription);
    channel->count++;
    return true;
}

static void leave(enum pubsub_kind kind, struct slice name, struct client *client)
{
    struct channel *channel = find(kind, name);
    if (channel == NULL)
        return;
    struct subscription **place = &channel->first;
    while (*place != NULL && !neap_weak_is((*place)->client, client))
        place = &(*place)->next;
    if (*place == NULL)
        return;
    struct subscription *subscription = neap_take(place);
    neap_give(place, neap_take(&subscription->next));
    neap_release(subscription);
    channel->count--;
    drop_if_empty(kind, channel);
}

/* Posts the message to all subscribers; returns how many. */
static size_t post_to_all(const struct channel *channel, struct string *pattern,
                          struct string *name, struct string *message)
{
    size_t posted = 0;
    for (struct subscription *at = channel->first; at != NULL; at = at->next) {
        struct client *client = neap_weak_get(at->client);
        struct mail *mail = client == NULL ? NULL : neap_new(mail);
        if (mail == NULL) {
            neap_release(client);
            continue;
        }
        neap_give(&mail->client, client);
        neap_set(&mail->pattern, pattern);
        neap_set(&mail->channel, name);
        neap_set(&mail->message, message);
        post(mail);
        posted++;
    }
    return posted;
}

/* ---- publishing ---- */

struct publishing {
    struct string *name, *message;
    size_t posted;
};

static void publish_to_pattern(struct node *node, void *arg)
{
    struct publishing *publishing = arg;
    struct slice pattern = dict_name(&all[PUBSUB_PATTERN]->dict, node);
    if (!text_matches(pattern, string_text(publishing->name), false))
        return;
    struct string *text = string_new(pattern);
    if (text != NULL)
        publishing->posted +=
            post_to_all((struct channel *)node, text, publishing->name, publishing->message);
    neap_release(text);
}

void command_publish(struct call *call)
{
    struct publishing publishing = {string_new(call->argument[1]), string_new(call->argument[2]),
                                    0};
    if (publishing.name == NULL || publishing.message == NULL) {
        neap_release(publishing.name);
        neap_release(publishing.message);
        call_out_of_memory(call);
        return;
    }
    neap_mutex_lock(&lock);
    struct channel *channel = find(PUBSUB_CHANNEL, call->argument[1]);
    if (channel != NULL)
        publishing.posted = post_to_all(channel, NULL, publishing.name, publishing.message);
    if (all[PUBSUB_PATTERN] != NULL)
        dict_each(&all[PUBSUB_PATTERN]->dict, publish_to_pattern, &publishing);
    pthread_mutex_unlock(&lock);
    neap_release(publishing.name);
    neap_release(publishing.message);
    reply_integer(call->reply, (int64_t)publishing.posted);
}

/* ---- subscribing ---- */

static const char *const verbs[2][2] = {{"subscribe", "psubscribe"},
                                        {"unsubscribe", "punsubscribe"}};

static size_t count_of(const struct set *set)
{
    return set == NULL ? 0 : set->dict.count;
}

size_t pubsub_count(const struct client *client)
{
    return count_of(client->subscribed[PUBSUB_CHANNEL]) +
           count_of(client->subscribed[PUBSUB_PATTERN]);
}

static void reply_change(struct call *call, bool leaving, enum pubsub_kind kind,
                         const struct slice *name)
{
    reply_push(call->reply, 3);
    reply_bulk(call->reply, text_from(verbs[leaving][kind]));
    if (name == NULL)
        reply_null(call->reply);
    else
        reply_bulk(call->reply, *name);
    reply_integer(call->reply, (int64_t)pubsub_count(call->client));
}

/* False out of memory. */
static bool subscribe_to(struct client *client, enum pubsub_kind kind, struct slice name)
{
    if (client->subscribed[kind] == NULL)
        neap_give(&client->subscribed[kind], set_new());
    struct set *set = client->subscribed[kind];
    if (set == NULL)
        return false;
    enum set_result result = set_add(set, name);
    if (result != SET_ADDED)
        return result == SET_CHANGED;
    neap_mutex_lock(&lock);
    bool joined = join(kind, name, client);
    pthread_mutex_unlock(&lock);
    if (!joined)
        neap_release(dict_take(&set->dict, name));
    return joined;
}

static void subscribe(struct call *call, enum pubsub_kind kind)
{
    for (size_t i = 1; i < call->count; i++) {
        if (!subscribe_to(call->client, kind, call->argument[i])) {
            call_out_of_memory(call);
            return;
        }
        reply_change(call, false, kind, &call->argument[i]);
    }
}

static void unsubscribe_from(struct client *client, enum pubsub_kind kind, struct slice name)
{
    neap_mutex_lock(&lock);
    leave(kind, name, client);
    pthread_mutex_unlock(&lock);
    if (client->subscribed[kind] != NULL)
        neap_release(dict_take(&client->subscribed[kind]->dict, name));
}

/* Ends all of one kind; with a call, each is replied. */
static void unsubscribe_all(struct client *client, enum pubsub_kind kind, struct call *call)
{
    while (count_of(client->subscribed[kind]) > 0) {
        struct dict *dict = &client->subscribed[kind]->dict;
        struct node *node = neap_retain(dict_random(dict, 0));
        struct slice name = dict_name(dict, node);
        unsubscribe_from(client, kind, name);
        if (call != NULL)
            reply_change(call, true, kind, &name);
        neap_release(node);
    }
}

static void unsubscribe(struct call *call, enum pubsub_kind kind)
{
    if (call->count == 1 && count_of(call->client->subscribed[kind]) == 0)
        reply_change(call, true, kind, NULL);
    else if (call->count == 1)
        unsubscribe_all(call->client, kind, call);
    for (size_t i = 1; i < call->count; i++) {
        unsubscribe_from(call->client, kind, call->argument[i]);
        reply_change(call, true, kind, &call->argument[i]);
    }
}

void command_subscribe(struct call *call)
{
    subscribe(call, PUBSUB_CHANNEL);
}

void command_psubscribe(struct call *call)
{
    subscribe(call, PUBSUB_PATTERN);
}

void command_unsubscribe(struct call *call)
{
    unsubscribe(call, PUBSUB_CHANNEL);
}

void command_punsubscribe(struct call *call)
{
    unsubscribe(call, PUBSUB_PATTERN);
}

void pubsub_leave(struct client *client)
{
    unsubscribe_all(client, PUBSUB_CHANNEL, NULL);
    unsubscribe_all(client, PUBSUB_PATTERN, NULL);
}

/* ---- PUBSUB ---- */

struct listing {
    struct reply found;
    size_t count;
    const struct slice *pattern; /* NULL: all */
};

static void list_channel(struct node *node, void *arg)
{
    struct listing *listing = arg;
    struct slice name = dict_name(&all[PUBSUB_CHANNEL]->dict, node);
    if (listing->pattern != NULL && !text_matches(*listing->pattern, name, false))
        return;
    reply_bulk(&listing->found, name);
    listing->count++;
}

static void reply_channels(struct call *call)
{
    struct listing listing = {.pattern = call->count >= 3 ? &call->argument[2] : NULL};
    reply_init(&listing.found, call->reply->limit);
    neap_mutex_lock(&lock);
    if (all[PUBSUB_CHANNEL] != NULL)
        dict_each(&all[PUBSUB_CHANNEL]->dict, list_channel, &listing);
    pthread_mutex_unlock(&lock);
    call_reply_parts(call, &listing.found, listing.count);
}

static void reply_subscribers(struct call *call)
{
    reply_array(call->reply, 2 * (call->count - 2));
    for (size_t i = 2; i < call->count; i++) {
        neap_mutex_lock(&lock);
        struct channel *channel = find(PUBSUB_CHANNEL, call->argument[i]);
        size_t count = channel == NULL ? 0 : channel->count;
        pthread_mutex_unlock(&lock);
        reply_bulk(call->reply, call->argument[i]);
        reply_integer(call->reply, (int64_t)count);
    }
}

static void reply_pattern_count(struct call *call)
{
    neap_mutex_lock(&lock);
    size_t count = all[PUBSUB_PATTERN] == NULL ? 0 : all[PUBSUB_PATTERN]->dict.count;
    pthread_mutex_unlock(&lock);
    reply_integer(call->reply, (int64_t)count);
}

void command_pubsub(struct call *call)
{
    static const struct subcommand subcommands[] = {
        {"channels", -2, reply_channels},
        {"numpat", 2, reply_pattern_count},
        {"numsub", -2, reply_subscribers},
    };
    CALL_SUBCOMMAND(call, subcommands);
}

void pubsub_fini(void)
{
    for (unsigned i = 0; i < 2; i++) {
        neap_release(all[i]);
        all[i] = NULL;
    }
}
