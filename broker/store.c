#include "store.h"

/* Bytes of a block behind its link to the next one. In the first block the rest of struct midge_message takes some of them, as
 * if the body began with it. So the byte before the body lies in the first block, too. */
enum { HEAD_SIZE = sizeof(struct midge_message) - sizeof(midge_index) };

static uint32_t block_room(const struct midge_store *store)
{
    return store->blocks.entry_size - (uint32_t)sizeof(midge_index);
}

/* Where in its block the byte at `offset` of the body lies. */
static uint32_t offset_in_block(const struct midge_store *store, uint32_t offset)
{
    uint32_t at = offset + (uint32_t)sizeof(struct midge_message);
    if (at < store->blocks.entry_size) {
        return at;
    }
    uint32_t link = sizeof(midge_index);
    return link + (at - link) % block_room(store);
}

/* How many blocks lie before the one with that byte. */
static uint32_t blocks_before(const struct midge_store *store, uint32_t offset)
{
    uint32_t place = offset + HEAD_SIZE;
    uint32_t room = block_room(store);
    return place < room ? 0 : place / room;
}

static uint8_t *block_at(const struct midge_store *store, midge_index block)
{
    return midge_pool_at(&store->blocks, block);
}

/* The link to the next block comes first in every block, also in a message's first. */
static midge_index *block_next(const struct midge_store *store, midge_index block)
{
    return midge_pool_at(&store->blocks, block);
}

_Static_assert(offsetof(struct midge_message, next) == 0, "the link comes first");

uint32_t midge_store_blocks(const struct midge_store *store, uint32_t size)
{
    return 1 + blocks_before(store, size - 1);
}

midge_index midge_store_block(const struct midge_store *store, midge_index block, uint32_t from, uint32_t to)
{
    for (uint32_t steps = blocks_before(store, to) - blocks_before(store, from); steps > 0; steps--) {
        block = *block_next(store, block);
    }
    return block;
}

void midge_store_copy(const struct midge_store *store, midge_index block, uint32_t offset, uint8_t *to, uint32_t size)
{
    uint32_t at = offset_in_block(store, offset);
    for (;;) {
        uint32_t part = midge_min(size, store->blocks.entry_size - at);
        memcpy(to, block_at(store, block) + at, part);
        size -= part;
        if (size == 0) {
            return;
        }
        to += part;
        block = *block_next(store, block);
        at = sizeof(midge_index);
    }
}

uint32_t midge_store_room(const struct midge_store *store, uint32_t blocks)
{
    return blocks == 0 ? 0 : blocks * block_room(store) - HEAD_SIZE;
}

midge_index midge_store_begin(struct midge_store *store)
{
    midge_index message = midge_pool_take(&store->blocks);
    MIDGE_ASSERT(message != 0);
    *midge_message_at(store, message) = (struct midge_message){.references = 1};
    return message;
}

void midge_store_append(struct midge_store *store, midge_index message, midge_index *tail, const uint8_t *bytes, uint32_t size)
{
    struct midge_message *m = midge_message_at(store, message);
    uint32_t at = offset_in_block(store, m->size - 1) + 1;
    m->size += size;
    while (size > 0) {
        if (at == store->blocks.entry_size) {
            midge_index block = midge_pool_take(&store->blocks);
            MIDGE_ASSERT(block != 0);
            *block_next(store, block) = 0;
            *block_next(store, *tail) = block;
            *tail = block;
            at = sizeof(midge_index);
        }
        uint32_t part = midge_min(size, store->blocks.entry_size - at);
        memcpy(block_at(store, *tail) + at, bytes, part);
        at += part;
        bytes += part;
        size -= part;
    }
}

static void free_chain(struct midge_store *store, midge_index block)
{
    while (block != 0) {
        midge_index next = *block_next(store, block);
        midge_pool_give(&store->blocks, block);
        block = next;
    }
}

void midge_store_truncate(struct midge_store *store, midge_index message, uint32_t size)
{
    struct midge_message *m = midge_message_at(store, message);
    MIDGE_ASSERT(size <= m->size);
    midge_index last = midge_store_block(store, message, 0, size - 1);
    free_chain(store, *block_next(store, last));
    *block_next(store, last) = 0;
    m->size = size;
}

void midge_store_publish(struct midge_store *store, midge_index message, uint16_t topic_size, uint8_t flags)
{
    struct midge_message *m = midge_message_at(store, message);
    MIDGE_ASSERT((m->flags & MIDGE_MESSAGE_PUBLISHED) == 0);
    m->topic_size = topic_size;
    m->flags = flags | MIDGE_MESSAGE_PUBLISHED;
    m->framing = (uint8_t)(2 + (flags & MIDGE_MESSAGE_GAP) / 2);
    store->messages++;
    store->bytes += midge_message_charge(m);
}

midge_index midge_store_make(struct midge_store *store, const struct midge_view *parts, uint32_t count, uint16_t topic_size,
                             uint8_t flags)
{
    midge_index message = midge_store_begin(store);
    midge_index tail = message;
    struct midge_message *m = midge_message_at(store, message);
    const struct midge_view *end = parts + count;
    if (parts->size <= store->blocks.entry_size - sizeof(*m)) {
        /* Most often that is the whole body. */
        memcpy(m + 1, parts->bytes, parts->size);
        m->size = parts->size;
        parts++;
    }
    for (; parts != end; parts++) {
        midge_store_append(store, message, &tail, parts->bytes, parts->size);
    }
    midge_store_publish(store, message, topic_size, flags);
    return message;
}

void midge_store_release(struct midge_store *store, midge_index message)
{
    struct midge_message *m = midge_message_at(store, message);
    MIDGE_ASSERT(m->references > 0);
    if (--m->references > 0) {
        return;
    }
    if ((m->flags & MIDGE_MESSAGE_PUBLISHED) != 0) {
        store->messages--;
        store->bytes -= midge_message_charge(m);
    }
    free_chain(store, message);
}

void midge_reader_flat(struct midge_reader *reader, const uint8_t *bytes, uint32_t size)
{
    reader->store = NULL;
    reader->run = bytes;
    reader->end = bytes + size;
    reader->size = size;
    reader->next = 0;
}

void midge_reader_message(struct midge_reader *reader, const struct midge_store *store, midge_index message, uint32_t offset)
{
    midge_reader_resume(reader, store, message, message, 0);
    midge_reader_skip(reader, offset);
}

void midge_reader_resume(struct midge_reader *reader, const struct midge_store *store, midge_index message, midge_index block,
                         uint32_t offset)
{
    uint32_t at = offset_in_block(store, offset);
    reader->store = store;
    reader->size = midge_message_at(store, message)->size - offset;
    reader->run = block_at(store, block) + at;
    reader->end = reader->run + midge_min(store->blocks.entry_size - at, reader->size);
    reader->next = *block_next(store, block);
}

static uint32_t run_size(const struct midge_reader *reader)
{
    return (uint32_t)(reader->end - reader->run);
}

/* Moves on by `size` bytes of the run, which has them, and to the next block where the run is used up. */
static void consume(struct midge_reader *reader, uint32_t size)
{
    reader->run += size;
    reader->size -= size;
    if (reader->run == reader->end && reader->size > 0) {
        MIDGE_ASSERT(reader->next != 0);
        reader->run = block_at(reader->store, reader->next) + sizeof(midge_index);
        reader->end = reader->run + midge_min(block_room(reader->store), reader->size);
        reader->next = *block_next(reader->store, reader->next);
    }
}

uint8_t midge_reader_u8(struct midge_reader *reader)
{
    MIDGE_ASSERT(reader->size >= 1);
    uint8_t value = reader->run[0];
    consume(reader, 1);
    return value;
}

uint16_t midge_reader_u16(struct midge_reader *reader)
{
    uint8_t across[2];
    struct midge_scratch scratch = {.bytes = across, .size = sizeof(across)};
    return midge_get_u16(midge_reader_take(reader, sizeof(across), &scratch));
}

/* Moves on by `size` bytes, which are copied unless `to` is NULL. */
static void move(struct midge_reader *reader, uint8_t *to, uint32_t size)
{
    MIDGE_ASSERT(reader->size >= size);
    while (size > 0) {
        uint32_t part = midge_min(size, run_size(reader));
        if (to != NULL) {
            memcpy(to, reader->run, part);
            to += part;
        }
        size -= part;
        consume(reader, part);
    }
}

void midge_reader_copy(struct midge_reader *reader, uint8_t *to, uint32_t size)
{
    move(reader, to, size);
}

void midge_reader_skip(struct midge_reader *reader, uint32_t size)
{
    move(reader, NULL, size);
}

const uint8_t *midge_reader_take(struct midge_reader *reader, uint32_t size, struct midge_scratch *scratch)
{
    const uint8_t *bytes = reader->run;
    if (size <= run_size(reader)) {
        consume(reader, size);
        return bytes;
    }
    if (size > scratch->size - scratch->used) {
        return NULL;
    }
    uint8_t *to = scratch->bytes + scratch->used;
    scratch->used += size;
    midge_reader_copy(reader, to, size);
    return to;
}

enum midge_reason midge_reader_field(struct midge_reader *reader, struct midge_scratch *scratch, struct midge_view *field)
{
    uint32_t size = reader->size < 2 ? UINT32_MAX : midge_reader_u16(reader);
    if (size > reader->size) {
        *field = (struct midge_view){0};
        return MIDGE_LENGTH;
    }
    field->size = size;
    field->bytes = midge_reader_take(reader, size, scratch);
    return field->bytes == NULL ? MIDGE_SCRATCH : MIDGE_NONE;
}

void midge_store_append_from(struct midge_store *store, midge_index message, midge_index *tail, struct midge_reader *reader,
                             uint32_t size)
{
    MIDGE_ASSERT(reader->size >= size);
    while (size > 0) {
        uint32_t part = midge_min(size, run_size(reader));
        midge_store_append(store, message, tail, reader->run, part);
        size -= part;
        consume(reader, part);
    }
}
