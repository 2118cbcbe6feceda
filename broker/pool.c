#include "pool.h"

/* A free entry starts with the index of the next one. memcpy, since an entry need not be aligned for an index. */
static midge_index next_free(const struct midge_pool *pool, midge_index index)
{
    midge_index next;
    memcpy(&next, midge_pool_at(pool, index), sizeof(next));
    return next;
}

void midge_pool_init(struct midge_pool *pool, void *entries, midge_index capacity, uint32_t entry_size)
{
    pool->origin = (uintptr_t)entries - entry_size;
    pool->entry_size = entry_size;
    pool->capacity = capacity;
    pool->touched = 0;
    pool->used = 0;
    pool->free = 0;
}

midge_index midge_pool_take(struct midge_pool *pool)
{
    midge_index index = pool->free;
    if (index != 0) {
        pool->free = next_free(pool, index);
    } else if (pool->touched < pool->capacity) {
        index = ++pool->touched;
    } else {
        return 0;
    }
    pool->used++;
    return index;
}

void midge_pool_give(struct midge_pool *pool, midge_index index)
{
    MIDGE_ASSERT(index - 1u < pool->touched);
    memcpy(midge_pool_at(pool, index), &pool->free, sizeof(pool->free));
    pool->free = index;
    pool->used--;
}

bool midge_pool_audit(const struct midge_pool *pool)
{
    if (pool->used > pool->touched || pool->touched > pool->capacity) {
        return false;
    }
    uint32_t expected = (uint32_t)pool->touched - pool->used;
    uint32_t length = 0;
    for (midge_index i = pool->free; i != 0; i = next_free(pool, i)) {
        length++;
        if (i > pool->touched || length > expected) {
            return false;
        }
    }
    return length == expected;
}
