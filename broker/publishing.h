/* Messages into the router: a client's, the wills of ended connections, and the port's own. */
#ifndef MIDGE_PUBLISHING_H
#define MIDGE_PUBLISHING_H

#include "route.h"

/* As midge_route, carrying out what policies ask for on the way; so it never returns MIDGE_ROUTE_DISCONNECT. */
enum midge_routed midge_publishing_route(struct midge *b, struct midge_publication *publication);

/* midge_publish, but for the wills that may have become due. */
bool midge_publishing_internal(struct midge *b, struct midge_view topic, struct midge_view payload, uint8_t qos, bool retain);

/* Stores a will as a ready message, so that publishing it needs no memory: rule 12. It is read to its end. Returns 0 where
 * there is no room. */
midge_index midge_will_store(struct midge *b, struct midge_connect *connect);

/* Publishes the wills whose turn it is. */
void midge_wills_run(struct midge *b);

/* Makes a connection free whose will alone is still waiting: it is published now, by its policies. Returns false where there is
 * no such connection. */
bool midge_wills_hurry(struct midge *b);

#endif
