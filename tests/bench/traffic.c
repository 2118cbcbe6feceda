#include "load.h"
#include "process.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define CHUNK_SIZE 65536u
/* Silence for so long means that what has not arrived is lost. */
#define PATIENCE_NS (8u * UINT64_C(1000000000))
/* After the last delivery the broker still has its turn to end. */
#define SETTLE_NS 30000000u
#define MEMORY_EVERY_NS 50000000u

struct publisher {
    uint32_t sent, acknowledged;
    uint64_t arrived; /* deliveries of its messages */
    uint16_t packet_id;
    bool listed;
};

static struct {
    struct publisher *publishers;
    uint32_t *listed; /* publishers that may be able to go on */
    uint32_t listed_count;
    uint32_t *next_number; /* by subscriber and lane: what may come next */
    uint32_t lanes;        /* the publishers of one topic */
    uint32_t copies;       /* deliveries of a message */
    uint32_t goal;         /* messages of each publisher in this phase and those before */
    uint64_t arrived;
    uint64_t started_ns, paced; /* messages sent by the clock in this phase, and since when */
    uint64_t *latencies_ns;
    uint64_t latency_count;
    uint64_t rss_max, memory_again_ns;
    uint8_t *scratch;
} t;

static void *take(size_t count, size_t size)
{
    void *memory = calloc(count > 0 ? count : 1, size);
    if (memory == NULL) {
        bench_fail("no memory");
    }
    return memory;
}

void bench_traffic_open(struct bench_load *load)
{
    const struct bench_options *options = &load->options;
    bool one_to_one = options->topics > 1;
    if (options->subscribers == 0 || (one_to_one && options->topics % options->subscribers != 0)) {
        bench_fail("topics must be 1 or a multiple of subscribers");
    }
    if (options->payload < sizeof(struct bench_stamp) && (one_to_one || options->publishers != 1 || options->rate > 0)) {
        bench_fail("payloads below %zu bytes need one publisher and one topic", sizeof(struct bench_stamp));
    }
    t.publishers = take(options->publishers, sizeof(*t.publishers));
    t.listed = take(options->publishers, sizeof(*t.listed));
    t.lanes = one_to_one ? 1 : options->publishers;
    t.next_number = take((size_t)options->subscribers * t.lanes, sizeof(*t.next_number));
    t.copies = options->subscriptions / options->topics;
    t.latencies_ns = take(options->rate > 0 ? (size_t)options->publishers * options->messages * t.copies : 0, sizeof(uint64_t));
    t.scratch = take(1, CHUNK_SIZE + options->payload + 64);
}

/* ---- Publishing ------------------------------------------------------------------------------------------------------- */

static const char *topic_of(const struct bench_load *load, uint32_t publisher, uint32_t number)
{
    return load->topics[(publisher + (uint64_t)number * load->options.step) % load->options.topics];
}

static size_t put_message(struct bench_load *load, uint32_t index, uint8_t *to)
{
    const struct bench_options *options = &load->options;
    struct publisher *publisher = &t.publishers[index];
    struct bench_stamp stamp = {.publisher = index, .number = publisher->sent};
    publisher->packet_id = (uint16_t)(publisher->packet_id == UINT16_MAX ? 1 : publisher->packet_id + 1);
    size_t size = bench_put_publish(to, topic_of(load, index, publisher->sent), (uint8_t)options->qos, false,
                                    publisher->packet_id, options->payload);
    if (options->payload >= sizeof(stamp)) {
        stamp.sent_ns = options->rate > 0 ? bench_clock_ns() : 0;
        memcpy(to + size, &stamp, sizeof(stamp));
    }
    publisher->sent++;
    return size + options->payload;
}

static bool may_send(const struct bench_options *options, const struct publisher *publisher)
{
    if (publisher->sent >= t.goal) {
        return false;
    }
    uint64_t copies_left = (uint64_t)publisher->sent * t.copies - publisher->arrived;
    return options->window == 0 || (copies_left < (uint64_t)options->window * t.copies &&
                                    (options->qos == 0 || publisher->sent - publisher->acknowledged < options->window));
}

static void publish(struct bench_load *load, uint32_t index)
{
    struct bench_client *client = &load->net.clients[index];
    while (!bench_client_busy(client) && may_send(&load->options, &t.publishers[index])) {
        size_t size = 0;
        while (size < CHUNK_SIZE && may_send(&load->options, &t.publishers[index])) {
            size += put_message(load, index, t.scratch + size);
        }
        bench_client_send(&load->net, client, t.scratch, size);
    }
}

static void list(uint32_t index)
{
    if (!t.publishers[index].listed) {
        t.publishers[index].listed = true;
        t.listed[t.listed_count++] = index;
    }
}

static void publish_listed(struct bench_load *load)
{
    uint32_t count = t.listed_count;
    t.listed_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        t.publishers[t.listed[i]].listed = false;
        publish(load, t.listed[i]);
    }
}

/* By the clock: message number i of all publishers is due i / (publishers * rate) seconds after the start of the phase. */
static uint64_t publish_paced(struct bench_load *load)
{
    const struct bench_options *options = &load->options;
    uint64_t all_rate = (uint64_t)options->publishers * options->rate;
    for (;;) {
        uint64_t due_ns = t.started_ns + t.paced * 1000000000u / all_rate;
        uint32_t index = (uint32_t)(t.paced % options->publishers);
        if (t.publishers[index].sent >= t.goal) {
            return UINT64_MAX;
        }
        if (bench_clock_ns() < due_ns) {
            return due_ns;
        }
        size_t size = put_message(load, index, t.scratch);
        bench_client_send(&load->net, &load->net.clients[index], t.scratch, size);
        t.paced++;
    }
}

/* ---- Arriving --------------------------------------------------------------------------------------------------------- */

static void check_topic(const struct bench_load *load, const struct bench_view *packet, const char *topic)
{
    if (packet->topic_size != strlen(topic) || memcmp(packet->topic, topic, packet->topic_size) != 0) {
        bench_fail("a message of %s came as %.*s", topic, (int)packet->topic_size, (const char *)packet->topic);
    }
    if (packet->payload_size != load->options.payload) {
        bench_fail("%s: a payload of %u bytes", topic, packet->payload_size);
    }
}

static void check_delivery(struct bench_load *load, const struct bench_client *client, const struct bench_view *packet)
{
    const struct bench_options *options = &load->options;
    uint32_t subscriber = client->number - options->publishers;
    struct bench_stamp stamp = {0};
    if (options->payload < sizeof(stamp)) {
        check_topic(load, packet, load->topics[0]);
    } else if (packet->payload_size >= sizeof(stamp)) {
        memcpy(&stamp, packet->payload, sizeof(stamp));
        if (stamp.publisher >= options->publishers) {
            bench_fail("a payload arrived changed");
        }
        check_topic(load, packet, topic_of(load, stamp.publisher, stamp.number));
        uint32_t topic = (uint32_t)((stamp.publisher + (uint64_t)stamp.number * options->step) % options->topics);
        uint32_t *next = &t.next_number[subscriber * t.lanes + stamp.publisher % t.lanes];
        if (options->topics > 1 && topic % options->subscribers != subscriber) {
            bench_fail("subscriber %u got %s, to which it has no subscription", subscriber, load->topics[topic]);
        }
        if (stamp.number < *next || (options->step == 0 && stamp.number != *next && options->window > 0)) {
            bench_fail("subscriber %u got message %u of publisher %u where %u was to come", subscriber, stamp.number,
                       stamp.publisher, *next);
        }
        *next = stamp.number + 1;
    } else {
        bench_fail("a payload of %u bytes", packet->payload_size);
    }
    if (options->rate > 0 && t.latency_count < (uint64_t)options->publishers * options->messages * t.copies) {
        t.latencies_ns[t.latency_count++] = bench_clock_ns() - stamp.sent_ns;
    }
    t.publishers[stamp.publisher].arrived++;
    t.arrived++;
    if (options->rate == 0) {
        list(stamp.publisher);
    }
}

void bench_traffic_packet(struct bench_load *load, const struct bench_client *client, const struct bench_view *packet)
{
    uint32_t number = client->number;
    uint8_t ack[4];
    if (packet->type == BENCH_PUBACK && number < load->options.publishers) {
        t.publishers[number].acknowledged++;
        list(number);
    } else if (packet->type == BENCH_PUBLISH) {
        check_delivery(load, client, packet);
        if (packet->qos == 1) {
            bench_client_put(&load->net, ack, bench_put_ack(ack, BENCH_PUBACK, packet->packet_id));
        }
    } else {
        bench_fail("client %u got a packet of type %u", number, packet->type);
    }
}

void bench_traffic_handled(struct bench_load *load, const struct bench_client *client)
{
    if (t.publishers != NULL && load->options.rate == 0 && client->number < load->options.publishers) {
        list(client->number);
    }
}

/* ---- Phases ----------------------------------------------------------------------------------------------------------- */

static void watch_memory(const struct bench_load *load)
{
    uint64_t now_ns = bench_clock_ns();
    if (load->options.window == 0 && load->options.rate == 0 && now_ns >= t.memory_again_ns) {
        uint64_t rss = bench_process_rss((int)load->options.pid);
        t.rss_max = rss > t.rss_max ? rss : t.rss_max;
        t.memory_again_ns = now_ns + MEMORY_EVERY_NS;
    }
}

static bool phase_is_over(const struct bench_load *load)
{
    uint64_t messages = (uint64_t)t.goal * load->options.publishers;
    if (t.arrived < messages * t.copies) {
        return false;
    }
    for (uint32_t i = 0; load->options.qos > 0 && i < load->options.publishers; i++) {
        if (t.publishers[i].acknowledged < t.publishers[i].sent) {
            return false;
        }
    }
    return true;
}

/* Publishes and waits until all has arrived. Returns the time of the last arrival. */
static uint64_t run_phase(struct bench_load *load, uint32_t messages)
{
    uint64_t progress_ns = bench_clock_ns(), arrived = t.arrived;
    t.goal += messages;
    t.paced = 0;
    t.latency_count = 0;
    t.started_ns = progress_ns;
    for (uint32_t i = 0; load->options.rate == 0 && i < load->options.publishers; i++) {
        list(i);
    }
    while (!phase_is_over(load)) {
        uint64_t until_ns = progress_ns + PATIENCE_NS;
        if (load->options.rate > 0) {
            uint64_t due_ns = publish_paced(load);
            until_ns = due_ns < until_ns ? due_ns : until_ns;
        } else {
            publish_listed(load);
        }
        (void)bench_clients_turn(&load->net, until_ns);
        watch_memory(load);
        uint64_t now_ns = bench_clock_ns();
        if (arrived != t.arrived || (load->options.rate > 0 && t.paced < (uint64_t)messages * load->options.publishers)) {
            arrived = t.arrived;
            progress_ns = now_ns;
        } else if (now_ns >= progress_ns + PATIENCE_NS) {
            break;
        }
    }
    return progress_ns;
}

static void settle(struct bench_load *load)
{
    uint64_t until_ns = bench_clock_ns() + SETTLE_NS;
    while (bench_clock_ns() < until_ns) {
        (void)bench_clients_turn(&load->net, until_ns);
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void print_latencies(void)
{
    qsort(t.latencies_ns, t.latency_count, sizeof(*t.latencies_ns), compare);
    printf("p50_ns %" PRIu64 "\np99_ns %" PRIu64 "\n", t.latencies_ns[t.latency_count / 2],
           t.latencies_ns[t.latency_count * 99 / 100]);
}

static uint64_t own_cpu_ns(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000u +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000u;
}

void bench_traffic_run(struct bench_load *load)
{
    int pid = (int)load->options.pid;
    uint32_t messages = load->options.messages;
    const uint64_t *flood = load->options.flood > 0 ? bench_flood_start(load) : NULL;
    run_phase(load, messages / 10 > 0 ? messages / 10 : 1);
    settle(load);
    uint64_t rss = bench_process_rss(pid), arrived = t.arrived, flooded = flood != NULL ? *flood : 0;
    uint64_t cpu_ns = bench_process_cpu_ns(pid), load_ns = own_cpu_ns(), start_ns = bench_clock_ns();
    t.rss_max = rss;
    uint64_t end_ns = run_phase(load, messages);
    load_ns = own_cpu_ns() - load_ns;
    settle(load);
    cpu_ns = bench_process_cpu_ns(pid) - cpu_ns;
    arrived = t.arrived - arrived;
    printf("deliveries %" PRIu64 "\nlost %" PRIu64 "\n", arrived,
           (uint64_t)messages * load->options.publishers * t.copies - arrived);
    printf("wall_ns %" PRIu64 "\ncpu_ns %" PRIu64 "\nload_ns %" PRIu64 "\n", end_ns - start_ns, cpu_ns, load_ns);
    printf("rss %" PRIu64 "\nrss_max %" PRIu64 "\nall_deliveries %" PRIu64 "\n", rss, t.rss_max, t.arrived);
    if (flood != NULL) {
        printf("flooded %" PRIu64 "\n", *flood - flooded);
    }
    if (load->options.rate > 0 && t.latency_count > 0) {
        print_latencies();
    }
}
