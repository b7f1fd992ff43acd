/* SPDX-License-Identifier: MIT
 *
 * What retire.c needs of maps; the public half is <neap/map.h>.
 *
 * Implemented by map.c. */
#ifndef NP_RUNTIME_MAP_H
#define NP_RUNTIME_MAP_H

/* An entry that was taken out and that nobody reads any more: its key's reference and its block. No
 * user code. */
void np_map_entry_free(void *entry);

#endif
