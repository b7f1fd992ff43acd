/* SPDX-License-Identifier: MIT
 *
 * Intrusive doubly linked list with a sentinel: an empty list points at itself, so insertion and
 * removal have no branch. Not synchronised; the structure that holds the head says which lock
 * guards it. */
#ifndef NP_BASE_LIST_H
#define NP_BASE_LIST_H

#include <stdbool.h>

struct np_list {
    struct np_list *next, *prev;
};

static inline void np_list_init(struct np_list *head)
{
    head->next = head->prev = head;
}

static inline bool np_list_empty(const struct np_list *head)
{
    return head->next == head;
}

static inline void np_list_insert_after(struct np_list *where, struct np_list *node)
{
    node->prev = where;
    node->next = where->next;
    where->next->prev = node;
    where->next = node;
}

static inline void np_list_push_front(struct np_list *head, struct np_list *node)
{
    np_list_insert_after(head, node);
}

static inline void np_list_push_back(struct np_list *head, struct np_list *node)
{
    np_list_insert_after(head->prev, node);
}

/* Unlinks node and leaves it an empty list of its own, so that a second removal is harmless. */
static inline void np_list_remove(struct np_list *node)
{
    node->next->prev = node->prev;
    node->prev->next = node->next;
    np_list_init(node);
}

/* Moves all of from to the end of head; from is empty afterwards. */
static inline void np_list_append_all(struct np_list *head, struct np_list *from)
{
    if (np_list_empty(from))
        return;
    from->next->prev = head->prev;
    head->prev->next = from->next;
    from->prev->next = head;
    head->prev = from->prev;
    np_list_init(from);
}

#define NP_LIST_EACH(node, head) \
    for (struct np_list *node = (head)->next; node != (head); node = node->next)
#define NP_LIST_EACH_SAFE(node, after, head) \
    for (struct np_list *node = (head)->next, *after = node->next; node != (head); \
         node = after, after = node->next)

#endif
