/*
 * Who waits for what. A connection waits for one thing at a time, for a packet that it will be offered again, or for its will.
 * One queue for each scarce resource, woken head first, as many as there is room for; whoever comes later does not pass those
 * that wait.
 */
#ifndef MIDGE_WAITING_H
#define MIDGE_WAITING_H

#include "state.h"

/* Puts a connection to wait for an object: the subscriber's connection for MIDGE_WAIT_SUBSCRIBER, as many blocks or deliveries
 * as it says for the kinds that wait for those; MIDGE_WAIT_REPLIES: 1 where it is the SUBACK that must go first. Else it is 0.
 * The first wait of a packet sets its deadline. */
void midge_wait(struct midge *b, struct midge_connection *c, enum midge_wait_kind kind, midge_index object);

/* Ends a wait: the port is to offer the input again, or the will is to be tried again. */
void midge_wake(struct midge *b, struct midge_connection *c);

/* The turn of a will has come: it leaves its queue, and may take what it was woken for before others. */
void midge_wait_turn(struct midge *b, struct midge_connection *c);

/* Takes a connection out of whatever it waits for, for good. */
void midge_wait_cancel(struct midge *b, struct midge_connection *c);

/* Whether a connection that wants this (`object` is the subscriber's connection, else 0) must queue up behind others; NULL: one
 * that never was in a queue. */
bool midge_wait_others(const struct midge *b, const struct midge_connection *c, enum midge_wait_kind kind, midge_index object);

/* The packet at hand was dealt with, or one wait of it is over for good: its deadline no longer counts. */
void midge_wait_done(struct midge *b, struct midge_connection *c);

/* Whether the packet at hand has waited as long as it may. */
bool midge_wait_expired(const struct midge *b, const struct midge_connection *c);

/* Whether a publisher may wait for this session to make room: rule 1, nothing waits for a waiter. */
bool midge_waitable(const struct midge *b, const struct midge_session *s, const struct midge_connection *publisher);

/* Wakes those that wait for a subscriber: as many as `room` says. */
void midge_wake_waiters(struct midge *b, const struct midge_connection *subscriber, uint32_t room);

/* Wakes those that wait for a subscriber, as far as its queue has room. */
void midge_wake_for_room(struct midge *b, const struct midge_connection *subscriber);

/* Wakes those that wait for blocks, deliveries and room for assembly, as far as there is. */
void midge_wake_all(struct midge *b);

/* How many blocks may still be promised to packets in assembly, of peers before or after CONNECT. */
uint32_t midge_assembly_room(const struct midge *b, bool accepted);

#endif
