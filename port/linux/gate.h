/*
 * The gate: who may come in, and what they may do. It answers the core's questions from the users and rights that were read
 * from files, has passwords checked beside the loop, and remembers who is connected.
 */
#ifndef MIDGE_GATE_H
#define MIDGE_GATE_H

#include "config.h"
#include "logins.h"

#include <netinet/in.h>

/* Why a client is refused. */
enum midge_refusal {
    MIDGE_REFUSAL_NONE,
    MIDGE_REFUSAL_ANONYMOUS,   /* no user name */
    MIDGE_REFUSAL_UNNAMED,     /* TLS should say who it is, and its certificate does not */
    MIDGE_REFUSAL_NOBODY,      /* a user name, and there are no users */
    MIDGE_REFUSAL_PASSWORD,    /* no such user, or another password */
    MIDGE_REFUSAL_FAILURES,    /* too many failures of this host */
    MIDGE_REFUSAL_BUSY,        /* too many logins wait */
    MIDGE_REFUSAL_PREFIX,      /* the client identifier */
    MIDGE_REFUSAL_KEEPALIVE,   /* too long */
    MIDGE_REFUSAL_CONNECTIONS, /* too many on this listener */
    MIDGE_REFUSAL_NAMES        /* user name and client identifier are too long */
};

/* What is known about a connection, by its index. Small, since there are as many as connections. */
struct midge_visitor {
    uint32_t address; /* of the host; 0: a local socket, or no connection */
    union {
        uint32_t login; /* while `waiting`: the login that waits */
        uint32_t who;   /* else: as the core was told */
    };
    union {
        uint32_t client;   /* the hash of the client identifier */
        uint32_t failures; /* of the host, when it was refused */
    };
    uint8_t listener;
    uint8_t refusal; /* enum midge_refusal */
    bool clean : 1;
    bool waiting : 1;
    bool known : 1;    /* `who` is an identity that counts this connection */
    bool accepted : 1; /* the core has accepted the client */
    bool sent_away : 1;
};

/* What the gate has to know about a listener. */
struct midge_gate_listener {
    uint8_t domain;
    bool anonymous; /* clients without a user name may come in */
    bool use_username_as_clientid;
    bool named_by_tls; /* the user name is what TLS vouches for */
    char auto_id_prefix[MIDGE_PREFIX_SIZE];
    uint32_t connections_max;
    uint32_t connections; /* accepted clients */
};

struct midge_gate {
    struct midge *broker;            /* set once it is there */
    struct midge_accounts *accounts; /* the one of the tables that is in use */
    struct midge_accounts tables[2];
    struct midge_identities identities;
    struct midge_addresses addresses;
    struct midge_logins logins;
    struct midge_visitor *visitors; /* [0] is not used */
    uint32_t visitor_count;         /* with [0] */
    struct midge_gate_listener listeners[MIDGE_DOMAINS_MAX];
    char clientid_prefixes[MIDGE_PREFIX_SIZE];
    uint32_t clients_max; /* of all listeners */
    uint16_t keepalive_max_s;
    uint32_t connections_per_address_max;
    uint64_t refused; /* connections that were refused for their number, since the start */
    uint64_t seed;
    uint64_t now_ms;
    bool has_rights;      /* some listener has an ACL file */
    bool beyond_loopback; /* a listener can be reached from other hosts */
    /* Ends the connection with this index at once. */
    void (*send_away)(void *context, midge_index index);
    /* Who the client of a connection is by TLS; NULL where that does not tell. */
    const char *(*identity)(void *context, struct midge_handle conn);
    void *context;
};

/* The memory of the gate, in this order. */
enum midge_gate_row {
    MIDGE_GATE_USERS,
    MIDGE_GATE_USER_BUCKETS,
    MIDGE_GATE_RULES,
    MIDGE_GATE_TEXT,
    MIDGE_GATE_IDENTITIES,
    MIDGE_GATE_IDENTITY_BUCKETS,
    MIDGE_GATE_ADDRESSES,
    MIDGE_GATE_ADDRESS_BUCKETS,
    MIDGE_GATE_VISITORS,
    MIDGE_GATE_LOGINS,
    MIDGE_GATE_HASH_JOBS,
    MIDGE_GATE_HASH_QUEUE,
    MIDGE_GATE_ROW_COUNT
};

struct midge_gate_memory {
    const char *name;
    uint32_t count;
    size_t entry_size;
};

/* What a row takes with these settings; rows are aligned to 8 bytes. */
struct midge_gate_memory midge_gate_row(const struct midge_settings *settings, enum midge_gate_row row);

/* Divides `memory`, which is zeroed, among the tables. */
void midge_gate_start(struct midge_gate *gate, uint8_t *memory, const struct midge_settings *settings, uint64_t seed);

/* Reads the files that the configuration names, and takes its settings over. Returns false, with what is wrong in
 * config->error and nothing changed, where a file cannot be used. */
bool midge_gate_load(struct midge_gate *gate, struct midge_configuration *config);

/* Whether a host may have another connection. */
bool midge_gate_admits(struct midge_gate *gate, const struct sockaddr_storage *peer);

/* A connection of the transport was accepted, and has ended. */
void midge_gate_arrived(struct midge_gate *gate, midge_index index, uint8_t listener, const struct sockaddr_storage *peer);
void midge_gate_left(struct midge_gate *gate, midge_index index);

/* The callbacks of the core. `context` is the gate. */
enum midge_verdict midge_gate_authenticate(void *context, const struct midge_login *login, uint32_t *who);
struct midge_view midge_gate_client_id(void *context, const struct midge_login *login);
bool midge_gate_authorize(void *context, uint32_t who, enum midge_action action, struct midge_view topic);

/* Notes what the core reports. */
void midge_gate_note(struct midge_gate *gate, const struct midge_log *record);

/* Returns whether the gate knows better than the core what has happened: `text` is then the line. */
bool midge_gate_line(const struct midge_gate *gate, const struct midge_log *record, const char *address,
                     struct midge_text *text);

/* Gives the core the answers that are known by now. Returns when it wants to be called again, UINT64_MAX for never. */
uint64_t midge_gate_turn(struct midge_gate *gate, uint64_t now_ms);

#endif
