/* How the input of the broker's fuzzer is read: which limits and policies, and then one step after the other. Every string of
 * bytes is an input; what is missing at its end is 0. */
#ifndef FUZZ_FORMAT_H
#define FUZZ_FORMAT_H

#include "run.h"

/* A byte for each limit and each policy says which of its values it has; 0 is ample or usual. */
enum { FORMAT_VALUES = 8 };
uint32_t format_limit_value(size_t limit, unsigned byte);
unsigned long format_policy_value(size_t policy, unsigned byte);

/* The byte for the least of the values that are at least `wanted`, else 0. */
unsigned format_limit_byte(size_t limit, uint32_t wanted);
unsigned format_policy_byte(size_t policy, unsigned long wanted);

/* A further byte: bits of who is asked and what is denied. */
enum format_rules { FORMAT_USERS = 1, FORMAT_ACL = 2 };

/* A step begins with a byte: what happens in the lower 5 bits, to which of the 8 clients in the upper 3. */
enum { FORMAT_CLIENTS = 8 };
enum format_step {
    STEP_SEND,       /* size, bytes; behind it, as after each step that does not say otherwise, the port's loop comes to rest */
    STEP_SEND_LARGE, /* size in two bytes, the higher first, bytes */
    STEP_HOLD,       /* size, bytes: they lie there when the next step comes */
    STEP_CONNECT,    /* flags, identifier, keep alive in seconds */
    STEP_SUBSCRIBE,  /* filters: number, then filter and QoS for each */
    STEP_UNSUBSCRIBE,
    STEP_PUBLISH, /* flags, topic, packet identifier, size of the payload in two bytes */
    STEP_ACK,     /* type and packet identifier */
    STEP_EMPTY,   /* PINGREQ or DISCONNECT */
    STEP_LOSE,
    STEP_TIME,        /* milliseconds */
    STEP_TIME_LONG,   /* two bytes of milliseconds, the higher first */
    STEP_LATE,        /* milliseconds in units of 32 that the port comes late */
    STEP_READ,        /* how many bytes the client still takes; 255: everything from now on */
    STEP_ACKNOWLEDGE, /* whether it answers by itself */
    STEP_CHUNKS,      /* how bytes travel from now on: size of the input, size of the output */
    STEP_ANSWER,      /* verdict for a pending authentication */
    STEP_POLICY,      /* which one, value */
    STEP_INTERNAL,    /* a message of the port's own: flags, topic, size of the payload */
    STEP_COUNT
};

#endif
