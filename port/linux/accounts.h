/*
 * The users and what they may do, compiled from password files and ACL files into tables of a fixed size.
 *
 * There is one set of rules for the whole broker, or, with per_listener_settings, a domain of its own for each listener. An
 * account is a user of one domain: from a password file, an ACL file, or both.
 */
#ifndef MIDGE_ACCOUNTS_H
#define MIDGE_ACCOUNTS_H

#include "lines.h"
#include "password.h"
#include "settings.h"

#define MIDGE_DOMAINS_MAX (MIDGE_LISTENERS_MAX + 1u)
#define MIDGE_ACCOUNT_NONE 0u

/* What there is room for on average: a user's name, a rule's filter. */
#define MIDGE_TEXT_EACH 64u

enum midge_access { MIDGE_ACCESS_DENY = 0, MIDGE_ACCESS_READ = 1, MIDGE_ACCESS_WRITE = 2, MIDGE_ACCESS_BOTH = 3 };

/* One line of an ACL file. */
struct midge_rule {
    uint32_t next;   /* of the same account; 0: none */
    uint32_t filter; /* where its text begins */
    uint16_t filter_size;
    uint8_t access; /* enum midge_access */
    bool has_parts; /* %u or %c, of a pattern */
    bool of_user;   /* %u */
};

/* Rules in the order in which they are asked: those that deny come first. */
struct midge_rules {
    uint32_t first;
    uint32_t last;
    uint32_t last_deny;
};

struct midge_account {
    uint32_t bucket_next;
    uint32_t name; /* where its text begins */
    uint16_t name_size;
    uint8_t domain;
    bool has_password;
    struct midge_password password;
    struct midge_rules rules;
};

struct midge_domain_rules {
    bool has_passwords; /* there is a password file */
    bool has_rights;    /* there is an ACL file */
    struct midge_rules anonymous;
    struct midge_rules patterns;
};

struct midge_accounts {
    struct midge_account *accounts; /* [0] is not used */
    uint32_t *buckets;              /* as many as accounts */
    struct midge_rule *rules;       /* [0] is not used */
    char *text;
    uint32_t account_max, rule_max, text_max;
    uint32_t account_count, rule_count, text_used;
    struct midge_domain_rules domains[MIDGE_DOMAINS_MAX];
};

/* Empties the tables. */
void midge_accounts_clear(struct midge_accounts *accounts);

/* Returns the account's number, MIDGE_ACCOUNT_NONE where there is none. */
uint32_t midge_accounts_find(const struct midge_accounts *accounts, uint8_t domain, struct midge_view name);

/* Finds the account or adds it. Returns NULL, or what is wrong. */
const char *midge_accounts_add(struct midge_accounts *accounts, uint8_t domain, const char *name, size_t size,
                               uint32_t *account);

/* Keeps `size` bytes of text. Returns where they begin, 0 where there is no room. */
uint32_t midge_accounts_keep(struct midge_accounts *accounts, const char *text, size_t size);

/* Reads a password file. Returns false, with what is wrong in `error`, where the file or a line of it cannot be used. */
bool midge_accounts_read(struct midge_accounts *accounts, uint8_t domain, const char *path, char *error, size_t size);

/* An account with a password, chosen by the name of a user that is not there, so that it always is the same one: a check
 * against its password takes as long as for a user that is. MIDGE_ACCOUNT_NONE: nobody has a password. */
uint32_t midge_accounts_decoy(const struct midge_accounts *accounts, uint8_t domain, struct midge_view name, uint64_t seed);

/* Whether the account's password in these tables is the one that it has in others. */
bool midge_accounts_same_password(const struct midge_accounts *accounts, uint32_t account, const struct midge_accounts *others,
                                  uint32_t other);

struct midge_view midge_accounts_name(const struct midge_accounts *accounts, uint32_t account);

#endif
