/*
 * Messages: reference-counted chains of blocks. A message's first block starts with its struct midge_message, each other block
 * with the index of the next. Behind that lie the bytes of the body, as in a PUBLISH: the topic's size in two bytes, the topic,
 * two bytes between (MIDGE_MESSAGE_GAP: the packet identifier of a QoS 1 or 2 message, the size of a will), the payload.
 *
 * Packets in assembly and large SUBACKs use the same chains, before or instead of being published.
 */
#ifndef MIDGE_STORE_H
#define MIDGE_STORE_H

#include "pool.h"

enum {
    MIDGE_MESSAGE_QOS = 0x03,
    MIDGE_MESSAGE_GAP = 0x04, /* twice what it stands for: two bytes lie between topic and payload; always so at QoS 1 and 2 */
    MIDGE_MESSAGE_PUBLISHED = 0x08,  /* counted in store.messages */
    MIDGE_MESSAGE_WILL_RETAIN = 0x20 /* of a will that waits to be published */
};

/* The flags of a message that was published in a PUBLISH of that QoS. */
static inline uint8_t midge_message_flags(uint8_t qos)
{
    return (uint8_t)(qos | (qos > 0 ? MIDGE_MESSAGE_GAP : 0u));
}

struct midge_message {
    midge_index next;
    midge_index references;
    uint32_t size; /* of the body */
    uint16_t topic_size;
    uint8_t flags;
    uint8_t framing; /* bytes of the body that are neither topic nor payload: 2 or 4 */
};

struct midge_store {
    struct midge_pool blocks; /* of more bytes than a struct midge_message has, a multiple of 4 */
    uint32_t reserved;        /* blocks promised to packets in assembly and not taken yet */
    uint32_t messages;        /* published ones */
    uint32_t bytes;           /* their topics and payloads */
};

/* Blocks that a body of `size` bytes takes; at least 1. */
uint32_t midge_store_blocks(const struct midge_store *store, uint32_t size);

/* The block of a message that holds the byte at `to`, counted on from the one which holds the byte at `from`. */
midge_index midge_store_block(const struct midge_store *store, midge_index block, uint32_t from, uint32_t to);

/* Copies `size` bytes of a body from `offset` on; `block` is the one that holds the first of them. */
void midge_store_copy(const struct midge_store *store, midge_index block, uint32_t offset, uint8_t *to, uint32_t size);

/* Bytes of body that `blocks` blocks, no more than there are, hold; 0 for 0. */
uint32_t midge_store_room(const struct midge_store *store, uint32_t blocks);

/* Blocks that are neither used nor reserved. */
static inline uint32_t midge_store_free(const struct midge_store *store)
{
    return midge_pool_free(&store->blocks) - store->reserved;
}

static inline struct midge_message *midge_message_at(const struct midge_store *store, midge_index message)
{
    return midge_pool_at(&store->blocks, message);
}

/* Begins an empty message with one reference. The caller made sure that a block is free. */
midge_index midge_store_begin(struct midge_store *store);

/* Appends bytes to a message; *tail is its last block and is kept up to date. The caller made sure of the blocks. */
void midge_store_append(struct midge_store *store, midge_index message, midge_index *tail, const uint8_t *bytes, uint32_t size);

/* Keeps the first `size` bytes of a message and gives back the blocks behind them. */
void midge_store_truncate(struct midge_store *store, midge_index message, uint32_t size);

/* Counts a message as published and notes the size of its topic; once. */
void midge_store_publish(struct midge_store *store, midge_index message, uint16_t topic_size, uint8_t flags);

/* Makes and publishes a message whose body consists of at least one part, with one reference. The caller made sure of the
 * blocks. */
midge_index midge_store_make(struct midge_store *store, const struct midge_view *parts, uint32_t count, uint16_t topic_size,
                             uint8_t flags);

static inline void midge_store_keep(struct midge_store *store, midge_index message)
{
    midge_message_at(store, message)->references++;
}

/* Drops one reference, and the message with the last one. */
void midge_store_release(struct midge_store *store, midge_index message);

/* Makes `count` references of one, which is dropped where that is 0. */
static inline void midge_store_share(struct midge_store *store, midge_index message, uint32_t count)
{
    if (count == 0) {
        midge_store_release(store, message);
    } else {
        struct midge_message *m = midge_message_at(store, message);
        m->references = (midge_index)(m->references + count - 1);
    }
}

/* What a published message is charged for: topic and payload, in bytes. */
static inline uint32_t midge_message_charge(const struct midge_message *message)
{
    return message->size - message->framing;
}

/* The size of a published message's payload. */
static inline uint32_t midge_message_payload_size(const struct midge_message *message)
{
    return midge_message_charge(message) - message->topic_size;
}

/* ---- Readers: a cursor over bytes that lie flat or in a chain. Copying a reader copies the position. ---- */

struct midge_reader {
    const struct midge_store *store;
    const uint8_t *run; /* the bytes at hand */
    const uint8_t *end; /* of the run */
    uint32_t size;      /* all that is left, the run included */
    midge_index next;
};

/* Where strings that lie across blocks are put together; emptied by whoever handles a packet. */
struct midge_scratch {
    uint8_t *bytes;
    uint32_t size;
    uint32_t used;
};

void midge_reader_flat(struct midge_reader *reader, const uint8_t *bytes, uint32_t size);

/* Reads a message from `offset` on. */
void midge_reader_message(struct midge_reader *reader, const struct midge_store *store, midge_index message, uint32_t offset);

/* The same with the block that holds the byte at `offset`. */
void midge_reader_resume(struct midge_reader *reader, const struct midge_store *store, midge_index message, midge_index block,
                         uint32_t offset);

/* These need that many bytes to be left. */
uint8_t midge_reader_u8(struct midge_reader *reader);
uint16_t midge_reader_u16(struct midge_reader *reader);
void midge_reader_copy(struct midge_reader *reader, uint8_t *to, uint32_t size);
void midge_reader_skip(struct midge_reader *reader, uint32_t size);

/* Returns the next `size` bytes in one piece: in place where they lie so, else put together in the scratch. NULL where the
 * scratch has no room. */
const uint8_t *midge_reader_take(struct midge_reader *reader, uint32_t size, struct midge_scratch *scratch);

/* Takes a field that starts with its size in two bytes: MIDGE_NONE, MIDGE_LENGTH where it is not there, and the view is empty,
 * or MIDGE_SCRATCH, and the view has no bytes. */
enum midge_reason midge_reader_field(struct midge_reader *reader, struct midge_scratch *scratch, struct midge_view *field);

/* The same for a field that lies in one piece with its size, and before something else, as most do; false where it does not. */
static inline bool midge_reader_field_at_hand(struct midge_reader *reader, struct midge_view *field)
{
    uint32_t run = (uint32_t)(reader->end - reader->run);
    if (run <= 2 || run <= 2u + midge_get_u16(reader->run)) {
        return false;
    }
    field->size = midge_get_u16(reader->run);
    field->bytes = reader->run + 2;
    reader->run += 2 + field->size;
    reader->size -= 2 + field->size;
    return true;
}

/* Appends the next `size` bytes to a message. */
void midge_store_append_from(struct midge_store *store, midge_index message, midge_index *tail, struct midge_reader *reader,
                             uint32_t size);

#endif
