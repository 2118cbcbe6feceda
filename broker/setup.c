/* Limits and policies: their ranges, the memory they cost, and how the one block of memory is carved. */
#include "events.h"

#if MIDGE_INDEX_BITS == 16
enum { COUNT_MAX = 32000 };
#else
enum { COUNT_MAX = 16777214 };
#endif

enum { DURATION_MAX_MS = 86400000 };

struct midge_memory_row midge_memory_row(const struct midge_limits *limits, enum midge_memory_id id)
{
#define LIMIT(field) limits->field
#define ROW(name, text, count, size) {(count), (size)},
    const struct midge_memory_row rows[] = {MIDGE_MEMORY_ROWS(ROW, LIMIT)};
#undef ROW
#undef LIMIT
    MIDGE_ASSERT(id < MIDGE_MEMORY_ROW_COUNT);
    return rows[id];
}

size_t midge_memory_size(const struct midge_limits *l)
{
    size_t size = 0;
    for (uint32_t id = 0; id < MIDGE_MEMORY_ROW_COUNT; id++) {
        struct midge_memory_row row = midge_memory_row(l, (enum midge_memory_id)id);
        size += MIDGE_ALIGN_UP((size_t)row.count * row.entry_size);
    }
    return size;
}

/* One field of a structure and the range it must lie in. */
struct range {
    uint16_t offset;
    uint16_t min;
    uint32_t max;
};

/* Finds the first field out of its range; SIZE_MAX where there is none. */
static size_t find_wrong(const void *fields, const struct range *ranges, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t value;
        memcpy(&value, (const uint8_t *)fields + ranges[i].offset, sizeof(value));
        if (value < ranges[i].min || value > ranges[i].max) {
            return ranges[i].offset;
        }
    }
    return SIZE_MAX;
}

static bool check_limits(const struct midge_limits *limits, size_t *wrong)
{
#define LIMIT(field, min, max)                                                                                                 \
    {                                                                                                                          \
        offsetof(struct midge_limits, field), (min), (max)                                                                     \
    }
    static const struct range ranges[] = {
        LIMIT(clients, 1, COUNT_MAX),
        LIMIT(handshakes, 1, COUNT_MAX),
        LIMIT(sessions, 1, COUNT_MAX),
        LIMIT(subscriptions, 0, COUNT_MAX),
        LIMIT(filter_nodes, 0, COUNT_MAX),
        LIMIT(topic_nodes, 0, COUNT_MAX),
        LIMIT(names, 0, COUNT_MAX),
        LIMIT(name_size, 8, 256),
        LIMIT(deliveries, 1, COUNT_MAX),
        LIMIT(qos2_identifiers, 1, COUNT_MAX),
        LIMIT(blocks, 4, COUNT_MAX),
        LIMIT(block_size, 64, 4096),
        LIMIT(replies, 4, 128),
        LIMIT(scratch_size, 64, UINT32_MAX),
        LIMIT(topic_levels, 1, 65535),
    };
#undef LIMIT
    size_t field = find_wrong(limits, ranges, sizeof(ranges) / sizeof(ranges[0]));
    if (field == SIZE_MAX) {
        field = limits->sessions < limits->clients                           ? offsetof(struct midge_limits, sessions)
                : limits->clients + limits->handshakes > (uint32_t)COUNT_MAX ? offsetof(struct midge_limits, handshakes)
                : limits->name_size % 4 != 0                                 ? offsetof(struct midge_limits, name_size)
                : limits->block_size % 8 != 0                                ? offsetof(struct midge_limits, block_size)
                : (uint64_t)limits->blocks * limits->block_size > UINT32_MAX ? offsetof(struct midge_limits, blocks)
                                                                             : SIZE_MAX;
    }
    if (field != SIZE_MAX && wrong != NULL) {
        *wrong = offsetof(struct midge_config, limits) + field;
    }
    return field == SIZE_MAX;
}

static bool check_policy(const struct midge_policy *policy, size_t *wrong)
{
#define DURATION(field)                                                                                                        \
    {                                                                                                                          \
        offsetof(struct midge_policy, field), 1, DURATION_MAX_MS                                                               \
    }
    static const struct range ranges[] = {DURATION(connect_timeout_ms), DURATION(progress_ms), DURATION(wait_ms),
                                          DURATION(assembly_ms), DURATION(close_ms)};
#undef DURATION
    size_t field = find_wrong(policy, ranges, sizeof(ranges) / sizeof(ranges[0]));
    if (field == SIZE_MAX) {
        field = policy->inflight_max == 0 || policy->inflight_max > MIDGE_INFLIGHT_MAX
                    ? offsetof(struct midge_policy, inflight_max)
                : policy->qos_max > 2                             ? offsetof(struct midge_policy, qos_max)
                : (uint32_t)policy->overflow_qos0 > MIDGE_REFUSE  ? offsetof(struct midge_policy, overflow_qos0)
                : (uint32_t)policy->overflow_qos12 > MIDGE_REFUSE ? offsetof(struct midge_policy, overflow_qos12)
                : (uint32_t)policy->overflow_offline > MIDGE_REFUSE || policy->overflow_offline == MIDGE_DISCONNECT
                    ? offsetof(struct midge_policy, overflow_offline)
                    : SIZE_MAX;
    }
    if (field != SIZE_MAX && wrong != NULL) {
        *wrong = offsetof(struct midge_config, policy) + field;
    }
    return field == SIZE_MAX;
}

void midge_policy_default(struct midge_policy *policy)
{
    *policy = (struct midge_policy){
        .connect_timeout_ms = 30000,
        .progress_ms = 10000,
        .wait_ms = 20000,
        .assembly_ms = 10000,
        .close_ms = 5000,
        .client_id_size_max = 1024,
        .inflight_max = 100,
        .qos_max = 2,
        .empty_client_id = true,
        .evict_sessions = true,
        .overflow_qos0 = MIDGE_DROP_NEWEST,
        .overflow_qos12 = MIDGE_DISCONNECT,
        .overflow_offline = MIDGE_DROP_NEWEST,
    };
}

bool midge_set_policy(struct midge *b, const struct midge_policy *policy, size_t *wrong)
{
    if (!check_policy(policy, wrong)) {
        return false;
    }
    bool wider = policy->inflight_max > b->config.policy.inflight_max;
    b->config.policy = *policy;
    /* What is queued for a client that has nothing to acknowledge any more would wait for its next packet. */
    for (midge_index i = 1; wider && i <= b->connections.touched; i++) {
        struct midge_connection *c = midge_connection_at(b, i);
        if (c->state == MIDGE_ACTIVE) {
            midge_output_due(b, c);
        }
    }
    /* A packet in assembly may take half the blocks at most. */
    uint32_t most = midge_store_room(&b->store, b->store.blocks.capacity / 2u);
    uint32_t usual = midge_store_room(&b->store, b->store.blocks.capacity / 4u);
    b->packet_size_max = policy->packet_size_max == 0 ? usual : midge_min(policy->packet_size_max, most);
    b->blocks_for_packet = midge_store_blocks(&b->store, b->packet_size_max);
    return true;
}

/* Where a row of the memory table goes: into a pool of struct midge, or to an array which a pointer in it leads to. */
struct place {
    uint16_t offset;
    bool pool;
};

#define POOL(field)                                                                                                            \
    {                                                                                                                          \
        offsetof(struct midge, field), true                                                                                    \
    }
#define ARRAY(field)                                                                                                           \
    {                                                                                                                          \
        offsetof(struct midge, field), false                                                                                   \
    }

static const struct place places[MIDGE_MEMORY_ROW_COUNT] = {
    [MIDGE_MEMORY_CONNECTIONS] = POOL(connections),
    [MIDGE_MEMORY_WAITS] = POOL(waits),
    [MIDGE_MEMORY_REPLIES] = ARRAY(replies),
    [MIDGE_MEMORY_TIMERS] = ARRAY(timers.heap),
    [MIDGE_MEMORY_SESSIONS] = POOL(sessions),
    [MIDGE_MEMORY_SESSION_BUCKETS] = ARRAY(session_table.buckets),
    [MIDGE_MEMORY_TARGETS] = ARRAY(targets),
    [MIDGE_MEMORY_SUBSCRIPTIONS] = POOL(subscriptions.pool),
    [MIDGE_MEMORY_FILTER_NODES] = POOL(subscriptions.tree.nodes),
    [MIDGE_MEMORY_FILTER_BUCKETS] = ARRAY(subscriptions.tree.table.buckets),
    [MIDGE_MEMORY_TOPIC_NODES] = POOL(retained.tree.nodes),
    [MIDGE_MEMORY_TOPIC_BUCKETS] = ARRAY(retained.tree.table.buckets),
    [MIDGE_MEMORY_NAMES] = POOL(names.chunks),
    [MIDGE_MEMORY_DELIVERIES] = POOL(deliveries),
    [MIDGE_MEMORY_QOS2_IDENTIFIERS] = POOL(qos2),
    [MIDGE_MEMORY_QOS2_BUCKETS] = ARRAY(qos2_table.buckets),
    [MIDGE_MEMORY_BLOCKS] = POOL(store.blocks),
    [MIDGE_MEMORY_SCRATCH] = ARRAY(scratch.bytes),
    [MIDGE_MEMORY_WALK] = ARRAY(subscriptions.stack),
};
#undef POOL
#undef ARRAY

/* Gives each row but the first, which is the broker itself, its part of the memory. */
static void carve(struct midge *b, const struct midge_limits *limits)
{
    uint8_t *part = (uint8_t *)b + MIDGE_ALIGN_UP(MIDGE_BROKER_SIZE);
    for (uint32_t id = MIDGE_MEMORY_BROKER + 1; id < MIDGE_MEMORY_ROW_COUNT; id++) {
        struct midge_memory_row row = midge_memory_row(limits, (enum midge_memory_id)id);
        void *place = (uint8_t *)b + places[id].offset;
        if (places[id].pool) {
            midge_pool_init(place, part, (midge_index)row.count, row.entry_size);
        } else {
            memcpy(place, &part, sizeof(part));
        }
        part += MIDGE_ALIGN_UP((size_t)row.count * row.entry_size);
    }
}

struct midge *midge_init(void *memory, size_t size, const struct midge_config *config, size_t *wrong)
{
    const struct midge_limits *l = &config->limits;
    if (!check_limits(l, wrong) || !check_policy(&config->policy, wrong)) {
        return NULL;
    }
    if (size < midge_memory_size(l)) {
        if (wrong != NULL) {
            *wrong = SIZE_MAX;
        }
        return NULL;
    }
    MIDGE_ASSERT((uintptr_t)memory % 8 == 0);
    struct midge *b = memory;
    b->config = *config;
    b->config.hash_seed = midge_hash_key(config->hash_seed); /* the key from now on */
    carve(b, l);
    midge_tree_init(&b->subscriptions.tree, &b->names, b->config.hash_seed);
    midge_tree_init(&b->retained.tree, &b->names, b->config.hash_seed);
    uintptr_t positions = b->connections.origin + offsetof(struct midge_connection, timer);
    midge_timers_init(&b->timers, b->timers.heap, b->connections.capacity, positions, sizeof(struct midge_connection));
    b->session_table.pool = &b->sessions;
    b->qos2_table.pool = &b->qos2;
    b->retained.store = &b->store;
    b->scratch.size = l->scratch_size;
    b->subscriptions.levels_max = l->topic_levels;
    b->next_ms = UINT64_MAX;
    midge_set_policy(b, &config->policy, NULL);
    return b;
}
