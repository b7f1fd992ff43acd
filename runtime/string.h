/* SPDX-License-Identifier: MIT
 *
 * The table of interned strings; the public half is <neap/string.h>.
 *
 * Implemented by string.c. */
#ifndef NP_RUNTIME_STRING_H
#define NP_RUNTIME_STRING_H

/* Memory of the table. */
void np_string_fini(void);

#endif
