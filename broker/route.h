/* From one message to the sessions that it is for: found first, judged then, and only when all is known, queued. */
#ifndef MIDGE_ROUTE_H
#define MIDGE_ROUTE_H

#include "delivery.h"

enum midge_routed {
    MIDGE_ROUTED,
    MIDGE_ROUTE_WAIT,      /* nothing was queued: wait for what the problem says, then route again */
    MIDGE_ROUTE_REFUSED,   /* nothing was queued: the publisher is to be disconnected without an acknowledgement */
    MIDGE_ROUTE_DISCONNECT /* nothing was queued: disconnect this subscriber, then route again */
};

struct midge_route_problem {
    enum midge_wait_kind kind;
    midge_index object; /* what to wait for, as for midge_wait; the connection of the subscriber that is to be disconnected */
    enum midge_reason reason;
};

struct midge_publication {
    struct midge_publish publish;             /* its topic is valid */
    bool may_wait;                            /* for room */
    bool may_refuse;                          /* it will be published again if it is refused */
    enum midge_reason drop_reason;            /* counted where there is no block or delivery for it */
    const struct midge_connection *publisher; /* NULL: none */
    midge_index message;                      /* stored and published already; 0: it is made of the parts */
    const struct midge_view *parts;           /* the body, as struct midge_message has it */
    uint32_t part_count;
    uint32_t body_size;
    struct midge_route_problem problem; /* set where it is not routed */
    /* What midge_route has found out: */
    bool busy;           /* a target is not connected, or has something queued */
    uint32_t charge;     /* the size of topic and payload */
    uint32_t blocks;     /* still to be taken for the message */
    uint32_t count;      /* of targets */
    uint32_t takers;     /* of those that get it */
    uint32_t displacing; /* of those that get it in place of older messages */
    struct midge_room room;
};

/* Routes a message to all matching sessions [MQTT-4.5.0-1], each once with the highest granted QoS [MQTT-3.3.5-1], and retains
 * or clears the topic's retained message where `retain` says so. All or nothing, but for what the policies drop, which is
 * counted. */
enum midge_routed midge_route(struct midge *b, struct midge_publication *publication);

#endif
