/* SPDX-License-Identifier: MIT
 *
 * A program outside the tree: a cycle, an untyped block, nothing left; and its malloc is glibc's.
 * The type is defined in type.c, so that this file may be C or C++. */
#ifndef _GNU_SOURCE
#    define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <neap/neap.h>

struct pair {
    struct pair *other;
    int number;
};
NEAP_DECLARE_TYPE(pair);

static int keeps_malloc(void)
{
    Dl_info info;
    void *symbol = dlsym(RTLD_DEFAULT, "malloc");
    if (symbol == NULL || dladdr(symbol, &info) == 0 || strstr(info.dli_fname, "libc.so") == NULL) {
        fprintf(stderr, "malloc comes from %s\n", symbol ? info.dli_fname : "nowhere");
        return 0;
    }
    size_t before = mallinfo2().uordblks;
    void *block = malloc(100000);
    int grown = block != NULL && mallinfo2().uordblks >= before + 100000;
    if (!grown)
        fprintf(stderr, "malloc is not glibc's\n");
    free(block);
    return grown;
}

int main(void)
{
    if (!keeps_malloc())
        return 2;
    if (neap_init(NULL) != NEAP_OK)
        return 4;
    struct pair *a = neap_new(pair), *b = neap_new(pair);
    if (a == NULL || b == NULL)
        return 5;
    neap_set(&a->other, b);
    neap_set(&b->other, a);
    neap_release(a);
    neap_release(b);
    if (neap_collect(2) != 2)
        return 6;
    char *text = (char *)neap_alloc(3000);
    if (text == NULL)
        return 7;
    memset(text, 1, 3000);
    neap_free(text);
    return neap_shutdown(NULL) == 0 ? 0 : 8;
}
