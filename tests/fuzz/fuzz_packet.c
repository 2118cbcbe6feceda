/* The packet codec: whatever the bytes, a packet is understood in the same way where it lies flat and where it lies in blocks;
 * what is cut is never understood; and what is understood gives the same bytes again when an independent encoder writes it.
 *
 * The input: the size of the blocks, where in them the body begins, the room of the scratch, and then a packet. */
#include "codec.h"
#include "packet.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define REQUIRE(condition) ((condition) ? (void)0 : fail(#condition, __LINE__))

static void fail(const char *condition, int line)
{
    (void)fprintf(stderr, "fuzz_packet.c:%d: %s\n", line, condition);
    abort();
}

enum { LEVELS = 8, SCRATCH_MAX = 70000 };

struct chunks {
    struct midge_store store;
    midge_index message;
};

/* The same body, flat and in a chain of blocks. */
struct pair {
    struct midge_reader flat, chunked;
    struct midge_scratch no_scratch, scratch;
};

static void chunks_begin(struct chunks *chunks, uint32_t block_size, uint32_t offset, struct span body)
{
    static const uint8_t filler[64];
    midge_index blocks = (midge_index)(3 + (offset + body.size) / (block_size - 32));
    midge_pool_init(&chunks->store.blocks, calloc(blocks, block_size), blocks, block_size);
    chunks->message = midge_store_begin(&chunks->store);
    midge_index tail = chunks->message;
    midge_store_append(&chunks->store, chunks->message, &tail, filler, offset);
    midge_store_append(&chunks->store, chunks->message, &tail, body.bytes, (uint32_t)body.size);
}

static void chunks_end(struct chunks *chunks)
{
    midge_store_release(&chunks->store, chunks->message);
    REQUIRE(chunks->store.blocks.used == 0);
    free(midge_pool_at(&chunks->store.blocks, 1));
}

static struct span span_from(struct midge_view view)
{
    return (struct span){view.bytes, view.size};
}

static bool same_view(struct midge_view a, struct midge_view b)
{
    return span_equal(span_from(a), span_from(b));
}

/* What is left of a reader, as bytes. */
static struct buffer rest_of(struct midge_reader reader, uint32_t size)
{
    struct buffer rest = {0};
    for (uint32_t at = 0; at < size;) {
        uint8_t piece[7];
        uint32_t count = midge_min(size - at, (uint32_t)sizeof piece);
        midge_reader_copy(&reader, piece, count);
        buffer_add(&rest, piece, count);
        at += count;
    }
    return rest;
}

static void check_encoded(struct buffer *encoded, uint8_t first, struct span body)
{
    struct buffer expected = {0};
    encode_header(&expected, first, body.size);
    buffer_add(&expected, body.bytes, body.size);
    REQUIRE(span_equal((struct span){encoded->bytes, encoded->size}, (struct span){expected.bytes, expected.size}));
    uint8_t header[MIDGE_HEADER_SIZE_MAX];
    uint32_t size = midge_header_encode(header, first, (uint32_t)body.size);
    REQUIRE(size <= expected.size && memcmp(header, expected.bytes, size) == 0);
    buffer_free(&expected);
    buffer_free(encoded);
}

static void check_connect(struct pair *pair, struct span body)
{
    struct midge_connect flat;
    struct midge_connect chunked;
    enum midge_reason reason = midge_connect_decode(&pair->flat, &pair->no_scratch, &flat);
    enum midge_reason other = midge_connect_decode(&pair->chunked, &pair->scratch, &chunked);
    REQUIRE(reason != MIDGE_SCRATCH);
    if (other == MIDGE_SCRATCH) {
        return;
    }
    REQUIRE(reason == other);
    if (reason != MIDGE_NONE) {
        return;
    }
    REQUIRE(flat.login.level == chunked.login.level && flat.login.clean_session == chunked.login.clean_session &&
            flat.will_flags == chunked.will_flags && flat.login.has_username == chunked.login.has_username &&
            flat.login.has_password == chunked.login.has_password && flat.login.keepalive_s == chunked.login.keepalive_s &&
            flat.will_size == chunked.will_size);
    REQUIRE(same_view(flat.login.client_id, chunked.login.client_id) && same_view(flat.will_topic, chunked.will_topic) &&
            same_view(flat.login.username, chunked.login.username) && same_view(flat.login.password, chunked.login.password));
    uint32_t before_payload = flat.will_flags != 0 ? 2 + flat.will_topic.size + 2 : 0;
    midge_reader_skip(&chunked.will, before_payload);
    struct buffer will = rest_of(chunked.will, chunked.will_size - before_payload);
    struct connect_fields fields = {.level = flat.login.level, .flags_and = ~0u, .clean = flat.login.clean_session};
    fields.protocol = span_of((flat.login.level & 0x7f) == 3 ? "MQIsdp" : "MQTT");
    fields.keepalive_s = flat.login.keepalive_s;
    fields.client_id = span_from(flat.login.client_id);
    fields.has_will = flat.will_flags != 0;
    fields.will_retain = (flat.will_flags & MIDGE_MESSAGE_WILL_RETAIN) != 0;
    fields.will_qos = flat.will_flags & MIDGE_MESSAGE_QOS;
    fields.will_topic = span_from(flat.will_topic);
    fields.will_payload = (struct span){will.bytes, will.size};
    fields.has_username = flat.login.has_username;
    fields.has_password = flat.login.has_password;
    fields.username = span_from(flat.login.username);
    fields.password = span_from(flat.login.password);
    struct buffer encoded = {0};
    encode_connect(&encoded, &fields);
    check_encoded(&encoded, MIDGE_PACKET_CONNECT << 4, body);
    buffer_free(&will);
}

static void check_publish(struct pair *pair, uint8_t first, struct span body)
{
    struct midge_publish flat;
    struct midge_publish chunked;
    enum midge_reason reason = midge_publish_decode(first, &pair->flat, &pair->no_scratch, LEVELS, &flat);
    enum midge_reason other = midge_publish_decode(first, &pair->chunked, &pair->scratch, LEVELS, &chunked);
    REQUIRE(reason != MIDGE_SCRATCH);
    if (other == MIDGE_SCRATCH) {
        return;
    }
    REQUIRE(reason == other);
    if (reason != MIDGE_NONE) {
        return;
    }
    REQUIRE(same_view(flat.topic, chunked.topic) && flat.payload_size == chunked.payload_size &&
            flat.packet_id == chunked.packet_id && flat.qos == chunked.qos && flat.retain == chunked.retain);
    struct buffer payload = rest_of(pair->chunked, chunked.payload_size);
    struct buffer encoded = {0};
    unsigned flags = (first & 8u) | (unsigned)flat.qos << 1 | (flat.retain ? 1u : 0u);
    encode_publish(&encoded, span_from(flat.topic), (struct span){payload.bytes, payload.size}, flags, flat.packet_id);
    check_encoded(&encoded, first, body);
    buffer_free(&payload);
}

/* The list of filters of a SUBSCRIBE or UNSUBSCRIBE, filter by filter until its end or the first that is wrong. */
static void check_filters(struct pair *pair, uint8_t first, struct span body)
{
    bool subscribe = midge_type_of(first) == MIDGE_PACKET_SUBSCRIBE;
    struct buffer list = {0};
    uint16_t id = midge_reader_u16(&pair->flat);
    REQUIRE(id == midge_reader_u16(&pair->chunked));
    buffer_add_byte(&list, id >> 8);
    buffer_add_byte(&list, id & 0xffu);
    while (pair->flat.size > 0) {
        struct midge_view flat;
        struct midge_view chunked;
        uint8_t qos = 0;
        uint8_t other_qos = 0;
        pair->scratch.used = 0;
        enum midge_reason reason = midge_filter_decode(&pair->flat, subscribe, &pair->no_scratch, LEVELS, &flat, &qos);
        enum midge_reason other = midge_filter_decode(&pair->chunked, subscribe, &pair->scratch, LEVELS, &chunked, &other_qos);
        REQUIRE(reason != MIDGE_SCRATCH);
        if (reason != MIDGE_NONE || other == MIDGE_SCRATCH) {
            REQUIRE(reason == other || other == MIDGE_SCRATCH);
            buffer_free(&list);
            return;
        }
        REQUIRE(other == MIDGE_NONE && same_view(flat, chunked) && qos == other_qos && pair->flat.size == pair->chunked.size);
        encode_string(&list, span_from(flat));
        if (subscribe) {
            buffer_add_byte(&list, qos);
        }
    }
    struct buffer encoded = {0};
    encode_header(&encoded, first, list.size);
    buffer_add(&encoded, list.bytes, list.size);
    check_encoded(&encoded, first, body);
    buffer_free(&list);
}

/* Every way to read a chain gives the bytes that went into it, from every place. */
static void check_readers(const struct chunks *chunks, uint32_t offset, struct span body, struct span steps)
{
    struct midge_reader reader;
    midge_index block = chunks->message;
    uint32_t block_offset = 0;
    uint32_t at = 0;
    midge_reader_message(&reader, &chunks->store, chunks->message, offset);
    for (size_t i = 0; i < steps.size && at < body.size; i++) {
        uint8_t copy[256];
        uint32_t count = midge_min(steps.bytes[i] / 4u, (uint32_t)body.size - at);
        if (steps.bytes[i] % 4 == 0) {
            midge_reader_skip(&reader, count);
        } else if (steps.bytes[i] % 4 == 1) {
            struct midge_reader resumed;
            block = midge_store_block(&chunks->store, block, block_offset, offset + at);
            midge_reader_resume(&resumed, &chunks->store, chunks->message, block, offset + at);
            block_offset = offset + at;
            REQUIRE(resumed.size == reader.size);
            midge_reader_copy(&resumed, copy, count);
            REQUIRE(count == 0 || memcmp(copy, body.bytes + at, count) == 0);
            reader = resumed;
        } else {
            midge_reader_copy(&reader, copy, count);
            REQUIRE(count == 0 || memcmp(copy, body.bytes + at, count) == 0);
        }
        at += count;
        REQUIRE(reader.size == body.size - at);
    }
}

static void check_body(const uint8_t *settings, uint8_t first, struct span body)
{
    static uint8_t scratch[SCRATCH_MAX];
    uint32_t block_size = 64 + settings[0] % 8 * 8u;
    uint32_t offset = settings[1] % 64;
    struct chunks chunks = {0};
    chunks_begin(&chunks, block_size, offset, body);
    struct pair pair = {.scratch = {scratch, settings[2] < 128 ? settings[2] : SCRATCH_MAX, 0}};
    midge_reader_flat(&pair.flat, body.bytes, (uint32_t)body.size);
    midge_reader_message(&pair.chunked, &chunks.store, chunks.message, offset);
    switch (midge_type_of(first)) {
    case MIDGE_PACKET_CONNECT:
        check_connect(&pair, body);
        break;
    case MIDGE_PACKET_PUBLISH:
        check_publish(&pair, first, body);
        break;
    case MIDGE_PACKET_SUBSCRIBE:
    case MIDGE_PACKET_UNSUBSCRIBE:
        check_filters(&pair, first, body);
        break;
    default:
        break;
    }
    check_readers(&chunks, offset, body, body);
    chunks_end(&chunks);
}

/* A header is understood from its last byte on, and in the same way whatever follows. */
static bool check_header(struct span in, struct midge_header *header)
{
    enum midge_decoded decoded = midge_header_decode(in.bytes, in.size, header);
    for (size_t size = 0; size <= in.size && size < 8; size++) {
        struct midge_header part;
        uint8_t *copy = malloc(size > 0 ? size : 1);
        if (size > 0) {
            memcpy(copy, in.bytes, size);
        }
        enum midge_decoded now = midge_header_decode(copy, size, &part);
        size_t needed = decoded == MIDGE_DECODED ? header->size : MIDGE_HEADER_SIZE_MAX;
        REQUIRE(now == (size < needed ? MIDGE_INCOMPLETE : decoded));
        REQUIRE(now != MIDGE_DECODED ||
                (part.first == header->first && part.size == header->size && part.remaining == header->remaining));
        free(copy);
    }
    return decoded == MIDGE_DECODED;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct midge_header header;
    if (size < 4) {
        return 0;
    }
    struct span in = {bytes + 3, size - 3};
    if (!check_header(in, &header) || midge_first_check(header.first) != MIDGE_NONE || !midge_length_check(header) ||
        header.remaining > in.size - header.size) {
        return 0;
    }
    /* In memory of exactly that size, so that the sanitizer sees what is read beyond it. */
    uint8_t *copy = malloc(header.remaining > 0 ? header.remaining : 1);
    if (header.remaining > 0) {
        memcpy(copy, in.bytes + header.size, header.remaining);
    }
    check_body(bytes, header.first, (struct span){copy, header.remaining});
    free(copy);
    return 0;
}
