/* What outlives a connection: sessions, queues, wills, takeover. */
#include "cases.h"
#include "peer.h"

#include <stdio.h>
#include <string.h>

static const struct how persistent = {.clean = false};

static void refusals(void)
{
    struct peer *peer = peer_new("");
    int code = peer_connect(peer, &persistent);
    CHECK(code == 2, "an empty client identifier without clean session was answered with %d", code); /* [MQTT-3.1.3-8] */
    peer_free(peer);
    peer_close(peer_open("")); /* [MQTT-3.1.3-6] */
    static const struct how level_3 = {.clean = true, .level_3 = true};
    peer = peer_open_how("level-3", &level_3);
    peer_subscribe(peer, "interop/level3", 2);
    peer_publish(peer, "interop/level3", "old", 2, false);
    peer_expect(peer, "interop/level3", "old", 2, false);
    peer_close(peer);
}

static void session_present(void)
{
    peer_forget("present");
    static const bool expected[] = {false, true, true};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        struct peer *peer = peer_open_how("present", &persistent);
        CHECK(peer->session_present == expected[i], "session present is %d at connection %zu", peer->session_present, i + 1);
        peer_close(peer);
    }
    peer_forget("present");
    struct peer *peer = peer_open_how("present", &persistent);
    CHECK(!peer->session_present, "a clean session left something behind"); /* [MQTT-3.1.2-6] */
    peer_close(peer);
    peer_forget("present");
}

/* An absent client gets what was published at QoS 1 and 2, in order, without subscribing again; whether it left or was lost,
 * and again when a queue that has been emptied fills once more. */
static void offline_delivery(void)
{
    enum { COUNT = 20 };
    struct peer *publisher = peer_open("offline-publisher");
    peer_forget("offline");
    struct peer *peer = peer_open_how("offline", &persistent);
    peer_subscribe(peer, "interop/offline/#", 2);
    for (int round = 0; round < 4; round++) {
        int qos = 1 + round % 2;
        if (round < 2) {
            peer_close(peer);
        } else {
            peer_cut(peer);
            peer_free(peer);
        }
        char payload[16];
        for (int i = 0; i < COUNT; i++) {
            snprintf(payload, sizeof payload, "%d", i);
            peer_publish(publisher, "interop/offline/x", payload, qos, false);
        }
        peer = peer_open_how("offline", &persistent);
        CHECK(peer->session_present, "the session is gone");
        for (int i = 0; i < COUNT; i++) {
            snprintf(payload, sizeof payload, "%d", i);
            peer_expect(peer, "interop/offline/x", payload, qos, false);
        }
        peer_publish(publisher, "interop/offline/x", "live", qos, false);
        peer_expect(peer, "interop/offline/x", "live", qos, false);
        peer_expect_empty(peer);
        peer_settle(peer);
    }
    peer_close(peer);
    peer_forget("offline");
    peer_close(publisher);
}

/* A clean session forgets the subscriptions and the queue of the session before it. */
static void clean_session_forgets(void)
{
    struct peer *publisher = peer_open("forget-publisher");
    struct peer *peer = peer_open_how("forget", &persistent);
    peer_subscribe(peer, "interop/forget", 1);
    peer_close(peer);
    peer_publish(publisher, "interop/forget", "queued", 1, false);
    peer = peer_open("forget");
    CHECK(!peer->session_present, "session present in answer to clean session");
    peer_publish(publisher, "interop/forget", "live", 1, false);
    peer_subscribe(peer, "interop/forget", 1);
    peer_publish(publisher, "interop/forget", "marker", 1, false);
    peer_expect(peer, "interop/forget", "marker", 1, false);
    peer_expect_empty(peer);
    peer_close(peer);
    peer_close(publisher);
}

/* A connection that is cut publishes its will, with its QoS; with its retain flag, late subscribers get it too. */
static void wills(void)
{
    struct peer *watcher = peer_open("will-watcher");
    struct peer *late = peer_open("will-late");
    peer_subscribe(watcher, "interop/will", 2);
    for (int variant = 0; variant < 6; variant++) {
        char payload[32];
        snprintf(payload, sizeof payload, "will %d", variant);
        struct will will = {"interop/will", payload, variant % 3, variant >= 3};
        struct peer *peer = peer_open_how("will-owner", &(struct how){.clean = true, .will = &will});
        peer_cut(peer);
        peer_free(peer);
        peer_expect(watcher, "interop/will", payload, will.qos, false);
        peer_subscribe(late, "interop/will", 2);
        if (will.retain) {
            peer_expect(late, "interop/will", payload, will.qos, true);
        }
        peer_publish(late, "interop/will", "", 2, true);
        peer_expect(late, "interop/will", "", 2, false);
        peer_expect_empty(late);
        peer_unsubscribe(late, "interop/will");
        peer_expect(watcher, "interop/will", "", 2, false);
    }
    peer_expect_empty(watcher);
    peer_close(late);
    peer_close(watcher);
}

/* DISCONNECT removes the will [MQTT-3.14.4-3]. */
static void will_removed(void)
{
    struct peer *watcher = peer_open("will-watcher");
    peer_subscribe(watcher, "interop/will", 2);
    struct will will = {"interop/will", "wrong", 2, true};
    struct peer *peer = peer_open_how("will-owner", &(struct how){.clean = true, .will = &will});
    peer_close(peer);
    peer_publish(watcher, "interop/will", "marker", 2, false);
    peer_expect(watcher, "interop/will", "marker", 2, false);
    peer_expect_empty(watcher);
    peer_close(watcher);
}

/* An empty will payload is a message too. */
static void will_without_payload(void)
{
    struct peer *watcher = peer_open("will-watcher");
    peer_subscribe(watcher, "interop/will", 1);
    struct will will = {"interop/will", "", 1, false};
    struct peer *peer = peer_open_how("will-owner", &(struct how){.clean = true, .will = &will});
    peer_cut(peer);
    peer_free(peer);
    peer_expect(watcher, "interop/will", "", 1, false);
    peer_close(watcher);
}

/* A second connection with the same client identifier ends the first [MQTT-3.1.4-2] and inherits its session; the first one's
 * will is published. */
static void takeover(void)
{
    struct peer *watcher = peer_open("takeover-watcher");
    peer_subscribe(watcher, "interop/takeover/will", 1);
    peer_forget("takeover");
    struct will will = {"interop/takeover/will", "taken over", 1, false};
    struct how how = {.clean = false, .will = &will};
    struct peer *current = peer_open_how("takeover", &how);
    peer_subscribe(current, "interop/takeover", 2);
    for (int round = 0; round < 5; round++) {
        struct peer *next = peer_open_how("takeover", &how);
        CHECK(next->session_present, "the session was not taken over");
        peer_wait_lost(current);
        peer_expect_empty(current);
        peer_free(current);
        if (!settings.reference) { /* Mosquitto 2.0 forgets the will where the session stays. */
            peer_expect(watcher, "interop/takeover/will", "taken over", 1, false);
        }
        current = next;
        peer_publish(watcher, "interop/takeover", "still here", 2, false);
        peer_expect(current, "interop/takeover", "still here", 2, false);
    }
    peer_close(current);
    peer_forget("takeover");
    peer_publish(watcher, "interop/takeover/will", "marker", 1, false);
    peer_expect(watcher, "interop/takeover/will", "marker", 1, false);
    peer_expect_empty(watcher);
    peer_close(watcher);
}

/* Paho pings when nothing else is to be sent; a broker that did not count that would end the connection. What the client waits
 * for is the ping itself: 2 keep alive times pass. They are long, or else the broker would be right to end it wherever the
 * machine stands still for a second. */
static void keepalive(void)
{
    struct peer *watcher = peer_open("keepalive-watcher");
    peer_subscribe(watcher, "interop/keepalive", 1);
    struct will will = {"interop/keepalive", "died", 1, false};
    struct peer *peer = peer_open_how("keepalive", &(struct how){.clean = true, .keepalive_s = 10, .will = &will});
    peer_pause(20);
    peer_publish(peer, "interop/keepalive", "alive", 1, false);
    peer_expect(watcher, "interop/keepalive", "alive", 1, false);
    peer_close(peer);
    peer_close(watcher);
}

const struct test_case session_cases[] = {
    {"refusals", refusals},
    {"session_present", session_present},
    {"offline_delivery", offline_delivery},
    {"clean_session_forgets", clean_session_forgets},
    {"wills", wills},
    {"will_removed", will_removed},
    {"will_without_payload", will_without_payload},
    {"takeover", takeover},
    {"keepalive", keepalive},
    {NULL, NULL},
};
