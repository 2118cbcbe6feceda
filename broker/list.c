#include "list.h"

/* Where the index of the next entry lies, and behind it that of the previous one in those lists that have it. */
static midge_index *links(const struct midge_pool *pool, uint32_t link, midge_index entry)
{
    return (midge_index *)(void *)((uint8_t *)midge_pool_at(pool, entry) + link);
}

void midge_list_insert(const struct midge_pool *pool, struct midge_list *list, uint32_t link, midge_index entry,
                       midge_index next)
{
    midge_index *back = next != 0 ? links(pool, link, next) + 1 : &list->tail;
    midge_index previous = *back;
    links(pool, link, entry)[0] = next;
    links(pool, link, entry)[1] = previous;
    *back = entry;
    *(previous != 0 ? links(pool, link, previous) : &list->head) = entry;
}

void midge_list_remove(const struct midge_pool *pool, struct midge_list *list, uint32_t link, midge_index entry)
{
    if (list->tail == entry) {
        list->tail = links(pool, link, entry)[1];
    }
    midge_list_unlink(pool, &list->head, link, entry);
}

void midge_list_push(const struct midge_pool *pool, midge_index *head, uint32_t link, midge_index entry)
{
    midge_index *own = links(pool, link, entry);
    own[0] = *head;
    own[1] = 0;
    if (*head != 0) {
        links(pool, link, *head)[1] = entry;
    }
    *head = entry;
}

void midge_list_unlink(const struct midge_pool *pool, midge_index *head, uint32_t link, midge_index entry)
{
    const midge_index *own = links(pool, link, entry);
    midge_index *forth = own[1] != 0 ? links(pool, link, own[1]) : head;
    MIDGE_ASSERT(*forth == entry);
    *forth = own[0];
    if (own[0] != 0) {
        links(pool, link, own[0])[1] = own[1];
    }
}
