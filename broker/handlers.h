/* What each packet of a client does. */
#ifndef MIDGE_HANDLERS_H
#define MIDGE_HANDLERS_H

#include "connection.h"
#include "record.h"
#include "route.h"

/* One whole packet, whose first byte and length were checked. A stalled one is decoded anew. */
struct midge_incoming {
    struct midge_view whole; /* the body: where it lies in one piece, and its size */
    midge_index stored;      /* the message that is the body; 0 where it lies in the input */
    struct midge_reader body;
    /* Its first byte. Unless it is a PUBLISH: its packet identifier where one is there, which was checked; and what the handler
     * found in it: the level of a CONNECT as a code. */
    struct midge_traced traced;
    struct midge_publication publication; /* of a PUBLISH: what its handler made of it */
};

enum midge_handled midge_handle_connect(struct midge *b, struct midge_connection *c, struct midge_incoming *packet);
enum midge_handled midge_handle_publish(struct midge *b, struct midge_connection *c, struct midge_incoming *packet);
enum midge_handled midge_handle_subscribe(struct midge *b, struct midge_connection *c, struct midge_incoming *packet);
enum midge_handled midge_handle_unsubscribe(struct midge *b, struct midge_connection *c, struct midge_incoming *packet);
enum midge_handled midge_handle_acknowledgement(struct midge *b, struct midge_connection *c, struct midge_incoming *packet);
enum midge_handled midge_handle_pingreq(struct midge *b, struct midge_connection *c, struct midge_incoming *packet);
enum midge_handled midge_handle_disconnect(struct midge *b, struct midge_connection *c, struct midge_incoming *packet);

#endif
