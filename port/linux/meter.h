/*
 * How much a client may send in a second: messages and bytes, each with a bucket that holds what one second allows. What is
 * more waits, and the transport's own window then holds the client back; nothing is lost, and no connection ends for it.
 */
#ifndef MIDGE_METER_H
#define MIDGE_METER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct midge_rates {
    uint32_t messages; /* PUBLISH packets a second; 0: any number */
    uint32_t bytes;    /* a second, of all packets; 0: any number */
};

/* Of one connection. All zero: nothing has come in. */
struct midge_meter {
    uint64_t filled_ms;  /* when the buckets were filled last; 0: they are full */
    uint64_t messages_m; /* what is in the buckets, in thousandths */
    uint64_t bytes_m;
    uint32_t body;  /* bytes of the current packet that are still to come */
    uint8_t shift;  /* where the next bits of its length belong */
    bool follows;   /* it has seen the stream from its start: only then it knows where messages begin */
    bool in_length; /* its length is being read */
    bool listed;    /* the rest is the transport's: whether it is in the list of those that wait, */
    uint32_t next;  /* and who comes after it */
};

/* Begins a new connection: `follows` where all of its bytes will be counted. */
void midge_meter_start(struct midge_meter *meter, bool follows);

/* How many of these bytes, which are next in the stream, may pass now. */
size_t midge_meter_allow(struct midge_meter *meter, const struct midge_rates *rates, uint64_t now_ms, const uint8_t *bytes,
                         size_t size);

/* These bytes, among those that were allowed, have passed. */
void midge_meter_count(struct midge_meter *meter, const struct midge_rates *rates, const uint8_t *bytes, size_t size);

#endif
