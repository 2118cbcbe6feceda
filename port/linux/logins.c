#define _GNU_SOURCE
#include "logins.h"

#include <string.h>

#define DELAY_MS 250u
#define DELAY_DOUBLINGS_MAX 5u

static struct midge_pending *at(const struct midge_logins *logins, uint32_t login)
{
    return (struct midge_pending *)(void *)(logins->pending + login * midge_pending_size(logins->text_size));
}

static struct midge_hash_job *job_of(const struct midge_logins *logins, uint32_t login)
{
    return &logins->hasher.jobs[login - 1];
}

void midge_logins_start(struct midge_logins *logins)
{
    logins->used = 1;
}

uint32_t midge_logins_add(struct midge_logins *logins, struct midge_handle conn, uint32_t address,
                          const struct midge_asker *asker)
{
    uint32_t login = logins->free;
    if (login != 0) {
        logins->free = at(logins, login)->next;
    } else if (logins->used < logins->max) {
        login = logins->used++;
    } else {
        return 0;
    }
    struct midge_pending *pending = at(logins, login);
    *pending = (struct midge_pending){.conn = conn,
                                      .address = address,
                                      .account = asker->account,
                                      .domain = asker->domain,
                                      .client_id_size = (uint16_t)asker->client_id.size,
                                      .user_size = (uint16_t)asker->user.size};
    if (asker->client_id.size > 0) {
        memcpy(pending->text, asker->client_id.bytes, asker->client_id.size);
    }
    if (asker->user.size > 0) {
        memcpy(pending->text + asker->client_id.size, asker->user.bytes, asker->user.size);
    }
    return login;
}

struct midge_handle midge_logins_conn(const struct midge_logins *logins, uint32_t login)
{
    return at(logins, login)->conn;
}

struct midge_asker midge_logins_asker(const struct midge_logins *logins, uint32_t login)
{
    const struct midge_pending *pending = at(logins, login);
    return (struct midge_asker){.domain = pending->domain,
                                .has_user = true,
                                .account = pending->account,
                                .user = {pending->text + pending->client_id_size, pending->user_size},
                                .client_id = {pending->text, pending->client_id_size}};
}

void midge_logins_hash(struct midge_logins *logins, uint32_t login, const struct midge_password *expected,
                       struct midge_view password, bool wrong)
{
    struct midge_hash_job *job = job_of(logins, login);
    job->password = *expected;
    atomic_store_explicit(&job->stop, false, memory_order_relaxed);
    midge_password_prepare(&job->key, password.bytes, password.size);
    at(logins, login)->wrong = wrong;
    midge_hasher_submit(&logins->hasher, login - 1);
}

void midge_logins_fail(struct midge_logins *logins, uint32_t login, uint64_t now_ms)
{
    struct midge_pending *pending = at(logins, login);
    uint32_t failures = 1;
    logins->failed++;
    if (pending->address != 0) {
        failures = midge_addresses_fail(logins->addresses, pending->address, now_ms);
        logins->addresses->addresses[pending->address].waiting++;
    }
    uint32_t doublings = failures - 1 < DELAY_DOUBLINGS_MAX ? failures - 1 : DELAY_DOUBLINGS_MAX;
    pending->answer_ms = now_ms + ((uint64_t)DELAY_MS << doublings);
    pending->next = logins->delayed;
    logins->delayed = login;
}

/* Takes a login whose delay is over, or whose connection has ended, from the list. */
static uint32_t take_delayed(struct midge_logins *logins, uint64_t now_ms)
{
    uint32_t *link = &logins->delayed;
    while (*link != 0 && at(logins, *link)->answer_ms > now_ms && at(logins, *link)->conn.index != 0) {
        link = &at(logins, *link)->next;
    }
    uint32_t login = *link;
    if (login != 0) {
        *link = at(logins, login)->next;
    }
    return login;
}

/* The host has one delayed answer less. Only while a connection waits for it, since nothing else keeps the host's entry. */
static void stop_waiting(struct midge_logins *logins, const struct midge_pending *pending)
{
    if (pending->address != 0) {
        logins->addresses->addresses[pending->address].waiting--;
    }
}

uint32_t midge_logins_next(struct midge_logins *logins, uint64_t now_ms, bool *good)
{
    uint32_t job;
    while (midge_hasher_take(&logins->hasher, &job)) {
        uint32_t login = job + 1;
        const struct midge_pending *pending = at(logins, login);
        if (pending->conn.index == 0) {
            midge_logins_release(logins, login);
        } else if (!pending->wrong && job_of(logins, login)->matches) {
            *good = true;
            return login;
        } else {
            midge_logins_fail(logins, login, now_ms);
        }
    }
    *good = false;
    uint32_t login;
    while ((login = take_delayed(logins, now_ms)) != 0 && at(logins, login)->conn.index == 0) {
        midge_logins_release(logins, login);
    }
    if (login != 0) {
        stop_waiting(logins, at(logins, login));
    }
    return login;
}

void midge_logins_abandon(struct midge_logins *logins, uint32_t login)
{
    struct midge_pending *pending = at(logins, login);
    if (pending->answer_ms != 0) {
        stop_waiting(logins, pending);
    }
    pending->conn.index = 0;
    atomic_store_explicit(&job_of(logins, login)->stop, true, memory_order_relaxed);
}

void midge_logins_release(struct midge_logins *logins, uint32_t login)
{
    at(logins, login)->conn.index = 0;
    at(logins, login)->next = logins->free;
    logins->free = login;
}

void midge_logins_renew(struct midge_logins *logins, const struct midge_accounts *old, const struct midge_accounts *now)
{
    for (uint32_t i = 1; i < logins->used; i++) {
        struct midge_pending *pending = at(logins, i);
        if (pending->conn.index != 0) {
            uint32_t before = pending->account;
            pending->account = midge_accounts_find(now, pending->domain, midge_logins_asker(logins, i).user);
            pending->wrong = pending->wrong || pending->account == MIDGE_ACCOUNT_NONE ||
                             !midge_accounts_same_password(now, pending->account, old, before);
        }
    }
}

uint64_t midge_logins_due_ms(const struct midge_logins *logins)
{
    uint64_t due_ms = UINT64_MAX;
    for (uint32_t i = logins->delayed; i != 0; i = at(logins, i)->next) {
        due_ms = at(logins, i)->answer_ms < due_ms ? at(logins, i)->answer_ms : due_ms;
    }
    return due_ms;
}
