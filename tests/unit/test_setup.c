/* What midge_init accepts: the range of each limit and policy, the memory table, and that memory is carved without walking it.
 */
#include "midge.h"

#include "unit.h"

#define LIMITS_SMALL 1, 1, 1, 0, 0, 0, 0, 8, 1, 1, 4, 64, 4, 64, 1
#define LIMITS_ODD 3, 2, 7, 5, 11, 13, 17, 12, 19, 23, 29, 72, 5, 67, 9
#define LIMITS_BOARD 16, 2, 24, 64, 96, 64, 224, 16, 192, 32, 192, 64, 4, 512, 16
#define LIMITS_LARGE 2000, 100, 5000, 10000, 20000, 20000, 30000, 32, 32000, 3000, 32000, 256, 128, 65536, 200

static const struct midge_limits limit_sets[] = {{LIMITS_SMALL}, {LIMITS_ODD}, {LIMITS_BOARD}, {LIMITS_LARGE}};

/* A constant expression, as a board needs it. */
static const size_t constant_sizes[] = {MIDGE_MEMORY_SIZE(LIMITS_SMALL), MIDGE_MEMORY_SIZE(LIMITS_ODD),
                                        MIDGE_MEMORY_SIZE(LIMITS_BOARD), MIDGE_MEMORY_SIZE(LIMITS_LARGE)};

static void config_of(struct midge_config *config, const struct midge_limits *limits)
{
    *config = (struct midge_config){.limits = *limits, .hash_seed = 5};
    midge_policy_default(&config->policy);
}

static void three_sums_of_the_memory_are_equal(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < UNIT_COUNT(limit_sets); i++) {
        size_t sum = 0;
        struct midge_memory_row rows[MIDGE_MEMORY_ROW_COUNT];
        midge_memory_rows(&limit_sets[i], rows);
        for (uint32_t id = 0; id < MIDGE_MEMORY_ROW_COUNT; id++) {
            sum += ((size_t)rows[id].count * rows[id].entry_size + 7) / 8 * 8;
        }
        assert_int_equal(sum, constant_sizes[i]);
        assert_int_equal(midge_memory_size(&limit_sets[i]), constant_sizes[i]);
    }
}

static void rows_say_what_the_limits_say(void **state)
{
    (void)state;
    const struct midge_limits *l = &limit_sets[1];
    const struct {
        enum midge_memory_id id;
        uint32_t count;
        uint32_t size;
    } expected[] = {
        {MIDGE_MEMORY_BROKER, 1, MIDGE_BROKER_SIZE},
        {MIDGE_MEMORY_CONNECTIONS, 5, MIDGE_CONNECTION_SIZE},
        {MIDGE_MEMORY_WAITS, 5, MIDGE_WAIT_SIZE},
        {MIDGE_MEMORY_REPLIES, 25, 4},
        {MIDGE_MEMORY_TIMERS, 5, 8},
        {MIDGE_MEMORY_SESSIONS, 7, MIDGE_SESSION_SIZE},
        {MIDGE_MEMORY_SESSION_BUCKETS, 7, sizeof(midge_index)},
        {MIDGE_MEMORY_TARGETS, 7, sizeof(midge_index)},
        {MIDGE_MEMORY_SUBSCRIPTIONS, 5, MIDGE_SUBSCRIPTION_SIZE},
        {MIDGE_MEMORY_FILTER_NODES, 12, MIDGE_FILTER_NODE_SIZE},
        {MIDGE_MEMORY_FILTER_BUCKETS, 11, sizeof(midge_index)},
        {MIDGE_MEMORY_TOPIC_NODES, 14, MIDGE_TOPIC_NODE_SIZE},
        {MIDGE_MEMORY_TOPIC_BUCKETS, 13, sizeof(midge_index)},
        {MIDGE_MEMORY_NAMES, 17, 12},
        {MIDGE_MEMORY_DELIVERIES, 19, MIDGE_DELIVERY_SIZE},
        {MIDGE_MEMORY_QOS2_IDENTIFIERS, 23, MIDGE_QOS2_SIZE},
        {MIDGE_MEMORY_QOS2_BUCKETS, 23, sizeof(midge_index)},
        {MIDGE_MEMORY_BLOCKS, 29, 72},
        {MIDGE_MEMORY_SCRATCH, 67, 1},
        {MIDGE_MEMORY_WALK, 10, 8},
    };
    struct midge_memory_row rows[MIDGE_MEMORY_ROW_COUNT];
    midge_memory_rows(l, rows);
    assert_int_equal(UNIT_COUNT(expected), MIDGE_MEMORY_ROW_COUNT);
    for (uint32_t i = 0; i < UNIT_COUNT(expected); i++) {
        assert_int_equal(rows[expected[i].id].count, expected[i].count);
        assert_int_equal(rows[expected[i].id].entry_size, expected[i].size);
    }
}

static void an_idle_client_costs_at_most_160_bytes_at_16_bits(void **state)
{
    (void)state;
    if (MIDGE_INDEX_BITS == 16) {
        assert_true(MIDGE_CONNECTION_SIZE + MIDGE_SESSION_SIZE <= 160);
    } else {
        assert_true(MIDGE_CONNECTION_SIZE + MIDGE_SESSION_SIZE <= 240);
    }
}

/* Exactly the memory that was promised is enough, one byte less is not; only the broker itself is written. */
static void memory_is_carved_and_not_walked(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < UNIT_COUNT(limit_sets); i++) {
        struct midge_config config;
        config_of(&config, &limit_sets[i]);
        size_t size = constant_sizes[i];
        uint8_t *memory = unit_memory(size);
        size_t wrong = 1;
        assert_null(midge_init(memory, size - 1, &config, &wrong));
        assert_true(wrong == SIZE_MAX);
        assert_null(midge_init(memory, 0, &config, NULL));
        struct midge *b = midge_init(memory, size, &config, &wrong);
        assert_ptr_equal(b, memory);
        for (size_t k = MIDGE_BROKER_SIZE; k < size; k++) {
            assert_int_equal(memory[k], 0);
        }
        assert_int_equal(midge_audit(b), 0);
        struct midge_metrics metrics;
        midge_metrics(b, &metrics);
        assert_int_equal(metrics.pools[MIDGE_POOL_CONNECTIONS].capacity, limit_sets[i].clients + limit_sets[i].handshakes);
        assert_int_equal(metrics.pools[MIDGE_POOL_SESSIONS].capacity, limit_sets[i].sessions);
        assert_int_equal(metrics.pools[MIDGE_POOL_SUBSCRIPTIONS].capacity, limit_sets[i].subscriptions);
        assert_int_equal(metrics.pools[MIDGE_POOL_FILTER_NODES].capacity, limit_sets[i].filter_nodes);
        assert_int_equal(metrics.pools[MIDGE_POOL_TOPIC_NODES].capacity, limit_sets[i].topic_nodes);
        assert_int_equal(metrics.pools[MIDGE_POOL_NAMES].capacity, limit_sets[i].names);
        assert_int_equal(metrics.pools[MIDGE_POOL_DELIVERIES].capacity, limit_sets[i].deliveries);
        assert_int_equal(metrics.pools[MIDGE_POOL_QOS2_IDENTIFIERS].capacity, limit_sets[i].qos2_identifiers);
        assert_int_equal(metrics.pools[MIDGE_POOL_BLOCKS].capacity, limit_sets[i].blocks);
        for (uint32_t pool = 0; pool < MIDGE_POOL_COUNT; pool++) {
            assert_int_equal(metrics.pools[pool].used, 0);
            assert_int_equal(metrics.pools[pool].peak, 0);
        }
        free(memory);
    }
}

/* ---- Ranges ---- */

#define COUNT_MOST (MIDGE_INDEX_BITS == 16 ? 32000u : 16777214u)

struct range {
    const char *name;
    size_t offset;
    uint32_t least;
    uint32_t most;
};

#define LIMIT(field, least, most)                                                                                              \
    {                                                                                                                          \
#field, offsetof(struct midge_config, limits.field), least, most                                                       \
    }

static const struct range ranges[] = {
    LIMIT(clients, 1, COUNT_MOST),
    LIMIT(handshakes, 1, COUNT_MOST - 3),
    LIMIT(sessions, 3, COUNT_MOST),
    LIMIT(subscriptions, 0, COUNT_MOST),
    LIMIT(filter_nodes, 0, COUNT_MOST),
    LIMIT(topic_nodes, 0, COUNT_MOST),
    LIMIT(names, 0, COUNT_MOST),
    LIMIT(name_size, 8, 256),
    LIMIT(deliveries, 1, COUNT_MOST),
    LIMIT(qos2_identifiers, 1, COUNT_MOST),
    LIMIT(blocks, 4, COUNT_MOST),
    LIMIT(block_size, 64, 4096),
    LIMIT(replies, 4, 128),
    LIMIT(scratch_size, 64, UINT32_MAX),
    LIMIT(topic_levels, 1, 65535),
};

/* Sets a limit of the usual configuration and asks. Returns the offset of what is wrong: SIZE_MAX where only the memory
 * is too small, since a size of 0 is offered. */
static size_t wrong_with(size_t offset, uint32_t value)
{
    struct midge_config config;
    config_of(&config, &limit_sets[1]);
    memcpy((uint8_t *)&config + offset, &value, sizeof(value));
    uint64_t memory = 0;
    size_t wrong = 0;
    assert_null(midge_init(&memory, 0, &config, &wrong));
    return wrong;
}

static void assert_wrong(const struct range *range, uint32_t value, size_t expected)
{
    size_t wrong = wrong_with(range->offset, value);
    if (wrong != expected) {
        fail_msg("%s = %u: the field at %zu is wrong, not that at %zu", range->name, value, wrong, expected);
    }
}

static void each_field_has_its_range(void **state)
{
    (void)state;
    size_t sessions = offsetof(struct midge_config, limits.sessions);
    for (uint32_t i = 0; i < UNIT_COUNT(ranges); i++) {
        const struct range *range = &ranges[i];
        assert_wrong(range, range->least, SIZE_MAX);
        if (range->least > 0) {
            assert_wrong(range, range->least - 1, range->offset);
            assert_wrong(range, 0, range->offset);
        }
        /* As many clients as that do not go with the sessions there are. */
        assert_wrong(range, range->most, strcmp(range->name, "clients") == 0 ? sessions : SIZE_MAX);
        if (range->most < UINT32_MAX) {
            assert_wrong(range, range->most + 1, range->offset);
            assert_wrong(range, UINT32_MAX, range->offset);
        }
    }
}

static void relations_between_limits(void **state)
{
    (void)state;
    for (uint32_t size = 8; size <= 256; size++) {
        size_t offset = offsetof(struct midge_config, limits.name_size);
        assert_true(wrong_with(offset, size) == (size % 4 == 0 ? SIZE_MAX : offset));
    }
    for (uint32_t size = 64; size <= 4096; size++) {
        size_t offset = offsetof(struct midge_config, limits.block_size);
        assert_true(wrong_with(offset, size) == (size % 8 == 0 ? SIZE_MAX : offset));
    }
    assert_true(wrong_with(offsetof(struct midge_config, limits.clients), 7) == SIZE_MAX);
    assert_true(wrong_with(offsetof(struct midge_config, limits.clients), 8) == offsetof(struct midge_config, limits.sessions));
}

/* ---- Policies ---- */

/* A wrong policy is found last; the memory, still zeroed but for what midge_init has put there, serves for another try. */
static void a_wrong_policy_is_named_at_the_start(void **state)
{
    (void)state;
    struct midge_config config;
    config_of(&config, &limit_sets[1]);
    config.policy.close_ms = 0;
    void *memory = unit_memory(constant_sizes[1]);
    size_t wrong = 0;
    assert_null(midge_init(memory, constant_sizes[1], &config, &wrong));
    assert_int_equal(wrong, offsetof(struct midge_config, policy.close_ms));
    assert_null(midge_init(memory, constant_sizes[1], &config, NULL));
    config.policy.close_ms = 1;
    struct midge *b = midge_init(memory, constant_sizes[1], &config, &wrong);
    assert_non_null(b);
    assert_int_equal(midge_audit(b), 0);
    free(memory);
}

static bool accepts(struct midge *b, const struct midge_policy *policy, size_t offset)
{
    size_t wrong = 1;
    bool accepted = midge_set_policy(b, policy, &wrong);
    assert_true(wrong == (accepted ? 1 : offsetof(struct midge_config, policy) + offset));
    assert_int_equal(midge_set_policy(b, policy, NULL), accepted);
    return accepted;
}

static void policies_have_their_ranges(void **state)
{
    (void)state;
    struct midge_config config;
    config_of(&config, &limit_sets[1]);
    void *memory = unit_memory(constant_sizes[1]);
    struct midge *b = midge_init(memory, constant_sizes[1], &config, NULL);
    assert_non_null(b);
    struct midge_policy policy = config.policy;
    assert_true(accepts(b, &policy, 0));
    policy.inflight_max = 0;
    assert_false(accepts(b, &policy, offsetof(struct midge_policy, inflight_max)));
    policy.inflight_max = 4097;
    assert_false(accepts(b, &policy, offsetof(struct midge_policy, inflight_max)));
    policy.inflight_max = 4096;
    assert_true(accepts(b, &policy, 0));
    for (uint32_t qos = 0; qos < 256; qos++) {
        policy.qos_max = (uint8_t)qos;
        assert_int_equal(accepts(b, &policy, offsetof(struct midge_policy, qos_max)), qos <= 2);
    }
    policy.qos_max = 1;
    for (uint32_t value = 0; value < 6; value++) {
        struct midge_policy changed = policy;
        changed.overflow_qos0 = (enum midge_overflow)value;
        assert_int_equal(accepts(b, &changed, offsetof(struct midge_policy, overflow_qos0)), value <= 3);
        changed = policy;
        changed.overflow_qos12 = (enum midge_overflow)value;
        assert_int_equal(accepts(b, &changed, offsetof(struct midge_policy, overflow_qos12)), value <= 3);
        changed = policy;
        changed.overflow_offline = (enum midge_overflow)value;
        bool allowed = value <= 3 && value != MIDGE_DISCONNECT;
        assert_int_equal(accepts(b, &changed, offsetof(struct midge_policy, overflow_offline)), allowed);
    }
    const size_t durations[] = {
        offsetof(struct midge_policy, connect_timeout_ms),
        offsetof(struct midge_policy, progress_ms),
        offsetof(struct midge_policy, wait_ms),
        offsetof(struct midge_policy, assembly_ms),
        offsetof(struct midge_policy, close_ms),
    };
    for (uint32_t i = 0; i < UNIT_COUNT(durations); i++) {
        const struct {
            uint32_t value_ms;
            bool allowed;
        } cases[] = {{0, false}, {1, true}, {86400000, true}, {86400001, false}, {UINT32_MAX, false}};
        for (uint32_t k = 0; k < UNIT_COUNT(cases); k++) {
            struct midge_policy changed = policy;
            memcpy((uint8_t *)&changed + durations[i], &cases[k].value_ms, sizeof(cases[k].value_ms));
            assert_int_equal(accepts(b, &changed, durations[i]), cases[k].allowed);
        }
    }
    assert_int_equal(midge_audit(b), 0);
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_sums_of_the_memory_are_equal),
        cmocka_unit_test(rows_say_what_the_limits_say),
        cmocka_unit_test(an_idle_client_costs_at_most_160_bytes_at_16_bits),
        cmocka_unit_test(memory_is_carved_and_not_walked),
        cmocka_unit_test(each_field_has_its_range),
        cmocka_unit_test(relations_between_limits),
        cmocka_unit_test(a_wrong_policy_is_named_at_the_start),
        cmocka_unit_test(policies_have_their_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
