/* The network: connections that chop, delay, stall and break; and the port, which calls the broker. */
#ifndef SIM_NETWORK_H
#define SIM_NETWORK_H

#include "world.h"

/* Builds the broker of the scenario. */
void network_start(struct world *w);

/* A client opens a transport connection; NULL where the broker takes no more. */
struct link *network_connect(struct world *w, uint32_t client);

/* Notes what the client meant by the bytes that it has added to link->out. */
void network_written(struct world *w, struct link *link, const struct packet *meant);

/* The broker is offered a chunk of what the client wrote. */
void network_receive(struct world *w, struct link *link, bool everything);

/* The broker is asked for what it has to send. */
void network_output(struct world *w, struct link *link, bool everything);

/* The broker is told that the connection is gone. */
void network_disconnect(struct world *w, struct link *link);

/* The client closes its end: some of what it wrote may still arrive. */
void network_cut(struct world *w, struct link *link);

/* The port's own calls. */
void network_authenticated(struct world *w, struct link *link);
void network_publish(struct world *w, uint32_t message);
void network_set_policy(struct world *w);
void network_stale(struct world *w);
void network_events(struct world *w);
void network_time(struct world *w, uint64_t now_ms);
void network_advance(struct world *w, uint64_t now_ms);

/* Whether there is something to do on a link. */
bool network_may_receive(const struct world *w, const struct link *link);
bool network_may_send(const struct world *w, const struct link *link);

#endif
