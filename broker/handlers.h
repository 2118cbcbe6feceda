/* What each packet of a client does. */
#ifndef MIDGE_HANDLERS_H
#define MIDGE_HANDLERS_H

#include "state.h"

enum midge_handled {
    MIDGE_HANDLED,
    MIDGE_STALLED, /* the connection waits: the packet is to be handled again, from the beginning */
    MIDGE_ENDED    /* it cost the connection */
};

/* One whole packet, whose first byte and length were checked. */
struct midge_incoming {
    uint8_t first;
    uint32_t size; /* of the packet, its fixed header included */
    struct midge_reader body;
    midge_index stored; /* the message that is the body; 0 where it lies in the input */
};

enum midge_handled midge_handle_connect(struct midge *b, midge_index connection, const struct midge_incoming *packet);
enum midge_handled midge_handle_publish(struct midge *b, midge_index connection, const struct midge_incoming *packet);
enum midge_handled midge_handle_subscribe(struct midge *b, midge_index connection, const struct midge_incoming *packet);
enum midge_handled midge_handle_unsubscribe(struct midge *b, midge_index connection, const struct midge_incoming *packet);
enum midge_handled midge_handle_acknowledgement(struct midge *b, midge_index connection, const struct midge_incoming *packet);
enum midge_handled midge_handle_pingreq(struct midge *b, midge_index connection, const struct midge_incoming *packet);
enum midge_handled midge_handle_disconnect(struct midge *b, midge_index connection, const struct midge_incoming *packet);

#endif
