/* Password files and ACL files: whatever they hold, they are read or refused with one line that names the file and says why;
 * read again they say the same, and so do the answers that follow from them. */
#include "rights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { ACCOUNTS = 16, RULES = 32, TEXT = 1024, QUESTIONS = 64 };

struct tables {
    struct midge_accounts accounts;
    struct midge_account account[ACCOUNTS];
    uint32_t buckets[ACCOUNTS];
    struct midge_rule rules[RULES];
    char text[TEXT];
    bool good;
    char error[400];
};

static struct tables first, second;
static struct fuzz_file passwords, rights;

static void fail(const char *what, const char *more)
{
    (void)fprintf(stderr, "fuzz_gate: %s: %s\n", what, more);
    abort();
}

static void check_outcome(const struct tables *tables, bool good, const char *path)
{
    if (!good && (tables->error[0] == '\0' || strchr(tables->error, '\n') != NULL || strstr(tables->error, path) == NULL)) {
        fail("refused, but not with a line that names the file", tables->error);
    }
}

static void read_once(struct tables *tables)
{
    memset(tables, 0, sizeof *tables);
    tables->accounts = (struct midge_accounts){.accounts = tables->account,
                                               .buckets = tables->buckets,
                                               .rules = tables->rules,
                                               .text = tables->text,
                                               .account_max = ACCOUNTS,
                                               .rule_max = RULES,
                                               .text_max = TEXT};
    midge_accounts_clear(&tables->accounts);
    bool good = midge_accounts_read(&tables->accounts, 0, passwords.path, tables->error, sizeof tables->error);
    check_outcome(tables, good, passwords.path);
    if (good) {
        good = midge_rights_read(&tables->accounts, 0, rights.path, tables->error, sizeof tables->error);
        check_outcome(tables, good, rights.path);
    }
    tables->good = good;
}

/* A topic that an account may read, say, and may not subscribe to would be strange: a filter is refused only where a rule
 * denies all of it. */
static void ask(const struct midge_asker *asker, struct midge_view topic)
{
    bool allowed[3];
    for (int action = MIDGE_READ; action <= MIDGE_SUBSCRIBE; action++) {
        allowed[action] = midge_rights_allow(&first.accounts, asker, (enum midge_action)action, topic);
        if (allowed[action] != midge_rights_allow(&second.accounts, asker, (enum midge_action)action, topic)) {
            fail("asked twice with different answers", "");
        }
    }
    if (allowed[MIDGE_READ] && !allowed[MIDGE_SUBSCRIBE]) {
        fail("may be read and not subscribed to", "");
    }
}

/* The lines of the third part are topics: each account, and somebody unknown, asks for them. */
static void ask_all(const uint8_t *bytes, size_t size)
{
    unsigned questions = 0;
    for (const uint8_t *at = bytes; at < bytes + size && questions < QUESTIONS; questions++) {
        const uint8_t *end = memchr(at, '\n', (size_t)(bytes + size - at));
        size_t length = end != NULL ? (size_t)(end - at) : (size_t)(bytes + size - at);
        struct midge_view topic = {at, (uint32_t)length};
        for (uint32_t account = 0; account <= first.accounts.account_count && account < ACCOUNTS && length > 0; account++) {
            struct midge_asker asker = {.has_user = account != MIDGE_ACCOUNT_NONE, .account = account, .client_id = topic};
            if (account != MIDGE_ACCOUNT_NONE) {
                asker.user = midge_accounts_name(&first.accounts, account);
            }
            ask(&asker, topic);
        }
        if (midge_rights_cover(topic, topic) && !midge_rights_overlap(topic, topic)) {
            fail("a filter covers itself and has nothing in common with itself", "");
        }
        at += length + 1;
    }
}

/* The parts of an input are set apart by a byte that no text holds. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const uint8_t *rest = fuzz_file_write(&passwords, "passwords", bytes, bytes + size);
    rest = fuzz_file_write(&rights, "rights", rest, bytes + size);
    read_once(&first);
    read_once(&second);
    if (first.good != second.good || strcmp(first.error, second.error) != 0) {
        fail("read twice with different results", first.error);
    }
    if (first.good) {
        ask_all(rest, (size_t)(bytes + size - rest));
    }
    return 0;
}
