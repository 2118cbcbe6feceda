#include "sys.h"

#include "text.h"

/* How many values a call publishes at most. */
#define BURST 16u

/* QoS 0, unlike Mosquitto's 2: every value is retained and comes again, so acknowledgements would only cost. */
#define SYS_QOS 0u

#define TOPIC_SIZE 96u
#define PAYLOAD_SIZE 48u

enum kind { KIND_COUNTER, KIND_NUMBER, KIND_CLIENTS, KIND_DROPS };

struct counter {
    const char *topic; /* below $SYS/broker/ */
    enum kind kind;
    size_t offset; /* in struct midge_metrics */
};

#define COUNTER(topic, field)                                                                                                  \
    {                                                                                                                          \
        topic, KIND_COUNTER, offsetof(struct midge_metrics, field)                                                             \
    }
#define NUMBER(topic, field)                                                                                                   \
    {                                                                                                                          \
        topic, KIND_NUMBER, offsetof(struct midge_metrics, field)                                                              \
    }

/* Mosquitto has two names for some numbers; both are in use. */
static const struct counter counters[MIDGE_SYS_COUNTERS] = {
    {"clients/total", KIND_CLIENTS, 0},
    NUMBER("clients/connected", clients_connected),
    NUMBER("clients/active", clients_connected),
    NUMBER("clients/disconnected", sessions_offline),
    NUMBER("clients/inactive", sessions_offline),
    NUMBER("clients/maximum", clients_peak),
    COUNTER("clients/expired", sessions_expired),
    COUNTER("messages/received", packets_received),
    COUNTER("messages/sent", packets_sent),
    NUMBER("messages/stored", stored_messages),
    NUMBER("store/messages/count", stored_messages),
    NUMBER("store/messages/bytes", stored_bytes),
    COUNTER("publish/messages/received", publish_received),
    COUNTER("publish/messages/sent", publish_sent),
    {"publish/messages/dropped", KIND_DROPS, 0},
    COUNTER("publish/bytes/received", publish_bytes_received),
    COUNTER("publish/bytes/sent", publish_bytes_sent),
    COUNTER("bytes/received", bytes_received),
    COUNTER("bytes/sent", bytes_sent),
    NUMBER("subscriptions/count", subscriptions),
    NUMBER("retained messages/count", retained),
};

static const struct counter loads[MIDGE_SYS_LOADS] = {
    COUNTER("messages/received", packets_received),
    COUNTER("messages/sent", packets_sent),
    {"publish/dropped", KIND_DROPS, 0},
    COUNTER("publish/received", publish_received),
    COUNTER("publish/sent", publish_sent),
    COUNTER("bytes/received", bytes_received),
    COUNTER("bytes/sent", bytes_sent),
    COUNTER("sockets", connections_accepted),
    COUNTER("connections", clients_accepted),
};

#undef COUNTER
#undef NUMBER

#define REASON_NAME(id, text, rule) #id,
static const char *const reason_names[MIDGE_REASON_COUNT] = {MIDGE_REASONS(REASON_NAME)};
#undef REASON_NAME

static const char *const pool_names[MIDGE_POOL_COUNT] = {
    [MIDGE_POOL_CONNECTIONS] = "connections",
    [MIDGE_POOL_SESSIONS] = "sessions",
    [MIDGE_POOL_SUBSCRIPTIONS] = "subscriptions",
    [MIDGE_POOL_FILTER_NODES] = "filter_nodes",
    [MIDGE_POOL_TOPIC_NODES] = "topic_nodes",
    [MIDGE_POOL_NAMES] = "names",
    [MIDGE_POOL_DELIVERIES] = "deliveries",
    [MIDGE_POOL_QOS2_IDENTIFIERS] = "qos2_identifiers",
    [MIDGE_POOL_BLOCKS] = "blocks",
};

static const char *const stall_names[MIDGE_STALL_COUNT] = {
    [MIDGE_STALL_REPLIES] = "replies",       [MIDGE_STALL_AUTHENTICATION] = "authentication",
    [MIDGE_STALL_SUBSCRIBER] = "subscriber", [MIDGE_STALL_DELIVERIES] = "deliveries",
    [MIDGE_STALL_BLOCKS] = "blocks",         [MIDGE_STALL_ASSEMBLY] = "assembly",
};

/* The order in which a round publishes. */
enum {
    FIRST_VALUE = 1,
    FIRST_DROP = FIRST_VALUE + MIDGE_SYS_COUNTERS,
    FIRST_POOL = FIRST_DROP + MIDGE_REASON_COUNT,
    FIRST_STALL = FIRST_POOL + 3 * MIDGE_POOL_COUNT,
    FIRST_LOAD = FIRST_STALL + MIDGE_STALL_COUNT,
    UPTIME = FIRST_LOAD + 3 * MIDGE_SYS_LOADS,
    VERSION,
    FIRST_OWN
};

static midge_counter drops_of(const struct midge_metrics *metrics)
{
    midge_counter sum = 0;
    for (size_t i = 0; i < MIDGE_REASON_COUNT; i++) {
        sum += metrics->drops[i];
    }
    return sum;
}

static midge_counter value_of(const struct counter *counter, const struct midge_metrics *metrics)
{
    const uint8_t *field = (const uint8_t *)metrics + counter->offset;
    switch (counter->kind) {
    case KIND_COUNTER:
        return *(const midge_counter *)(const void *)field;
    case KIND_NUMBER:
        return *(const uint32_t *)(const void *)field;
    case KIND_CLIENTS:
        return (midge_counter)metrics->clients_connected + metrics->sessions_offline;
    case KIND_DROPS:
        break;
    }
    return drops_of(metrics);
}

/* value * fraction / 2^30, for fraction <= 2^30, without overflow. */
static uint64_t scale(uint64_t value, uint32_t fraction)
{
    return (value >> 30) * fraction + (((value & 0x3FFFFFFF) * fraction) >> 30);
}

/* e^-(time / period) in 1/2^30: a series where the exponent is small, squared until it is as large as wanted. There is no
 * floating point, so that boards without it publish the same numbers. */
static uint32_t decay_of(uint64_t time_ms, uint32_t period_ms)
{
    const uint32_t one = UINT32_C(1) << 30;
    if (time_ms > 16ull * period_ms) {
        return 0;
    }
    uint64_t x = (time_ms << 30) / period_ms;
    unsigned squarings = 0;
    while (x > one / 16) {
        x >>= 1;
        squarings++;
    }
    uint64_t x2 = (x * x) >> 30;
    uint64_t x3 = (x2 * x) >> 30;
    uint64_t result = one - x + x2 / 2 - x3 / 6 + ((x3 * x) >> 30) / 24;
    while (squarings > 0) {
        result = (result * result) >> 30;
        squarings--;
    }
    return (uint32_t)result;
}

/* Moves the averages as Mosquitto does: each approaches the rate of the time since the last round, the more slowly the longer
 * its period. A change of less than a hundredth is not worth a message. */
static void update_loads(struct midge_sys *sys, uint64_t now_ms)
{
    static const uint32_t period_ms[3] = {60000, 300000, 900000};
    uint64_t passed_ms = now_ms - sys->last_ms;
    for (size_t i = 0; i < MIDGE_SYS_LOADS; i++) {
        midge_counter count = value_of(&loads[i], &sys->metrics);
        uint64_t events = (uint64_t)(midge_counter)(count - sys->counted[i]) * 60000;
        sys->counted[i] = count;
        uint64_t rate = passed_ms == 0 ? 0 : ((events / passed_ms) << 16) + ((events % passed_ms) << 16) / passed_ms;
        for (size_t j = 0; j < 3; j++) {
            uint64_t old = sys->load[i][j];
            uint32_t decay = decay_of(passed_ms, period_ms[j]);
            uint64_t new = rate >= old ? rate - scale(rate - old, decay) : rate + scale(old - rate, decay);
            uint64_t change = new >= old ? new - old : old - new;
            sys->load[i][j] = new;
            sys->load_moved[i][j] = change >= 65536 / 100;
        }
    }
}

static bool send(struct midge_sys *sys, struct midge *broker, const struct midge_text *topic, const struct midge_text *payload)
{
    return midge_publish(broker, midge_text_view(topic), midge_text_view(payload), SYS_QOS, sys->retain);
}

/* Publishes the number below `topic`. Returns whether a message was published: none is where subscribers know the number
 * already, unless they are to get it in each round. */
static bool publish_number(struct midge_sys *sys, struct midge *broker, const struct midge_text *topic, size_t slot,
                           midge_counter value, bool each_round)
{
    char bytes[PAYLOAD_SIZE];
    struct midge_text payload;
    if (!sys->first_round && !each_round && sys->published[slot] == value) {
        return false;
    }
    midge_text_start(&payload, bytes, sizeof(bytes));
    midge_text_add_number(&payload, value);
    if (send(sys, broker, topic, &payload)) {
        sys->published[slot] = value;
    }
    return true;
}

/* A reason appears with its first loss: most of them never happen. */
static bool publish_drop(struct midge_sys *sys, struct midge *broker, struct midge_text *topic, size_t reason)
{
    if (sys->metrics.drops[reason] == 0) {
        return false;
    }
    midge_text_add(topic, "drops/");
    for (const char *c = reason_names[reason]; *c != '\0'; c++) {
        char lower[2] = {*c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c, '\0'};
        midge_text_add(topic, lower);
    }
    return publish_number(sys, broker, topic, MIDGE_SYS_COUNTERS + reason, sys->metrics.drops[reason], false);
}

/* What a pool holds comes in each round, so that a watcher can tell "unchanged" from "not heard of". */
static bool publish_pool(struct midge_sys *sys, struct midge *broker, struct midge_text *topic, size_t which)
{
    const struct midge_pool_use *use = &sys->metrics.pools[which / 3];
    uint32_t value = which % 3 == 0 ? use->used : which % 3 == 1 ? use->peak : use->capacity;
    midge_text_add(topic, "pools/");
    midge_text_add(topic, pool_names[which / 3]);
    midge_text_add(topic, which % 3 == 0 ? "/used" : which % 3 == 1 ? "/peak" : "/capacity");
    return publish_number(sys, broker, topic, MIDGE_SYS_COUNTERS + MIDGE_REASON_COUNT + which, value, which % 3 == 0);
}

static bool publish_load(struct midge_sys *sys, struct midge *broker, struct midge_text *topic, size_t which)
{
    static const char *const periods[3] = {"/1min", "/5min", "/15min"};
    char bytes[PAYLOAD_SIZE];
    struct midge_text payload;
    if (!sys->first_round && !sys->load_moved[which / 3][which % 3]) {
        return false;
    }
    midge_text_add(topic, "load/");
    midge_text_add(topic, loads[which / 3].topic);
    midge_text_add(topic, periods[which % 3]);
    midge_text_start(&payload, bytes, sizeof(bytes));
    midge_text_add_hundredths(&payload, (sys->load[which / 3][which % 3] * 25 + 8192) >> 14); /* 100 / 65536, rounded */
    (void)send(sys, broker, topic, &payload);
    return true;
}

static void publish_uptime(struct midge_sys *sys, struct midge *broker, struct midge_text *topic)
{
    char bytes[PAYLOAD_SIZE];
    struct midge_text payload;
    midge_text_add(topic, "uptime");
    midge_text_start(&payload, bytes, sizeof(bytes));
    midge_text_add_number(&payload, (sys->last_ms - sys->start_ms) / 1000);
    midge_text_add(&payload, " seconds");
    (void)send(sys, broker, topic, &payload);
}

static bool publish_version(struct midge_sys *sys, struct midge *broker, struct midge_text *topic)
{
    char bytes[PAYLOAD_SIZE];
    struct midge_text payload;
    if (!sys->first_round) {
        return false;
    }
    midge_text_add(topic, "version");
    midge_text_start(&payload, bytes, sizeof(bytes));
    midge_text_add(&payload, "midge version " MIDGE_VERSION);
    (void)send(sys, broker, topic, &payload);
    return true;
}

/* Publishes the value with this number in the order of a round. Returns whether a message was published. */
static bool publish_one(struct midge_sys *sys, struct midge *broker, size_t which)
{
    char bytes[TOPIC_SIZE];
    struct midge_text topic;
    midge_text_start(&topic, bytes, sizeof(bytes));
    midge_text_add(&topic, "$SYS/broker/");
    if (which < FIRST_DROP) {
        const struct counter *counter = &counters[which - FIRST_VALUE];
        midge_text_add(&topic, counter->topic);
        return publish_number(sys, broker, &topic, which - FIRST_VALUE, value_of(counter, &sys->metrics), false);
    }
    if (which < FIRST_POOL) {
        return publish_drop(sys, broker, &topic, which - FIRST_DROP);
    }
    if (which < FIRST_STALL) {
        return publish_pool(sys, broker, &topic, which - FIRST_POOL);
    }
    if (which < FIRST_LOAD) {
        midge_text_add(&topic, "stalls/");
        midge_text_add(&topic, stall_names[which - FIRST_STALL]);
        return publish_number(sys, broker, &topic, which - FIRST_VALUE, sys->metrics.stalls[which - FIRST_STALL], false);
    }
    if (which < UPTIME) {
        return publish_load(sys, broker, &topic, which - FIRST_LOAD);
    }
    if (which >= FIRST_OWN) {
        const struct midge_sys_own *own = &sys->own[which - FIRST_OWN];
        midge_text_add(&topic, own->topic);
        return publish_number(sys, broker, &topic, MIDGE_SYS_VALUES - MIDGE_SYS_OWN_MAX + which - FIRST_OWN,
                              (midge_counter)*own->value, false);
    }
    if (which == VERSION) {
        return publish_version(sys, broker, &topic);
    }
    publish_uptime(sys, broker, &topic);
    return true;
}

void midge_sys_start(struct midge_sys *sys, uint32_t interval_ms, bool retain, uint64_t now_ms)
{
    *sys = (struct midge_sys){.start_ms = now_ms,
                              .due_ms = now_ms,
                              .last_ms = now_ms,
                              .interval_ms = interval_ms,
                              .retain = retain,
                              .first_round = true};
}

void midge_sys_add(struct midge_sys *sys, struct midge_sys_own own)
{
    sys->own[sys->own_count++] = own;
}

void midge_sys_set_interval(struct midge_sys *sys, uint32_t interval_ms, uint64_t now_ms)
{
    if (interval_ms != sys->interval_ms) {
        sys->interval_ms = interval_ms;
        sys->due_ms = now_ms + interval_ms;
    }
}

uint64_t midge_sys_turn(struct midge_sys *sys, struct midge *broker, uint64_t now_ms)
{
    if (sys->next == 0) {
        if (sys->interval_ms == 0) {
            return UINT64_MAX;
        }
        if (now_ms < sys->due_ms) {
            return sys->due_ms;
        }
        midge_metrics(broker, &sys->metrics);
        update_loads(sys, now_ms);
        sys->last_ms = now_ms;
        sys->due_ms = now_ms + sys->interval_ms;
        sys->next = FIRST_VALUE;
    }
    uint16_t end = (uint16_t)(FIRST_OWN + sys->own_count);
    for (unsigned published = 0; published < BURST && sys->next < end; sys->next++) {
        published += publish_one(sys, broker, sys->next) ? 1 : 0;
    }
    if (sys->next < end) {
        return now_ms;
    }
    sys->next = 0;
    sys->first_round = false;
    return sys->interval_ms == 0 ? UINT64_MAX : sys->due_ms;
}
