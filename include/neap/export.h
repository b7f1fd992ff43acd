/* SPDX-License-Identifier: MIT
 *
 * neap: what the library exports. */
#ifndef NEAP_EXPORT_H
#define NEAP_EXPORT_H

#define NEAP_PUBLIC __attribute__((visibility("default")))

#if defined(__GNUC__)
#    define NEAP_NODISCARD __attribute__((warn_unused_result))
#else
#    define NEAP_NODISCARD
#endif

#endif
