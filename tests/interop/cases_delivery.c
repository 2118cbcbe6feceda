/* How single messages arrive: QoS, retained messages, payloads. */
#include "cases.h"
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every QoS of a publisher to every QoS of a subscription: the lower of the two arrives [MQTT-3.8.4-6]. */
static void qos_matrix(void)
{
    struct peer *publisher = peer_open("qos-publisher");
    struct peer *subscriber = peer_open("qos-subscriber");
    for (int wanted = 0; wanted <= 2; wanted++) {
        int granted = peer_subscribe(subscriber, "interop/qos", wanted);
        CHECK(granted == wanted, "QoS %d was granted for %d", granted, wanted);
        for (int qos = 0; qos <= 2; qos++) {
            char payload[32];
            snprintf(payload, sizeof payload, "%d to %d", qos, wanted);
            peer_publish(publisher, "interop/qos", payload, qos, false);
            peer_expect(subscriber, "interop/qos", payload, qos < wanted ? qos : wanted, false);
        }
    }
    peer_expect_empty(subscriber);
    peer_close(subscriber);
    peer_close(publisher);
}

/* A publisher that subscribes to its own topic. */
static void own_messages(void)
{
    struct peer *peer = peer_open("own");
    peer_subscribe(peer, "interop/own", 2);
    for (int qos = 0; qos <= 2; qos++) {
        peer_publish(peer, "interop/own", "mine", qos, false);
        peer_expect(peer, "interop/own", "mine", qos, false);
    }
    peer_close(peer);
}

/* Subscribes anew and expects the retained message, or none: the one behind it is a marker. */
static void expect_retained(struct peer *late, const char *payload, int qos)
{
    peer_subscribe(late, "interop/retained", 2);
    if (payload != NULL) {
        peer_expect(late, "interop/retained", payload, qos, true);
    }
    peer_publish(late, "interop/retained", "marker", 2, false);
    peer_expect(late, "interop/retained", "marker", 2, false);
    peer_unsubscribe(late, "interop/retained");
    peer_expect_empty(late);
}

static void retained_set_replace_clear(void)
{
    struct peer *publisher = peer_open("retained-publisher");
    struct peer *live = peer_open("retained-live");
    struct peer *late = peer_open("retained-late");
    peer_subscribe(live, "interop/retained", 2);
    for (int qos = 0; qos <= 2; qos++) {
        expect_retained(late, NULL, 0);
        peer_expect(live, "interop/retained", "marker", 2, false);
        peer_publish(publisher, "interop/retained", "first", qos, true);
        peer_expect(live, "interop/retained", "first", qos, false);
        expect_retained(late, "first", qos);
        peer_expect(live, "interop/retained", "marker", 2, false);
        peer_publish(publisher, "interop/retained", "second", qos, true);
        peer_expect(live, "interop/retained", "second", qos, false);
        expect_retained(late, "second", qos);
        peer_expect(live, "interop/retained", "marker", 2, false);
        peer_publish(publisher, "interop/retained", "", qos, true);
        peer_expect(live, "interop/retained", "", qos, false);
    }
    expect_retained(late, NULL, 0);
    peer_close(late);
    peer_close(live);
    peer_close(publisher);
}

/* Subscribing again sends the retained message again [MQTT-3.8.4-3], at the lower QoS. */
static void retained_again(void)
{
    struct peer *peer = peer_open("retained-again");
    peer_publish(peer, "interop/again", "kept", 2, true);
    for (int qos = 2; qos >= 0; qos--) {
        peer_subscribe(peer, "interop/again", qos);
        peer_expect(peer, "interop/again", "kept", qos, true);
    }
    peer_publish(peer, "interop/again", "", 0, true);
    peer_expect(peer, "interop/again", "", 0, false);
    peer_expect_empty(peer);
    peer_close(peer);
}

/* One filter, many retained messages, each once. */
static void retained_many(void)
{
    enum { MANY = 20 };
    int count = settings.small ? 8 : MANY;
    bool seen[MANY] = {false};
    char topic[64];
    struct peer *peer = peer_open("retained-many");
    for (int i = 0; i < count; i++) {
        snprintf(topic, sizeof topic, "interop/many/%d", i);
        peer_publish(peer, topic, topic, i % 3, true);
    }
    peer_subscribe(peer, "interop/many/+", 2);
    for (int i = 0; i < count; i++) {
        struct message *message = peer_receive(peer);
        int number = atoi(message->topic + strlen("interop/many/"));
        CHECK(message->retained && message_is(message, message->topic), "%s is not what was retained", message->topic);
        CHECK(number >= 0 && number < count && !seen[number], "%s came twice", message->topic);
        seen[number] = true;
        message_free(message);
    }
    peer_unsubscribe(peer, "interop/many/+");
    for (int i = 0; i < count; i++) {
        snprintf(topic, sizeof topic, "interop/many/%d", i);
        peer_publish(peer, topic, "", 1, true);
    }
    peer_subscribe(peer, "interop/many/#", 2);
    peer_publish(peer, "interop/many", "marker", 2, false);
    peer_expect(peer, "interop/many", "marker", 2, false);
    peer_expect_empty(peer);
    peer_close(peer);
}

static void empty_payload(void)
{
    struct peer *peer = peer_open("empty");
    peer_subscribe(peer, "interop/empty", 2);
    for (int qos = 0; qos <= 2; qos++) {
        peer_publish(peer, "interop/empty", "", qos, false);
        peer_expect(peer, "interop/empty", "", qos, false);
    }
    peer_close(peer);
}

/* Bytes of every value, in an order that a lost or doubled piece disturbs. */
static void fill(uint8_t *bytes, size_t size, uint32_t state)
{
    for (size_t i = 0; i < size; i++) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        bytes[i] = (uint8_t)state;
    }
}

static void large_payload(void)
{
    static const size_t usual[] = {127, 128, 16383, 16384, 65535, 65536, 250000, 1048576};
    static const size_t small[] = {100, 127, 128, 256, 512, 800, 1023, 1024};
    struct peer *publisher = peer_open("large-publisher");
    struct peer *subscriber = peer_open("large-subscriber");
    peer_subscribe(subscriber, "interop/large", 2);
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++) {
        size_t size = settings.small ? small[i] : usual[i];
        uint8_t *payload = malloc(size);
        CHECK(payload != NULL, "out of memory");
        fill(payload, size, (uint32_t)size);
        for (int qos = 0; qos <= 2; qos++) {
            peer_send(publisher, "interop/large", payload, size, qos, false);
            struct message *message = peer_receive(subscriber);
            CHECK(message->qos == qos && !message->dup, "QoS %d dup %d, expected QoS %d", message->qos, message->dup, qos);
            CHECK(message->size == size && memcmp(message->payload, payload, size) == 0, "payload of %zu bytes is damaged",
                  size);
            message_free(message);
            peer_flush(publisher);
        }
        free(payload);
    }
    peer_close(subscriber);
    peer_close(publisher);
}

const struct test_case delivery_cases[] = {
    {"qos_matrix", qos_matrix},
    {"own_messages", own_messages},
    {"retained_set_replace_clear", retained_set_replace_clear},
    {"retained_again", retained_again},
    {"retained_many", retained_many},
    {"empty_payload", empty_payload},
    {"large_payload", large_payload},
    {NULL, NULL},
};
