/* SPDX-License-Identifier: MIT
 *
 * A program with a monitor, for test_monitor.py: "monitored ADDRESS" starts it and does what the
 * lines of its input say, answering each by a line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <neap/monitor.h>
#include <neap/neap.h>

struct node {
    struct node *next, *other;
};
NEAP_DEFINE_TYPE(node, (next, other));

static const char *address;
static struct node *held;
static bool ended;

static void say(const char *text)
{
    printf("%s\n", text);
    fflush(stdout);
}

static void make_rings(int count)
{
    for (int i = 0; i < count; i++) {
        struct node *a = neap_new(node), *b = neap_new(node);
        neap_give(&a->next, b);
        neap_set(&b->next, a);
        neap_release(a);
    }
}

static void hold(int count)
{
    for (int i = 0; i < count; i++) {
        struct node *node = neap_new(node);
        neap_give(&node->next, held);
        held = node;
    }
}

/* The child has no server, may stop none, and may start its own. */
static void fork_and_serve(void)
{
#ifdef __SANITIZE_THREAD__
    say("ThreadSanitizer ends a child of a fork that starts threads");
    return;
#endif
    pid_t child = fork();
    if (child == 0) {
        char where[100];
        int status = neap_monitor_address(where, sizeof where) == 0 ? 0 : 1;
        neap_monitor_stop();
        if (neap_monitor_start("127.0.0.1:0") != NEAP_OK)
            status = 2;
        neap_monitor_stop();
        _exit(status);
    }
    int status = -1;
    waitpid(child, &status, 0);
    printf("child %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    fflush(stdout);
}

static void obey(char *line)
{
    int number = strchr(line, ' ') != NULL ? atoi(strchr(line, ' ')) : 0;
    if (strncmp(line, "rings", 5) == 0)
        make_rings(number);
    else if (strncmp(line, "hold", 4) == 0)
        hold(number);
    else if (strncmp(line, "trace", 5) == 0)
        neap_trace_start(4, 0);
    else if (strncmp(line, "timeline", 8) == 0)
        neap_timeline_start("/dev/null");
    else if (strncmp(line, "untimeline", 10) == 0)
        neap_timeline_stop();
    else if (strncmp(line, "stop", 4) == 0)
        neap_monitor_stop();
    else if (strncmp(line, "shutdown", 8) == 0)
        neap_release(held), ended = neap_shutdown(NULL) == 0;
    if (strncmp(line, "fork", 4) == 0)
        fork_and_serve();
    else
        say("done");
}

static void serve(void)
{
    char where[200], line[200];
    neap_monitor_address(where, sizeof where);
    say(where);
    while (ended ? fgets(line, sizeof line, stdin) != NULL
                 : NEAP_BLOCKED(fgets(line, sizeof line, stdin)) != NULL)
        obey(line);
}

/* As the header shows it, with a port that is free. */
static int with_monitor(void)
{
    if (neap_monitor_start(address) != NEAP_OK) {
        fprintf(stderr, "no monitor: %s\n", neap_monitor_error());
        return 3;
    }
    serve();
    neap_monitor_stop();
    if (!ended)
        neap_release(held);
    return ended || neap_shutdown(NULL) == 0 ? 0 : 1;
}

/* The header's example, which check-docs looks for; not run, because the port may be taken. */
void header_example(void);
void header_example(void)
{
    if (neap_monitor_start("127.0.0.1:9464") != NEAP_OK)
        fprintf(stderr, "no monitor: %s\n", neap_monitor_error());
    serve();
    neap_monitor_stop();
}

int main(int argc, char **argv)
{
    if (argc != 2 || neap_init(NULL) != NEAP_OK)
        return 2;
    address = argv[1];
    return with_monitor();
}
