#include "names.h"

static midge_index *chunk_next(const struct midge_names *names, midge_index chunk)
{
    return midge_pool_at(&names->chunks, chunk);
}

uint32_t midge_names_chunks(const struct midge_names *names, uint32_t size)
{
    return (size + midge_names_room(names) - 1) / midge_names_room(names);
}

bool midge_names_store(struct midge_names *names, const uint8_t *bytes, uint32_t size, midge_index *name)
{
    *name = 0;
    /* 32 bits hold the product: there are at most 16,777,214 chunks, of 256 bytes at most. */
    if (size > midge_pool_free(&names->chunks) * midge_names_room(names)) {
        return false;
    }
    midge_index *link = name;
    while (size > 0) {
        midge_index chunk = midge_pool_take(&names->chunks);
        uint32_t part = midge_min(size, midge_names_room(names));
        memcpy(midge_names_bytes(names, chunk), bytes, part);
        *link = chunk;
        link = chunk_next(names, chunk);
        *link = 0;
        bytes += part;
        size -= part;
    }
    return true;
}

void midge_names_release(struct midge_names *names, midge_index name)
{
    while (name != 0) {
        midge_index next = *chunk_next(names, name);
        midge_pool_give(&names->chunks, name);
        name = next;
    }
}

bool midge_names_equal_chunks(const struct midge_names *names, midge_index name, const uint8_t *bytes, uint32_t size)
{
    while (size > 0) {
        uint32_t part = midge_min(size, midge_names_room(names));
        if (memcmp(midge_names_bytes(names, name), bytes, part) != 0) {
            return false;
        }
        bytes += part;
        size -= part;
        name = *chunk_next(names, name);
    }
    return true;
}

void midge_names_copy(const struct midge_names *names, midge_index name, uint8_t *to, uint32_t size)
{
    while (size > 0) {
        uint32_t part = midge_min(size, midge_names_room(names));
        memcpy(to, midge_names_bytes(names, name), part);
        to += part;
        size -= part;
        name = *chunk_next(names, name);
    }
}
