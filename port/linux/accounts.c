#define _GNU_SOURCE
#include "accounts.h"

#include "hash.h"

#include <string.h>

void midge_accounts_clear(struct midge_accounts *accounts)
{
    memset(accounts->buckets, 0, accounts->account_max * sizeof(*accounts->buckets));
    memset(accounts->domains, 0, sizeof(accounts->domains));
    accounts->account_count = 1;
    accounts->rule_count = 1;
    accounts->text_used = 1;
}

struct midge_view midge_accounts_name(const struct midge_accounts *accounts, uint32_t account)
{
    const struct midge_account *a = &accounts->accounts[account];
    return (struct midge_view){(const uint8_t *)accounts->text + a->name, a->name_size};
}

uint32_t midge_accounts_keep(struct midge_accounts *accounts, const char *text, size_t size)
{
    uint32_t at = accounts->text_used;
    if (size > accounts->text_max - at) {
        return 0;
    }
    memcpy(accounts->text + at, text, size);
    accounts->text_used += (uint32_t)size;
    return at;
}

/* The names in a file are those that its owner has chosen: nobody else can make them collide. */
static uint32_t *bucket_of(const struct midge_accounts *accounts, uint8_t domain, struct midge_view name)
{
    return &accounts->buckets[midge_hash_bytes(domain, name.bytes, name.size) % accounts->account_max];
}

uint32_t midge_accounts_find(const struct midge_accounts *accounts, uint8_t domain, struct midge_view name)
{
    uint32_t i = *bucket_of(accounts, domain, name);
    while (i != MIDGE_ACCOUNT_NONE) {
        const struct midge_account *account = &accounts->accounts[i];
        if (account->domain == domain && account->name_size == name.size &&
            memcmp(accounts->text + account->name, name.bytes, name.size) == 0) {
            break;
        }
        i = account->bucket_next;
    }
    return i;
}

const char *midge_accounts_add(struct midge_accounts *accounts, uint8_t domain, const char *name, size_t size,
                               uint32_t *account)
{
    struct midge_view view = {(const uint8_t *)name, (uint32_t)size};
    if (size == 0 || size > UINT16_MAX) {
        return "a user name is missing";
    }
    *account = midge_accounts_find(accounts, domain, view);
    if (*account != MIDGE_ACCOUNT_NONE) {
        return NULL;
    }
    uint32_t text = midge_accounts_keep(accounts, name, size);
    if (text == 0 || accounts->account_count == accounts->account_max) {
        return "there are too many users; raise limit_users";
    }
    uint32_t *bucket = bucket_of(accounts, domain, view);
    *account = accounts->account_count++;
    accounts->accounts[*account] =
        (struct midge_account){.bucket_next = *bucket, .name = text, .name_size = (uint16_t)size, .domain = domain};
    *bucket = *account;
    return NULL;
}

struct reading {
    struct midge_accounts *accounts;
    uint8_t domain;
};

static const char *take_line(void *context, char *line)
{
    const struct reading *reading = context;
    char *colon = strchr(line, ':');
    uint32_t number;
    if (colon == NULL) {
        return "a line is NAME:HASH; midge passwd FILE USER makes it";
    }
    const char *wrong = midge_accounts_add(reading->accounts, reading->domain, line, (size_t)(colon - line), &number);
    if (wrong != NULL) {
        return wrong;
    }
    struct midge_account *account = &reading->accounts->accounts[number];
    if (account->has_password) {
        return "the user stands in the file twice; remove one of the lines";
    }
    account->has_password = true;
    return midge_password_parse(&account->password, colon + 1);
}

bool midge_accounts_read(struct midge_accounts *accounts, uint8_t domain, const char *path, char *error, size_t size)
{
    struct reading reading = {accounts, domain};
    accounts->domains[domain].has_passwords = true;
    return midge_lines_each(path, take_line, &reading, error, size);
}

uint32_t midge_accounts_decoy(const struct midge_accounts *accounts, uint8_t domain, struct midge_view name, uint64_t seed)
{
    uint32_t count = accounts->account_count - 1;
    uint32_t start = count > 0 ? midge_hash_bytes(seed, name.bytes, name.size) % count : 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t account = (start + i) % count + 1;
        if (accounts->accounts[account].has_password && accounts->accounts[account].domain == domain) {
            return account;
        }
    }
    return MIDGE_ACCOUNT_NONE;
}

bool midge_accounts_same_password(const struct midge_accounts *accounts, uint32_t account, const struct midge_accounts *others,
                                  uint32_t other)
{
    const struct midge_account *a = &accounts->accounts[account];
    const struct midge_account *b = &others->accounts[other];
    const struct midge_password *p = &a->password;
    const struct midge_password *q = &b->password;
    return a->has_password == b->has_password &&
           (!a->has_password ||
            (p->iterations == q->iterations && p->salt_size == q->salt_size && memcmp(p->salt, q->salt, p->salt_size) == 0 &&
             memcmp(p->hash, q->hash, sizeof(p->hash)) == 0));
}
