/* SPDX-License-Identifier: Apache-2.0
 * Lists: intrusive, doubly linked, circular around a head. */
#ifndef RINGWALL_BASE_LIST_H
#define RINGWALL_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* Both the head and the link embedded in each object. */
struct list {
	struct list *next, *previous;
};

static inline void list_init(struct list *head)
{
	head->next = head->previous = head;
}
static inline bool list_is_empty(const struct list *head)
{
	return head->next == head;
}

/* Adds `link` as the last before `head`. */
static inline void list_append(struct list *head, struct list *link)
{
	link->next = head;
	link->previous = head->previous;
	head->previous->next = link;
	head->previous = link;
}

/* Takes `link` out and makes it a list of its own, so that removing twice does no harm. */
static inline void list_remove(struct list *link)
{
	link->next->previous = link->previous;
	link->previous->next = link->next;
	list_init(link);
}

#define list_object(link, type, member) ((type *)((char *)(link)-offsetof(type, member)))

/* The loop body may remove `link` itself, and no other. */
#define list_each(link, head) \
	for (struct list *link = (head)->next, *link##_next = link->next; link != (head); \
	     link = link##_next, link##_next = link->next)

#endif
