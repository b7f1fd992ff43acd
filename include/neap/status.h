/* SPDX-License-Identifier: MIT
 *
 * neap: what calls return when they fail, and the version. errno is never set and is preserved. */
#ifndef NEAP_STATUS_H
#define NEAP_STATUS_H

#include <neap/export.h>

#ifdef __cplusplus
extern "C" {
#endif

enum neap_status {
    NEAP_OK = 0,
    NEAP_ENOMEM = -1,       /* out of memory, threads or slots */
    NEAP_EINVAL = -2,       /* an argument or option is out of its range */
    NEAP_ESTATE = -3,       /* not now: the call does not fit the state the library is in */
    NEAP_EUNSUPPORTED = -4, /* this build or system cannot */
    NEAP_EIO = -5           /* a file or stream could not be written */
};

/* A sentence for a status; never NULL, static storage.
 * refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC const char *neap_strerror(int status);

/* "major.minor.patch", static storage.
 * refs: none | user code: no | point: none | threads: any | fails: no */
NEAP_PUBLIC const char *neap_version(void);

#ifdef __cplusplus
}
#endif

#endif
