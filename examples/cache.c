/* SPDX-License-Identifier: MIT
 *
 * A cache that keeps nothing alive: it finds a page while somebody uses it and reads it anew when
 * nobody does. Its values are weak references. */
#include <neap/neap.h>
#include <stdio.h>

struct page {
    int number;
};
NEAP_DEFINE_TYPE(page, ());

static int pages_read;

static struct page *read_page(void)
{
    struct page *page = neap_new(page);
    if (page != NULL)
        page->number = ++pages_read;
    return page;
}

/* A reference to the page at this path. */
static struct page *page_at(struct neap_map *cache, struct neap_string *path)
{
    NEAP_AUTO struct neap_weak *known = neap_map_get(cache, path);
    struct page *page = known != NULL ? neap_weak_get(known) : NULL;
    if (page != NULL)
        return page;
    page = read_page();
    NEAP_AUTO struct neap_weak *weak = page != NULL ? neap_weak_new(page) : NULL;
    if (weak != NULL)
        (void)neap_map_set(cache, path, weak); /* without memory it is not cached */
    return page;
}

static int use(void)
{
    NEAP_AUTO struct neap_map *cache = neap_map_new();
    NEAP_AUTO struct neap_string *path = neap_string_from("/index");
    struct page *one = page_at(cache, path), *two = page_at(cache, path);
    printf("used twice at once: %s\n", one == two ? "one page" : "two pages");
    neap_release(one);
    neap_release(two);
    neap_release(page_at(cache, path));
    printf("used again later: read %d times\n", pages_read);
    return pages_read;
}

int main(void)
{
    if (neap_init(NULL) != NEAP_OK)
        return 1;
    int reads = use();
    return neap_shutdown(NULL) == 0 && reads == 2 ? 0 : 1;
}
