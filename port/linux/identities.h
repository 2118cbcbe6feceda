/*
 * Who is who: the number by which the core asks what a client may do leads to its user and its client identifier.
 *
 * There is one entry for each client identifier, as there is one session for each. It is needed for as long as there is that
 * session, which the core removes without telling. But the table has room for as many absent clients as there can be sessions,
 * and gives up the one absent for longest first: when it has to, the core has no session left of that one. A number that has
 * been given up is recognised by its generation, and may do nothing.
 */
#ifndef MIDGE_IDENTITIES_H
#define MIDGE_IDENTITIES_H

#include "rights.h"

/* Smaller numbers stand for clients without a name: each is the number of a domain. */
#define MIDGE_IDENTITIES_FIRST MIDGE_DOMAINS_MAX

struct midge_identity {
    uint32_t bucket_next;
    uint32_t earlier, later; /* in the list of those without a connection, by the time at which they left */
    uint32_t account;
    uint16_t connections; /* more than one while a session is taken over */
    uint8_t generation;
    uint8_t domain;
    uint16_t user_size;
    uint16_t client_id_size;
    bool has_user;
    bool kept;      /* the session outlives the connection */
    uint8_t text[]; /* the client identifier, then the user name: as many bytes as settings say */
};

/* An entry with its text, in bytes. */
static inline size_t midge_identity_size(uint32_t text_size)
{
    return (offsetof(struct midge_identity, text) + text_size + 3) / 4 * 4;
}

struct midge_identities {
    uint8_t *identities;  /* entries of midge_identity_size; those before MIDGE_IDENTITIES_FIRST are not used */
    uint32_t *buckets;    /* as many */
    uint32_t text_size;   /* of user name and client identifier together, at most */
    uint32_t max;         /* sessions + connections there can be, + MIDGE_IDENTITIES_FIRST */
    uint32_t used;        /* [used] and later have never been used */
    uint32_t first, last; /* of the list of those without a connection */
    uint64_t seed;
};

/* The memory that identities and buckets point to is zeroed. */
void midge_identities_start(struct midge_identities *identities, uint64_t seed);

/* A client was accepted: finds its entry or makes one, and counts a connection. Returns its number, 0 where its names are too
 * long. */
uint32_t midge_identities_enter(struct midge_identities *identities, const struct midge_asker *asker);

/* Whether the session of this client outlives the connection, as it said when it connected. */
void midge_identities_keep(struct midge_identities *identities, uint32_t who, bool kept);

/* A connection of the client has ended. */
void midge_identities_leave(struct midge_identities *identities, uint32_t who);

/* Who a number stands for. Returns false where it has been given up. */
bool midge_identities_asker(const struct midge_identities *identities, uint32_t who, struct midge_asker *asker);

/* The accounts have been read anew: finds each client's in `now`. `changed` is called for each client that had a password in
 * `old` and has it no longer. */
void midge_identities_renew(struct midge_identities *identities, const struct midge_accounts *old,
                            const struct midge_accounts *now, void (*changed)(void *context, uint32_t who), void *context);

#endif
