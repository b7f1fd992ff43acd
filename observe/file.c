/* SPDX-License-Identifier: MIT
 *
 * The stream writes by itself rather than through the C library, whose fwrite gives up what it
 * holds when a signal interrupts it. */
#include "observe/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomics.h"
#include "base/fault.h"
#include "neap/status.h"

enum { LINKS_MOST = 40 }; /* as the kernel follows */

static ssize_t write_whole(void *cookie, const char *data, size_t bytes)
{
    int fd = (int)(intptr_t)cookie;
    size_t done = 0;
    while (done < bytes) {
        ssize_t written = write(fd, data + done, bytes - done);
        if (written > 0)
            done += (size_t)written;
        else if (written == 0 || errno != EINTR)
            return 0; /* the stream's error */
    }
    return (ssize_t)bytes;
}

static int close_it(void *cookie)
{
    int failed = close((int)(intptr_t)cookie);
    return failed != 0 && errno != EINTR ? -1 : 0; /* EINTR: it is closed */
}

static FILE *stream_of(int fd)
{
    static const cookie_io_functions_t functions = {.write = write_whole, .close = close_it};
    return np_fault() ? NULL : fopencookie((void *)(intptr_t)fd, "w", functions);
}

static int open_again(const char *path, int flags)
{
    int fd;
    do
        fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | flags, 0666);
    while (fd < 0 && errno == EINTR);
    return fd;
}

/* A new file beside the path, which nobody else has. */
static int open_part(struct np_file *file)
{
    static uint32_t serial;
    size_t bytes = strlen(file->path) + 32;
    file->part = np_fault_calloc(1, bytes);
    int fd = -1;
    while (file->part != NULL && fd < 0) {
        uint32_t number = np_fetch_add_relaxed(&serial, 1u); /* relaxed: a number */
        snprintf(file->part, bytes, "%s.%d.%u.part", file->path, (int)getpid(), number);
        fd = open_again(file->part, O_CREAT | O_EXCL);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    return fd;
}

/* The directory takes no new file, but the file that is there may be written. */
static bool no_room_beside(int error)
{
    return error == EACCES || error == EPERM || error == EROFS || error == ENAMETOOLONG;
}

/* Another name for what is open already, which a rename would take its name from: /dev/stdout. */
static bool is_open_file(const char *path)
{
    return strncmp(path, "/dev/", 5) == 0 || strncmp(path, "/proc/", 6) == 0;
}

/* What a link that leads to no file yet leads to, as often as it is another such link; else a copy
 * of the path. NULL out of memory. */
static char *new_name_of(const char *path)
{
    char *name = np_fault_strdup(path), *target = np_fault_malloc(PATH_MAX);
    for (unsigned links = 0; name != NULL && target != NULL; links++) {
        ssize_t length = readlink(name, target, PATH_MAX - 1);
        if (length < 0 || links == LINKS_MOST)
            break;
        target[length] = '\0';
        const char *slash = target[0] == '/' ? NULL : strrchr(name, '/'); /* beside the link */
        size_t folder = slash != NULL ? (size_t)(slash - name) + 1 : 0;
        char *next = np_fault_malloc(folder + (size_t)length + 1);
        if (next != NULL) {
            memcpy(next, name, folder);
            memcpy(next + folder, target, (size_t)length + 1);
        }
        free(name);
        name = next;
    }
    errno = target == NULL ? ENOMEM : 0;
    free(target);
    if (errno != 0) {
        free(name);
        name = NULL;
    }
    return name;
}

static int try_open(struct np_file *file, const char *path, bool grows)
{
    struct stat status;
    bool there = stat(path, &status) == 0;
    bool regular = !there || (S_ISREG(status.st_mode) && !is_open_file(path));
    bool in_place = false;
    /* the name that a link leads to, which stays a link */
    errno = 0;
    if (there)
        file->path = np_fault() ? NULL : realpath(path, NULL);
    else
        file->path = new_name_of(path);
    if (file->path == NULL)
        return errno == 0 || errno == ENOMEM ? NEAP_ENOMEM : NEAP_EIO;
    int fd;
    errno = 0; /* realpath asks what is no link */
    if (!regular)
        fd = open_again(path, 0);
    else if (grows)
        fd = open_again(path, O_CREAT | O_TRUNC);
    else
        fd = open_part(file);
    if (fd < 0 && there && file->part != NULL && no_room_beside(errno)) {
        free(file->part);
        file->part = NULL;
        in_place = true;
        fd = open_again(path, O_TRUNC);
    }
    if (fd < 0) {
        free(file->part); /* it was not made */
        file->part = NULL;
        return errno == 0 ? NEAP_ENOMEM : NEAP_EIO;
    }
    if (there && regular && !grows && !in_place && fchmod(fd, status.st_mode & 0777) != 0)
        errno = 0; /* a file system without modes: the new file's own will do */
    if (regular && grows && (file->part = np_fault_strdup(file->path)) == NULL)
        unlink(path);
    file->out = regular && !in_place && file->part == NULL ? NULL : stream_of(fd);
    if (file->out == NULL)
        close(fd);
    return file->out != NULL ? NEAP_OK : NEAP_ENOMEM;
}

static int open_file(struct np_file *file, const char *path, bool grows)
{
    int saved = errno;
    *file = (struct np_file){NULL, NULL, NULL};
    int status = try_open(file, path, grows);
    if (status != NEAP_OK) {
        if (file->part != NULL)
            unlink(file->part);
        np_file_forget(file);
    }
    errno = saved;
    return status;
}

int np_file_open(struct np_file *file, const char *path)
{
    return open_file(file, path, false);
}

int np_file_open_growing(struct np_file *file, const char *path)
{
    return open_file(file, path, true);
}

/* A file that is mounted by itself, as containers do, cannot be replaced: it is overwritten. */
static bool copy_over(const struct np_file *file)
{
    char buffer[16384];
    ssize_t got = 0;
    int from = open(file->part, O_RDONLY | O_CLOEXEC), to = open_again(file->path, O_TRUNC);
    bool whole = from >= 0 && to >= 0;
    while (whole && ((got = read(from, buffer, sizeof buffer)) > 0 || (got < 0 && errno == EINTR)))
        whole = got < 0 || write_whole((void *)(intptr_t)to, buffer, (size_t)got) == got;
    if (from >= 0)
        close(from);
    if (to >= 0)
        whole = close(to) == 0 && whole;
    unlink(file->part);
    return whole && got == 0;
}

static bool take_name(const struct np_file *file)
{
    if (rename(file->part, file->path) == 0)
        return true;
    return errno == EBUSY && copy_over(file);
}

int np_file_close(struct np_file *file, int status)
{
    int saved = errno;
    bool failed = ferror(file->out) != 0;
    failed = fclose(file->out) != 0 || failed;
    file->out = NULL;
    if (status == NEAP_OK && failed)
        status = NEAP_EIO;
    if (file->part != NULL) {
        bool grew = strcmp(file->part, file->path) == 0; /* and may have been unlinked since */
        if (status == NEAP_OK && !grew && !take_name(file))
            status = NEAP_EIO;
        if (status != NEAP_OK)
            unlink(file->part);
    }
    np_file_forget(file);
    errno = saved;
    return status;
}

void np_file_forget(struct np_file *file)
{
    free(file->path);
    free(file->part);
    *file = (struct np_file){NULL, NULL, NULL};
}

char *np_file_map(const char *path, size_t *ret_bytes)
{
    struct stat status;
    char *file = MAP_FAILED;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    if (fstat(fd, &status) == 0 && status.st_size > 0) {
        *ret_bytes = (size_t)status.st_size;
        file = mmap(NULL, *ret_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    close(fd);
    return file != MAP_FAILED ? file : NULL;
}

int np_write_file(const char *path, int (*write_it)(FILE *out))
{
    struct np_file file;
    int status = np_file_open(&file, path);
    return status == NEAP_OK ? np_file_close(&file, write_it(file.out)) : status;
}
