/* SPDX-License-Identifier: MIT
 *
 * Where the monitor listens. Implemented by listener.c, used by monitor.c. */
#ifndef NP_MONITOR_LISTENER_H
#define NP_MONITOR_LISTENER_H

#include <stdbool.h>
#include <stddef.h>

enum { NP_ADDRESS_BYTES = 160 };

struct np_listener {
    int fd;
    bool is_local;                  /* this machine alone reaches it */
    char address[NP_ADDRESS_BYTES]; /* as the user would write it, with the port it took */
    char path[108];                 /* of a unix socket, else "" */
};

/* Listens at "HOST:PORT" or "unix:PATH"; a stranger's address only when others may come. NEAP_OK,
 * or a status and why. */
int np_listener_open(struct np_listener *ret_listener, const char *address, bool others_may,
                     char *ret_why, size_t bytes);

/* Removes a unix socket's file; closes the socket unless somebody else has. */
void np_listener_close(struct np_listener *listener, bool close_socket);

#endif
