/* The world around one broker: its memory, its callbacks, its clients, and a port loop in the smallest form. What comes from
 * the broker is decoded and checked here; what it should have been is the business of run.c. */
#ifndef CONFORMANCE_WORLD_H
#define CONFORMANCE_WORLD_H

#include <stdio.h>

#include "codec.h"
#include "ledger.h"
#include "midge.h"
#include "script.h"
#include "util.h"

/* How bytes travel between the clients and the broker. */
struct delivery {
    const char *name;
    size_t input_size;  /* bytes offered in one call; 0: all there are */
    size_t output_size; /* of the port's buffer; at least 16 */
    bool partial;       /* the transport takes only a part of each output */
};

/* A log record whose strings are copied. */
struct record {
    struct record *next;
    struct midge_log log;
    struct span client_id, topic;
    bool consumed; /* a step has asked for it */
};

/* A packet that a client received. */
struct received {
    struct received *next;
    struct packet packet;
};

/* A PUBLISH that a client sent, a will that it left with the broker, or a message of the port's own. */
struct sent {
    struct sent *next;
    struct span topic;
    bool refusable; /* somebody would send it again: a PUBLISH of QoS 1 or 2 */
    bool retain;
};

struct client {
    struct client *next;
    struct span name;
    struct midge_handle handle;
    bool open;         /* has a transport connection */
    bool closed;       /* the broker closed it, and no step has said so yet */
    bool stalled;      /* the broker did not take everything: wait for INPUT_READY */
    bool has_output;   /* OUTPUT_READY came, and midge_output has not returned 0 since */
    bool reads;        /* takes what the broker sends */
    size_t allowance;  /* bytes it still takes where it does not read */
    bool acknowledges; /* answers PUBLISH, PUBREC and PUBREL by itself, and does not report them */
    size_t bytes_on_connection;
    struct buffer input;           /* sent, not yet taken by the broker */
    struct buffer said;            /* the end of it that is no whole packet yet */
    struct buffer held;            /* said with `>>`: goes out with the next packet */
    struct buffer output;          /* received, not yet decoded */
    struct received *first, *last; /* decoded, not yet expected */
    struct received *history;      /* every PUBLISH ever received */
    uint8_t in_flight[8192];       /* identifiers of received QoS 1 and 2 messages not acknowledged to the end, a bit each */
    uint8_t used_ids[8192];        /* identifiers it ever sent */
    uint16_t next_id;
    struct ledger_page page;
};

struct user {
    struct user *next;
    struct span name, password;
    bool anonymous;
    enum midge_verdict verdict;
    uint32_t who;
};

struct acl {
    struct acl *next;
    uint32_t who;
    enum midge_action action;
    struct span filter;
};

/* A binding of a packet identifier to a name: `id=$x`. */
struct binding {
    struct binding *next;
    struct span name;
    uint16_t id;
};

struct world {
    struct arena arena;
    struct midge *broker;
    void *memory;
    struct midge_config config;
    struct delivery delivery;
    uint64_t now, deadline;
    struct client *clients;
    struct record *first_record, *last_record;
    struct sent *sent;
    struct user *users;
    struct acl *acls;
    struct binding *bindings;
    struct ledger ledger;
    struct span *client_ids; /* of every CONNECT that was sent */
    size_t client_id_count;
    struct midge_metrics before; /* as they were after midge_init */
    uint64_t bytes_done, publish_seen;
    bool said_no; /* midge_connected had no connection left, or midge_publish returned false */
    bool cut;     /* a connection ended in the middle of the broker's output */
    unsigned partial_turn;
    unsigned audit_every, turn_count; /* 0: the broker is audited after each turn of the loop; else after each one of so many */
    bool broken;                      /* the broker did what it never may: `failure` says what */
    char failure[600];
    FILE *trace; /* NULL: quiet */
};

void world_start(struct world *world, const struct midge_config *config, struct delivery delivery);
void world_end(struct world *world);

/* Checks every invariant of the broker. */
void world_audit(struct world *world);

/* The broker did what no limit excuses. The first failure stays. */
void world_break(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
void world_trace(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The client of that name, made where there is none. */
struct client *world_client(struct world *world, struct span name);
/* Opens a transport connection for the client; false where the broker had none left. */
bool world_open(struct world *world, struct client *client, uint8_t listener);
/* The client sends bytes; nothing happens to them before world_turn. */
void world_send(struct world *world, struct client *client, struct span bytes);
/* The transport connection is gone. */
void world_lose(struct world *world, struct client *client);
/* Runs the port loop until nothing is left to do, and checks the broker. */
void world_turn(struct world *world);
/* Lets time pass, stopping at each of the broker's deadlines. */
void world_pass(struct world *world, uint64_t ms);
/* The port sleeps through a deadline: the next step finds it awake, and as port/README.md has it, it reads what has come in
 * before it lets timers fire. */
void world_oversleep(struct world *world, uint64_t ms);

/* ending.c: rule 3: every wait has a deadline. Lets them pass; false where somebody waits for ever. */
bool world_waits_end(struct world *world);
/* Compares the broker's counters with what was logged, sent and received. */
void world_check_counters(struct world *world);
/* Every connection is lost; sessions expire, or are ended by clean sessions; retained messages are removed. Then every pool
 * must be as it was after midge_init. */
void world_conclude(struct world *world, bool expire);

bool ids_has(const uint8_t *ids, uint16_t id);
void ids_set(uint8_t *ids, uint16_t id, bool in);

/* callbacks.c: what the broker asks and says. */
enum midge_verdict world_authenticate(void *context, const struct midge_login *login, uint32_t *who);
bool world_authorize(void *context, uint32_t who, enum midge_action action, struct midge_view topic);
/* Whether the filter matches the topic, by its levels alone. */
bool world_matches(struct span filter, struct span topic);
void world_log(void *context, const struct midge_log *record);
const char *reason_name(enum midge_reason reason);
const char *log_event_name(enum midge_log_event event);
/* How many log records with this reason say that messages were lost: as many as the counter must show. */
uint64_t world_logged_drops(const struct world *world, enum midge_reason reason);

#endif
