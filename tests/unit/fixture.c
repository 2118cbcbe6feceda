#include "fixture.h"

enum { HANDLES_MAX = 64 };

uint8_t fixture_output[FIXTURE_OUTPUT_MAX];
struct fixture_callbacks fixture_callbacks;

static struct midge_handle handles[HANDLES_MAX];
static uint32_t handle_count;
static uint64_t clock_ms;

static void count_log(void *context, const struct midge_log *record)
{
    struct fixture_callbacks *callbacks = context;
    callbacks->logs[record->event]++;
    callbacks->last_reason = record->reason;
    callbacks->last_size = record->size;
    callbacks->last_topic_size = record->topic.size;
}

static bool may(void *context, uint32_t who, enum midge_action action, struct midge_view topic)
{
    const struct fixture_callbacks *callbacks = context;
    (void)who;
    (void)action;
    return topic.size != strlen(callbacks->denied) || memcmp(topic.bytes, callbacks->denied, topic.size) != 0;
}

struct midge_config fixture_config(void)
{
    struct midge_config config = {
        .limits = {.clients = FIXTURE_CLIENTS,
                   .handshakes = FIXTURE_HANDSHAKES,
                   .sessions = FIXTURE_SESSIONS,
                   .subscriptions = 40,
                   .filter_nodes = 60,
                   .topic_nodes = 60,
                   .names = 100,
                   .name_size = 12,
                   .deliveries = FIXTURE_DELIVERIES,
                   .qos2_identifiers = 12,
                   .blocks = FIXTURE_BLOCKS,
                   .block_size = FIXTURE_BLOCK_SIZE,
                   .replies = FIXTURE_REPLIES,
                   .scratch_size = 256,
                   .topic_levels = 8},
        .hash_seed = 77,
        .context = &fixture_callbacks,
        .authorize = may,
        .log = count_log,
    };
    midge_policy_default(&config.policy);
    return config;
}

struct midge *fixture_begin(const struct midge_config *config)
{
    size_t size = midge_memory_size(&config->limits);
    struct midge *b = midge_init(unit_memory(size), size, config, NULL);
    assert_non_null(b);
    fixture_callbacks = (struct fixture_callbacks){.last_reason = MIDGE_NONE};
    handle_count = 0;
    clock_ms = 1000;
    midge_advance(b, clock_ms);
    return b;
}

void fixture_advance(struct midge *b, uint32_t duration_ms)
{
    uint64_t end = clock_ms + duration_ms;
    uint64_t next = midge_advance(b, clock_ms);
    for (uint32_t calls = 0; next < end; calls++) {
        assert_true(calls < 100000);
        clock_ms = next > clock_ms ? next : clock_ms;
        next = midge_advance(b, clock_ms);
    }
    clock_ms = end;
    midge_advance(b, clock_ms);
}

void fixture_end(struct midge *b)
{
    assert_int_equal(midge_audit(b), 0);
    for (uint32_t i = 0; i < handle_count; i++) {
        midge_disconnected(b, handles[i]);
        assert_int_equal(midge_audit(b), 0);
    }
    struct midge_policy policy;
    midge_policy_default(&policy);
    policy.session_expiry_s = 1;
    assert_true(midge_set_policy(b, &policy, NULL));
    fixture_advance(b, 60000);
    struct midge_event event;
    while (midge_next_event(b, &event)) {
        assert_true(event.type <= MIDGE_CLOSE);
    }
    struct midge_metrics metrics;
    midge_metrics(b, &metrics);
    for (uint32_t pool = 0; pool < MIDGE_POOL_COUNT; pool++) {
        bool retained = pool == MIDGE_POOL_TOPIC_NODES || pool == MIDGE_POOL_NAMES || pool == MIDGE_POOL_BLOCKS;
        assert_true(metrics.pools[pool].used == 0 || (retained && metrics.retained > 0));
    }
    assert_int_equal(metrics.stored_messages, metrics.retained);
    assert_int_equal(metrics.clients_connected, 0);
    assert_int_equal(midge_audit(b), 0);
    free(b);
}

struct midge_handle fixture_open(struct midge *b)
{
    struct midge_handle conn = midge_connected(b, 0);
    assert_int_not_equal(conn.index, 0);
    assert_true(handle_count < HANDLES_MAX);
    handles[handle_count++] = conn;
    return conn;
}

void fixture_send(struct midge *b, struct midge_handle conn, const void *bytes, size_t size)
{
    uint8_t *copy = unit_copy(bytes, size);
    assert_int_equal(midge_receive(b, conn, copy, size), size);
    free(copy);
}

struct midge_handle fixture_connect(struct midge *b, const char *client_id, bool clean)
{
    struct midge_handle conn = fixture_open(b);
    uint8_t packet[64] = {0x10, 0, 0, 4, 'M', 'Q', 'T', 'T', 4, clean ? 2 : 0, 0, 0};
    uint32_t size = (uint32_t)strlen(client_id);
    assert_true(size < 32);
    packet[1] = (uint8_t)(12 + size);
    packet[13] = (uint8_t)size;
    memcpy(packet + 14, client_id, size);
    fixture_send(b, conn, packet, 14 + size);
    assert_true(fixture_drain(b, conn) >= 4);
    assert_int_equal(fixture_output[0], 0x20);
    assert_int_equal(fixture_output[3], 0);
    return conn;
}

void fixture_subscribe(struct midge *b, struct midge_handle conn, const char *filter, uint8_t qos)
{
    uint8_t packet[64] = {0x82, 0, 0, 1, 0};
    uint32_t size = (uint32_t)strlen(filter);
    assert_true(size < 48);
    packet[1] = (uint8_t)(5 + size);
    packet[5] = (uint8_t)size;
    memcpy(packet + 6, filter, size);
    packet[6 + size] = qos;
    fixture_send(b, conn, packet, 7 + size);
    assert_true(fixture_drain(b, conn) >= 5);
    assert_int_equal(fixture_output[0], 0x90);
    assert_int_equal(fixture_output[4], qos);
}

uint32_t fixture_put_publish(uint8_t *to, uint8_t flags, const char *topic, uint16_t packet_id, const void *payload,
                             uint32_t payload_size)
{
    uint32_t topic_size = (uint32_t)strlen(topic);
    uint32_t id_size = (flags & 6) != 0 ? 2 : 0;
    uint32_t remaining = 2 + topic_size + id_size + payload_size;
    uint32_t at = 0;
    to[at++] = (uint8_t)(0x30 | flags);
    for (uint32_t left = remaining;; left /= 128) {
        to[at++] = (uint8_t)(left % 128 | (left >= 128 ? 0x80 : 0));
        if (left < 128) {
            break;
        }
    }
    to[at++] = (uint8_t)(topic_size >> 8);
    to[at++] = (uint8_t)topic_size;
    memcpy(to + at, topic, topic_size);
    at += topic_size;
    if (id_size > 0) {
        to[at++] = (uint8_t)(packet_id >> 8);
        to[at++] = (uint8_t)packet_id;
    }
    memcpy(to + at, payload, payload_size);
    return at + payload_size;
}

void fixture_retain(struct midge *b, const char *topic, const char *text)
{
    assert_true(midge_publish(b, fixture_view(topic), fixture_view(text), 1, true));
}

uint32_t fixture_drain(struct midge *b, struct midge_handle conn)
{
    uint32_t size = 0;
    for (;;) {
        size_t part = midge_output(b, conn, fixture_output + size, FIXTURE_OUTPUT_MAX - size);
        if (part == 0) {
            return size;
        }
        midge_output_done(b, conn, part);
        size += (uint32_t)part;
        assert_true(size < FIXTURE_OUTPUT_MAX - 16);
    }
}

uint32_t fixture_events(struct midge *b, struct midge_handle conn, enum midge_event_type type)
{
    struct midge_event event;
    uint32_t count = 0;
    while (midge_next_event(b, &event)) {
        bool same = event.conn.index == conn.index && event.conn.generation == conn.generation && event.type == type;
        count += same ? 1 : 0;
    }
    return count;
}

struct midge_view fixture_view(const char *text)
{
    return (struct midge_view){.bytes = (const uint8_t *)text, .size = (uint32_t)strlen(text)};
}

uint64_t fixture_drops(const struct midge *b, enum midge_reason reason)
{
    struct midge_metrics metrics;
    midge_metrics(b, &metrics);
    return metrics.drops[reason];
}
