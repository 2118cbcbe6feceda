/* What each packet of a client does. */
#ifndef MIDGE_HANDLERS_H
#define MIDGE_HANDLERS_H

#include "connection.h"

/* One whole packet, whose first byte and length were checked. A stalled one is decoded anew. */
struct midge_incoming {
    uint8_t first;
    midge_index stored; /* the message that is the body; 0 where it lies in the input */
    struct midge_reader body;
    uint16_t packet_id; /* read and checked; of a PUBLISH, when its handler has */
    /* What the handler found in it, for the trace: */
    uint8_t level;           /* of a CONNECT */
    struct midge_view topic; /* of a PUBLISH */
};

enum midge_handled midge_handle_connect(struct midge *b, struct midge_connection *c, struct midge_incoming *packet);
enum midge_handled midge_handle_publish(struct midge *b, struct midge_connection *c, struct midge_incoming *packet);
enum midge_handled midge_handle_subscribe(struct midge *b, struct midge_connection *c, struct midge_incoming *packet);
enum midge_handled midge_handle_unsubscribe(struct midge *b, struct midge_connection *c, struct midge_incoming *packet);
enum midge_handled midge_handle_acknowledgement(struct midge *b, struct midge_connection *c, struct midge_incoming *packet);
enum midge_handled midge_handle_pingreq(struct midge *b, struct midge_connection *c, struct midge_incoming *packet);
enum midge_handled midge_handle_disconnect(struct midge *b, struct midge_connection *c, struct midge_incoming *packet);

#endif
