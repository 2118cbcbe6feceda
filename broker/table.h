/* A hash table over the entries of a pool, each of which starts with the link to the next one of its bucket. The last link of a
 * bucket names the bucket, so that an entry is found in its bucket, and the next entry of the whole table, without a hash.
 *
 * With wide indexes a table may have room for many more entries than there are, and buckets all over its memory would touch
 * each of its pages for a few of them. So the first entries of the pool hash onto the first buckets, more onto more of them,
 * and the rest onto all; a search tries each of these ranges that the pool has reached. */
#ifndef MIDGE_TABLE_H
#define MIDGE_TABLE_H

#include "pool.h"

struct midge_table {
    struct midge_pool *pool;
    midge_index *buckets; /* as many as the pool has entries, zeroed at first */
    midge_index range;    /* that many of them have been used, 0 at first */
};

/* A link with this bit ends its bucket, whose number is in the other bits. */
#define MIDGE_TABLE_END ((midge_index)((midge_index)1 << (MIDGE_INDEX_BITS - 1)))

static inline midge_index midge_table_entry(midge_index link)
{
    return (link & MIDGE_TABLE_END) != 0 ? 0 : link;
}

/* The entries with this hash, and possibly others: the first one, and the one behind another; 0 where there is none. */
midge_index midge_table_first(const struct midge_table *table, uint32_t hash);

/* The first one in the ranges below that of the bucket which a link ends. */
midge_index midge_table_below(const struct midge_table *table, midge_index link, uint32_t hash);

static inline midge_index midge_table_after(const struct midge_table *table, midge_index entry, uint32_t hash)
{
    midge_index link = *(const midge_index *)midge_pool_at(table->pool, entry);
    if ((link & MIDGE_TABLE_END) == 0) {
        return link;
    }
    return MIDGE_INDEX_BITS > 16 ? midge_table_below(table, link, hash) : 0;
}

void midge_table_add(struct midge_table *table, uint32_t hash, midge_index entry);

/* Removes an entry that is in the table. */
void midge_table_remove(struct midge_table *table, midge_index entry);

/* Walks over all entries: returns the one behind `entry`, the first for 0, and 0 at the end. */
midge_index midge_table_next(const struct midge_table *table, midge_index entry);

#endif
