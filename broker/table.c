#include "table.h"

static midge_index *link_of(const struct midge_table *table, midge_index entry)
{
    return midge_pool_at(table->pool, entry);
}

/* The ranges of buckets below that of all: for the first entries of the pool, as many as there are buckets. */
enum { RANGE_MIN = 1024, RANGE_STEP = 16, RANGE_MAX = RANGE_MIN * RANGE_STEP };

static midge_index range_of(const struct midge_table *table, midge_index entry)
{
    midge_index range = table->pool->capacity;
    if (MIDGE_INDEX_BITS > 16 && entry <= RANGE_MAX) {
        range = (midge_index)midge_min(range, entry <= RANGE_MIN ? RANGE_MIN : RANGE_MAX);
    }
    return range;
}

static midge_index first_of(const struct midge_table *table, uint32_t hash, midge_index range)
{
    return midge_table_entry(table->buckets[midge_hash_bucket(hash, range)]);
}

/* The first entry in this range and those below it, as wide as RANGE_MAX. */
static midge_index search(const struct midge_table *table, uint32_t hash, midge_index range)
{
    midge_index entry = first_of(table, hash, range);
    return entry == 0 && range > RANGE_MIN ? first_of(table, hash, RANGE_MIN) : entry;
}

midge_index midge_table_first(const struct midge_table *table, uint32_t hash)
{
    midge_index entry = first_of(table, hash, table->range);
    if (MIDGE_INDEX_BITS > 16 && entry == 0 && table->range > RANGE_MIN) {
        return search(table, hash, table->range > RANGE_MAX ? RANGE_MAX : RANGE_MIN);
    }
    return entry;
}

midge_index midge_table_below(const struct midge_table *table, midge_index link, uint32_t hash)
{
    if (MIDGE_INDEX_BITS == 16) {
        return 0; /* there is one range: nobody asks */
    }
    uint32_t bucket = link & (midge_index)~MIDGE_TABLE_END;
    if (table->range <= RANGE_MIN || bucket == midge_hash_bucket(hash, RANGE_MIN)) {
        return 0;
    }
    bool above = table->range > RANGE_MAX && bucket != midge_hash_bucket(hash, RANGE_MAX);
    return search(table, hash, above ? RANGE_MAX : RANGE_MIN);
}

void midge_table_add(struct midge_table *table, uint32_t hash, midge_index entry)
{
    midge_index range = range_of(table, entry);
    if (range > table->range) {
        table->range = range;
    }
    uint32_t bucket = midge_hash_bucket(hash, range);
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
        midge_index after = midge_table_entry(*link_of(table, entry));
        if (after != 0) {
            return after;
        }
        bucket = bucket_of(table, entry) + 1;
    }
    for (; bucket < table->range; bucket++) {
        midge_index first = midge_table_entry(table->buckets[bucket]);
        if (first != 0) {
            return first;
        }
    }
    return 0;
}
