#include "names.h"

static uint32_t chunk_room(const struct midge_names *names)
{
    return names->chunks.entry_size - (uint32_t)sizeof(midge_index);
}

static midge_index *chunk_next(const struct midge_names *names, midge_index chunk)
{
    return midge_pool_at(&names->chunks, chunk);
}

static uint8_t *chunk_bytes(const struct midge_names *names, midge_index chunk)
{
    return (uint8_t *)midge_pool_at(&names->chunks, chunk) + sizeof(midge_index);
}

uint32_t midge_names_chunks(const struct midge_names *names, uint32_t size)
{
    return (size + chunk_room(names) - 1) / chunk_room(names);
}

bool midge_names_store(struct midge_names *names, const uint8_t *bytes, uint32_t size, midge_index *name)
{
    *name = 0;
    /* 32 bits hold the product: there are at most 16,777,214 chunks, of 256 bytes at most. */
    if (size > midge_pool_free(&names->chunks) * chunk_room(names)) {
        return false;
    }
    midge_index *link = name;
    while (size > 0) {
        midge_index chunk = midge_pool_take(&names->chunks);
        uint32_t part = midge_min(size, chunk_room(names));
        memcpy(chunk_bytes(names, chunk), bytes, part);
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

bool midge_names_equal(const struct midge_names *names, midge_index name, const uint8_t *bytes, uint32_t size)
{
    uint32_t room = chunk_room(names);
    while (size > room) {
        if (memcmp(chunk_bytes(names, name), bytes, room) != 0) {
            return false;
        }
        bytes += room;
        size -= room;
        name = *chunk_next(names, name);
    }
    return memcmp(chunk_bytes(names, name), bytes, size) == 0;
}

void midge_names_copy(const struct midge_names *names, midge_index name, uint8_t *to, uint32_t size)
{
    while (size > 0) {
        uint32_t part = midge_min(size, chunk_room(names));
        memcpy(to, chunk_bytes(names, name), part);
        to += part;
        size -= part;
        name = *chunk_next(names, name);
    }
}
