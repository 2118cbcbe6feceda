/*
 * The oracle: what every client must, may and must not receive. It sees only what a port sees: the bytes that the broker took
 * and gave, its events, its log records and its counters. The log is treated as testimony: a record that excuses a loss must
 * be true and allowed, and each loss needs exactly one.
 *
 * Every call of the broker is enclosed by oracle_call and oracle_return; in between the network tells what was done.
 */
#ifndef SIM_ORACLE_H
#define SIM_ORACLE_H

#include "world.h"

/* ---- Calls (oracle_call.c) ---- */

/* The broker is about to be called, on behalf of a link or (NULL) of none. */
void oracle_call(struct world *w, struct link *link);

/* The call has returned; on a link whose input is handed over without the broker's trace, its packets up to link->consumed have
 * been dealt with. Judges the records. */
void oracle_return(struct world *w);

/* The log callback. */
void oracle_log(void *context, const struct midge_log *log);

/* The port has told the broker that the transport connection is gone. */
void oracle_disconnected(struct world *w, struct link *link);

/* The connections that ended in this call leave nothing unaccounted behind. */
void oracle_settle(struct world *w);

/* Where the broker has announced no output, nothing is due. */
void oracle_edges(struct world *w);

/* After each step: the broker's counters agree with the model. */
void oracle_counters(struct world *w);

/* Whether a session may receive a topic, or publish to it. */
bool oracle_may_read(const struct world *w, uint32_t session, uint32_t topic);
bool oracle_may_write(const struct world *w, uint32_t session, uint32_t topic);

/* How many entries of a pool were free at the worst moment that can be told: before or after the current call. */
uint32_t oracle_free(const struct world *w, enum midge_pool_id pool);

/* ---- What clients sent (oracle_packet.c) ---- */

/* The broker has begun, or is done with, a packet of a link. */
void oracle_packet_begin(struct world *w, struct link *link);
void oracle_packet_end(struct world *w);

/* CONNECT was accepted or refused. */
void oracle_accepted(struct world *w, const struct record *record);
void oracle_refused(struct world *w, const struct record *record);
void oracle_denied(struct world *w, const struct record *record);

/* ---- Publications (oracle_route.c) ---- */

void oracle_publish(struct world *w, uint32_t message);
void oracle_publish_end(struct world *w);

/* The publication never happened: its publisher was refused. */
void oracle_publish_cancel(struct world *w);

/* The end of a client is to be told. */
void oracle_will_due(struct world *w, const struct link *link);

/* A record of a loss does not fit what is being published: the next will to be reported is being published. False: there is
 * none. */
bool oracle_will_next(struct world *w);

/* A record of a full queue fits what is being published, and the next will as well, and only one of them is lost: that is
 * rather the will, since it finds the queue no emptier. */
bool oracle_will_rather(const struct world *w, const struct record *record, uint32_t session);

/* A will that its publisher may not publish is reported as lost. */
bool oracle_will_denied(struct world *w, const struct record *record);

void oracle_will_published(struct world *w, const struct record *record);

/* No will has been due for too long. */
void oracle_wills_settle(struct world *w);

/* ---- Losses (oracle_drop.c) ---- */

/* Whether a record names the topic and the size of this message. */
bool oracle_names(const struct world *w, uint32_t message, const struct record *record);

void oracle_dropped(struct world *w, const struct record *record);
void oracle_session_gone(struct world *w, const struct record *record);

/* After the end of a session's connection: everything that could not stay was counted as lost. */
void oracle_session_settle(struct world *w, uint32_t session);

/* ---- Ends of connections (oracle_end.c) ---- */

void oracle_ended(struct world *w, const struct record *record);

/* The clock has moved: whoever should be gone is gone. */
void oracle_clock(struct world *w);

/* ---- What the broker sent (oracle_output.c) ---- */

void oracle_owe(struct world *w, struct link *link, const struct reply *reply);

/* `offered` bytes were encoded, the first `sent` of them are with the transport. */
void oracle_sent(struct world *w, struct link *link, const uint8_t *bytes, size_t offered, size_t sent);

/* The connection has ended: what was partly sent is known to be so. */
void oracle_output_cut(struct world *w, struct link *link);

/* The broker has nothing to send on this link. */
void oracle_idle(struct world *w, struct link *link);

#endif
