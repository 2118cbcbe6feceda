/*
 * What is known about the hosts that peers come from: how many connections they have, and how often they failed to log in. An
 * IPv6 host is its network of 64 bits, of which it can choose the rest.
 */
#ifndef MIDGE_ADDRESSES_H
#define MIDGE_ADDRESSES_H

#include <stdbool.h>
#include <stdint.h>

struct midge_address {
    uint64_t key;
    uint32_t bucket_next;
    uint32_t earlier, later; /* in the list of those with failures, by the time of the last */
    uint32_t connections;
    uint32_t waiting;  /* failed logins whose answer is delayed */
    uint32_t failures; /* in a row, none further from the next than MIDGE_FAILURE_FORGET_MS; 0: not in the list */
    uint64_t failed_ms;
};

#define MIDGE_FAILURE_FORGET_MS 600000u

/* As many hosts without connections can have their failures remembered. */
#define MIDGE_FAILURES_MAX 1024u

struct midge_addresses {
    struct midge_address *addresses; /* [0] is not used */
    uint32_t *buckets;               /* as many */
    uint32_t max;                    /* connections there can be + MIDGE_FAILURES_MAX + 1 */
    uint32_t used;                   /* [used] and later have never been used */
    uint32_t free;                   /* a list by bucket_next */
    uint32_t first, last;            /* of the list of those with failures */
    uint64_t seed;
};

/* The memory that addresses and buckets point to is zeroed. */
void midge_addresses_start(struct midge_addresses *addresses, uint64_t seed);

/* The key of a host: 4 bytes of IPv4 or 16 of IPv6. */
uint64_t midge_address_key(const uint8_t *bytes, bool ipv6);

/* The host's number, 0 where nothing is known about it. */
uint32_t midge_addresses_find(const struct midge_addresses *addresses, uint64_t key);

/* Counts a connection of a host. Returns the host's number, which holds until its last connection has left. */
uint32_t midge_addresses_enter(struct midge_addresses *addresses, uint64_t key);
void midge_addresses_leave(struct midge_addresses *addresses, uint32_t address);

/* Counts a failure to log in. Returns how many there were in a row. */
uint32_t midge_addresses_fail(struct midge_addresses *addresses, uint32_t address, uint64_t now_ms);

/* How many failures there were in a row, as of now. */
uint32_t midge_addresses_failures(const struct midge_addresses *addresses, uint32_t address, uint64_t now_ms);

#endif
