/* A pool of entries of one size in memory that the caller owns. Index 0 means none. */
#ifndef MIDGE_POOL_H
#define MIDGE_POOL_H

#include "base.h"

/* Invariant: used <= touched <= capacity; the free list holds touched - used entries, entries above `touched` were never
 * written, so that memory never used is never walked. An entry is touched only where none is free: `touched` is also the most
 * that ever was used. */
struct midge_pool {
    uintptr_t origin; /* the address that entry 0, which does not exist, would have */
    uint32_t entry_size;
    midge_index capacity;
    midge_index touched;
    midge_index used;
    midge_index free;
};

/* `entries` holds capacity entries of entry_size bytes each, zeroed and aligned for what they hold; entry_size is at least
 * that of an index. */
void midge_pool_init(struct midge_pool *pool, void *entries, midge_index capacity, uint32_t entry_size);

/* Returns the index of an entry with unspecified content, 0 where the pool is dry. */
midge_index midge_pool_take(struct midge_pool *pool);

/* Gives an entry back; its first bytes are overwritten. */
void midge_pool_give(struct midge_pool *pool, midge_index index);

static inline void *midge_pool_at(const struct midge_pool *pool, midge_index index)
{
    return (void *)(pool->origin + (size_t)index * pool->entry_size);
}

static inline uint32_t midge_pool_free(const struct midge_pool *pool)
{
    return (uint32_t)pool->capacity - pool->used;
}

/* Returns true where the free list is whole: as long as it must be and without a circle. */
bool midge_pool_audit(const struct midge_pool *pool);

#endif
