/* The oracle's model: sessions, what is on its way to them, what is retained. Nothing here looks at the broker. */
#ifndef SIM_MODEL_H
#define SIM_MODEL_H

#include "world.h"

/* A message that a publisher is about to send; `original` 0: it repeats none. */
uint32_t message_new(struct world *w, const struct message *fields);

/* Writes the payload: the number of the message where it fits, then bytes that follow from it. */
void message_payload(const struct world *w, uint32_t message, uint8_t *payload);

/* Whether these bytes are that message's topic and payload. */
bool message_equals(const struct world *w, uint32_t message, struct text topic, struct text payload);

/* The message whose payload this is; 0: the payload is too short to tell, or no message of ours. */
uint32_t message_read(const struct world *w, struct text payload);

/* The broker has a reason more, or less, to store a message. */
void message_keep(struct world *w, uint32_t message);
void message_release(struct world *w, uint32_t message);

static inline struct delivery *delivery_at(struct world *w, uint32_t delivery)
{
    return &w->deliveries[delivery];
}

/* A delivery at the end of a list of the session. */
uint32_t delivery_new(struct world *w, struct delivery_list *list, uint32_t message, uint8_t qos);
void delivery_move(struct world *w, struct delivery_list *from, struct delivery_list *to, uint32_t delivery);
void delivery_remove(struct world *w, struct delivery_list *list, uint32_t delivery);

/* The session whose client identifier starts with these bytes; NOBODY. */
uint32_t session_find(const struct world *w, const char *id, size_t size);
void session_create(struct world *w, uint32_t session, const char *id, size_t size);

/* Everything of the session is gone. Its deliveries must have been accounted for. */
void session_remove(struct world *w, uint32_t session);
void session_online(struct world *w, uint32_t session, struct link *link);
void session_offline(struct world *w, uint32_t session);

void session_subscribe(struct world *w, uint32_t session, uint32_t filter, uint8_t qos);
void session_unsubscribe(struct world *w, uint32_t session, uint32_t filter);

/* The highest QoS granted to the session for a topic; 0xff: it is not subscribed. */
uint8_t session_granted(const struct world *w, uint32_t session, uint32_t topic);

/* A retained message ceases to be due, or becomes what may come but need not. */
void replay_remove(struct world *w, uint32_t session, uint32_t replay);
void replay_excuse(struct world *w, struct session *s, struct replay *replay);

/* Retains a message in place of the one before; 0: none. */
void retain(struct world *w, uint32_t topic, uint32_t message);

/* Inbound QoS 2 packet identifiers. */
bool session_has_id(const struct session *s, uint16_t packet_id);
void session_add_id(struct world *w, struct session *s, uint16_t packet_id);
bool session_drop_id(struct world *w, struct session *s, uint16_t packet_id);

#endif
