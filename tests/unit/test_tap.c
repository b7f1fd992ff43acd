/* SPDX-License-Identifier: MIT
 *
 * The producer tells the truth, above all when something fails. The program runs itself as a child
 * in one mode per case, and compares the child's whole output and status with what TAP 13 asks for.
 */
#include "tests/tap.h"
#include "tests/death.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int mode_passes(void)
{
    plan(3);
    ok(1 + 1 == 2, "sum of %d and %d", 1, 1);
    is_int(sizeof(char), 1, "size");
    is_str("a", "a", "string");
    return done();
}

static int mode_fails(void)
{
    plan(5);
    int one = 1;
    ok(one == 2, "lie");
    is_int(one, -1, "int");
    is_str("a", NULL, "string");
    is_ptr(NULL, NULL, "pointer");
    ok(strlen("abc") == 3, "truth");
    return done();
}

static int mode_lazy(void)
{
    plan_lazy();
    pass("one");
    pass("two");
    return done();
}

static int mode_lazy_empty(void)
{
    plan_lazy();
    return done();
}

static int mode_too_few(void)
{
    plan(2);
    pass("one");
    return done();
}

static int mode_too_many(void)
{
    plan(1);
    pass("one");
    pass("two");
    return done();
}

static int mode_skip(void)
{
    plan(3);
    skip(2, "no %s here", "sea");
    pass("land");
    return done();
}

static int mode_skip_all(void)
{
    skip_all("wrong planet");
}

static int mode_todo(void)
{
    plan(2);
    todo("unbuilt");
    ok(2 < 1, "future");
    pass("present");
    return done();
}

static int mode_todo_passes(void)
{
    plan(1);
    todo("unbuilt");
    pass("already");
    return done();
}

static int mode_leaves(void)
{
    plan(1);
    pass("one");
    exit(0);
}

static int mode_bails(void)
{
    plan(2);
    pass("one");
    bail("no more %s", "air");
}

static int mode_hostile_text(void)
{
    plan(1);
    diag("one\nok 7 - two\n");
    pass("a # TODO in a\nname \\");
    return done();
}

static int mode_no_plan(void)
{
    pass("one");
    return done();
}

static int mode_after_done(void)
{
    plan(1);
    pass("one");
    (void)done();
    pass("two");
    return 0;
}

static int mode_forked_point(void)
{
    plan(1);
    pid_t child = fork();
    if (child == 0) {
        pass("the child's");
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    ok(WEXITSTATUS(status) == 255, "refused");
    return done();
}

static void do_nothing(void *arg)
{
    (void)arg;
}

static void abort_with(void *arg)
{
    fputs(arg, stderr);
    abort();
}

static void exit_with(void *arg)
{
    fputs(arg, stderr);
    _exit(3);
}

static int mode_deaths(void)
{
    char text[] = "the rule is broken\n";
    plan(4);
    dies_with(abort_with, text, "rule", "dies");
    dies_with(abort_with, text, "other", "dies of something else");
    dies_with(do_nothing, NULL, "", "survives");
    dies_with(exit_with, text, "rule", "exits");
    return done();
}

enum { THREADS = 8, POINTS = 100 };

static void *make_points(void *arg)
{
    for (int i = 0; i < POINTS; i++)
        ok(arg != NULL, "thread %d point %d", *(int *)arg, i);
    return NULL;
}

static int mode_threads(void)
{
    pthread_t threads[THREADS];
    int ids[THREADS];
    plan(THREADS * POINTS);
    for (int i = 0; i < THREADS; i++) {
        ids[i] = i;
        pthread_create(&threads[i], NULL, make_points, &ids[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return done();
}

#define HEAD "TAP version 13\n"

/* FILE stands for "this file, line N:", which moves whenever the file is edited. */
static const struct {
    const char *name;
    int (*run)(void);
    int status;
    const char *output; /* NULL: checked by its own code */
} modes[] = {
    {"passes", mode_passes, 0, HEAD "1..3\nok 1 - sum of 1 and 1\nok 2 - size\nok 3 - string\n"},
    {"fails", mode_fails, 1,
     HEAD "1..5\nnot ok 1 - lie\nFILE\n#   not true: one == 2\n"
          "not ok 2 - int\nFILE\n#   one\n#   seen:   1 (0x1)\n"
          "#   wanted: -1 (0xffffffffffffffff)\n"
          "not ok 3 - string\nFILE\n#   \"a\"\n#   seen:   \"a\"\n#   wanted: NULL\n"
          "ok 4 - pointer\nok 5 - truth\n# 3 of 5 points failed\n"},
    {"lazy", mode_lazy, 0, HEAD "ok 1 - one\nok 2 - two\n1..2\n"},
    {"lazy-empty", mode_lazy_empty, 1, HEAD "1..0\n# planned 1 points, made 0\n"},
    {"too-few", mode_too_few, 1, HEAD "1..2\nok 1 - one\n# planned 2 points, made 1\n"},
    {"too-many", mode_too_many, 1,
     HEAD "1..1\nok 1 - one\nok 2 - two\n# planned 1 points, made 2\n"},
    {"skip", mode_skip, 0,
     HEAD "1..3\nok 1 # SKIP no sea here\nok 2 # SKIP no sea here\nok 3 - land\n"},
    {"skip-all", mode_skip_all, 0, HEAD "1..0 # SKIP wrong planet\n"},
    {"todo", mode_todo, 0,
     HEAD "1..2\nnot ok 1 - future # TODO unbuilt\nFILE\n#   not true: 2 < 1\n"
          "ok 2 - present\n"},
    {"todo-passes", mode_todo_passes, 1,
     HEAD "1..1\nok 1 - already # TODO unbuilt\n# FILE passed although expected to fail\n"
          "# 1 of 1 points failed\n"},
    {"leaves", mode_leaves, 1, HEAD "1..1\nok 1 - one\n# the program left before done()\n"},
    {"bails", mode_bails, 255, HEAD "1..2\nok 1 - one\nBail out! no more air\n"},
    {"hostile-text", mode_hostile_text, 0,
     HEAD "1..1\n# one\n# ok 7 - two\nok 1 - a \\# TODO in a name \\\\\n"},
    {"no-plan", mode_no_plan, 255, "Bail out! tap: a point without a plan\n"},
    {"after-done", mode_after_done, 255,
     HEAD "1..1\nok 1 - one\nBail out! tap: a point after done\n"},
    {"forked-point", mode_forked_point, 0,
     HEAD "1..1\nBail out! tap: a point made by a forked child\nok 1 - refused\n"},
    {"deaths", mode_deaths, 1,
     HEAD "1..4\nok 1 - dies\n"
          "not ok 2 - dies of something else\nFILE\n#   not true: abort_with\n"
          "#   the child died of signal 6 (Aborted)\n#   wanted on standard error: other\n"
          "#   found there:\n# the rule is broken\n"
          "not ok 3 - survives\nFILE\n#   not true: do_nothing\n"
          "#   the child ended with status 0\n#   wanted on standard error: \n#   found there:\n"
          "not ok 4 - exits\nFILE\n#   not true: exit_with\n"
          "#   the child ended with status 3\n#   wanted on standard error: rule\n"
          "#   found there:\n# the rule is broken\n"
          "# 3 of 4 points failed\n"},
    {"threads", mode_threads, 0, NULL},
};

enum { MODES = sizeof modes / sizeof modes[0], OUTPUT_BYTES = 1 << 18 };

/* Runs this program in a mode; returns its exit status, its output in text. */
static int run_child(const char *self, const char *mode, char *text)
{
    char command[4200];
    snprintf(command, sizeof command, "'%s' %s", self, mode);
    FILE *pipe = popen(command, "r");
    if (pipe == NULL)
        bail("cannot start %s", command);
    size_t used = fread(text, 1, OUTPUT_BYTES - 1, pipe);
    text[used] = '\0';
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -status;
}

/* Replaces "# .../test_tap.c, line N:" by FILE, in place. */
static void hide_lines(char *text)
{
    char *at;
    while ((at = strstr(text, "test_tap.c, line ")) != NULL) {
        char *begin = at, *end = strchr(at, ':') + 1;
        while (begin > text && begin[-1] != '\n')
            begin--;
        if (*end == ' ') /* text follows on the line: its # stays */
            begin += 2;
        memcpy(begin, "FILE", 4);
        memmove(begin + 4, end, strlen(end) + 1);
    }
}

/* 800 lines of 8 threads: each number once and in order, each line whole, each point of each
 * thread. */
static bool threads_output_is_whole(const char *text)
{
    static bool seen[THREADS][POINTS];
    if (strncmp(text, HEAD "1..800\n", strlen(HEAD) + 7) != 0)
        return false;
    text += strlen(HEAD) + 7;
    for (int i = 1; i <= THREADS * POINTS; i++) {
        int number, thread, point, length = 0;
        if (sscanf(text, "ok %d - thread %d point %d%n", &number, &thread, &point, &length) != 3 ||
            number != i || text[length] != '\n' || thread < 0 || thread >= THREADS || point < 0 ||
            point >= POINTS || seen[thread][point])
            return false;
        seen[thread][point] = true;
        text += length + 1;
    }
    return *text == '\0';
}

int main(int argc, char **argv)
{
    if (argc == 2)
        for (int i = 0; i < MODES; i++)
            if (strcmp(argv[1], modes[i].name) == 0)
                return modes[i].run();

    static char text[OUTPUT_BYTES];
    char self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length > 0 ? length : 0] = '\0';
    plan(2 * MODES);
    for (int i = 0; i < MODES; i++) {
        int status = run_child(self, modes[i].name, text);
        is_int(status, modes[i].status, "%s: exit status", modes[i].name);
        hide_lines(text);
        if (modes[i].output != NULL)
            is_str(text, modes[i].output, "%s: output", modes[i].name);
        else
            ok(threads_output_is_whole(text), "%s: every line whole, numbered in order",
               modes[i].name);
    }
    return done();
}
