/* SPDX-License-Identifier: MIT
 *
 * Files that are there in full or not at all: what is written goes to PATH.PID.N.part beside the
 * file and takes its name when it is complete. Until then, and if it cannot be completed, whatever
 * had the name stays. What is no regular file (a pipe, a terminal, a device) is written to as it
 * is; so is what /dev and /proc name, and a file beside which no other may be made, whose old
 * content is gone at once. Short and interrupted writes go on where they ended.
 *
 * Implemented by file.c. One thread uses a file at a time. errno is preserved. */
#ifndef NP_OBSERVE_FILE_H
#define NP_OBSERVE_FILE_H

#include <stdio.h>

struct np_file {
    FILE *out;
    char *path, *part; /* the name it is to get, and the one it has; part NULL: no regular file */
};

/* NEAP_OK, NEAP_EIO or NEAP_ENOMEM. */
int np_file_open(struct np_file *file, const char *path);

/* The same under the file's own name from the start, for what others may read as it grows; what was
 * there is gone. */
int np_file_open_growing(struct np_file *file, const char *path);

/* Closes the file. With NEAP_OK it takes its name, or, if that fails or something was not written,
 * it is removed and the status is NEAP_EIO; with another status it is removed. */
int np_file_close(struct np_file *file, int status);

/* The child of a fork forgets what its parent writes. */
void np_file_forget(struct np_file *file);

/* The whole of a file, to be given to munmap; NULL if it is empty or cannot be read. */
char *np_file_map(const char *path, size_t *ret_bytes);

/* Opens the file, has it written, closes it. */
int np_write_file(const char *path, int (*write)(FILE *out));

#endif
