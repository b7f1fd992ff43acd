/* SPDX-License-Identifier: MIT
 *
 * The options in force. Written once by np_options_load, before any other thread of ours exists;
 * read by every floor afterwards without synchronisation. */
#ifndef NP_BASE_OPTIONS_H
#define NP_BASE_OPTIONS_H

#include "neap/options.h"

extern struct neap_options np_options; /* (c) after np_options_load */

/* Defaults, then given (may be NULL; fields beyond its struct_size keep their defaults), then text,
 * the value of NEAP_OPTIONS or NULL. Returns 0, or -1 with a sentence in error (which np_options is
 * then not changed by). "help" prints the table on standard error. */
int np_options_load(const struct neap_options *given, const char *text, char *error,
                    size_t error_bytes);

#endif
