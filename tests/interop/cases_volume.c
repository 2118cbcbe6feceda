/* Many messages in order, and many clients at once. */
#include "cases.h"
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Messages of one publisher, topic and QoS arrive in the order in which they were sent, each once [MQTT-4.6.0-6]. */
static void ordering(int qos)
{
    int count = settings.small ? 300 : 10000;
    struct peer *subscriber = peer_open("order-subscriber");
    peer_subscribe(subscriber, "interop/order", qos);
    struct peer *publisher =
        peer_open_how("order-publisher", &(struct how){.clean = true, .inflight = settings.small ? 4 : 100});
    char payload[16];
    for (int i = 0; i < count; i++) {
        snprintf(payload, sizeof payload, "%d", i);
        peer_send(publisher, "interop/order", payload, strlen(payload), qos, false);
    }
    for (int i = 0; i < count; i++) {
        snprintf(payload, sizeof payload, "%d", i);
        peer_expect(subscriber, "interop/order", payload, qos, false);
    }
    peer_flush(publisher);
    peer_expect_empty(subscriber);
    peer_close(publisher);
    peer_close(subscriber);
}

static void ordering_qos0(void)
{
    ordering(0);
}

static void ordering_qos1(void)
{
    ordering(1);
}

static void ordering_qos2(void)
{
    ordering(2);
}

enum { MANY = 200, THREADS = 25 };
static struct peer *peers[MANY];
static int peer_count;

static void open_one(int index)
{
    char text[64];
    snprintf(text, sizeof text, "many-%d", index);
    peers[index] = peer_open(text);
    snprintf(text, sizeof text, "interop/client/%d", index);
    peer_subscribe(peers[index], text, 2);
    peer_subscribe(peers[index], "interop/client/all", index % 3);
}

static void close_one(int index)
{
    peer_close(peers[index]);
}

struct share {
    pthread_t thread;
    int first;
    int step;
    void (*work)(int index);
};

static void *work_share(void *context)
{
    struct share *share = context;
    for (int i = share->first; i < peer_count; i += share->step) {
        share->work(i);
    }
    return NULL;
}

/* Calls work(index) for each client, from several threads: both libraries take a good part of a second to connect. But a
 * board's emulator listens with a backlog of 1, and who does not fit comes back after a second, then after two, four and so on.
 */
static void for_each_client(void (*work)(int index))
{
    struct share shares[THREADS];
    int threads = settings.small ? 1 : THREADS;
    for (int i = 0; i < threads; i++) {
        shares[i].first = i;
        shares[i].step = threads;
        shares[i].work = work;
        CHECK(pthread_create(&shares[i].thread, NULL, work_share, &shares[i]) == 0, "no thread");
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(shares[i].thread, NULL);
    }
}

/* Every client listens to a topic of its own and to a common one; each sends to its neighbour, one sends to all. */
static void many_clients(void)
{
    char topic[64];
    peer_count = settings.small ? 16 : MANY;
    for_each_client(open_one);
    for (int i = 0; i < peer_count; i++) {
        snprintf(topic, sizeof topic, "interop/client/%d", (i + 1) % peer_count);
        peer_send(peers[i], topic, topic, strlen(topic), i % 3, false);
    }
    for (int i = 0; i < peer_count; i++) {
        snprintf(topic, sizeof topic, "interop/client/%d", i);
        peer_expect(peers[i], topic, topic, (i + peer_count - 1) % peer_count % 3, false);
        peer_flush(peers[i]);
    }
    peer_publish(peers[0], "interop/client/all", "everybody", 2, false);
    for (int i = 0; i < peer_count; i++) {
        peer_expect(peers[i], "interop/client/all", "everybody", i % 3, false);
        peer_expect_empty(peers[i]);
    }
    for_each_client(close_one);
}

const struct test_case volume_cases[] = {
    {"ordering_qos0", ordering_qos0},
    {"ordering_qos1", ordering_qos1},
    {"ordering_qos2", ordering_qos2},
    {"many_clients", many_clients},
    {NULL, NULL},
};
