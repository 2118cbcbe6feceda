/* From deliveries to bytes: a connection's replies and messages, encoded into the port's buffer. */
#ifndef MIDGE_OUTPUT_H
#define MIDGE_OUTPUT_H

#include "state.h"

/* Encodes what is due, without consuming it; messages that come into the window on the way stay there. */
uint32_t midge_output_encode(struct midge *b, struct midge_connection *c, uint8_t *buffer, uint32_t size);

/* The first `sent` bytes of that are with the transport. Returns false where nothing else is due: an event tells when something
 * is. */
bool midge_output_consume(struct midge *b, struct midge_connection *c, uint32_t sent);

/* A delivery is free: continues with the retained messages of those that found none. */
void midge_output_feed_starved(struct midge *b);

#endif
