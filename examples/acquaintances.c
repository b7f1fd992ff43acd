/* SPDX-License-Identifier: MIT
 *
 * Who knows whom: a server for several clients at once. People refer to each other in circles, and
 * several threads tie new knots while others search the graph. Each request is a line:
 *
 *     MEET a b      a and b know each other from now on; who is new is entered in the book
 *     PATH a b      how many acquaintances apart are they? -1: nobody connects them
 *     FORGET a      takes a out of the book; a stays for those who met a
 *
 * Written from the documents alone, by somebody who had not seen the library's source. */
#include <arpa/inet.h>
#include <neap/neap.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct tie { /* never changes once a person has it: its slots may be read as members */
    struct person *to;
    struct tie *next;
};
struct person {
    struct neap_string *name;
    struct tie *ties; /* newest first; read and written by all threads */
};
NEAP_DEFINE_TYPE(tie, (to, next));
NEAP_DEFINE_TYPE(person, (name, NEAP_ATOMIC(ties)));

struct visitor {
    int fd;
};
static void visitor_dispose(void *self)
{
    close(((struct visitor *)self)->fd);
}
NEAP_DEFINE_TYPE(visitor, (), .dispose = visitor_dispose);

static struct neap_map *book;        /* of people, by name */
static struct neap_channel *waiting; /* visitors that no worker has taken yet */

/* Two threads may enter the same name at once: the book has one of them, and both get that one. */
static struct person *enter(const char *text)
{
    NEAP_AUTO struct neap_string *name = neap_string_from(text);
    struct person *known = name != NULL ? neap_map_get(book, name) : NULL;
    if (name == NULL || known != NULL)
        return known;
    NEAP_AUTO struct person *fresh = neap_new(person);
    if (fresh == NULL)
        return NULL;
    neap_set(&fresh->name, name);
    return neap_map_set_default(book, name, fresh);
}

static bool tie(struct person *from, struct person *to)
{
    for (;;) {
        NEAP_AUTO struct tie *old = neap_load(&from->ties);
        NEAP_AUTO struct tie *fresh = neap_new(tie);
        if (fresh == NULL)
            return false;
        neap_set(&fresh->to, to);
        neap_set(&fresh->next, old);
        if (neap_compare_exchange(&from->ties, old, fresh))
            return true;
        neap_safepoint();
    }
}

/* Level by level, while others tie knots. -2: no memory. */
static int distance(struct person *from, struct person *to)
{
    NEAP_AUTO struct neap_map *seen = neap_map_new_with(NULL, NULL);
    NEAP_AUTO struct neap_list *level = neap_list_new();
    if (seen == NULL || level == NULL || neap_map_set_key(seen, from, from) != NEAP_OK ||
        neap_list_append(level, from) != NEAP_OK)
        return -2;
    for (int steps = 0; neap_list_length(level) > 0; steps++) {
        NEAP_AUTO struct neap_list *next = neap_list_new();
        if (next == NULL)
            return -2;
        for (size_t i = 0; i < neap_list_length(level); i++) {
            NEAP_AUTO struct person *person = neap_list_get(level, i);
            if (person == to)
                return steps;
            NEAP_AUTO struct tie *first = neap_load(&person->ties); /* keeps all behind it */
            for (struct tie *tie = first; tie != NULL; tie = tie->next) {
                NEAP_AUTO void *before = neap_map_get_key(seen, tie->to);
                if (before != NULL)
                    continue;
                if (neap_map_set_key(seen, tie->to, tie->to) != NEAP_OK ||
                    neap_list_append(next, tie->to) != NEAP_OK)
                    return -2;
            }
            neap_safepoint();
        }
        neap_release(level);
        level = NEAP_STEAL(next);
    }
    return -1;
}

static void answer(char *line, char *out, size_t room)
{
    char *save = NULL, *command = strtok_r(line, " \r\n", &save);
    char *a = strtok_r(NULL, " \r\n", &save), *b = strtok_r(NULL, " \r\n", &save);
    if (command == NULL) {
        snprintf(out, room, "?\n");
    } else if (strcmp(command, "MEET") == 0 && b != NULL) {
        NEAP_AUTO struct person *one = enter(a), *two = enter(b);
        bool met = one != NULL && two != NULL && tie(one, two) && tie(two, one);
        snprintf(out, room, met ? "ok\n" : "no memory\n");
    } else if (strcmp(command, "PATH") == 0 && b != NULL) {
        NEAP_AUTO struct neap_string *na = neap_string_from(a), *nb = neap_string_from(b);
        NEAP_AUTO struct person *one = na ? neap_map_get(book, na) : NULL;
        NEAP_AUTO struct person *two = nb ? neap_map_get(book, nb) : NULL;
        snprintf(out, room, "%d\n", one != NULL && two != NULL ? distance(one, two) : -1);
    } else if (strcmp(command, "FORGET") == 0 && a != NULL) {
        NEAP_AUTO struct neap_string *name = neap_string_from(a);
        snprintf(out, room, name != NULL && neap_map_remove(book, name) ? "ok\n" : "unknown\n");
    } else {
        snprintf(out, room, "?\n");
    }
}

static void *serve(void *unused)
{
    (void)unused;
    struct visitor *visitor;
    while ((visitor = neap_channel_receive(waiting)) != NULL) {
        int copy = dup(visitor->fd);
        FILE *in = copy >= 0 ? fdopen(copy, "r") : NULL;
        char line[256], out[64];
        while (in != NULL && NEAP_BLOCKED(fgets(line, sizeof line, in)) != NULL) {
            answer(line, out, sizeof out);
            if (NEAP_BLOCKED(send(visitor->fd, out, strlen(out), MSG_NOSIGNAL)) < 0)
                break;
            neap_safepoint();
        }
        if (in != NULL)
            fclose(in);
        shutdown(visitor->fd, SHUT_RDWR);
        neap_release(visitor);
    }
    return NULL;
}

static void *listen_to(void *arg)
{
    int fd, listener = *(int *)arg;
    while ((fd = NEAP_BLOCKED(accept(listener, NULL, NULL))) >= 0) {
        struct visitor *visitor = neap_new(visitor);
        if (visitor == NULL) {
            close(fd);
            continue;
        }
        visitor->fd = fd;
        if (neap_channel_send(waiting, visitor) != NEAP_OK)
            break;
    }
    neap_channel_close(waiting);
    return NULL;
}

/* ---- clients ---- */

enum { CLIENTS = 3, WORKERS = 3, REQUESTS = 160, PEOPLE = 37 };

static struct sockaddr_in address;

/* NULL: each request had its answer. */
static void *visit(void *number)
{
    int me = *(int *)number, answered = 0;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        return number;
    FILE *in = fdopen(fd, "r");
    char line[100], reply[100];
    for (int i = 0; i < REQUESTS && in != NULL; i++) {
        static const char *const commands[8] = {"MEET", "MEET", "MEET", "MEET",
                                                "MEET", "MEET", "PATH", "FORGET"};
        snprintf(line, sizeof line, "%s p%d p%d\n", commands[i % 8], i % PEOPLE,
                 (i * 31 + me) % PEOPLE);
        if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0 ||
            fgets(reply, sizeof reply, in) == NULL)
            break;
        answered += strcmp(reply, "no memory\n") != 0;
    }
    if (in != NULL)
        fclose(in);
    return answered == REQUESTS ? NULL : number;
}

int main(void)
{
    socklen_t size = sizeof address;
    pthread_t listening, workers[WORKERS], clients[CLIENTS];
    int numbers[CLIENTS], failed = 0;
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 ||
        listen(listener, 16) != 0 || getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        return 1;
    if (neap_init(NULL) != NEAP_OK || (book = neap_map_new()) == NULL ||
        (waiting = neap_channel_new(16)) == NULL ||
        neap_thread_create(&listening, "listener", listen_to, &listener) != NEAP_OK)
        return 1;
    for (int i = 0; i < WORKERS; i++)
        if (neap_thread_create(&workers[i], "worker", serve, NULL) != NEAP_OK)
            return 1;
    for (int i = 0; i < CLIENTS; i++) { /* no objects, so not attached */
        numbers[i] = i;
        if (pthread_create(&clients[i], NULL, visit, &numbers[i]) != 0)
            return 1;
    }
    for (int i = 0; i < CLIENTS; i++) {
        void *result;
        neap_thread_join(clients[i], &result);
        failed += result != NULL;
    }
    printf("%zu in the book\n", neap_map_count(book));

    shutdown(listener, SHUT_RDWR); /* accept fails, the channel is closed, the workers end */
    neap_thread_join(listening, NULL);
    for (int i = 0; i < WORKERS; i++)
        neap_thread_join(workers[i], NULL);
    close(listener);
    neap_release(book);
    neap_release(waiting);
    struct neap_leaks *leaks;
    size_t left = neap_shutdown(&leaks); /* collects the circles */
    if (left != 0)
        neap_leaks_print(leaks, stderr);
    neap_leaks_free(leaks);
    printf("%zu objects left, %d clients without their answers\n", left, failed);
    return left == 0 && failed == 0 ? 0 : 1;
}
