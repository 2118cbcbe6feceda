/* Everything there is in one simulation: the broker under test, the simulated clients, the network between them, and the
 * oracle's model. It depends on nothing but the seed, the number of steps and the steps left out. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "decode.h"
#include "memory.h"
#include "midge.h"
#include "rng.h"
#include "topics.h"

#include <setjmp.h>
#include <stdarg.h>

enum {
    CLIENTS_MAX = 200,
    ANONYMOUS_MAX = 56,                         /* connections with an empty client identifier, at once */
    SESSIONS_MAX = CLIENTS_MAX + ANONYMOUS_MAX, /* a session for each client, then those without an identifier */
    LINKS_MAX = 512,
    FILTERS_IN_PACKET = 8,
    RECORDS_MAX = 16384,
    SMALL_PAYLOAD = 8 /* a shorter payload does not tell which message it is */
};

#define NOBODY UINT32_MAX
#define REASON(id) (1ull << MIDGE_##id)
_Static_assert(MIDGE_REASON_COUNT <= 64, "a set of reasons is a 64-bit number");

/* ---- What travels ---------------------------------------------------------------------------------------------------- */

/* One PUBLISH as a publisher put it on the wire, or a will. A client that sends a message again sends another one of these,
 * whose payload differs, so that the oracle sees which of them the broker delivered. */
struct message {
    uint32_t topic;
    uint32_t size;      /* of the payload */
    uint32_t publisher; /* number of its session; NOBODY: the port */
    uint32_t original;  /* the message that this one repeats; itself if none */
    uint32_t refs;      /* the oracle's: how often the broker has reason to store it */
    uint8_t qos;
    bool retain;
    bool will;
    bool overtaken; /* it came by a connection that its client had given up, or from a confused one: QoS 2 promises nothing */
};

/* What a client meant by the bytes it wrote. */
struct packet {
    uint64_t end;      /* offset in the stream behind its last byte */
    uint64_t reasons;  /* not 0: malformed, the broker has to end the connection for one of these */
    bool skipped;      /* a QoS 0 message that the broker had no room to put together: it has reported so */
    const char *fault; /* malformed: what is wrong with it */
    uint32_t size;
    uint32_t levels;  /* of its topic, or the longest of its filters */
    uint32_t strings; /* bytes of its strings, as far as they are needed together */
    uint32_t message; /* PUBLISH */
    uint16_t packet_id;
    uint8_t type;
    bool dup;
    uint8_t filter_count;
    uint8_t filters[FILTERS_IN_PACKET];
    uint8_t filter_qos[FILTERS_IN_PACKET];
};

/* The CONNECT of a link. */
struct login {
    uint32_t session; /* whom it asks for */
    bool anonymous;
    bool clean;
    bool has_will;
    uint32_t will; /* message */
    uint16_t keepalive_s;
    uint8_t level;
    uint8_t verdict; /* what authenticate is to say in the end */
    bool pending;    /* it says MIDGE_PENDING first */
    char alias[16];  /* the identifier it sends, where the port knows it by another */
    char username[16];
    bool has_username;
};

/* Something the broker owes a connection: an acknowledgement, CONNACK or PINGRESP. */
struct reply {
    uint8_t type;
    uint8_t code_count;
    uint8_t codes[FILTERS_IN_PACKET]; /* SUBACK; [0] of a CONNACK */
    bool session_present;
    bool resumed; /* PUBREL because of a new connection */
    uint16_t packet_id;
};

enum link_state {
    LINK_FREE,
    LINK_OPEN, /* no CONNECT was answered yet */
    LINK_ACCEPTED,
    LINK_REFUSED, /* a CONNACK with a code other than 0 is due or sent */
    LINK_ENDED    /* the broker has ended it, whether the port knows it or not */
};

/* A transport connection, both directions. */
struct link {
    enum link_state state;
    struct midge_handle conn;
    uint32_t serial; /* no two connections of a simulation have the same */
    uint32_t index;  /* in the table of links, that of its handle */
    uint32_t client; /* whose it is */
    /* from the client to the broker */
    struct bytes out;
    uint64_t written;  /* offset in the stream behind the last byte written */
    uint64_t consumed; /* offset behind the last byte that the broker took */
    struct packet *packets;
    size_t packet_begin, packet_end, packet_capacity;
    struct login login;
    uint32_t epoch; /* of the session that it was accepted to */
    bool connect_written;
    bool authenticating; /* authenticate has said MIDGE_PENDING */
    bool stalled;        /* the broker took less than offered and has not said MIDGE_INPUT_READY */
    bool held;           /* it was stalled with the packet at hand, which the broker may hold already */
    /* from the broker to the client */
    struct bytes in;       /* the part of a packet that has been sent */
    uint32_t begun;        /* the delivery of the PUBLISH in `in`, if it is known; 0 */
    uint32_t sent_message; /* of the last whole PUBLISH */
    struct reply *replies;
    size_t reply_begin, reply_end, reply_capacity;
    struct decoded_copy *inbox; /* packets on their way to the client */
    size_t inbox_begin, inbox_end, inbox_capacity;
    bool output_ready; /* MIDGE_OUTPUT_READY, and midge_output has not returned 0 since */
    bool close_seen;   /* MIDGE_CLOSE */
    bool port_gone;    /* midge_disconnected is being called */
    bool connack_sent;
    /* faults */
    bool half_open;         /* nothing passes any more */
    bool client_gone;       /* the client closed it; what it wrote before may still arrive */
    bool leaving;           /* the client has written DISCONNECT */
    uint64_t blocked_until; /* the client takes no bytes */
    /* the oracle's clock */
    uint64_t opened_at;
    uint32_t connect_timeout_ms; /* as the policy was then */
    uint64_t heard_at;           /* when the broker was last offered a byte */
    uint64_t ended_at;
    enum midge_reason end_reason;
};

/* A packet that the broker sent, as the client will see it. */
struct decoded_copy {
    uint8_t type;
    uint8_t qos;
    uint8_t code;
    bool dup;
    bool retain;
    bool session_present;
    uint16_t packet_id;
    uint32_t message; /* PUBLISH */
};

/* ---- The oracle's model ---------------------------------------------------------------------------------------------- */

enum delivery_state {
    QUEUED,  /* no byte of it has left, as far as is known */
    SENDING, /* QoS 0: some bytes have left */
    SENT,    /* QoS 1 and 2: the first byte has left, PUBACK or PUBREC is awaited */
    RELEASED /* QoS 2: PUBREC came, PUBCOMP is awaited */
};

/* One message on its way to one session. */
struct delivery {
    uint32_t next, prev; /* in the session's list; 0: none */
    uint32_t message;
    uint32_t whole_on;  /* serial of the link on which it was last sent whole; 0: none */
    uint32_t begun_on;  /* serial of the link on which its first byte was last sent; 0: none */
    uint64_t arrival;   /* its place in the order of all publications */
    uint16_t packet_id; /* 0: not known yet */
    uint8_t state;
    uint8_t qos;
    bool retain;
    bool offered;   /* it was encoded once: the broker has taken it out of its queue, and does not drop it any more */
    uint32_t noted; /* the output in which it was last seen so; world.outputs */
};

struct delivery_list {
    uint32_t head, tail, count;
};

/* A retained message that is due because of a subscription. */
struct replay {
    uint32_t next; /* 0: none */
    uint32_t message;
    uint32_t filter;
    uint8_t qos;
    bool must; /* else it may come: it was replaced, or its subscription ended, while it was due */
};

/* A PUBLISH of QoS 1 or 2 of which the connection's end left an unknown part with the transport, too short to tell which
 * message it was: the broker counts it as sent, so that its redelivery carries DUP. */
struct partial {
    bool there;
    uint8_t qos;
    bool retain;
    uint16_t packet_id; /* 0: not known */
};

struct session {
    bool exists;
    bool clean;
    bool online;
    uint32_t link;  /* while online */
    uint32_t epoch; /* how often it was created */
    char id[32];    /* client identifier; of an anonymous one: as the broker assigned it */
    uint32_t id_size;
    uint64_t offline_since;
    uint64_t offline_order;
    uint8_t granted[FILTERS_MAX]; /* 0xff: not subscribed */
    uint8_t filters[FILTERS_MAX]; /* those subscribed to */
    uint32_t filter_count;
    struct delivery_list queue;  /* in the order of arrival */
    struct delivery_list flight; /* QoS 1 and 2, in the order in which they were first sent */
    struct partial partial;
    bool unseen;      /* one of the queue was encoded, in part, too little to tell which */
    bool settling;    /* its connection ended in the current call */
    uint32_t replays; /* list, in the order of the subscriptions; 0: none */
    uint32_t replays_last;
    uint32_t replays_due; /* of them those that must come */
    uint16_t *qos2_ids;   /* received and not released */
    size_t qos2_count, qos2_capacity;
};

/* ---- Clients --------------------------------------------------------------------------------------------------------- */

enum character {
    GOOD,     /* acknowledges at once and keeps the rules */
    LAZY,     /* reads and acknowledges slowly */
    SILENT,   /* never acknowledges */
    CONFUSED, /* acknowledges twice, unknown identifiers, the wrong kind */
    VANDAL    /* sends malformed packets too */
};

/* What a client has sent at QoS 1 or 2 and is not done with. */
struct outgoing {
    uint32_t message;
    uint16_t packet_id;
    bool released; /* PUBREL was sent */
};

struct ack {
    uint8_t type;
    uint16_t packet_id;
};

enum { OUTGOING_MAX = 24 };

struct client {
    char id[32];
    enum character character;
    bool persistent;
    uint32_t link;  /* its current connection; NOBODY */
    bool connected; /* CONNACK 0 came */
    bool anonymous; /* it has no client identifier */
    uint32_t epoch; /* of the session that it remembers */
    uint16_t next_id;
    struct outgoing outgoing[OUTGOING_MAX];
    uint32_t outgoing_count;
    struct ack *acks; /* due, in order */
    size_t ack_count, ack_capacity;
    uint16_t *received2; /* QoS 2 identifiers of which PUBREL has not come */
    size_t received2_count, received2_capacity;
    uint8_t *seen2; /* by message: this QoS 2 message (its original) has reached the application */
    size_t seen2_size;
};

/* ---- The scenario ---------------------------------------------------------------------------------------------------- */

/* What the seed has decided. Percentages unless said otherwise. */
struct scenario {
    const char *name;
    uint32_t clients;
    bool plain;       /* ample limits, no faults, good clients only */
    bool trace;       /* the broker's log of packets is on and is checked */
    bool policy_free; /* policies that limit nothing are drawn */
    bool late_clock;  /* midge_advance is called late at times */
    bool authenticate, authorize, aliases;
    uint32_t persistent, wills, bad_clients, anonymous;
    uint32_t cuts, takeovers, half_open; /* per mille of the steps */
    uint32_t qos[3];                     /* weights */
    uint32_t retain;
    uint32_t payload_max;
    uint32_t denied;
    uint32_t policy_changes; /* per mille */
    uint32_t keepalive_max_s;
    uint32_t pace_ms; /* the longest ordinary pause of the port */
    uint32_t publish_weight, subscribe_weight;
    struct midge_config config;
};

/* ---- What the broker says -------------------------------------------------------------------------------------------- */

struct record {
    enum midge_log_event event;
    enum midge_reason reason;
    uint32_t link; /* NOBODY if no connection of ours */
    midge_index conn_index, conn_generation;
    uint32_t size, limit;
    uint16_t packet_id;
    uint8_t packet, code;
    uint8_t id_size, topic_size;
    char id[64];
    char topic[128];
};

/* A publication that the broker is working on. */
struct publication {
    bool active;
    uint32_t message;
    uint8_t qos[SESSIONS_MAX]; /* 0xff: not for this session, or no more */
    uint32_t receivers[SESSIONS_MAX];
    uint32_t receiver_count;
    bool displaced[SESSIONS_MAX]; /* older messages of the session were dropped to make room for it */
    bool retained_failed;
    bool begun;       /* a loss was reported: all questions were settled before, and the others have got it */
    midge_index from; /* a will: its connection */
    bool denied;      /* the publisher may not */
    bool denied_seen; /* and the broker has said so */
};

struct pending_will {
    uint32_t message;
    struct midge_handle conn; /* as it was */
    uint64_t due_at;
};

struct options {
    uint64_t seed;
    uint32_t steps;
    bool trace;           /* note what happens */
    bool trace_live;      /* and print it at once */
    uint32_t audit_every; /* 0: as the scenario says */
};

struct world {
    struct options options;
    const uint8_t *skipped; /* one for each step; NULL: none is left out */
    uint32_t step;
    bool draining;
    struct rng rng;
    uint64_t now_ms;
    uint64_t late_ms;     /* by how much the clock was called late, as far as that is not held against clients */
    uint64_t fair_ms;     /* the time without that: the oracle's */
    uint64_t due_ms;      /* the deadline, on that clock */
    uint64_t advanced_ms; /* when timers last fired, on that clock */
    uint64_t deadline_ms; /* what midge_advance asked for */
    struct scenario scenario;
    struct topics topics;

    struct midge *broker;
    void *memory;

    struct link links[LINKS_MAX];
    uint32_t link_count; /* entries of the table that the handles can name */
    uint32_t links_used; /* how many are not free */
    uint32_t serial;
    struct client clients[CLIENTS_MAX];
    struct session sessions[SESSIONS_MAX];

    struct message *messages;
    size_t message_count, message_capacity;
    struct delivery *deliveries;
    size_t delivery_count, delivery_capacity;
    uint32_t delivery_free;
    struct replay *replays;
    size_t replay_count, replay_capacity;
    uint32_t replay_free;
    uint64_t arrivals;
    uint64_t offline_order;
    uint32_t retained[TOPICS_MAX]; /* message; 0: none */
    struct pending_will *wills;    /* that are due and not yet published */
    size_t will_count, will_capacity;

    struct record *records; /* of the current call */
    uint32_t record_count;
    uint32_t record_at;    /* the one being judged */
    uint32_t call_filters; /* of all SUBSCRIBEs and UNSUBSCRIBEs of the current call */
    uint32_t call_link;    /* the link that the current call concerns */
    uint32_t current_link; /* the link whose packet is being worked on */
    struct packet current;
    bool current_active;
    bool current_received;                 /* the trace has shown it */
    enum midge_reason denied[FILTERS_MAX]; /* filters that the current SUBSCRIBE is denied */
    bool mismatch;                         /* the current packet acknowledges with the wrong kind: the connection has to end */
    bool crowded;                          /* a connection has just been refused for want of a handle */
    bool policy_changed;                   /* since a while durations do not tell when something has to happen */
    uint32_t packet_size_least;            /* the smallest packet_size_max so far, whether set or following from the blocks */
    uint32_t inflight_peak_allowed;        /* the largest inflight_max so far */
    uint32_t outputs;                      /* how often the broker was asked for output */
    struct publication publication;

    uint64_t drops[MIDGE_REASON_COUNT]; /* as the log records say */
    struct midge_metrics metrics;
    struct midge_metrics before; /* the current call */
    uint32_t stored_messages;
    uint64_t stored_bytes;
    uint32_t qos2_used;
    uint32_t retained_count;
    uint64_t retained_bytes;
    uint32_t sessions_used, sessions_offline, links_accepted, deliveries_used, subscriptions_used;

    uint32_t topic_uses[TOPICS_MAX];

    uint64_t events; /* packets in and out, connections begun and ended, timer calls */
    uint64_t published, delivered;
    uint64_t checks, audits; /* steps, and how many of them ended with a look at everything */
    uint64_t audit_credit;   /* entries that may be looked at */

    jmp_buf failed;
    char failure[2048];
    /* the last lines of the trace, printed when the simulation fails */
    char *trace;
    uint32_t trace_next;
};

enum { TRACE_LINES = 80, TRACE_WIDTH = 400 };

/* ---- Words (words.c) ------------------------------------------------------------------------------------------------- */

/* Ends the simulation: the oracle and the broker disagree. */
_Noreturn void fail(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Notes what happens, in words; costs nothing unless the trace is on. */
void trace_line(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define TRACE(w, ...) ((w)->options.trace ? trace_line(w, __VA_ARGS__) : (void)0)
void trace_print(const struct world *w);

/* The names of things, in one of a few static buffers. */
const char *say_message(const struct world *w, uint32_t message);
const char *say_session(const struct world *w, uint32_t session);
const char *say_link(const struct world *w, const struct link *link);
const char *say_packet(const struct world *w, const struct packet *packet);
const char *say_type(uint32_t type);
const char *say_reason(enum midge_reason reason);

#endif
