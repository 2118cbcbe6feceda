/* What the broker owes: it keeps the books of every message of QoS 1 and 2 that was acknowledged to its publisher, for every
 * session that had been granted QoS 1 or 2 by then and stayed. What such a session has not received must lie in its queue. */
#ifndef CONFORMANCE_LEDGER_H
#define CONFORMANCE_LEDGER_H

#include "codec.h"

struct client;
struct world;
struct account;
struct publication;

/* The part of the books that belongs to a client's connection. */
struct ledger_page {
    struct account *account;          /* of the session that it has, NULL where none is known */
    struct publication *publications; /* whose exchange is not over */
    struct publication *last;         /* of them */
    struct request *requests;         /* SUBSCRIBE without SUBACK */
    struct span connect, connect_id;  /* the last CONNECT that was sent */
    bool connect_clean;
};

struct ledger {
    bool kept;
    struct account *accounts;
    uint64_t moment; /* counts packets */
};

/* A packet that the client sent, one that it received, and the end of its connection. */
void ledger_sent(struct world *world, struct client *client, const struct client_packet *packet);
void ledger_received(struct world *world, struct client *client, const struct packet *packet);
void ledger_ended(struct world *world, struct client *client);
/* The broker logged that this session is gone. */
void ledger_session_gone(struct world *world, struct span client_id);

/* Every client that is there reads and acknowledges all it gets, every absent one with a session comes back for its queue: then
 * nobody may be owed anything, or the world is broken. */
void ledger_settle(struct world *world);

#endif
