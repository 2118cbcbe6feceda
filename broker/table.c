#include "table.h"

static midge_index *link_of(const struct midge_table *table, midge_index entry)
{
    return midge_pool_at(table->pool, entry);
}

midge_index midge_table_first(const struct midge_table *table, uint32_t hash)
{
    return midge_table_entry(table->buckets[midge_hash_bucket(hash, table->pool->capacity)]);
}

void midge_table_add(struct midge_table *table, uint32_t hash, midge_index entry)
{
    uint32_t bucket = midge_hash_bucket(hash, table->pool->capacity);
    midge_index first = table->buckets[bucket];
    *link_of(table, entry) = first != 0 ? first : (midge_index)(bucket | MIDGE_TABLE_END);
    table->buckets[bucket] = entry;
}

/* The bucket that an entry is in. */
static uint32_t bucket_of(const struct midge_table *table, midge_index entry)
{
    midge_index link = entry;
    do {
        link = *link_of(table, link);
    } while ((link & MIDGE_TABLE_END) == 0);
    return link & (midge_index)~MIDGE_TABLE_END;
}

void midge_table_remove(struct midge_table *table, midge_index entry)
{
    midge_index *link = &table->buckets[bucket_of(table, entry)];
    while (*link != entry) {
        MIDGE_ASSERT((*link & MIDGE_TABLE_END) == 0 && *link != 0);
        link = link_of(table, *link);
    }
    *link = *link_of(table, entry);
}

midge_index midge_table_next(const struct midge_table *table, midge_index entry)
{
    uint32_t bucket = 0;
    if (entry != 0) {
        midge_index after = midge_table_after(table, entry);
        if (after != 0) {
            return after;
        }
        bucket = bucket_of(table, entry) + 1;
    }
    for (; bucket < table->pool->capacity; bucket++) {
        midge_index first = midge_table_entry(table->buckets[bucket]);
        if (first != 0) {
            return first;
        }
    }
    return 0;
}
