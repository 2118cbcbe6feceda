/* From bytes to packets: those that lie whole in the input are handled in place, others are put together first. */
#ifndef MIDGE_INPUT_H
#define MIDGE_INPUT_H

#include "state.h"

/* Handles what it can of the bytes, of which there is one at least; returns how many were consumed, fewer than all where the
 * connection waits. A packet that waits always leaves its last byte with the port, so that a stall can be seen. */
size_t midge_input(struct midge *b, struct midge_connection *c, const uint8_t *bytes, size_t size);

#endif
