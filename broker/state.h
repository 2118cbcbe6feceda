/*
 * What the broker consists of. Lower modules keep their own structures; those here tie connections, sessions and deliveries
 * together, and are shared by the files that act on them.
 */
#ifndef MIDGE_STATE_H
#define MIDGE_STATE_H

#include "list.h"
#include "packet.h"
#include "retained.h"
#include "subscriptions.h"
#include "timers.h"

/* ---- Deliveries: one message on its way to one session ---------------------------------------------------------------- */

enum {
    /* Those of the PUBLISH, as in its first byte. */
    MIDGE_DELIVERY_RETAIN = 0x01,
    MIDGE_DELIVERY_QOS = 0x06,
    MIDGE_DELIVERY_DUP = 0x08,
    MIDGE_DELIVERY_PUBLISH = MIDGE_DELIVERY_RETAIN | MIDGE_DELIVERY_QOS | MIDGE_DELIVERY_DUP,
    MIDGE_DELIVERY_STARTED = 0x10,  /* a byte of it is with the transport: it is sent again with DUP */
    MIDGE_DELIVERY_RELEASED = 0x20, /* PUBREC came: the message is gone, PUBREL is what is sent again */
    MIDGE_DELIVERY_CHARGED = 0x40   /* counts towards the session's share */
};

struct midge_delivery {
    midge_index next;
    midge_index message; /* 0 once released */
    uint16_t packet_id;  /* in the window; while queued, the order of arrival within the session */
    uint8_t flags;
};

static inline uint8_t midge_delivery_qos(const struct midge_delivery *d)
{
    return (d->flags & MIDGE_DELIVERY_QOS) >> 1;
}

/* A QoS 2 message received and not yet released by its publisher. */
struct midge_qos2 {
    midge_index bucket_next;
    midge_index next; /* of the same session */
    midge_index previous;
    midge_index session;
    uint16_t packet_id;
};

/* ---- Sessions ---------------------------------------------------------------------------------------------------------- */

enum {
    MIDGE_SESSION_EPHEMERAL = 0x01,  /* clean session: it ends with its connection */
    MIDGE_SESSION_REPLAY_TURN = 0x02 /* retained messages and live ones alternate: it is the former's turn */
};

/*
 * A session's deliveries: two queues, by QoS, so that QoS 0 does not wait for a full window; and the window, in the order in
 * which they are (or are to be) sent: those up to `sent` wait for an acknowledgement, those behind it are still to be sent.
 * On a new connection everything is to be sent again: `sent` becomes 0. QoS 0 entries leave the window when they are sent.
 */
struct midge_session {
    midge_index bucket_next;
    uint8_t match_qos;
    uint8_t flags;
    uint16_t client_id_size;
    midge_index client_id;
    uint32_t match_stamp; /* equals midge.match_stamp if it was found in the present match, then with match_qos */
    uint32_t charged_bytes;
    uint32_t who;           /* as the port said when the client was accepted */
    uint32_t offline_since; /* in units of 512 ms */
    midge_index charged_entries;
    midge_index connection; /* 0: offline */
    struct midge_list queue_qos0;
    struct midge_list queue;
    struct midge_list window;
    midge_index sent;
    uint16_t inflight_count; /* QoS 1 and 2 entries of the window */
    uint16_t next_packet_id;
    uint16_t clear_ids; /* that many identifiers from next_packet_id on are known to be unused */
    uint16_t arrivals;
    midge_index subscriptions; /* a circle; those with retained messages due come first */
    midge_index replay_last;   /* the last of those, 0: none */
    midge_index replay_node;   /* the cursor of the first of those */
    midge_index qos2;          /* the list of its unreleased QoS 2 messages */
    midge_index qos2_count;
    midge_index younger; /* among the offline sessions: the next one */
    midge_index older;   /* and the previous one */
};

/* ---- Connections ------------------------------------------------------------------------------------------------------- */

enum midge_connection_state {
    MIDGE_FREE,
    MIDGE_CONNECTING, /* no CONNECT was accepted yet */
    MIDGE_ACTIVE,
    MIDGE_CLOSING, /* input is swallowed, replies are flushed */
    MIDGE_CLOSED   /* MIDGE_CLOSE was raised, or the port is gone and the will is still due */
};

enum {
    MIDGE_CONN_ARMED = 0x01,     /* output that becomes due raises an event */
    MIDGE_CONN_WAITED = 0x02,    /* the packet at hand has waited: the deadline of its wait is valid */
    MIDGE_CONN_SKIPPED = 0x04,   /* the packet at hand found no room in time: the rest of it is not kept */
    MIDGE_CONN_COMPLETE = 0x08,  /* the packet in assembly is complete; its last byte is offered again and to be skipped */
    MIDGE_CONN_OVERSIZE = 0x10,  /* the packet in assembly is too large; it is read on only to name its topic */
    MIDGE_CONN_STARVED = 0x20,   /* its retained messages wait for a free delivery */
    MIDGE_CONN_PORT_GONE = 0x80, /* midge_disconnected was called */
};

/* A connection with events is in the list of those; also when it is freed, until its turn comes. */
enum {
    MIDGE_EVENT_OUTPUT = 1 << MIDGE_OUTPUT_READY,
    MIDGE_EVENT_INPUT = 1 << MIDGE_INPUT_READY,
    MIDGE_EVENT_CLOSE = 1 << MIDGE_CLOSE,
    MIDGE_EVENT_VOID = 0x80 /* what was due is no longer wanted */
};

/* What a connection waits for: one more than the stall it is counted as, or the turn of its will. */
enum midge_wait_kind {
    MIDGE_WAIT_NONE,
    MIDGE_WAIT_REPLIES = 1 + MIDGE_STALL_REPLIES,
    MIDGE_WAIT_AUTHENTICATION = 1 + MIDGE_STALL_AUTHENTICATION,
    MIDGE_WAIT_SUBSCRIBER = 1 + MIDGE_STALL_SUBSCRIBER,
    MIDGE_WAIT_DELIVERIES = 1 + MIDGE_STALL_DELIVERIES,
    MIDGE_WAIT_BLOCKS = 1 + MIDGE_STALL_BLOCKS,
    MIDGE_WAIT_ASSEMBLY = 1 + MIDGE_STALL_ASSEMBLY,
    MIDGE_WAIT_HANDSHAKE, /* counted as MIDGE_STALL_ASSEMBLY: blocks for the packet of a peer that is not accepted yet */
    MIDGE_WAIT_WILL,
    MIDGE_WAIT_COUNT
};

/* An acknowledgement to be sent. Consecutive packet identifiers share one. */
struct midge_reply {
    uint8_t type;  /* enum midge_packet_type; for a SUBACK with 1 .. 4 codes, their number in the upper 4 bits */
    uint8_t count; /* identifiers; CONNACK: the return code; SUBACK: the codes, 2 bits each, 3 for a failure */
    uint16_t id;   /* the first; CONNACK: session present */
};

enum { MIDGE_SMALL_BODY_MAX = 6, MIDGE_REPLY_CODES_MAX = 4, MIDGE_REPLY_CODE_BITS = 2, MIDGE_REPLY_CODE_FAILURE = 3 };

/* Nobody was asked yet whether the client may connect. */
enum { MIDGE_VERDICT_NONE = 254 };

/* Bytes come early: on a Cortex-M the first 31 are reached by shorter instructions. */
struct midge_connection {
    midge_index output_block; /* the block of its message that holds the next byte; overwritten while the slot is free */
    uint8_t state;
    uint8_t flags;
    uint8_t events;
    uint8_t wait_kind;
    uint8_t woken_kind; /* what it waited for until it was woken, and may now take before others */
    bool output_reply;  /* output_offset is of the first reply, not of the first unsent delivery */
    uint8_t replies_first;
    uint8_t replies_count;
    union {
        uint8_t verdict; /* enum midge_verdict, or MIDGE_VERDICT_NONE, before the client is accepted */
        uint8_t level;   /* the protocol's, afterwards: 3 or 4 */
    };
    uint8_t header_size; /* bytes in header; one more than a large packet's has, once its body is being taken or skipped */
    uint8_t header[2 + MIDGE_SMALL_BODY_MAX]; /* a fixed header in assembly, and a body that is small enough */
    union {
        uint16_t listener;    /* before the client is accepted */
        uint16_t keepalive_s; /* afterwards */
    };
    union {
        struct midge_handle handle;
        struct {
            midge_index index; /* its own, in the pool */
            midge_index generation;
        };
    };
    midge_index session;
    midge_index assembly; /* the message being received */
    midge_index assembly_tail;
    midge_index will;
    midge_index suback; /* the codes of a SUBACK that does not fit a reply */
    midge_index timer;
    midge_index event_next;
    uint32_t last_input_ms;
    uint32_t progress_ms;       /* when it last took a byte or acknowledged */
    uint32_t state_deadline_ms; /* for CONNECT, for the packet in assembly, or for closing, by state */
    uint32_t remaining;         /* bytes of the body of the packet in assembly */
    union {
        uint32_t who;           /* before the client is accepted, and for its will after the end */
        uint32_t output_offset; /* bytes of the packet that is partly with the transport: see output_reply */
    };
};

/* What a connection waits for, and who waits for it. It lies beside the connection, and the core does not write to it before
 * something has to wait: where memory comes by the page, as it is touched, clients that never wait do not pay for it. */
struct midge_wait {
    midge_index next; /* in the queue that it waits in */
    midge_index previous;
    midge_index object;        /* what it waits for: see midge_wait */
    struct midge_list waiters; /* publishers that wait for room in this one's queue */
    midge_index waiters_woken; /* and those that were woken and have not come back yet */
    midge_index starved_next;
    uint32_t deadline_ms;
};

/* ---- The broker -------------------------------------------------------------------------------------------------------- */

enum { MIDGE_LOG_CLIENT_MAX = 64, MIDGE_LOG_TOPIC_MAX = 128 };

/* What is used most comes first: on a Cortex-M the first 124 bytes are reached by shorter instructions, of indices the first
 * 62, and the address of the first field is that of the broker. */
struct midge {
    struct midge_store store;
    struct midge_list events;
    struct midge_list starved;
    struct midge_pool connections;
    struct midge_pool sessions;
    struct midge_pool deliveries;
    uint32_t waiting; /* connections in the queues of wait_queues, and in those of subscribers */
    uint32_t match_stamp;
    uint64_t now_ms;      /* the time, less what midge_advance was called late by */
    midge_index *targets; /* the sessions that a message goes to */
    struct midge_scratch scratch;
    struct midge_pool waits; /* one for each connection, with its index */
    struct midge_reply *replies;
    uint32_t blocks_for_packet;                      /* that a packet of packet_size_max takes */
    struct midge_list wait_queues[MIDGE_WAIT_COUNT]; /* by kind, of those that have a queue for the whole broker */
    /* The objects of those that were woken and have not come back yet, by kind, added up: modulo 2^32, since the indices of
     * subscribers may come to more, which nobody asks about. */
    uint32_t promised[MIDGE_WAIT_COUNT];
    struct midge_list offline; /* head: the one absent for longest */
    struct midge_config config;
    struct midge_names names;
    struct midge_subscriptions subscriptions;
    struct midge_retained retained;
    struct midge_timers timers;
    struct midge_pool qos2;
    struct midge_table session_table;
    struct midge_table qos2_table;
    uint64_t late_ms; /* what midge_advance was called late by */
    uint64_t next_ms; /* what it returned last, on the clock of now_ms, which starts at 0: the first call is late */
    uint64_t assigned_ids;
    uint32_t packet_size_max;    /* the policy's, or what half the blocks can hold */
    uint32_t assembly_reserved;  /* blocks that packets in assembly hold or were promised */
    uint32_t handshake_reserved; /* of those, for peers that are not accepted yet */
    struct midge_metrics metrics;
    struct midge_log log; /* the record at hand */
    uint8_t log_client[MIDGE_LOG_CLIENT_MAX];
    uint8_t log_topic[MIDGE_LOG_TOPIC_MAX];
};

_Static_assert(sizeof(struct midge) <= MIDGE_BROKER_SIZE, "struct midge");
_Static_assert(sizeof(struct midge_connection) == MIDGE_CONNECTION_SIZE, "connection");
_Static_assert(sizeof(struct midge_wait) == MIDGE_WAIT_SIZE, "wait");
_Static_assert(sizeof(struct midge_session) == MIDGE_SESSION_SIZE, "session");
_Static_assert(sizeof(struct midge_subscription) == MIDGE_SUBSCRIPTION_SIZE, "subscription");
_Static_assert(sizeof(struct midge_filter_node) == MIDGE_FILTER_NODE_SIZE, "filter node");
_Static_assert(sizeof(struct midge_topic_node) == MIDGE_TOPIC_NODE_SIZE, "topic node");
_Static_assert(sizeof(struct midge_delivery) == MIDGE_DELIVERY_SIZE, "delivery");
_Static_assert(sizeof(struct midge_qos2) == MIDGE_QOS2_SIZE, "QoS 2 identifier");
_Static_assert(sizeof(struct midge_reply) == MIDGE_REPLY_SIZE, "reply");
_Static_assert(sizeof(struct midge_timer) == MIDGE_TIMER_SIZE, "timer");
_Static_assert(sizeof(struct midge_walk) == 8, "match stack");

static inline struct midge_connection *midge_connection_at(const struct midge *b, midge_index connection)
{
    return (struct midge_connection *)b->connections.origin + connection;
}

static inline struct midge_wait *midge_wait_at(const struct midge *b, midge_index connection)
{
    return (struct midge_wait *)b->waits.origin + connection;
}

static inline struct midge_wait *midge_wait_of(const struct midge *b, const struct midge_connection *c)
{
    return midge_wait_at(b, c->index);
}

static inline struct midge_session *midge_session_at(const struct midge *b, midge_index session)
{
    return (struct midge_session *)b->sessions.origin + session;
}

/* The index of a session; its connection knows it too. */
static inline midge_index midge_session_index(const struct midge *b, const struct midge_session *s)
{
    return (midge_index)(s - (const struct midge_session *)b->sessions.origin);
}

/* The session of an accepted client. */
static inline struct midge_session *midge_session_of(const struct midge *b, const struct midge_connection *c)
{
    return midge_session_at(b, c->session);
}

static inline struct midge_delivery *midge_delivery_at(const struct midge *b, midge_index delivery)
{
    return (struct midge_delivery *)b->deliveries.origin + delivery;
}

static inline struct midge_qos2 *midge_qos2_at(const struct midge *b, midge_index entry)
{
    return (struct midge_qos2 *)b->qos2.origin + entry;
}

/* A topic or filter may take half of the scratch: a replay puts one of each together. */
static inline uint32_t midge_name_size_max(const struct midge *b)
{
    return b->scratch.size / 2;
}

/* The time in milliseconds on the clock of the connections, which wraps around. */
static inline uint32_t midge_now(const struct midge *b)
{
    return (uint32_t)b->now_ms;
}

#endif
