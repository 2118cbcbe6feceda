/* The life of a connection: accepted, ended for a reason, freed when the port and its will are done with it. */
#ifndef MIDGE_CONNECTION_H
#define MIDGE_CONNECTION_H

#include "state.h"

/* Takes a connection; NULL where all are taken. */
struct midge_connection *midge_connection_open(struct midge *b, uint8_t listener);

/* Returns the connection of a handle, NULL where it is stale. */
struct midge_connection *midge_connection_resolve(const struct midge *b, struct midge_handle handle);

/* What became of a packet. */
enum midge_handled {
    MIDGE_HANDLED,
    MIDGE_STALLED, /* the connection waits: the packet is to be handled again, from the beginning */
    MIDGE_ENDED    /* it cost the connection */
};

/* Ends a connection that is not ending yet: the session is detached, the will becomes due unless the client said DISCONNECT,
 * waiters are woken. Replies are still flushed after a DISCONNECT, else the transport is to be closed at once. Returns
 * MIDGE_ENDED, for those that handle packets. */
enum midge_handled midge_connection_end(struct midge *b, struct midge_connection *c, enum midge_reason reason);

/* The same of a packet, where the caller has more to say about it: it began the record, a MIDGE_LOG_DISCONNECTED. */
enum midge_handled midge_connection_end_recorded(struct midge *b, struct midge_connection *c);

/* Refuses a client: CONNACK with `code`, then the end [MQTT-3.2.2-5]. Returns MIDGE_ENDED. */
enum midge_handled midge_connection_refuse(struct midge *b, struct midge_connection *c, const struct midge_view *client_id,
                                           enum midge_reason reason, uint8_t code);

/* All that a closing connection had to say is said, or its time is over. */
void midge_connection_close(struct midge *b, struct midge_connection *c);

/* The port is done with a connection; it must have ended. */
void midge_connection_release(struct midge *b, struct midge_connection *c);

/* The will of an ended connection was published or dropped. */
void midge_connection_will_done(struct midge *b, struct midge_connection *c);

/* Gives up the packet in assembly, and what was promised to it. */
void midge_assembly_drop(struct midge *b, struct midge_connection *c);

/* The packet in assembly is the CONNECT of a client that is being accepted: it no longer counts among the handshakes. */
void midge_assembly_accept(struct midge *b, const struct midge_connection *c);

#endif
