#define _GNU_SOURCE
#include "addresses.h"

#include "hash.h"

#include <string.h>

static struct midge_address *at(const struct midge_addresses *addresses, uint32_t address)
{
    return &addresses->addresses[address];
}

void midge_addresses_start(struct midge_addresses *addresses, uint64_t seed)
{
    addresses->used = 1;
    addresses->seed = seed;
}

uint64_t midge_address_key(const uint8_t *bytes, bool ipv6)
{
    uint64_t key = 0;
    for (unsigned i = 0; i < (ipv6 ? 8u : 4u); i++) {
        key = key << 8 | bytes[i];
    }
    /* The addresses of IPv4 lie in ::/64, where no host has its own. */
    return key;
}

static uint32_t *bucket_of(const struct midge_addresses *addresses, uint64_t key)
{
    uint8_t bytes[sizeof(key)];
    memcpy(bytes, &key, sizeof(key));
    return &addresses->buckets[midge_hash_bytes(addresses->seed, bytes, sizeof(bytes)) % addresses->max];
}

uint32_t midge_addresses_find(const struct midge_addresses *addresses, uint64_t key)
{
    uint32_t i = *bucket_of(addresses, key);
    while (i != 0 && at(addresses, i)->key != key) {
        i = at(addresses, i)->bucket_next;
    }
    return i;
}

static void leave_failures(struct midge_addresses *addresses, uint32_t address)
{
    struct midge_address *a = at(addresses, address);
    if (a->failures == 0) {
        return;
    }
    *(a->earlier != 0 ? &at(addresses, a->earlier)->later : &addresses->first) = a->later;
    *(a->later != 0 ? &at(addresses, a->later)->earlier : &addresses->last) = a->earlier;
    a->failures = 0;
}

/* Nothing has to be known about the host any more. */
static void release(struct midge_addresses *addresses, uint32_t address)
{
    uint32_t *link = bucket_of(addresses, at(addresses, address)->key);
    while (*link != address) {
        link = &at(addresses, *link)->bucket_next;
    }
    *link = at(addresses, address)->bucket_next;
    *at(addresses, address) = (struct midge_address){.bucket_next = addresses->free};
    addresses->free = address;
}

/* Forgets the failures that are oldest of all hosts without connections. */
static void make_room(struct midge_addresses *addresses)
{
    uint32_t i = addresses->first;
    while (i != 0 && at(addresses, i)->connections > 0) {
        i = at(addresses, i)->later;
    }
    if (i != 0) {
        leave_failures(addresses, i);
        release(addresses, i);
    }
}

uint32_t midge_addresses_enter(struct midge_addresses *addresses, uint64_t key)
{
    uint32_t address = midge_addresses_find(addresses, key);
    if (address == 0) {
        if (addresses->free == 0 && addresses->used == addresses->max) {
            make_room(addresses);
        }
        if (addresses->free != 0) {
            address = addresses->free;
            addresses->free = at(addresses, address)->bucket_next;
        } else {
            address = addresses->used++;
        }
        uint32_t *bucket = bucket_of(addresses, key);
        *at(addresses, address) = (struct midge_address){.key = key, .bucket_next = *bucket};
        *bucket = address;
    }
    at(addresses, address)->connections++;
    return address;
}

void midge_addresses_leave(struct midge_addresses *addresses, uint32_t address)
{
    at(addresses, address)->connections--;
    if (at(addresses, address)->connections == 0 && at(addresses, address)->failures == 0) {
        release(addresses, address);
    }
}

uint32_t midge_addresses_failures(const struct midge_addresses *addresses, uint32_t address, uint64_t now_ms)
{
    const struct midge_address *a = at(addresses, address);
    return now_ms - a->failed_ms < MIDGE_FAILURE_FORGET_MS ? a->failures : 0;
}

uint32_t midge_addresses_fail(struct midge_addresses *addresses, uint32_t address, uint64_t now_ms)
{
    struct midge_address *a = at(addresses, address);
    uint32_t failures = midge_addresses_failures(addresses, address, now_ms);
    leave_failures(addresses, address);
    a->failures = failures + 1;
    a->failed_ms = now_ms;
    a->earlier = addresses->last;
    a->later = 0;
    *(addresses->last != 0 ? &at(addresses, addresses->last)->later : &addresses->first) = address;
    addresses->last = address;
    return a->failures;
}
