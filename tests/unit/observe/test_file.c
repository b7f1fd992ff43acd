/* SPDX-License-Identifier: MIT
 *
 * A file is there in full or not at all, whatever the disk, the device or a signal does. */
#include "observe/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomics.h"
#include "base/fault.h"
#include "neap/status.h"
#include "tests/unit/observe/folder.h"

enum { LARGE = 1 << 20 };

static int write_words(FILE *out)
{
    fputs("new words\n", out);
    return NEAP_OK;
}

static int write_much(FILE *out)
{
    for (unsigned i = 0; i < LARGE / 4; i++)
        fwrite(&i, 4, 1, out);
    return NEAP_OK;
}

static int write_half(FILE *out)
{
    fputs("half\n", out);
    return NEAP_ENOMEM;
}

static bool has(const char *name, const char *words)
{
    char seen[64] = "";
    FILE *in = fopen(in_folder(name), "re");
    if (in == NULL)
        return false;
    seen[fread(seen, 1, sizeof seen - 1, in)] = '\0';
    fclose(in);
    return strcmp(seen, words) == 0;
}

static void put(const char *name, const char *words)
{
    FILE *out = fopen(in_folder(name), "we");
    if (out == NULL || fputs(words, out) < 0 || fclose(out) != 0)
        bail("%s", name);
}

static void names_and_modes(void)
{
    struct stat status;
    errno = 77;
    is_int(np_write_file(in_folder("fresh"), write_words), NEAP_OK, "a new file");
    ok(has("fresh", "new words\n"), "has what was written");
    put("old", "old words\n");
    if (chmod(in_folder("old"), 0640) != 0 || symlink("old", in_folder("link")) != 0)
        bail("chmod, symlink");
    is_int(np_write_file(in_folder("old"), write_half), NEAP_ENOMEM, "a writer that fails");
    ok(has("old", "old words\n"), "leaves what was there");
    is_int(np_write_file(in_folder("link"), write_words), NEAP_OK, "through a link");
    ok(lstat(in_folder("link"), &status) == 0 && S_ISLNK(status.st_mode), "which stays one");
    ok(has("old", "new words\n") && stat(in_folder("old"), &status) == 0 &&
           (status.st_mode & 0777) == 0640,
       "the file it leads to is written and keeps its mode");
    is_int(np_write_file(in_folder("no/such/folder"), write_words), NEAP_EIO, "no such folder");
    is_int(np_write_file(folder, write_words), NEAP_EIO, "the name of a folder");
    is_int(errno, 77, "errno is as it was");
    is_int(count_files(), 3, "nothing else is left");
}

/* Where no file can be made beside the one that is there, and where a new one in its place would
 * not be what others have open. */
static void in_place(void)
{
    char name[NAME_MAX + 1], opened[64];
    memset(name, 'n', NAME_MAX);
    name[NAME_MAX] = '\0';
    is_int(np_write_file(in_folder(name), write_words), NEAP_EIO, "a new file's name is too long");
    put(name, "the old words\n");
    is_int(np_write_file(in_folder(name), write_words), NEAP_OK,
           "a file's name is as long as can be");
    ok(has(name, "new words\n"), "it is written, and nothing of the old is left");
    unlink(in_folder(name));
    put("opened", "");
    struct stat before, after;
    int fd = open(in_folder("opened"), O_WRONLY | O_CLOEXEC);
    snprintf(opened, sizeof opened, "/proc/self/fd/%d", fd);
    if (fd < 0 || fstat(fd, &before) != 0)
        bail("opened");
    is_int(np_write_file(opened, write_words), NEAP_OK, "what is open, by its name in /proc");
    ok(has("opened", "new words\n") && stat(in_folder("opened"), &after) == 0 &&
           before.st_ino == after.st_ino,
       "stays the file that is open");
    close(fd);
    unlink(in_folder("opened"));
    is_int(count_files(), 3, "no file is left beside them");
}

static bool leads_to(const char *name, const char *target)
{
    char seen[128] = "";
    return readlink(in_folder(name), seen, sizeof seen - 1) > 0 && strcmp(seen, target) == 0;
}

/* Links to a file that is to be made: beside the link, by way of another one, in a ring. */
static void links_to_nothing(void)
{
    char absolute[128];
    unsigned nth = 0;
    int status;
    struct np_file growing;
    snprintf(absolute, sizeof absolute, "%s/later", folder);
    if (symlink(absolute, in_folder("first")) != 0 || symlink("first", in_folder("second")) != 0 ||
        symlink("ring", in_folder("ring")) != 0)
        bail("symlink");
    do {
        np_fault_arm(++nth, 0, 0);
        status = np_write_file(in_folder("second"), write_words);
        np_fault_disarm();
        bool there = access(in_folder("later"), F_OK) == 0;
        ok(leads_to("second", "first") && leads_to("first", absolute) &&
               (status == NEAP_OK ? has("later", "new words\n") : status == NEAP_ENOMEM && !there),
           "allocation %u: links stay links, and lead to all or nothing", nth);
    } while (status != NEAP_OK);
    ok(nth > 5, "several allocations can fail (%u)", nth - 1);
    unlink(in_folder("later"));
    is_int(np_file_open_growing(&growing, in_folder("second")), NEAP_OK, "a growing file");
    fputs("grown\n", growing.out);
    ok(np_file_close(&growing, NEAP_OK) == NEAP_OK && has("later", "grown\n") &&
           leads_to("second", "first"),
       "is where the link leads to");
    unlink(in_folder("later"));
    is_int(np_file_open_growing(&growing, in_folder("second")), NEAP_OK, "one that fails");
    ok(np_file_close(&growing, NEAP_EIO) == NEAP_EIO && leads_to("second", "first") &&
           access(in_folder("later"), F_OK) != 0,
       "takes no link with it");
    is_int(np_write_file(in_folder("ring"), write_words), NEAP_OK, "a link to itself");
    ok(has("ring", "new words\n"), "was no name of anything, and is now");
    const char *const names[] = {"first", "second", "ring"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        unlink(in_folder(names[i]));
    is_int(count_files(), 3, "nothing else is left of it");
}

/* In a name space of its own; 0: as it should be, CANNOT: no mounting here. */
enum { CANNOT = 77 };
static int write_mounted(void)
{
    char from[128], to[128];
    snprintf(from, sizeof from, "%s/outside", folder);
    snprintf(to, sizeof to, "%s/mounted", folder);
    if ((unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) ||
        mount("none", "/", "", MS_REC | MS_PRIVATE, "") != 0 ||
        mount(from, to, "", MS_BIND, "") != 0)
        return CANNOT;
    if (np_write_file(to, write_words) != NEAP_OK || !has("mounted", "new words\n"))
        return 1;
    return np_write_file(to, write_half) == NEAP_ENOMEM && has("mounted", "new words\n") ? 0 : 2;
}

/* As a container's file that is one of the machine's. */
static void mounted(void)
{
    int status = 0;
    put("outside", "the old words\n");
    put("mounted", "");
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        _exit(write_mounted());
    if (child < 0 || waitpid(child, &status, 0) != child)
        bail("fork");
    if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT) {
        skip(2, "nothing can be mounted here");
    } else {
        is_int(status, 0, "a file that is mounted by itself is overwritten");
        ok(has("outside", "new words\n"), "where it comes from");
    }
    unlink(in_folder("outside"));
    unlink(in_folder("mounted"));
    is_int(count_files(), 3, "nothing is left beside it");
}

static void devices(void)
{
    struct stat status;
    if (access("/dev/full", W_OK) != 0) {
        skip(2, "no /dev/full");
        return;
    }
    is_int(np_write_file("/dev/full", write_words), NEAP_EIO, "a device without room");
    ok(stat("/dev/full", &status) == 0 && S_ISCHR(status.st_mode), "is not removed");
}

static void full_disk(void)
{
    struct rlimit saved, limit;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &saved);
    limit = saved;
    limit.rlim_cur = LARGE / 2;
    put("kept", "kept\n");
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        bail("setrlimit");
    int fresh = np_write_file(in_folder("large"), write_much);
    int old = np_write_file(in_folder("kept"), write_much);
    setrlimit(RLIMIT_FSIZE, &saved);
    is_int(fresh, NEAP_EIO, "no room for all of a file");
    ok(access(in_folder("large"), F_OK) != 0, "there is none");
    is_int(old, NEAP_EIO, "no room for its new content");
    ok(has("kept", "kept\n"), "the old one stays");
    is_int(count_files(), 4, "nothing else is left");
}

static void out_of_memory(void)
{
    unsigned nth = 0;
    int status;
    do {
        np_fault_arm(++nth, 0, 0);
        status = np_write_file(in_folder("kept"), write_words);
        np_fault_disarm();
        ok(status == NEAP_OK ? has("kept", "new words\n")
                             : status == NEAP_ENOMEM && has("kept", "kept\n"),
           "allocation %u: all or nothing", nth);
    } while (status != NEAP_OK);
    is_int(nth, 4, "three allocations can fail");
    is_int(count_files(), 4, "nothing is left of it");
}

static unsigned interrupts;

static void interrupt(int number)
{
    (void)number;
    np_fetch_add_relaxed(&interrupts, 1u);
}

static void *write_into_pipe(void *path)
{
    return (void *)(intptr_t)np_write_file(path, write_much);
}

/* The reader takes nothing until the writer, whose pipe is full, has been interrupted. */
static void signals(void)
{
    struct sigaction action = {.sa_handler = interrupt}; /* no SA_RESTART */
    char path[512];
    snprintf(path, sizeof path, "%s", in_folder("pipe"));
    sigaction(SIGUSR1, &action, NULL);
    if (mkfifo(path, 0600) != 0) {
        skip(3, "no pipes: %s", strerror(errno));
        return;
    }
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), waiting = 0;
    pthread_t writer;
    if (fd < 0 || fcntl(fd, F_SETFL, 0) != 0 ||
        pthread_create(&writer, NULL, write_into_pipe, path) != 0)
        bail("pipe");
    long room = fcntl(fd, F_GETPIPE_SZ);
    unsigned turns = 0;
    while (ioctl(fd, FIONREAD, &waiting) == 0 && waiting < room / 2) {
        if (turns++ == 60000)
            bail("the writer does not fill the pipe");
        usleep(1000);
    }
    while (np_load_relaxed(&interrupts) < 20) {
        pthread_kill(writer, SIGUSR1);
        usleep(1000);
    }
    bool same = true;
    unsigned long taken = 0;
    unsigned char seen[1000];
    for (ssize_t n; (n = read(fd, seen, sizeof seen)) != 0;) {
        if (n < 0)
            bail("read: %s", strerror(errno));
        for (ssize_t i = 0; i < n; i++, taken++)
            same = same && seen[i] == (unsigned char)(taken / 4 >> taken % 4 * 8);
        if (taken < LARGE / 2)
            pthread_kill(writer, SIGUSR1);
    }
    void *status;
    pthread_join(writer, &status);
    is_int((intptr_t)status, NEAP_OK, "a writer that signals interrupt goes on");
    ok(same && taken == LARGE, "and nothing is lost (%lu)", taken);
    struct stat still;
    ok(stat(path, &still) == 0 && S_ISFIFO(still.st_mode), "the pipe stays one");
    close(fd);
    unlink(path);
}

int main(void)
{
    plan_lazy();
    folder_make();
    names_and_modes();
    in_place();
    links_to_nothing();
    mounted();
    devices();
    full_disk();
    out_of_memory();
    signals();
    const char *const names[] = {"fresh", "old", "link", "kept"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        unlink(in_folder(names[i]));
    is_int(rmdir(folder), 0, "the folder is empty at the end");
    return done();
}
