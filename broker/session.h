/* The sessions: found by client identifier, kept while their clients are away. */
#ifndef MIDGE_SESSION_H
#define MIDGE_SESSION_H

#include "state.h"

/* Returns the session of a client identifier, NULL where there is none. [MQTT-3.1.3-2] */
struct midge_session *midge_session_find(const struct midge *b, struct midge_view client_id);

/* Creates a session, offline. Where no session is left, the one absent for longest makes room, if the policy says so. Returns
 * NULL and sets *reason where there is no room. */
struct midge_session *midge_session_create(struct midge *b, struct midge_view client_id, enum midge_reason *reason);

/* Removes a session that has no connection, with its subscriptions and all that is queued for it; logs it where the session
 * was not clean. */
void midge_session_remove(struct midge *b, struct midge_session *s, enum midge_reason reason);

/* Ties a session to the connection of an accepted client, and unties it: what is in flight will be sent again; a clean session
 * ends with that, and is then no longer there. */
void midge_session_attach(struct midge *b, struct midge_session *s, const struct midge_connection *c, bool clean, uint32_t who);
void midge_session_detach(struct midge *b, struct midge_session *s);

/* Removes the sessions that expired. Returns when the next one will, UINT64_MAX for never. */
uint64_t midge_session_expire(struct midge *b);

/* ---- The QoS 2 messages that were received from a session's client and not yet released ---- */

/* Returns the entry of an identifier, 0 where it is not in use. */
midge_index midge_qos2_find(const struct midge *b, midge_index session, uint16_t packet_id);

/* Whether one more may be added: an entry is free, and the session leaves as many to others as it holds. */
bool midge_qos2_room(const struct midge *b, midge_index session);

/* Adds an identifier that is not in use; there is room. */
void midge_qos2_add(struct midge *b, midge_index session, uint16_t packet_id);

void midge_qos2_remove(struct midge *b, midge_index entry);

#endif
