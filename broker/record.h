/* Log records and the counting of lost messages. */
#ifndef MIDGE_RECORD_H
#define MIDGE_RECORD_H

#include "state.h"

/* Begins the record, b->log, of this connection, with the client identifier of its session where it has one. Returns it, to be
 * filled and written before anything else is recorded. */
struct midge_log *midge_record(struct midge *b, enum midge_log_event event, enum midge_reason reason,
                               const struct midge_connection *c);

/* Likewise of a session (NULL: none). */
struct midge_log *midge_record_session(struct midge *b, enum midge_log_event event, enum midge_reason reason,
                                       const struct midge_session *s);

/* Puts the topic of a stored message into the record, and the size of its payload. */
void midge_record_message(struct midge *b, midge_index message);

/* Hands the record to the port; views are cut to what midge.h promises. */
void midge_record_write(struct midge *b);

/* Counts one lost message for one receiver (NULL: none in particular), and logs it. */
void midge_drop_message(struct midge *b, enum midge_reason reason, const struct midge_session *s, midge_index message);
void midge_drop_topic(struct midge *b, enum midge_reason reason, const struct midge_session *s, struct midge_view topic,
                      uint32_t payload_size);

/* What a trace says of a packet or subscription; what does not concern it is empty. */
struct midge_traced {
    struct midge_view topic;
    uint32_t size;
    uint16_t packet_id;
    uint8_t first; /* of the packet */
    uint8_t code;
};

/* Logs a packet or subscription where the policy asks for a trace of all of them. */
void midge_trace(struct midge *b, enum midge_log_event event, const struct midge_connection *c,
                 const struct midge_traced *traced);

#endif
