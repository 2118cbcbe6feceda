/*
 * Midge: an MQTT 3.1.1 broker core that never allocates, never blocks and never touches a socket, a clock or a file.
 *
 * This is the only public header, and the manual. A port (see port/README.md) feeds the core with bytes and the time, and
 * drains what the core wants to send:
 *
 *            midge_time(broker, now_ms)                the port has waited, and it is now ...
 *     conn = midge_connected(broker, listener)         a transport connection was accepted
 *     used = midge_receive(broker, conn, bytes, size)  bytes came in; fewer used than offered is a stall
 *     size = midge_output(broker, conn, buffer, n)     what is due, encoded into the port's buffer ...
 *            midge_output_done(broker, conn, sent)     ... and how much of it the transport took
 *            midge_disconnected(broker, conn)          the transport connection is gone
 *     next = midge_advance(broker, now_ms)             the time; timers fire here and nowhere else
 *            midge_next_event(broker, &event)          what the port has to do next
 *
 * The core is a deterministic function of these calls: the same calls give the same results, byte for byte. It calls the
 * port back only for pure questions (authenticate, authorize) and to log; no callback may call the core.
 *
 * Strings are never terminated: a view is a pointer and a size. Views given to callbacks are valid during the call only.
 */
#ifndef MIDGE_H
#define MIDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MIDGE_VERSION "0.1.0"

/* The one compile-time choice: the width of an index into a pool. 16 on boards, 32 elsewhere. With 16 bits a pool holds at
 * most 32,000 entries; sizes in bytes have 32 bits either way. */
#ifndef MIDGE_INDEX_BITS
#define MIDGE_INDEX_BITS 32
#endif
#if MIDGE_INDEX_BITS == 16
typedef uint16_t midge_index;
typedef uint32_t midge_counter; /* wraps around */
#elif MIDGE_INDEX_BITS == 32
typedef uint32_t midge_index;
typedef uint64_t midge_counter;
#else
#error "MIDGE_INDEX_BITS is 16 or 32"
#endif

struct midge; /* the broker; it lies at the start of the memory given to midge_init */

/* A connection. index is 1 .. clients + handshakes and may serve the port as an index into a table of its own; a handle that
 * outlived its connection is recognised by its generation and ignored by every function. index 0 means none. */
struct midge_handle {
    midge_index index;
    midge_index generation;
};

struct midge_view {
    const uint8_t *bytes; /* not NULL where size > 0 */
    uint32_t size;
};

/* ---- Memory ---------------------------------------------------------------------------------------------------------- */

/* Every count and size that decides how much memory the broker takes. Nothing here changes after midge_init. A count is at
 * most 32,000 with 16-bit indices, else 16,777,214. The RAM that an entry costs is given for 16-bit / 32-bit indices; it is
 * checked at compile time. `midge --memory` and MIDGE_MEMORY_SIZE show the sum. The order is that of MIDGE_MEMORY_SIZE. */
struct midge_limits {
    /* Clients connected at once. At least 1. */
    uint32_t clients;
    /* Connections beyond `clients`, for peers that have not been accepted yet: so a full broker can still hear a client that
     * comes back and takes its own session over, and can still tell the next one why it is refused. At least 1. */
    uint32_t handshakes;
    /* Sessions, those of connected clients and those kept for absent ones. At least `clients`. */
    uint32_t sessions;
    /* Subscriptions of all sessions together. 0: every SUBSCRIBE is refused. */
    uint32_t subscriptions;
    /* Nodes of the subscription index: one for each topic level of a filter, shared by filters that start alike, beside
     * the root. 0: none. */
    uint32_t filter_nodes;
    /* Nodes of the retained index: one for each topic level of a retained topic, shared likewise, beside the root.
     * 0: nothing is retained. */
    uint32_t topic_nodes;
    /* Chunks of `name_size` bytes for client identifiers and topic levels. A string of n bytes takes
     * ceil(n / (name_size - sizeof(midge_index))) chunks; an empty one takes none. */
    uint32_t names;
    /* 8 .. 256, a multiple of 4. */
    uint32_t name_size;
    /* Messages queued for or in flight to clients; one entry for each message and each receiver. At least 1. */
    uint32_t deliveries;
    /* Packet identifiers of QoS 2 messages received and not yet released, of all clients together; one client may hold as many
     * as are left for the others. At least 1: a broker cannot forbid QoS 2 to a publisher. */
    uint32_t qos2_identifiers;
    /* Blocks of `block_size` bytes for everything of a packet that has to be kept: messages, wills, packets that do not lie
     * whole in the input. At least 4, and less than 4 GiB together. */
    uint32_t blocks;
    /* 64 .. 4,096, a multiple of 8. */
    uint32_t block_size;
    /* Entries of the ring of acknowledgements that each connection has: 4 .. 128. Acknowledgements of consecutive packet
     * identifiers share an entry. */
    uint32_t replies;
    /* Bytes in which strings that lie across blocks are put together while one packet is handled: at least 64. A topic or a
     * filter may take half of them at most; the strings of a CONNECT that does not lie whole in the input, all together, all.
     */
    uint32_t scratch_size;
    /* Levels of a topic or filter: 1 .. 65,535; a packet with more costs its sender the connection. */
    uint32_t topic_levels;
};

/* What one entry costs in bytes; broker/state.h asserts that this is true. */
#if MIDGE_INDEX_BITS == 16
#define MIDGE_CONNECTION_SIZE 60u
#define MIDGE_WAIT_SIZE 20u
#define MIDGE_SESSION_SIZE 64u
#define MIDGE_SUBSCRIPTION_SIZE 16u
#define MIDGE_FILTER_NODE_SIZE 16u
#define MIDGE_TOPIC_NODE_SIZE 24u
#define MIDGE_DELIVERY_SIZE 8u
#define MIDGE_QOS2_SIZE 10u
#else
#define MIDGE_CONNECTION_SIZE 80u
#define MIDGE_WAIT_SIZE 32u
#define MIDGE_SESSION_SIZE 100u
#define MIDGE_SUBSCRIPTION_SIZE 28u
#define MIDGE_FILTER_NODE_SIZE 32u
#define MIDGE_TOPIC_NODE_SIZE 40u
#define MIDGE_DELIVERY_SIZE 12u
#define MIDGE_QOS2_SIZE 20u
#endif
#define MIDGE_REPLY_SIZE 4u
#define MIDGE_TIMER_SIZE 8u
#define MIDGE_INDEX_SIZE ((uint32_t)sizeof(midge_index))
#define MIDGE_BROKER_SIZE (MIDGE_INDEX_BITS * 29u + 608u + 58u * (uint32_t)sizeof(void *)) /* struct midge itself, at most */

/* The rows of the memory table: identifier, name, number of entries, bytes of an entry. `L(field)` gives a limit. */
#define MIDGE_MEMORY_ROWS(X, L)                                                                                                \
    X(BROKER, "broker", 1u, MIDGE_BROKER_SIZE)                                                                                 \
    X(CONNECTIONS, "connections", L(clients) + L(handshakes), MIDGE_CONNECTION_SIZE)                                           \
    X(WAITS, "waits", L(clients) + L(handshakes), MIDGE_WAIT_SIZE)                                                             \
    X(REPLIES, "replies", (L(clients) + L(handshakes)) * L(replies), MIDGE_REPLY_SIZE)                                         \
    X(TIMERS, "timers", L(clients) + L(handshakes), MIDGE_TIMER_SIZE)                                                          \
    X(SESSIONS, "sessions", L(sessions), MIDGE_SESSION_SIZE)                                                                   \
    X(SESSION_BUCKETS, "session buckets", L(sessions), MIDGE_INDEX_SIZE)                                                       \
    X(TARGETS, "route targets", L(sessions), MIDGE_INDEX_SIZE)                                                                 \
    X(SUBSCRIPTIONS, "subscriptions", L(subscriptions), MIDGE_SUBSCRIPTION_SIZE)                                               \
    X(FILTER_NODES, "filter nodes", L(filter_nodes) + 1u, MIDGE_FILTER_NODE_SIZE)                                              \
    X(FILTER_BUCKETS, "filter buckets", L(filter_nodes), MIDGE_INDEX_SIZE)                                                     \
    X(TOPIC_NODES, "topic nodes", L(topic_nodes) + 1u, MIDGE_TOPIC_NODE_SIZE)                                                  \
    X(TOPIC_BUCKETS, "topic buckets", L(topic_nodes), MIDGE_INDEX_SIZE)                                                        \
    X(NAMES, "names", L(names), L(name_size))                                                                                  \
    X(DELIVERIES, "deliveries", L(deliveries), MIDGE_DELIVERY_SIZE)                                                            \
    X(QOS2_IDENTIFIERS, "QoS 2 identifiers", L(qos2_identifiers), MIDGE_QOS2_SIZE)                                             \
    X(QOS2_BUCKETS, "QoS 2 buckets", L(qos2_identifiers), MIDGE_INDEX_SIZE)                                                    \
    X(BLOCKS, "blocks", L(blocks), L(block_size))                                                                              \
    X(SCRATCH, "scratch", L(scratch_size), 1u)                                                                                 \
    X(WALK, "match stack", L(topic_levels) + 1u, 8u)

#define MIDGE_ROW_ID(id, name, count, size) MIDGE_MEMORY_##id,
#define MIDGE_LIMIT_NONE(field) 0u
enum midge_memory_id { MIDGE_MEMORY_ROWS(MIDGE_ROW_ID, MIDGE_LIMIT_NONE) MIDGE_MEMORY_ROW_COUNT };
#undef MIDGE_ROW_ID
#undef MIDGE_LIMIT_NONE

/* The bytes that midge_init needs, as a constant expression, for a static array: the arguments are the fields of struct
 * midge_limits in their order, so that one macro can serve as the initializer of the one and the arguments of the other:
 *
 *     #define BOARD_LIMITS 16, 2, 24, ...
 *     static const struct midge_limits limits = { BOARD_LIMITS };
 *     static uint64_t memory[MIDGE_MEMORY_SIZE(BOARD_LIMITS) / 8];
 */
#define MIDGE_MEMORY_SIZE(...) MIDGE_MEMORY_SIZE_(__VA_ARGS__)
#define MIDGE_ALIGN_UP(size) ((((size_t)(size)) + 7u) & ~(size_t)7u)
#define MIDGE_MEMORY_SIZE_(clients, handshakes, sessions, subscriptions, filter_nodes, topic_nodes, names, name_size,          \
                           deliveries, qos2_identifiers, blocks, block_size, replies, scratch_size, topic_levels)              \
    (MIDGE_ALIGN_UP(MIDGE_BROKER_SIZE) + MIDGE_ALIGN_UP(((size_t)(clients) + (handshakes)) * MIDGE_CONNECTION_SIZE) +          \
     MIDGE_ALIGN_UP(((size_t)(clients) + (handshakes)) * MIDGE_WAIT_SIZE) +                                                    \
     MIDGE_ALIGN_UP(((size_t)(clients) + (handshakes)) * (replies)*MIDGE_REPLY_SIZE) +                                         \
     MIDGE_ALIGN_UP(((size_t)(clients) + (handshakes)) * MIDGE_TIMER_SIZE) +                                                   \
     MIDGE_ALIGN_UP((size_t)(sessions)*MIDGE_SESSION_SIZE) + 2u * MIDGE_ALIGN_UP((size_t)(sessions)*MIDGE_INDEX_SIZE) +        \
     MIDGE_ALIGN_UP((size_t)(subscriptions)*MIDGE_SUBSCRIPTION_SIZE) +                                                         \
     MIDGE_ALIGN_UP(((size_t)(filter_nodes) + 1u) * MIDGE_FILTER_NODE_SIZE) +                                                  \
     MIDGE_ALIGN_UP((size_t)(filter_nodes)*MIDGE_INDEX_SIZE) +                                                                 \
     MIDGE_ALIGN_UP(((size_t)(topic_nodes) + 1u) * MIDGE_TOPIC_NODE_SIZE) +                                                    \
     MIDGE_ALIGN_UP((size_t)(topic_nodes)*MIDGE_INDEX_SIZE) + MIDGE_ALIGN_UP((size_t)(names) * (name_size)) +                  \
     MIDGE_ALIGN_UP((size_t)(deliveries)*MIDGE_DELIVERY_SIZE) + MIDGE_ALIGN_UP((size_t)(qos2_identifiers)*MIDGE_QOS2_SIZE) +   \
     MIDGE_ALIGN_UP((size_t)(qos2_identifiers)*MIDGE_INDEX_SIZE) + MIDGE_ALIGN_UP((size_t)(blocks) * (block_size)) +           \
     MIDGE_ALIGN_UP(scratch_size) + MIDGE_ALIGN_UP(((size_t)(topic_levels) + 1u) * 8u))

/* The same sum at run time. */
size_t midge_memory_size(const struct midge_limits *limits);

/* The memory table: of each row the count, and the size of an entry in bytes. The rows, each rounded up to 8 bytes, add up to
 * midge_memory_size. */
struct midge_memory_row {
    uint32_t count;
    uint32_t entry_size;
};
void midge_memory_rows(const struct midge_limits *limits, struct midge_memory_row rows[MIDGE_MEMORY_ROW_COUNT]);

/* ---- Policies -------------------------------------------------------------------------------------------------------- */

/* What becomes of a message for one subscriber whose queue has no room, once waiting for it is not or no longer allowed. A
 * publisher waits only for a subscriber that is connected, is not waiting itself, is not the publisher, and made progress
 * within `progress_ms`; and it waits for `wait_ms` at most. Each message that is lost is counted with its reason. */
enum midge_overflow {
    MIDGE_DROP_NEWEST, /* this message is not queued for that subscriber */
    MIDGE_DROP_OLDEST, /* the oldest messages that wait in that queue make room; those in flight stay. Where it is not that
                          queue which is too long but memory that is short, as MIDGE_DROP_NEWEST */
    MIDGE_DISCONNECT,  /* the subscriber loses its connection; the message is then judged anew, as for an absent client */
    MIDGE_REFUSE       /* QoS 0: as MIDGE_DROP_NEWEST. QoS 1, 2: the publisher loses its connection without an
                          acknowledgement, so that it will send again: nothing acknowledged is ever lost */
};

/* An acknowledgement is looked for along the window, so that its length has to be bounded. */
#define MIDGE_INFLIGHT_MAX 4096

/* What is logged where it is asked for. */
#define MIDGE_TRACE_PACKETS 1u       /* each packet: MIDGE_LOG_RECEIVED, MIDGE_LOG_SENT */
#define MIDGE_TRACE_SUBSCRIPTIONS 2u /* MIDGE_LOG_SUBSCRIBED, MIDGE_LOG_UNSUBSCRIBED */

/* Rules that may change while the broker runs (midge_set_policy). Durations are in milliseconds, 1 .. 86,400,000. */
struct midge_policy {
    uint32_t packet_size_max; /* largest packet accepted, bytes with its header; what half the blocks can hold at most; 0: what
                                 a quarter of them can hold. Room for one such packet is kept free of what is retained and
                                 queued for absent clients */
    uint32_t client_id_size_max;  /* longest client identifier, bytes; 0: 65,535; shorter than 23 breaks [MQTT-3.1.3-5] */
    uint32_t retained_max;        /* retained messages; 0: as many as nodes and blocks allow */
    uint32_t retained_bytes_max;  /* their topics and payloads, bytes; 0: as many as nodes and blocks allow */
    uint32_t queued_messages_max; /* queued for one session, beyond those that are in flight or can be at once; 0: a share of
                                     what is free */
    uint32_t queued_bytes_max;    /* likewise in bytes of topic and payload; 0: a share of what is free */
    uint32_t connect_timeout_ms;  /* from the accepted connection to the CONNACK */
    uint32_t progress_ms;         /* how long a subscriber may take no byte and acknowledge nothing, and be waited for */
    uint32_t wait_ms;             /* how long a publisher waits for room before the overflow policy decides */
    uint32_t assembly_ms;         /* how long a half-sent packet may hold its blocks while other clients wait for blocks */
    uint32_t close_ms;            /* how long a closing connection may take to accept its last bytes */
    uint32_t session_expiry_s;    /* seconds after which the session of an absent client is removed; 0: never */
    uint16_t inflight_max;        /* QoS 1 and 2 messages on their way to one client, 1 .. MIDGE_INFLIGHT_MAX */
    uint8_t qos_max;              /* the highest QoS granted to a subscription: 0 .. 2 */
    bool queue_qos0;              /* keep QoS 0 messages for absent clients too; they may be dropped (see overflow_offline) */
    bool empty_client_id;         /* accept an empty client identifier with clean session [MQTT-3.1.3-6] */
    bool evict_sessions;          /* no session is left: remove the one absent for longest; else refuse with CONNACK 3 */
    enum midge_overflow overflow_qos0;    /* QoS 0 message, connected subscriber */
    enum midge_overflow overflow_qos12;   /* QoS 1 or 2 message, connected subscriber */
    enum midge_overflow overflow_offline; /* absent subscriber; MIDGE_DISCONNECT is not allowed here */
    uint8_t trace;                        /* what else is logged: MIDGE_TRACE_..., added up; 0: nothing */
};

/* ---- Questions and log records --------------------------------------------------------------------------------------- */

/* The answers to an authenticate callback; the values are those of CONNACK, except for the last. */
enum midge_verdict {
    MIDGE_ACCEPT = 0,
    MIDGE_REFUSE_IDENTIFIER = 2,
    MIDGE_REFUSE_UNAVAILABLE = 3,
    MIDGE_REFUSE_CREDENTIALS = 4, /* bad user name or password */
    MIDGE_REFUSE_UNAUTHORIZED = 5,
    MIDGE_PENDING = 255 /* ask later: midge_authenticated will answer, that connection's input waits meanwhile */
};

struct midge_login {
    struct midge_handle conn;
    uint8_t listener; /* as given to midge_connected */
    uint8_t level;    /* 3 or 4; bit 7 set for a bridge */
    bool clean_session;
    bool has_username;
    bool has_password;
    uint16_t keepalive_s;
    struct midge_view client_id; /* as sent: empty where the broker is to assign one */
    struct midge_view username;
    struct midge_view password;
};

enum midge_action {
    MIDGE_READ,      /* may a message with this topic be delivered? */
    MIDGE_WRITE,     /* may this topic be published to? A denied PUBLISH is acknowledged and goes nowhere [MQTT-3.3.5-2]. Not
                        asked for $SYS, which is the broker's own: no client may publish there [MQTT-4.7.2] */
    MIDGE_SUBSCRIBE, /* may this filter be subscribed to? A denied one is answered 0x80 */
};

/* Why something ended, was refused or was dropped: identifier, what happened, and the clause of the standard or the setting
 * (the names are those of the Linux port's configuration) that decides it. The core holds no text: it passes the identifier,
 * and the port expands this table where it wants words. */
#define MIDGE_REASONS(X)                                                                                                       \
    X(NONE, "no reason", "")                                                                                                   \
    /* ends of a connection */                                                                                                 \
    X(CLIENT_DISCONNECT, "client sent DISCONNECT", "MQTT-3.14")                                                                \
    X(CONNECTION_LOST, "connection closed by client without DISCONNECT", "MQTT-3.1.2-8")                                       \
    X(KEEPALIVE, "exceeded keep alive", "MQTT-3.1.2-24")                                                                       \
    X(CONNECT_TIMEOUT, "sent no CONNECT in time", "connect_timeout")                                                           \
    X(CONNECT_CROWDED, "sent no CONNECT while others wanted to connect", "limit_handshakes")                                   \
    X(TAKEN_OVER, "session taken over by a new connection", "MQTT-3.1.4-2")                                                    \
    X(SLOW_READER, "queue full and reads too slowly", "overflow_qos0, overflow_qos12")                                         \
    X(ASSEMBLY_TIMEOUT, "held a half-sent packet while others waited", "assembly_timeout")                                     \
    X(NO_ROOM, "waited too long for room for its PUBLISH", "overflow_wait, limit_blocks, limit_deliveries")                    \
    X(REFUSED_BY_SUBSCRIBER, "a subscriber's queue is full and the policy is to refuse", "overflow_qos12, overflow_offline")   \
    X(QOS2_FULL, "too many QoS 2 messages not released", "limit_qos2_identifiers")                                             \
    /* broken rules of the protocol */                                                                                         \
    X(HEADER_FLAGS, "reserved flags of the fixed header are wrong", "MQTT-2.2.2-2")                                            \
    X(PACKET_TYPE, "packet type not for a server", "MQTT-4.8.0-1")                                                             \
    X(REMAINING_LENGTH, "Remaining Length longer than 4 bytes", "MQTT-2.2.3")                                                  \
    X(LENGTH, "length does not fit the packet's type", "MQTT-4.8.0-1")                                                         \
    X(BAD_UTF8, "string is not well-formed UTF-8", "MQTT-1.5.3-1")                                                             \
    X(NUL_CHARACTER, "string contains U+0000", "MQTT-1.5.3-2")                                                                 \
    X(PACKET_ID_ZERO, "packet identifier is 0", "MQTT-2.3.1-1")                                                                \
    X(NOT_CONNECT, "first packet is not CONNECT", "MQTT-3.1.0-1")                                                              \
    X(SECOND_CONNECT, "second CONNECT", "MQTT-3.1.0-2")                                                                        \
    X(PROTOCOL_NAME, "protocol name is not MQTT", "MQTT-3.1.2-1")                                                              \
    X(CONNECT_RESERVED, "reserved connect flag is set", "MQTT-3.1.2-3")                                                        \
    X(WILL_FLAGS, "will flags contradict each other", "MQTT-3.1.2-13")                                                         \
    X(PASSWORD_WITHOUT_USERNAME, "password without user name", "MQTT-3.1.2-22")                                                \
    X(QOS_3, "QoS 3", "MQTT-3.3.1-4")                                                                                          \
    X(QOS0_DUP, "DUP at QoS 0", "MQTT-3.3.1-2")                                                                                \
    X(TOPIC_WILDCARD, "wildcard in a topic name", "MQTT-3.3.2-2")                                                              \
    X(TOPIC_EMPTY, "empty topic", "MQTT-4.7.3-1")                                                                              \
    X(FILTER_WILDCARD, "misplaced wildcard in a filter", "MQTT-4.7.1-2")                                                       \
    X(SUBSCRIBE_QOS, "reserved bits of a requested QoS", "MQTT-3.8.3-4")                                                       \
    X(NO_FILTER, "no topic filter", "MQTT-3.8.3-3")                                                                            \
    X(ACK_MISMATCH, "acknowledgement of the wrong kind", "MQTT-4.3.3-1")                                                       \
    /* refusals with a CONNACK */                                                                                              \
    X(PROTOCOL_LEVEL, "protocol level not supported", "MQTT-3.1.2-2")                                                          \
    X(CLIENT_ID_EMPTY, "empty client identifier needs clean session", "MQTT-3.1.3-8")                                          \
    X(CLIENT_ID_SIZE, "client identifier too long", "limit_client_id_size")                                                    \
    X(CLIENTS_FULL, "too many clients", "max_connections, global_max_connections")                                             \
    X(SESSIONS_FULL, "too many sessions", "limit_sessions")                                                                    \
    X(NAMES_FULL, "no room for the client identifier", "limit_names")                                                          \
    X(WILL_FULL, "no room for the will", "limit_blocks")                                                                       \
    X(NOT_AUTHENTICATED, "bad user name or password, or not authorized", "allow_anonymous, password_file")                     \
    /* sizes that a server may enforce */                                                                                      \
    X(PACKET_SIZE, "packet too large", "max_packet_size, limit_blocks")                                                        \
    X(TOPIC_LEVELS, "topic or filter has too many levels", "limit_topic_levels")                                               \
    X(SCRATCH, "strings too long to be put together", "limit_scratch_size")                                                    \
    /* refusals in a SUBACK */                                                                                                 \
    X(SUBSCRIBE_DENIED, "subscription denied", "acl_file")                                                                     \
    X(SUBSCRIPTIONS_FULL, "no room for the subscription", "limit_subscriptions, limit_filter_nodes, limit_names")              \
    /* lost messages */                                                                                                        \
    X(QUEUE_FULL, "queue full", "max_queued_messages, max_queued_bytes, limit_deliveries, limit_blocks")                       \
    X(QUEUE_FULL_OFFLINE, "queue of an absent client full",                                                                    \
      "max_queued_messages, max_queued_bytes, limit_deliveries, limit_blocks")                                                 \
    X(QUEUE_FULL_OLDEST, "oldest message made room in a full queue",                                                           \
      "max_queued_messages, max_queued_bytes, limit_deliveries, limit_blocks")                                                 \
    X(QOS0_OFFLINE, "QoS 0 message for an absent client", "queue_qos0_messages")                                               \
    X(QOS0_CUT, "connection ended before a QoS 0 message was sent", "MQTT-4.3.1")                                              \
    X(QOS0_WAIT, "no room for a QoS 0 message in time", "overflow_wait, limit_blocks, limit_deliveries")                       \
    X(WRITE_DENIED, "publishing denied", "acl_file, or $SYS")                                                                  \
    X(READ_DENIED, "delivery denied", "acl_file")                                                                              \
    X(RETAINED_FULL, "no room to retain the message",                                                                          \
      "limit_retained_messages, limit_retained_bytes, limit_topic_nodes, limit_names, limit_blocks")                           \
    X(WILL_DROPPED, "no room for the will in time", "overflow_wait, limit_blocks, limit_deliveries")                           \
    X(INTERNAL_DROPPED, "no room for a message of the broker itself", "limit_blocks, limit_deliveries")                        \
    X(SESSION_EXPIRED, "session expired", "persistent_client_expiration")                                                      \
    X(SESSION_EVICTED, "session of an absent client made room", "limit_sessions")                                              \
    X(SESSION_CLEAN, "session discarded by clean session", "MQTT-3.1.2-6")

#define MIDGE_REASON_ID(id, text, rule) MIDGE_##id,
enum midge_reason { MIDGE_REASONS(MIDGE_REASON_ID) MIDGE_REASON_COUNT };
#undef MIDGE_REASON_ID

enum midge_log_event {
    MIDGE_LOG_CONNECTED,    /* a client was accepted: client_id; code = session present; size = keep alive in seconds */
    MIDGE_LOG_REFUSED,      /* a CONNACK refused a client: reason, code = return code */
    MIDGE_LOG_DISCONNECTED, /* a connection ended: reason; size and limit where a size was exceeded; topic and size of the
                               payload where what it publishes was refused */
    MIDGE_LOG_DENIED,       /* a subscription was answered 0x80: reason, topic */
    MIDGE_LOG_DROPPED,      /* a message was lost: client_id of the receiver, topic, size of the payload, reason */
    MIDGE_LOG_SESSION_GONE, /* a session was removed: client_id, reason, size = undelivered messages lost with it, which have no
                               records of their own; not logged for a clean session without any */
    MIDGE_LOG_WILL,         /* the will of a connection that has ended was published: conn, topic, size of the payload */
    MIDGE_LOG_RECEIVED,     /* with trace: a packet came in: packet (its first byte), packet_id, topic, size of the packet */
    MIDGE_LOG_SENT,         /* with trace: a packet went out: likewise; code of a CONNACK */
    MIDGE_LOG_SUBSCRIBED,   /* with trace: topic, code = QoS granted */
    MIDGE_LOG_UNSUBSCRIBED  /* with trace: topic */
};

struct midge_log {
    enum midge_log_event event;
    enum midge_reason reason;
    struct midge_handle conn;    /* index 0 where no connection is concerned */
    struct midge_view client_id; /* at most 64 bytes of it; empty where it is not known */
    struct midge_view topic;     /* at most 128 bytes of it; empty where there is none */
    uint32_t size;
    uint32_t limit;
    uint16_t packet_id; /* 0: none */
    uint8_t packet;
    uint8_t code;
};

struct midge_config {
    struct midge_limits limits;
    struct midge_policy policy;
    /* Secret and different at each start, so that nobody can choose topics that collide in a hash. */
    uint64_t hash_seed;
    void *context; /* passed to the callbacks */
    /* May this client connect? Sets *who to what authorize is to be asked with. NULL: everybody may, who is 0. */
    enum midge_verdict (*authenticate)(void *context, const struct midge_login *login, uint32_t *who);
    /* The identifier that this client, which was just accepted, has instead of the one it sent: well-formed UTF-8. An empty
     * view is the one it sent, or one that the broker makes up. NULL: likewise. */
    struct midge_view (*client_id)(void *context, const struct midge_login *login);
    /* May `who` do this? NULL: everybody may do everything. */
    bool (*authorize)(void *context, uint32_t who, enum midge_action action, struct midge_view topic);
    /* NULL: nothing is logged. */
    void (*log)(void *context, const struct midge_log *record);
};

/* ---- The broker ------------------------------------------------------------------------------------------------------ */

/* Fills in the policies that fit most: those of the Linux port without a configuration. Never fails. */
void midge_policy_default(struct midge_policy *policy);

/* Builds a broker in `memory`, which must be zeroed, aligned to 8 bytes, and stay in place; it is not walked, so that pages
 * never used cost nothing. Returns NULL where size < midge_memory_size(&config->limits) or a limit or policy is out of its
 * range: *wrong, if not NULL, is then the offset of that field in struct midge_config, SIZE_MAX for `size` itself. `config` is
 * copied. */
struct midge *midge_init(void *memory, size_t size, const struct midge_config *config, size_t *wrong);

/* Replaces the policies, from the next packet on. Returns false, and changes nothing, where one is out of its range: *wrong as
 * for midge_init. */
bool midge_set_policy(struct midge *broker, const struct midge_policy *policy, size_t *wrong);

/* A transport connection was accepted. `listener` is the port's own number, given back to authenticate. Returns a handle with
 * index 0 where all connections are taken: the port then closes the transport. The peer that has said no CONNECT for longest,
 * if there is one, is then made to go, so that silent peers cannot lock others out. */
struct midge_handle midge_connected(struct midge *broker, uint8_t listener);

/* Bytes came in. Returns how many were consumed. Fewer than `size` always means a stall: the port keeps the rest, stops
 * reading, and offers it again after MIDGE_INPUT_READY. A connection that is closing, or a stale handle, swallows
 * everything. Packets need not align with calls in any way. */
size_t midge_receive(struct midge *broker, struct midge_handle conn, const uint8_t *bytes, size_t size);

/* Encodes what is due on this connection into the port's buffer, up to `size` bytes (16 at least), without consuming it.
 * Returns the number of bytes, 0 when nothing is due: MIDGE_OUTPUT_READY will then come again when something is. A return of
 * more than 0 must be followed by midge_output_done, with no other call for this connection in between. */
size_t midge_output(struct midge *broker, struct midge_handle conn, uint8_t *buffer, size_t size);

/* The transport took the first `sent` bytes of the last midge_output; 0 is allowed. Returns false when nothing else is due, as
 * a midge_output that returns 0. */
bool midge_output_done(struct midge *broker, struct midge_handle conn, size_t sent);

/* The transport connection is gone; the handle is then stale. Must be called exactly once for each connection, also after
 * MIDGE_CLOSE. Publishes the will where one is due. */
void midge_disconnected(struct midge *broker, struct midge_handle conn);

/* Answers an authenticate callback that said MIDGE_PENDING, with anything but MIDGE_PENDING. */
void midge_authenticated(struct midge *broker, struct midge_handle conn, enum midge_verdict verdict, uint32_t who);

/* Publishes a message of the port's own, such as $SYS. Never waits: subscribers without room lose it by their policy, and where
 * there is no room at all it is dropped and counted. Returns false then, or where `topic` is not a valid topic name, or takes
 * more than half of limits.scratch_size: as with clients, a replay could not put it together. */
bool midge_publish(struct midge *broker, struct midge_view topic, struct midge_view payload, uint8_t qos, bool retain);

enum midge_event_type {
    MIDGE_OUTPUT_READY, /* call midge_output until nothing is due or the transport is full */
    MIDGE_INPUT_READY,  /* the stall is over: offer the kept bytes again */
    MIDGE_CLOSE         /* all that was to be said is said: close the transport, then call midge_disconnected */
};

struct midge_event {
    enum midge_event_type type;
    struct midge_handle conn;
};

/* Takes the next event; false when there is none. An edge is reported once. */
bool midge_next_event(struct midge *broker, struct midge_event *event);

/* Sets the time, in milliseconds from any start, never going back, and fires no timer. To be called when the port has waited,
 * before it hands over what came in meanwhile. */
void midge_time(struct midge *broker, uint64_t now_ms);

/* Sets the time likewise, and fires the timers that are due: nothing else does. Returns the time at which it wants to be called
 * at the latest, UINT64_MAX for never. To be called after reading, so that clients whose bytes had already arrived are not
 * found silent. Where the port comes more than a second later than that (with either call; the process was stopped, say), what
 * was too late is not held against clients: for them no time passed meanwhile. */
uint64_t midge_advance(struct midge *broker, uint64_t now_ms);

/* ---- Counters -------------------------------------------------------------------------------------------------------- */

/* What the pools hold, for capacity planning. */
enum midge_pool_id {
    MIDGE_POOL_CONNECTIONS,
    MIDGE_POOL_SESSIONS,
    MIDGE_POOL_SUBSCRIPTIONS,
    MIDGE_POOL_FILTER_NODES,
    MIDGE_POOL_TOPIC_NODES,
    MIDGE_POOL_NAMES,
    MIDGE_POOL_DELIVERIES,
    MIDGE_POOL_QOS2_IDENTIFIERS,
    MIDGE_POOL_BLOCKS,
    MIDGE_POOL_COUNT
};

struct midge_pool_use {
    uint32_t used;
    uint32_t peak;
    uint32_t capacity;
};

/* What an input can wait for. */
enum midge_stall {
    MIDGE_STALL_REPLIES,        /* room in its own ring of acknowledgements */
    MIDGE_STALL_AUTHENTICATION, /* midge_authenticated */
    MIDGE_STALL_SUBSCRIBER,     /* room in a subscriber's queue */
    MIDGE_STALL_DELIVERIES,     /* free deliveries */
    MIDGE_STALL_BLOCKS,         /* free blocks for a whole packet */
    MIDGE_STALL_ASSEMBLY,       /* free blocks for a packet that does not lie whole in the input */
    MIDGE_STALL_COUNT
};

struct midge_metrics {
    midge_counter bytes_received, bytes_sent;
    midge_counter packets_received, packets_sent;             /* of all types */
    midge_counter publish_received, publish_sent;             /* PUBLISH packets */
    midge_counter publish_bytes_received, publish_bytes_sent; /* their payloads */
    midge_counter connections_accepted;                       /* transport connections */
    midge_counter clients_accepted;                           /* CONNACK 0 */
    midge_counter sessions_expired;
    midge_counter drops[MIDGE_REASON_COUNT]; /* lost messages, by reason; one for each receiver */
    midge_counter stalls[MIDGE_STALL_COUNT]; /* how often an input had to wait */
    uint32_t clients_connected, clients_peak;
    uint32_t sessions_offline; /* sessions of absent clients */
    uint32_t subscriptions;
    uint32_t retained; /* retained messages */
    uint32_t retained_bytes;
    uint32_t queued;          /* deliveries queued or in flight */
    uint32_t stored_messages; /* messages in the store, each once; wills and retained ones included */
    uint32_t stored_bytes;    /* their topics and payloads */
    struct midge_pool_use pools[MIDGE_POOL_COUNT];
};

/* Copies the counters as they stand. */
void midge_metrics(const struct midge *broker, struct midge_metrics *metrics);

/* Checks every invariant between the pools, lists and counters; for tests, its cost grows with the memory in use. Returns 0, or
 * the line of the check that failed, with the number of the file (enum midge_file in broker/base.h) in the upper 16 bits. */
uint32_t midge_audit(const struct midge *broker);

#endif
