/* SPDX-License-Identifier: MIT */
#include <neap/neap.h>

struct pair {
    struct pair *other;
    int number;
};
NEAP_DEFINE_TYPE(pair, (other));
