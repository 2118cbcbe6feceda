/*
 * Logins that wait for their answer: until their password is hashed, or, where it was wrong, until some time has passed. The
 * time is doubled with each failure of the same host.
 */
#ifndef MIDGE_LOGINS_H
#define MIDGE_LOGINS_H

#include "addresses.h"
#include "hasher.h"
#include "identities.h"

/* Failed logins of one host that wait for their answer; more are refused at once. */
#define MIDGE_WAITING_MAX 16u

struct midge_pending {
    struct midge_handle conn;
    uint32_t next;    /* in the list it is in: free, or delayed */
    uint32_t address; /* of the host, 0: a local socket */
    uint32_t account;
    uint64_t answer_ms; /* delayed: until when */
    bool wrong;         /* the answer is no, whatever the hash says */
    uint8_t domain;
    uint16_t client_id_size;
    uint16_t user_size;
    uint8_t text[]; /* the client identifier, then the user name */
};

/* An entry with its text, in bytes. */
static inline size_t midge_pending_size(uint32_t text_size)
{
    return (offsetof(struct midge_pending, text) + text_size + 7) / 8 * 8;
}

struct midge_logins {
    uint8_t *pending;   /* entries of midge_pending_size; the first is not used */
    uint32_t text_size; /* of user name and client identifier together, at most */
    uint32_t max;       /* logins that can wait, + 1 */
    uint32_t used;      /* [used] and later have never been used */
    uint32_t free;
    uint32_t delayed; /* a list, in no order */
    struct midge_hasher hasher;
    struct midge_addresses *addresses;
    uint64_t failed; /* how many failed since the start */
};

/* pending, text_size, max, hasher's memory (for as many jobs) and addresses are set. */
void midge_logins_start(struct midge_logins *logins);

/* Notes a login, whose names have room in text_size. Returns its number, 0 where too many wait. */
uint32_t midge_logins_add(struct midge_logins *logins, struct midge_handle conn, uint32_t address,
                          const struct midge_asker *asker);

/* Has the password hashed; with `wrong` only for the time that it takes. */
void midge_logins_hash(struct midge_logins *logins, uint32_t login, const struct midge_password *expected,
                       struct midge_view password, bool wrong);

/* Counts a login that has failed, and delays its answer. */
void midge_logins_fail(struct midge_logins *logins, uint32_t login, uint64_t now_ms);

/* Takes the next login whose answer is known; *good tells it. It is to be released. Returns 0 where there is none. */
uint32_t midge_logins_next(struct midge_logins *logins, uint64_t now_ms, bool *good);

/* The connection of this login has ended: nobody waits for its answer. */
void midge_logins_abandon(struct midge_logins *logins, uint32_t login);

void midge_logins_release(struct midge_logins *logins, uint32_t login);

/* The accounts have been read anew: who was removed, or has another password, does not come in. */
void midge_logins_renew(struct midge_logins *logins, const struct midge_accounts *old, const struct midge_accounts *now);

/* When the next delay is over, UINT64_MAX: there is none. */
uint64_t midge_logins_due_ms(const struct midge_logins *logins);

struct midge_asker midge_logins_asker(const struct midge_logins *logins, uint32_t login);

/* Whose login it is. */
struct midge_handle midge_logins_conn(const struct midge_logins *logins, uint32_t login);

#endif
