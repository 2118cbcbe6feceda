/* The simulated clients. */
#ifndef SIM_CLIENT_H
#define SIM_CLIENT_H

#include "world.h"

void clients_draw(struct world *w);

/* The size for a message on a topic. */
uint32_t client_draw_size(struct world *w, uint32_t topic);

/* A client does one thing: connects, publishes, subscribes, acknowledges, leaves, ... */
void client_act(struct world *w, uint32_t client);

/* The next packet that the broker sent reaches the client. */
void client_receive(struct world *w, struct link *link);

/* The client opens a connection, whether it has one or not. */
void client_connect(struct world *w, uint32_t client);

/* Writes what is still to be acknowledged. */
void client_flush(struct world *w, uint32_t client);

/* Writes a malformed packet, in place of a CONNECT where `first` is set. (malformed.c) */
void client_write_malformed(struct world *w, struct link *link, bool first);

/* Writes the CONNECT of the link's login, with one thing changed. */
void client_write_connect(struct world *w, struct link *link, const char *protocol, uint8_t level, uint8_t flip,
                          struct packet *meant);

/* The client identifier that stands in its CONNECT. */
const char *client_sent_id(const struct world *w, const struct login *login);

#endif
