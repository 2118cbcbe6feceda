/* A connection's ring of acknowledgements to be sent. Rule 6: they never need a block, and a packet is handled only when its
 * reply fits. */
#ifndef MIDGE_REPLIES_H
#define MIDGE_REPLIES_H

#include "state.h"

/* Whether one more reply fits. */
static inline bool midge_replies_room(const struct midge *b, const struct midge_connection *c)
{
    return c->replies_count < b->config.limits.replies;
}

/* Adds a reply, for which there is room: an acknowledgement of `packet_id`, a PINGRESP with 0. */
void midge_reply(struct midge *b, struct midge_connection *c, enum midge_packet_type type, uint16_t packet_id);

void midge_reply_connack(struct midge *b, struct midge_connection *c, bool session_present, uint8_t code);

/* Adds a SUBACK with 1 .. MIDGE_REPLY_CODES_MAX codes, made of midge_suback_code; or one whose codes are the body of the
 * message c->suback, with 0. */
void midge_reply_suback(struct midge *b, struct midge_connection *c, uint16_t packet_id, uint32_t count, uint32_t codes);

/* A code in its place among those of a SUBACK that has few. */
static inline uint32_t midge_suback_code(uint8_t code, uint32_t place)
{
    return (code == MIDGE_SUBACK_FAILURE ? (uint32_t)MIDGE_REPLY_CODE_FAILURE : code) << (MIDGE_REPLY_CODE_BITS * place);
}

/* Forgets all replies. */
void midge_replies_clear(struct midge *b, struct midge_connection *c);

/* Encodes replies into a buffer, as far as they fit, cutting the last. Returns the number of bytes. */
uint32_t midge_replies_encode(const struct midge *b, const struct midge_connection *c, uint8_t *buffer, uint32_t size);

/* That many bytes are with the transport, the first of them of the first reply's packet, which is there. Returns how many were
 * of what follows that packet. */
uint32_t midge_reply_consume(struct midge *b, struct midge_connection *c, uint32_t sent);

#endif
