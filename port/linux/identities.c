#define _GNU_SOURCE
#include "identities.h"

#include "hash.h"

#include <string.h>

#define INDEX_BITS 24u
#define INDEX_MASK ((1u << INDEX_BITS) - 1)

/* The highest index that a number can hold is more than the core can have sessions and connections. */
_Static_assert(INDEX_MASK >= 16777214u, "the index of an identity");

static struct midge_identity *at(const struct midge_identities *identities, uint32_t who)
{
    size_t size = midge_identity_size(identities->text_size);
    return (struct midge_identity *)(void *)(identities->identities + (who & INDEX_MASK) * size);
}

static uint32_t number_of(const struct midge_identities *identities, uint32_t index)
{
    return (uint32_t)at(identities, index)->generation << INDEX_BITS | index;
}

void midge_identities_start(struct midge_identities *identities, uint64_t seed)
{
    identities->used = MIDGE_IDENTITIES_FIRST;
    identities->seed = seed;
}

static uint32_t *bucket_of(const struct midge_identities *identities, const uint8_t *client_id, size_t size)
{
    return &identities->buckets[midge_hash_bytes(identities->seed, client_id, size) % identities->max];
}

static void leave_absent(struct midge_identities *identities, struct midge_identity *identity)
{
    *(identity->earlier != 0 ? &at(identities, identity->earlier)->later : &identities->first) = identity->later;
    *(identity->later != 0 ? &at(identities, identity->later)->earlier : &identities->last) = identity->earlier;
}

/* An entry that is not needed goes to the front of the list, where the next one is taken from. */
static void join_absent(struct midge_identities *identities, uint32_t index, bool needed)
{
    struct midge_identity *identity = at(identities, index);
    identity->earlier = needed ? identities->last : 0;
    identity->later = needed ? 0 : identities->first;
    *(identity->earlier != 0 ? &at(identities, identity->earlier)->later : &identities->first) = index;
    *(identity->later != 0 ? &at(identities, identity->later)->earlier : &identities->last) = index;
}

/* Takes an entry: one that is not needed, one never used, or the one absent for longest. 0: all are connected, which cannot be.
 */
static uint32_t take(struct midge_identities *identities)
{
    uint32_t index = identities->first;
    bool needed = index != 0 && at(identities, index)->kept;
    if ((index == 0 || needed) && identities->used < identities->max) {
        return identities->used++;
    }
    if (index != 0) {
        struct midge_identity *identity = at(identities, index);
        uint32_t *link = bucket_of(identities, identity->text, identity->client_id_size);
        while (*link != index) {
            link = &at(identities, *link)->bucket_next;
        }
        *link = identity->bucket_next;
        leave_absent(identities, identity);
        identity->generation++;
    }
    return index;
}

static uint32_t find(const struct midge_identities *identities, struct midge_view client_id)
{
    uint32_t i = *bucket_of(identities, client_id.bytes, client_id.size);
    while (i != 0 && (at(identities, i)->client_id_size != client_id.size ||
                      memcmp(at(identities, i)->text, client_id.bytes, client_id.size) != 0)) {
        i = at(identities, i)->bucket_next;
    }
    return i;
}

uint32_t midge_identities_enter(struct midge_identities *identities, const struct midge_asker *asker)
{
    if (asker->client_id.size + asker->user.size > identities->text_size) {
        return 0;
    }
    uint32_t index = find(identities, asker->client_id);
    struct midge_identity *identity = at(identities, index);
    if (index == 0) {
        index = take(identities);
        if (index == 0) {
            return 0;
        }
        uint32_t *bucket = bucket_of(identities, asker->client_id.bytes, asker->client_id.size);
        identity = at(identities, index);
        identity->bucket_next = *bucket;
        *bucket = index;
        identity->kept = false;
        memcpy(identity->text, asker->client_id.bytes, asker->client_id.size);
        identity->client_id_size = (uint16_t)asker->client_id.size;
    } else if (identity->connections == 0) {
        leave_absent(identities, identity);
    }
    identity->connections++;
    identity->domain = asker->domain;
    identity->account = asker->account;
    identity->has_user = asker->has_user;
    identity->user_size = (uint16_t)asker->user.size;
    if (asker->user.size > 0) {
        memcpy(identity->text + identity->client_id_size, asker->user.bytes, asker->user.size);
    }
    return number_of(identities, index);
}

void midge_identities_keep(struct midge_identities *identities, uint32_t who, bool kept)
{
    at(identities, who)->kept = kept;
}

void midge_identities_leave(struct midge_identities *identities, uint32_t who)
{
    struct midge_identity *identity = at(identities, who);
    identity->connections--;
    if (identity->connections == 0) {
        join_absent(identities, who & INDEX_MASK, identity->kept);
    }
}

bool midge_identities_asker(const struct midge_identities *identities, uint32_t who, struct midge_asker *asker)
{
    if (who < MIDGE_IDENTITIES_FIRST) {
        *asker = (struct midge_asker){.domain = (uint8_t)who};
        return true;
    }
    const struct midge_identity *identity = at(identities, who);
    *asker = (struct midge_asker){.domain = identity->domain,
                                  .has_user = identity->has_user,
                                  .account = identity->account,
                                  .user = {identity->text + identity->client_id_size, identity->user_size},
                                  .client_id = {identity->text, identity->client_id_size}};
    return identity->generation == who >> INDEX_BITS;
}

void midge_identities_renew(struct midge_identities *identities, const struct midge_accounts *old,
                            const struct midge_accounts *now, void (*changed)(void *context, uint32_t who), void *context)
{
    for (uint32_t i = MIDGE_IDENTITIES_FIRST; i < identities->used; i++) {
        struct midge_identity *identity = at(identities, i);
        struct midge_asker asker;
        (void)midge_identities_asker(identities, number_of(identities, i), &asker);
        uint32_t before = identity->account;
        identity->account = asker.has_user ? midge_accounts_find(now, asker.domain, asker.user) : MIDGE_ACCOUNT_NONE;
        if (before != MIDGE_ACCOUNT_NONE && old->accounts[before].has_password &&
            (identity->account == MIDGE_ACCOUNT_NONE || !midge_accounts_same_password(now, identity->account, old, before))) {
            changed(context, number_of(identities, i));
        }
    }
}
