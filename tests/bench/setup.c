#include "load.h"
#include "process.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Connections that are on their way at once: fewer than any broker's backlog. */
#define OPENING_MAX 64u
/* Filters in one SUBSCRIBE. */
#define FILTERS_MAX 100u
#define NEWCOMERS 5u
#define PATIENCE_NS (60u * UINT64_C(1000000000))
#define SETTLE_NS 30000000u

static void turn(struct bench_load *load, uint64_t deadline_ns)
{
    if (bench_clock_ns() > deadline_ns) {
        bench_fail("the broker does not answer");
    }
    (void)bench_clients_turn(&load->net, deadline_ns);
}

static void wait_until(struct bench_load *load, const uint32_t *counter, uint32_t value)
{
    uint64_t deadline_ns = bench_clock_ns() + PATIENCE_NS;
    while (*counter < value) {
        turn(load, deadline_ns);
    }
}

static void settle(struct bench_load *load)
{
    uint64_t until_ns = bench_clock_ns() + SETTLE_NS;
    while (bench_clock_ns() < until_ns) {
        (void)bench_clients_turn(&load->net, until_ns);
    }
}

static void connect_range(struct bench_load *load, uint32_t from, uint32_t count)
{
    uint8_t packet[64];
    char client_id[24];
    uint32_t before = load->connacks;
    for (uint32_t i = 0; i < count; i++) {
        bench_client_connect(&load->net, from + i, (uint16_t)load->options.port);
        snprintf(client_id, sizeof(client_id), "load-%u", from + i);
        bench_client_send(&load->net, &load->net.clients[from + i], packet, bench_put_connect(packet, client_id, 0));
        if (i >= OPENING_MAX) {
            wait_until(load, &load->connacks, before + i - OPENING_MAX);
        }
    }
    wait_until(load, &load->connacks, before + count);
}

static void prepare_range(const struct bench_load *load, uint32_t from, uint32_t count)
{
    for (uint32_t i = from; i < from + count; i++) {
        bench_client_prepare(&load->net.clients[i]);
    }
}

static void subscribe(struct bench_load *load, uint32_t client, const char *filter, uint32_t qos)
{
    uint8_t packet[64];
    bench_client_send(&load->net, &load->net.clients[client], packet, bench_put_subscribe(packet, 1, &filter, 1, (uint8_t)qos));
}

/* Returns how many packets it took. */
static uint32_t subscribe_all(struct bench_load *load, uint32_t subscriber)
{
    const struct bench_options *options = &load->options;
    struct bench_client *client = &load->net.clients[options->publishers + subscriber];
    const char *filters[FILTERS_MAX];
    uint8_t packet[FILTERS_MAX * 32 + 8];
    uint32_t count = 0, packets = 0;
    for (uint32_t i = subscriber; i < options->subscriptions; i += options->subscribers) {
        filters[count++] = load->topics[i % options->topics];
        if (count == FILTERS_MAX || i + options->subscribers >= options->subscriptions) {
            size_t size = bench_put_subscribe(packet, 1, filters, count, (uint8_t)options->qos);
            bench_client_send(&load->net, client, packet, size);
            packets++;
            count = 0;
        }
    }
    return packets;
}

void bench_setup_clients(struct bench_load *load)
{
    const struct bench_options *options = &load->options;
    uint32_t before = load->subacks, sent = 0;
    connect_range(load, 0, options->publishers + options->subscribers);
    prepare_range(load, 0, options->publishers + options->subscribers);
    uint64_t rss = bench_process_rss((int)options->pid);
    for (uint32_t i = 0; i < options->subscribers; i++) {
        sent += subscribe_all(load, i);
        wait_until(load, &load->subacks, before + (sent > OPENING_MAX ? sent - OPENING_MAX : 0));
    }
    wait_until(load, &load->subacks, before + sent);
    if (options->subscriptions > 0) {
        settle(load);
        printf("subscription_bytes %.1f\n",
               (double)(bench_process_rss((int)options->pid) - rss) / (double)options->subscriptions);
    }
}

/* The idle clients come: how fast, and what each costs. */
void bench_setup_idle(struct bench_load *load)
{
    const struct bench_options *options = &load->options;
    int pid = (int)options->pid;
    char filter[32];
    uint32_t first = options->publishers + options->subscribers, before = load->subacks;
    settle(load);
    uint64_t rss = bench_process_rss(pid), cpu_ns = bench_process_cpu_ns(pid), start_ns = bench_clock_ns();
    connect_range(load, first, options->idle);
    uint64_t wall_ns = bench_clock_ns() - start_ns;
    settle(load);
    cpu_ns = bench_process_cpu_ns(pid) - cpu_ns;
    prepare_range(load, first, options->idle);
    for (uint32_t i = 0; i < options->idle; i++) {
        snprintf(filter, sizeof(filter), options->shared_filter > 0 ? "idle/all" : "idle/%u", i);
        subscribe(load, first + i, filter, 0);
        if (i >= OPENING_MAX) {
            wait_until(load, &load->subacks, before + i - OPENING_MAX);
        }
    }
    wait_until(load, &load->subacks, before + options->idle);
    settle(load);
    uint64_t after = bench_process_rss(pid);
    printf("idle_wall_ns %" PRIu64 "\nidle_cpu_ns %" PRIu64 "\n", wall_ns, cpu_ns);
    printf("idle_rss %" PRIu64 "\nidle_bytes %.1f\n", after, (double)(after - rss) / (double)options->idle);
}

/* ---- Retained messages ------------------------------------------------------------------------------------------------ */

static void retain(struct bench_load *load)
{
    const struct bench_options *options = &load->options;
    uint8_t *message = calloc(1, 64 + options->payload);
    char topic[32];
    static const uint8_t pingreq[] = {0xC0, 0};
    if (message == NULL) {
        bench_fail("no memory");
    }
    for (uint32_t i = 0; i < options->retained; i++) {
        struct bench_stamp stamp = {.number = i};
        snprintf(topic, sizeof(topic), "retained/%u/state", i);
        size_t size = bench_put_publish(message, topic, 0, true, 0, options->payload);
        memcpy(message + size, &stamp, sizeof(stamp));
        bench_client_send(&load->net, &load->net.clients[0], message, size + options->payload);
    }
    free(message);
    bench_client_send(&load->net, &load->net.clients[0], pingreq, sizeof(pingreq));
    wait_until(load, &load->pingresps, 1);
}

void bench_replay_packet(struct bench_load *load, const struct bench_view *packet)
{
    struct bench_stamp stamp;
    char topic[32];
    if (packet->payload_size != load->options.payload || packet->payload_size < sizeof(stamp)) {
        bench_fail("a retained message of %u bytes", packet->payload_size);
    }
    memcpy(&stamp, packet->payload, sizeof(stamp));
    snprintf(topic, sizeof(topic), "retained/%u/state", stamp.number);
    if (packet->topic_size != strlen(topic) || memcmp(packet->topic, topic, packet->topic_size) != 0) {
        bench_fail("the retained message of %s came as %.*s", topic, (int)packet->topic_size, (const char *)packet->topic);
    }
    load->replayed++;
}

/* Newcomers subscribe to all that is retained, one after the other. */
void bench_setup_replay(struct bench_load *load)
{
    const struct bench_options *options = &load->options;
    int pid = (int)options->pid;
    connect_range(load, 0, 1);
    prepare_range(load, 0, 1);
    uint64_t rss = bench_process_rss(pid);
    retain(load);
    settle(load);
    uint64_t retained_rss = bench_process_rss(pid);
    connect_range(load, 1, NEWCOMERS);
    prepare_range(load, 1, NEWCOMERS);
    settle(load);
    uint64_t cpu_ns = bench_process_cpu_ns(pid), wall_ns = 0;
    for (uint32_t i = 0; i < NEWCOMERS; i++) {
        uint64_t start_ns = bench_clock_ns();
        subscribe(load, 1 + i, "#", 0);
        wait_until(load, &load->replayed, (i + 1) * options->retained);
        wall_ns += bench_clock_ns() - start_ns;
        settle(load);
    }
    cpu_ns = bench_process_cpu_ns(pid) - cpu_ns;
    printf("deliveries %u\nlost %u\n", load->replayed, NEWCOMERS * options->retained - load->replayed);
    printf("wall_ns %" PRIu64 "\ncpu_ns %" PRIu64 "\nreplay_ns %" PRIu64 "\n", wall_ns, cpu_ns, wall_ns / NEWCOMERS);
    printf("rss %" PRIu64 "\nretained_bytes %.1f\n", bench_process_rss(pid),
           (double)(retained_rss - rss) / (double)options->retained);
}
