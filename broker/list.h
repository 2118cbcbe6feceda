/* Lists through the entries of a pool. `link` is the offset of an index in an entry: that of the next entry, 0 for the last. */
#ifndef MIDGE_LIST_H
#define MIDGE_LIST_H

#include "pool.h"

struct midge_list {
    midge_index head; /* 0: the list is empty */
    midge_index tail;
};

/* Appends an entry, whose own link is 0; `last` is the link of the tail. Where the list is empty, neither of these counts. */
static inline void midge_list_append(struct midge_list *list, midge_index *last, midge_index entry)
{
    *(list->head != 0 ? last : &list->head) = entry;
    list->tail = entry;
}

/* ---- Lists that any entry may leave: the index of the previous entry lies behind that of the next one ---- */

/* Puts an entry before `next`, at the end for 0. */
void midge_list_insert(const struct midge_pool *pool, struct midge_list *list, uint32_t link, midge_index entry,
                       midge_index next);

void midge_list_remove(const struct midge_pool *pool, struct midge_list *list, uint32_t link, midge_index entry);

/* The same lists where nobody needs the last entry: the head is all there is. */
void midge_list_push(const struct midge_pool *pool, midge_index *head, uint32_t link, midge_index entry);
void midge_list_unlink(const struct midge_pool *pool, midge_index *head, uint32_t link, midge_index entry);

#endif
