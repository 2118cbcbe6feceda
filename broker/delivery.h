/* A session's deliveries, from being queued to being acknowledged: the two queues, what they are charged for, and the
 * in-flight window. */
#ifndef MIDGE_DELIVERY_H
#define MIDGE_DELIVERY_H

#include "state.h"

/* How much a queue may take, as it stood when a message was first judged: appending it must not change the verdicts. */
struct midge_room {
    uint32_t entries; /* free deliveries */
    uint32_t bytes;   /* room in free blocks */
    uint32_t blocks;  /* free blocks, less those of the message in question */
};

/* Whether memory is ample enough for one more message to this session: what is queued for absent clients leaves room for
 * others. */
bool midge_queue_has_memory(const struct midge *b, const struct midge_session *s, const struct midge_room *room);

/* Whether a session's queue is short enough for one more message of `size` bytes of topic and payload: rule 4, nobody takes it
 * all. An empty queue always is. */
bool midge_queue_admits(const struct midge *b, const struct midge_session *s, uint32_t size, const struct midge_room *room);

/* Whether it would have room once all that waits in its queue of this kind of QoS is dropped; what is in flight stays. */
bool midge_queue_admits_emptied(const struct midge *b, const struct midge_session *s, uint8_t qos, uint32_t size,
                                const struct midge_room *room);

/* How many more messages those that wait for this session's queue may bring: 0 until it has shrunk to half its share, so that
 * they are not woken for each message that leaves. */
uint32_t midge_queue_wake_room(const struct midge *b, const struct midge_session *s);

/* Queues a message, of which the delivery takes one reference over. The caller made sure that a delivery is free, and knows
 * what the message is charged for. */
void midge_queue_append(struct midge *b, struct midge_session *s, midge_index message, uint8_t qos, uint32_t charge);

/* Drops the oldest message that waits in the queue of this kind of QoS. Returns false where none waits. */
bool midge_queue_drop_oldest(struct midge *b, struct midge_session *s, uint8_t qos);

/* The QoS 0 messages of a session whose client is gone: dropped, but for those queued where the policy is to keep them. */
void midge_queue_disconnect(struct midge *b, struct midge_session *s);

/* Drops everything, and counts it for the reason given; the caller logs the number that is returned. */
uint32_t midge_queue_clear(struct midge *b, struct midge_session *s, enum midge_reason reason);

/* Takes what has waited longest into the window: fixes its identifier, QoS and flags. Returns 0 where nothing waits, or the
 * window has no room for what does. */
midge_index midge_window_admit(struct midge *b, struct midge_session *s);

/* Puts a retained message into the window, to be sent with RETAIN. Returns false where no delivery is free. */
bool midge_window_add_retained(struct midge *b, struct midge_session *s, midge_index message, uint8_t qos);

/* Whether the window has room for one more QoS 1 or 2 message. */
static inline bool midge_window_open(const struct midge *b, const struct midge_session *s)
{
    return s->inflight_count < b->config.policy.inflight_max;
}

/* The first delivery of the window that is still to be sent, 0 where there is none. */
static inline midge_index midge_window_unsent(const struct midge *b, const struct midge_session *s)
{
    return s->sent != 0 ? midge_delivery_at(b, s->sent)->next : s->window.head;
}

/* The first unsent delivery, which is this one, is with the transport as a whole: QoS 0 is done, QoS 1 and 2 wait for an
 * acknowledgement. */
void midge_window_sent(struct midge *b, struct midge_session *s, struct midge_delivery *d);

enum midge_ack { MIDGE_ACK_UNKNOWN, MIDGE_ACK_DONE, MIDGE_ACK_WRONG };

/* An acknowledgement came: MIDGE_PACKET_PUBACK, MIDGE_PACKET_PUBREC or MIDGE_PACKET_PUBCOMP. Only what was sent to its last
 * byte can be acknowledged. */
enum midge_ack midge_window_acknowledge(struct midge *b, struct midge_session *s, enum midge_packet_type type,
                                        uint16_t packet_id);

uint32_t midge_delivery_audit(const struct midge *b, const struct midge_session *s, uint32_t *entries);

#endif
