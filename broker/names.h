/* Short strings (client identifiers, topic levels) as chains of small chunks: an index to the next chunk, then bytes. */
#ifndef MIDGE_NAMES_H
#define MIDGE_NAMES_H

#include "pool.h"

struct midge_names {
    struct midge_pool chunks; /* of more bytes than an index has, a multiple of it */
};

/* Bytes that a chunk holds, and where they are. */
static inline uint32_t midge_names_room(const struct midge_names *names)
{
    return names->chunks.entry_size - (uint32_t)sizeof(midge_index);
}

static inline uint8_t *midge_names_bytes(const struct midge_names *names, midge_index chunk)
{
    return (uint8_t *)midge_pool_at(&names->chunks, chunk) + sizeof(midge_index);
}

/* Number of chunks that a string of `size` bytes takes; 0 for an empty one. */
uint32_t midge_names_chunks(const struct midge_names *names, uint32_t size);

/* Stores a string. Returns false, and stores nothing, where there are too few chunks; *name is 0 for an empty string. */
bool midge_names_store(struct midge_names *names, const uint8_t *bytes, uint32_t size, midge_index *name);

/* Gives a string's chunks back; 0, the empty string, is allowed. */
void midge_names_release(struct midge_names *names, midge_index name);

/* Whether the stored string, which takes any number of chunks, equals these bytes; the caller has compared the sizes. */
bool midge_names_equal_chunks(const struct midge_names *names, midge_index name, const uint8_t *bytes, uint32_t size);

/* The same where most strings fit one chunk, and each message passes. */
static inline bool midge_names_equal(const struct midge_names *names, midge_index name, const uint8_t *bytes, uint32_t size)
{
    if (size > midge_names_room(names)) {
        return midge_names_equal_chunks(names, name, bytes, size);
    }
    return memcmp(midge_names_bytes(names, name), bytes, size) == 0;
}

/* Copies the first `size` bytes of a stored string, which has at least that many. */
void midge_names_copy(const struct midge_names *names, midge_index name, uint8_t *to, uint32_t size);

#endif
