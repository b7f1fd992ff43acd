/* SPDX-License-Identifier: MIT
 *
 * A program with a marked function, for test_line_profile.py: profiled [exit|FILE]. FILE: where to
 * write a profile of the whole program. */
#include <stdlib.h>
#include <string.h>

#include <neap/neap.h>

struct page {
    char bytes[1 << 20];
};
NEAP_DEFINE_TYPE(page, ());

static struct page *read_page(void)
{
    return neap_new(page); /* the page's line */
}

static void keep(struct page *kept[3])
{
    NEAP_PROFILE;
    for (int i = 0; i < 3; i++)
        kept[i] = read_page(); /* the calling line */
    neap_release(kept[0]);     /* the releasing line */
}

int main(int argc, char **argv)
{
    struct page *kept[3];
    if (neap_init(NULL) != NEAP_OK)
        return 1;
    keep(kept);
    int status = 0;
    if (argc > 1 && strcmp(argv[1], "exit") == 0)
        exit(0);
    else if (argc > 1)
        status = neap_pprof_write(argv[1]);
    neap_release(kept[1]);
    neap_release(kept[2]);
    return neap_shutdown(NULL) == 0 && status == NEAP_OK ? 0 : 1;
}
