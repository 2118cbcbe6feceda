/* A small broker for the tests of modules that only live inside one. It is set up and driven by the public interface; a test
 * then looks into, and calls, its own module. */
#ifndef UNIT_FIXTURE_H
#define UNIT_FIXTURE_H

#include "midge.h"
#include "unit.h"

enum {
    FIXTURE_CLIENTS = 8,
    FIXTURE_HANDSHAKES = 2,
    FIXTURE_SESSIONS = 12,
    FIXTURE_DELIVERIES = 40,
    FIXTURE_BLOCKS = 64,
    FIXTURE_BLOCK_SIZE = 64,
    FIXTURE_REPLIES = 8,
    FIXTURE_OUTPUT_MAX = 65536
};

/* The usual configuration: small limits, the default policies, callbacks that count (see below). */
struct midge_config fixture_config(void);

struct midge *fixture_begin(const struct midge_config *config);

/* Audits, lets all connections and sessions end, and finds the pools empty but for retained messages. */
void fixture_end(struct midge *b);

/* Lets time pass, calling midge_advance whenever it asks for it. */
void fixture_advance(struct midge *b, uint32_t duration_ms);

/* Opens a connection, sends a CONNECT and takes the CONNACK. */
struct midge_handle fixture_connect(struct midge *b, const char *client_id, bool clean);

/* Opens a connection and sends nothing. */
struct midge_handle fixture_open(struct midge *b);

/* Sends bytes that must all be consumed. */
void fixture_send(struct midge *b, struct midge_handle conn, const void *bytes, size_t size);

/* Sends a SUBSCRIBE, which must be granted, and takes the SUBACK. */
void fixture_subscribe(struct midge *b, struct midge_handle conn, const char *filter, uint8_t qos);

/* Writes a PUBLISH; `flags` are those of the first byte, the identifier is left out at QoS 0. Returns its size. */
uint32_t fixture_put_publish(uint8_t *to, uint8_t flags, const char *topic, uint16_t packet_id, const void *payload,
                             uint32_t payload_size);

/* Retains a message, or clears it with an empty text. */
void fixture_retain(struct midge *b, const char *topic, const char *text);

/* Takes all output, into memory of fixture_output. Returns its size. */
uint32_t fixture_drain(struct midge *b, struct midge_handle conn);
extern uint8_t fixture_output[FIXTURE_OUTPUT_MAX];

/* Takes all events that are due. Returns how many of this type there were for this connection. */
uint32_t fixture_events(struct midge *b, struct midge_handle conn, enum midge_event_type type);

struct midge_view fixture_view(const char *text);

uint64_t fixture_drops(const struct midge *b, enum midge_reason reason);

/* What the callbacks saw and are to answer. */
struct fixture_callbacks {
    uint32_t logs[MIDGE_LOG_UNSUBSCRIBED + 1]; /* by event */
    enum midge_reason last_reason;
    uint32_t last_size;
    uint32_t last_topic_size;
    char denied[32]; /* the topic that nobody may read, write or subscribe to */
};
extern struct fixture_callbacks fixture_callbacks;

#endif
