/*
 * The work of the core for one message, in scenarios that are the same at each run. Under callgrind (instructions.py) each
 * scenario ends with a dump that holds the instructions of the core's functions, and of what they call, in the part that
 * counts. Without it the program prints how long that part took.
 *
 *     instructions [NAME...]
 */
#include "driver.h"
#include "packets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <valgrind/callgrind.h>

#define PAYLOAD_MAX 16384u
#define TURN_SIZE (1u << 20)

struct scenario {
    const char *name;
    /* Peers 0 .. publishers - 1 publish, the next ones subscribe. */
    uint32_t publishers, subscribers;
    /* Subscription number i is that of subscriber i % subscribers, to topic i % topics. */
    uint32_t subscriptions, topics;
    /* Message number i of publisher p goes to topic (p + i * topic_step) % topics. */
    uint32_t topic_step;
    uint32_t payload_size;
    /* Each publisher sends so many messages in a turn. These turns count; one more comes before them. */
    uint32_t per_turn, turns;
    uint32_t retained_turns; /* turns whose messages are retained */
    uint8_t qos;
    /* What is counted; NULL: publishing. Returns how many there were. */
    uint64_t (*measure)(struct bench_driver *driver, const struct scenario *scenario);
};

static void name_topic(char topic[32], uint32_t number)
{
    snprintf(topic, 32, "bench/%u/data", number);
}

/* One turn: each publisher sends its messages, then everybody takes what is due. */
static void publish_turn(struct bench_driver *driver, const struct scenario *scenario, uint32_t turn, bool retain)
{
    static uint8_t bytes[TURN_SIZE];
    char topic[32];
    for (uint32_t p = 0; p < scenario->publishers; p++) {
        struct bench_peer *peer = &driver->peers[p];
        size_t size = 0;
        for (uint32_t i = 0; i < scenario->per_turn; i++) {
            uint64_t number = (uint64_t)turn * scenario->per_turn + i;
            name_topic(topic, (uint32_t)((p + number * scenario->topic_step) % scenario->topics));
            peer->next_id = (uint16_t)(peer->next_id == UINT16_MAX ? 1 : peer->next_id + 1);
            size += bench_put_publish(bytes + size, topic, scenario->qos, retain, peer->next_id, scenario->payload_size);
            memset(bytes + size, (int)number & 0xFF, scenario->payload_size);
            size += scenario->payload_size;
        }
        peer->unacknowledged += scenario->qos > 0 ? scenario->per_turn : 0;
        bench_driver_send(driver, p, bytes, size);
    }
    bench_driver_settle(driver);
    for (uint32_t p = 0; p < scenario->publishers; p++) {
        if (driver->peers[p].unacknowledged > 0) {
            fprintf(stderr, "bench: %s: not all messages were acknowledged\n", scenario->name);
            exit(1);
        }
    }
}

static uint64_t publish(struct bench_driver *driver, const struct scenario *scenario)
{
    uint64_t before = driver->deliveries;
    for (uint32_t turn = 0; turn < scenario->turns; turn++) {
        publish_turn(driver, scenario, 1 + turn, false);
    }
    return driver->deliveries - before;
}

/* Every subscriber comes and goes. */
static uint64_t connect_all(struct bench_driver *driver, const struct scenario *scenario)
{
    for (uint32_t i = 0; i < scenario->turns; i++) {
        bench_driver_connect(driver, scenario->publishers + scenario->subscribers + i);
    }
    for (uint32_t i = 0; i < scenario->turns; i++) {
        bench_driver_disconnect(driver, scenario->publishers + scenario->subscribers + i);
    }
    return scenario->turns;
}

static uint64_t subscribe_all(struct bench_driver *driver, const struct scenario *scenario)
{
    char filter[32];
    for (uint32_t i = 0; i < scenario->turns; i++) {
        name_topic(filter, i);
        bench_driver_subscribe(driver, i % scenario->publishers, filter, 1);
    }
    return scenario->turns;
}

/* A newcomer subscribes to all retained messages. */
static uint64_t replay(struct bench_driver *driver, const struct scenario *scenario)
{
    uint64_t before = driver->deliveries;
    bench_driver_subscribe(driver, scenario->publishers, "#", scenario->qos);
    return driver->deliveries - before;
}

static const struct scenario scenarios[] = {
    {.name = "1-1-qos0",
     .publishers = 1,
     .subscribers = 1,
     .subscriptions = 1,
     .payload_size = 64,
     .topics = 1,
     .per_turn = 1000,
     .turns = 4},
    {.name = "1-1-qos1",
     .publishers = 1,
     .subscribers = 1,
     .subscriptions = 1,
     .payload_size = 64,
     .topics = 1,
     .per_turn = 100,
     .turns = 40,
     .qos = 1},
    {.name = "1-1-qos2",
     .publishers = 1,
     .subscribers = 1,
     .subscriptions = 1,
     .payload_size = 64,
     .topics = 1,
     .per_turn = 100,
     .turns = 40,
     .qos = 2},
    {.name = "1-1-qos0-single",
     .publishers = 1,
     .subscribers = 1,
     .subscriptions = 1,
     .payload_size = 64,
     .topics = 1,
     .per_turn = 1,
     .turns = 1000},
    {.name = "1-1-qos0-16k",
     .publishers = 1,
     .subscribers = 1,
     .subscriptions = 1,
     .topics = 1,
     .per_turn = 16,
     .turns = 20,
     .payload_size = 16384},
    {.name = "100-1-qos0",
     .publishers = 100,
     .subscribers = 1,
     .subscriptions = 1,
     .payload_size = 64,
     .topics = 1,
     .per_turn = 10,
     .turns = 4},
    {.name = "1-100-qos0",
     .publishers = 1,
     .subscribers = 100,
     .subscriptions = 100,
     .payload_size = 64,
     .topics = 1,
     .per_turn = 100,
     .turns = 1},
    {.name = "1-1000-qos0",
     .publishers = 1,
     .subscribers = 1000,
     .subscriptions = 1000,
     .payload_size = 64,
     .topics = 1,
     .per_turn = 20,
     .turns = 1},
    {.name = "1-100-qos1",
     .publishers = 1,
     .subscribers = 100,
     .subscriptions = 100,
     .payload_size = 64,
     .topics = 1,
     .per_turn = 20,
     .turns = 4,
     .qos = 1},
    {.name = "pairs-qos0",
     .publishers = 100,
     .subscribers = 100,
     .subscriptions = 100,
     .payload_size = 64,
     .topics = 100,
     .per_turn = 10,
     .turns = 4},
    {.name = "pairs-qos1",
     .publishers = 100,
     .subscribers = 100,
     .subscriptions = 100,
     .payload_size = 64,
     .topics = 100,
     .per_turn = 10,
     .turns = 4,
     .qos = 1},
    {.name = "match-100",
     .publishers = 1,
     .subscribers = 100,
     .subscriptions = 100,
     .payload_size = 64,
     .topics = 100,
     .topic_step = 37,
     .per_turn = 1000,
     .turns = 4},
    {.name = "match-100k",
     .publishers = 1,
     .subscribers = 100,
     .subscriptions = 100000,
     .payload_size = 64,
     .topics = 100000,
     .topic_step = 7919,
     .per_turn = 1000,
     .turns = 4},
    {.name = "no-subscriber",
     .publishers = 1,
     .subscribers = 1,
     .subscriptions = 0,
     .payload_size = 64,
     .topics = 100,
     .topic_step = 37,
     .per_turn = 1000,
     .turns = 4},
    {.name = "replay-10k",
     .publishers = 1,
     .subscribers = 1,
     .payload_size = 64,
     .topics = 10000,
     .topic_step = 1,
     .per_turn = 1000,
     .retained_turns = 10,
     .measure = replay},
    {.name = "connect", .publishers = 1, .subscribers = 1, .topics = 1, .turns = 1000, .measure = connect_all},
    {.name = "subscribe", .publishers = 100, .topics = 1, .turns = 10000, .measure = subscribe_all},
};
#define SCENARIO_COUNT (sizeof(scenarios) / sizeof(scenarios[0]))

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void prepare(struct bench_driver *driver, const struct scenario *scenario)
{
    char filter[32];
    uint32_t comers = scenario->measure == connect_all ? scenario->turns : 0;
    bench_driver_open(driver, scenario->publishers + scenario->subscribers + comers);
    driver->payload_size = scenario->payload_size;
    for (uint32_t i = 0; i < scenario->publishers + scenario->subscribers; i++) {
        bench_driver_connect(driver, i);
    }
    for (uint32_t i = 0; i < scenario->subscriptions; i++) {
        name_topic(filter, i % scenario->topics);
        bench_driver_subscribe(driver, scenario->publishers + i % scenario->subscribers, filter, scenario->qos);
    }
    for (uint32_t turn = 0; turn < scenario->retained_turns; turn++) {
        publish_turn(driver, scenario, turn, true);
    }
    if (scenario->measure == NULL) {
        publish_turn(driver, scenario, 0, false);
    }
}

static uint64_t expected(const struct scenario *scenario)
{
    if (scenario->measure == replay) {
        return scenario->topics;
    }
    if (scenario->measure != NULL) {
        return scenario->turns;
    }
    return (uint64_t)scenario->publishers * scenario->per_turn * scenario->turns * (scenario->subscriptions / scenario->topics);
}

static bool run(const struct scenario *scenario)
{
    struct bench_driver driver;
    char line[96];
    prepare(&driver, scenario);
    CALLGRIND_START_INSTRUMENTATION;
    CALLGRIND_ZERO_STATS;
    uint64_t from_ns = clock_ns();
    uint64_t count = scenario->measure != NULL ? scenario->measure(&driver, scenario) : publish(&driver, scenario);
    uint64_t took_ns = clock_ns() - from_ns;
    bool right = count == expected(scenario);
    if (scenario->subscriptions == 0 && scenario->measure == NULL) {
        count = (uint64_t)scenario->publishers * scenario->per_turn * scenario->turns;
    }
    snprintf(line, sizeof(line), "%s %llu", scenario->name, (unsigned long long)count);
    CALLGRIND_DUMP_STATS_AT(line);
    CALLGRIND_STOP_INSTRUMENTATION;
    bench_driver_close(&driver);
    if (!right) {
        fprintf(stderr, "bench: %s: %llu instead of %llu\n", scenario->name, (unsigned long long)count,
                (unsigned long long)expected(scenario));
        return false;
    }
    printf("%-20s %8llu %10.1f ns each, with the driver\n", scenario->name, (unsigned long long)count,
           (double)took_ns / (double)count);
    return true;
}

int main(int argc, char **argv)
{
    int status = 0, ran = 0;
    for (size_t i = 0; i < SCENARIO_COUNT; i++) {
        bool wanted = argc < 2;
        for (int j = 1; j < argc; j++) {
            wanted = wanted || strcmp(argv[j], scenarios[i].name) == 0;
        }
        if (wanted) {
            ran++;
            status |= run(&scenarios[i]) ? 0 : 1;
        }
    }
    if (ran == 0) {
        fprintf(stderr, "bench: no such scenario; there are:");
        for (size_t i = 0; i < SCENARIO_COUNT; i++) {
            fprintf(stderr, " %s", scenarios[i].name);
        }
        fprintf(stderr, "\n");
        return 1;
    }
    return status;
}
