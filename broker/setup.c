/* Limits and policies: their ranges, the memory they cost, and how the one block of memory is carved. */
#include "events.h"

#if MIDGE_INDEX_BITS == 16
enum { COUNT_MAX = 32000 };
#else
enum { COUNT_MAX = 16777214 };
#endif

enum { DURATION_MAX_MS = 86400000 };

void midge_memory_rows(const struct midge_limits *limits, struct midge_memory_row rows[MIDGE_MEMORY_ROW_COUNT])
{
#define LIMIT(field) limits->field
#define ROW(id, text, count, size) rows[MIDGE_MEMORY_##id] = (struct midge_memory_row){(count), (size)};
    MIDGE_MEMORY_ROWS(ROW, LIMIT)
#undef ROW
#undef LIMIT
}

static size_t size_of(const struct midge_memory_row *row)
{
    return MIDGE_ALIGN_UP((size_t)row->count * row->entry_size);
}

size_t midge_memory_size(const struct midge_limits *limits)
{
    struct midge_memory_row rows[MIDGE_MEMORY_ROW_COUNT];
    midge_memory_rows(limits, rows);
    size_t size = 0;
    for (uint32_t i = 0; i < MIDGE_MEMORY_ROW_COUNT; i++) {
        size += size_of(&rows[i]);
    }
    return size;
}

/* What the checks below say where all is well; else it is the offset of the field in struct midge_config, and none has this. */
#define ALL_WELL ((size_t)1)

/* The range of a limit: all are 32 bits wide. A maximum of 0 is none. */
struct range {
    midge_index min;
    midge_index max;
};

#define RANGE(limit) [offsetof(struct midge_limits, limit) / sizeof(uint32_t)]
static const struct range ranges[] = {
    RANGE(clients) = {1, COUNT_MAX},
    RANGE(handshakes) = {1, COUNT_MAX},
    RANGE(sessions) = {1, COUNT_MAX},
    RANGE(subscriptions) = {0, COUNT_MAX},
    RANGE(filter_nodes) = {0, COUNT_MAX},
    RANGE(topic_nodes) = {0, COUNT_MAX},
    RANGE(names) = {0, COUNT_MAX},
    RANGE(name_size) = {8, 256},
    RANGE(deliveries) = {1, COUNT_MAX},
    RANGE(qos2_identifiers) = {1, COUNT_MAX},
    RANGE(blocks) = {4, COUNT_MAX},
    RANGE(block_size) = {64, 4096},
    RANGE(replies) = {4, 128},
    RANGE(scratch_size) = {64, 0},
    RANGE(topic_levels) = {1, 65535},
};
#undef RANGE
_Static_assert(sizeof(ranges) / sizeof(ranges[0]) == sizeof(struct midge_limits) / sizeof(uint32_t), "a range for each limit");

static size_t check_limits(const struct midge_limits *limits)
{
    const uint32_t *values = (const uint32_t *)limits;
    for (uint32_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        if (values[i] < ranges[i].min || (ranges[i].max != 0 && values[i] > ranges[i].max)) {
            return offsetof(struct midge_config, limits) + i * sizeof(uint32_t);
        }
    }
    return limits->sessions < limits->clients                           ? offsetof(struct midge_config, limits.sessions)
           : limits->clients + limits->handshakes > (uint32_t)COUNT_MAX ? offsetof(struct midge_config, limits.handshakes)
           : limits->name_size % 4 != 0                                 ? offsetof(struct midge_config, limits.name_size)
           : limits->block_size % 8 != 0                                ? offsetof(struct midge_config, limits.block_size)
           : MIDGE_INDEX_BITS > 16 && limits->blocks > UINT32_MAX / limits->block_size
               ? offsetof(struct midge_config, limits.blocks)
               : ALL_WELL;
}

static size_t check_policy(const struct midge_policy *policy)
{
    enum { FIRST = offsetof(struct midge_policy, connect_timeout_ms), LAST = offsetof(struct midge_policy, close_ms) };
    for (uint32_t i = FIRST; i <= LAST; i += sizeof(uint32_t)) {
        uint32_t duration_ms;
        memcpy(&duration_ms, (const uint8_t *)policy + i, sizeof(duration_ms));
        if (duration_ms - 1 >= DURATION_MAX_MS) {
            return offsetof(struct midge_config, policy) + i;
        }
    }
    return policy->inflight_max == 0 || policy->inflight_max > MIDGE_INFLIGHT_MAX
               ? offsetof(struct midge_config, policy.inflight_max)
           : policy->qos_max > 2                             ? offsetof(struct midge_config, policy.qos_max)
           : (uint32_t)policy->overflow_qos0 > MIDGE_REFUSE  ? offsetof(struct midge_config, policy.overflow_qos0)
           : (uint32_t)policy->overflow_qos12 > MIDGE_REFUSE ? offsetof(struct midge_config, policy.overflow_qos12)
           : (uint32_t)policy->overflow_offline > MIDGE_REFUSE || policy->overflow_offline == MIDGE_DISCONNECT
               ? offsetof(struct midge_config, policy.overflow_offline)
               : ALL_WELL;
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

/* Whether a check said that all is well; else notes what is wrong for the port. */
static bool is_right(size_t found, size_t *wrong)
{
    if (found != ALL_WELL && wrong != NULL) {
        *wrong = found;
    }
    return found == ALL_WELL;
}

bool midge_set_policy(struct midge *b, const struct midge_policy *policy, size_t *wrong)
{
    if (!is_right(check_policy(policy), wrong)) {
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
enum { IS_ARRAY = 1 }; /* beside the offset in struct midge, which is even */
#define POOL(field) offsetof(struct midge, field)
#define ARRAY(field) (offsetof(struct midge, field) | IS_ARRAY)

static const uint16_t places[MIDGE_MEMORY_ROW_COUNT] = {
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
    struct midge_memory_row rows[MIDGE_MEMORY_ROW_COUNT];
    midge_memory_rows(limits, rows);
    uint8_t *part = (uint8_t *)b;
    for (uint32_t i = 1; i < MIDGE_MEMORY_ROW_COUNT; i++) {
        part += size_of(&rows[i - 1]);
        uint8_t *place = (uint8_t *)b + (places[i] & ~IS_ARRAY);
        if ((places[i] & IS_ARRAY) == 0) {
            midge_pool_init((void *)place, part, (midge_index)rows[i].count, rows[i].entry_size);
        } else {
            memcpy(place, &part, sizeof(part));
        }
    }
}

struct midge *midge_init(void *memory, size_t size, const struct midge_config *config, size_t *wrong)
{
    const struct midge_limits *l = &config->limits;
    size_t found = check_limits(l);
    if (found == ALL_WELL && size < midge_memory_size(l)) {
        found = SIZE_MAX;
    }
    if (!is_right(found, wrong)) {
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
    return midge_set_policy(b, &config->policy, wrong) ? b : NULL;
}
