/* Accounts and rights: what files say, and what follows from it. */
#define _GNU_SOURCE
#include "rights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ACCOUNTS 16
#define RULES 64
#define TEXT 4096

static struct midge_account entries[ACCOUNTS];
static uint32_t buckets[ACCOUNTS];
static struct midge_rule rules[RULES];
static char text[TEXT];
static struct midge_accounts accounts = {.accounts = entries,
                                         .buckets = buckets,
                                         .rules = rules,
                                         .text = text,
                                         .account_max = ACCOUNTS,
                                         .rule_max = RULES,
                                         .text_max = TEXT};
static char path[] = "/tmp/midge-rights-XXXXXX";
static char error[512];

static struct midge_view view(const char *string)
{
    return (struct midge_view){(const uint8_t *)string, (uint32_t)strlen(string)};
}

static void write_file(const char *content)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static bool read_rights(const char *content)
{
    write_file(content);
    midge_accounts_clear(&accounts);
    return midge_rights_read(&accounts, 0, path, error, sizeof(error));
}

static bool read_users(const char *content)
{
    write_file(content);
    midge_accounts_clear(&accounts);
    return midge_accounts_read(&accounts, 0, path, error, sizeof(error));
}

/* ---- Filters against an oracle ----------------------------------------------------------------------------------------- */

#define WORD_MAX 6

/* All strings of up to `length` characters from the alphabet, one after the other. Returns false after the last. */
static bool next_word(char *word, const char *alphabet, size_t length)
{
    size_t size = strlen(word);
    for (size_t i = 0; i < size; i++) {
        const char *at = strchr(alphabet, word[i]);
        if (at[1] != '\0') {
            word[i] = at[1];
            return true;
        }
        word[i] = alphabet[0];
    }
    word[size] = alphabet[0];
    word[size + 1] = '\0';
    return size < length;
}

static size_t split(const char *word, char levels[WORD_MAX + 1][WORD_MAX + 1])
{
    size_t count = 0;
    size_t size = 0;
    for (;; word++) {
        if (*word == '/' || *word == '\0') {
            levels[count++][size] = '\0';
            size = 0;
        } else {
            levels[count][size++] = *word;
        }
        if (*word == '\0') {
            return count;
        }
    }
}

/* Section 4.7 of the standard, level by level. */
static bool oracle(const char *filter, const char *topic)
{
    char f[WORD_MAX + 1][WORD_MAX + 1];
    char t[WORD_MAX + 1][WORD_MAX + 1];
    size_t f_count = split(filter, f);
    size_t t_count = split(topic, t);
    if (topic[0] == '$' && filter[0] != '$') {
        return false;
    }
    for (size_t i = 0; i < f_count; i++) {
        if (strcmp(f[i], "#") == 0) {
            return true;
        }
        if (i >= t_count || (strcmp(f[i], "+") != 0 && strcmp(f[i], t[i]) != 0)) {
            return false;
        }
    }
    return f_count == t_count;
}

static bool is_filter(const char *word)
{
    char levels[WORD_MAX + 1][WORD_MAX + 1];
    size_t count = split(word, levels);
    for (size_t i = 0; i < count; i++) {
        bool wild = strpbrk(levels[i], "+#") != NULL;
        if ((wild && strlen(levels[i]) != 1) || (levels[i][0] == '#' && i + 1 < count)) {
            return false;
        }
    }
    return word[0] != '\0';
}

static void filters_match_as_the_standard_says(void **state)
{
    (void)state;
    char filter[WORD_MAX + 2] = "";
    unsigned pairs = 0;
    while (next_word(filter, "/+#a$", 5)) {
        char topic[WORD_MAX + 2] = "";
        while (is_filter(filter) && next_word(topic, "/a$", 5)) {
            pairs++;
            if (midge_rights_cover(view(filter), view(topic)) != oracle(filter, topic)) {
                fail_msg("filter %s, topic %s", filter, topic);
            }
        }
    }
    assert_true(pairs > 100000);
}

/* Covering and overlapping follow from the topics that match, of which there are enough with one level more than the filters.
 */
static void covering_and_overlapping_follow_from_matching(void **state)
{
    (void)state;
    static char filters[2000][WORD_MAX + 2];
    static char topics[4000][WORD_MAX + 2];
    size_t filter_count = 0;
    size_t topic_count = 0;
    char word[WORD_MAX + 2] = "";
    while (next_word(word, "/+#a$", 4)) {
        if (is_filter(word)) {
            strcpy(filters[filter_count++], word);
        }
    }
    word[0] = '\0';
    topic_count = 1; /* the empty topic, which nobody can publish to, has a level too */
    while (next_word(word, "/ab$", 5)) {
        strcpy(topics[topic_count++], word);
    }
    for (size_t i = 0; i < filter_count; i++) {
        for (size_t j = 0; j < filter_count; j++) {
            bool covers = true;
            bool overlaps = false;
            for (size_t k = 0; k < topic_count && (covers || !overlaps); k++) {
                bool in_first = oracle(filters[i], topics[k]);
                bool in_second = oracle(filters[j], topics[k]);
                covers = covers && (in_first || !in_second);
                overlaps = overlaps || (in_first && in_second);
            }
            if (midge_rights_cover(view(filters[i]), view(filters[j])) != covers) {
                fail_msg("%s %s %s", filters[i], covers ? "covers" : "does not cover", filters[j]);
            }
            if (midge_rights_overlap(view(filters[i]), view(filters[j])) != overlaps) {
                fail_msg("%s and %s %s", filters[i], filters[j], overlaps ? "overlap" : "do not overlap");
            }
        }
    }
}

/* ---- Rules -------------------------------------------------------------------------------------------------------------- */

static bool allowed(const char *user, const char *client_id, enum midge_action action, const char *topic)
{
    struct midge_asker asker = {.client_id = view(client_id)};
    if (user != NULL) {
        asker.has_user = true;
        asker.user = view(user);
        asker.account = midge_accounts_find(&accounts, 0, asker.user);
    }
    return midge_rights_allow(&accounts, &asker, action, view(topic));
}

/* What follows from a file: for each question, whether the answer is yes. */
struct question {
    bool allowed;
    const char *user; /* NULL: anonymous */
    const char *client_id;
    enum midge_action action;
    const char *topic;
};

static void expect(const char *content, const struct question *questions, size_t count)
{
    assert_true(read_rights(content));
    for (size_t i = 0; i < count; i++) {
        const struct question *q = &questions[i];
        if (allowed(q->user, q->client_id, q->action, q->topic) != q->allowed) {
            fail_msg("%s may %sdo %d to %s", q->user, q->allowed ? "not " : "", q->action, q->topic);
        }
    }
}

#define EXPECT(content, ...)                                                                                                   \
    expect(content, (const struct question[]){__VA_ARGS__},                                                                    \
           sizeof((const struct question[]){__VA_ARGS__}) / sizeof(struct question))

static void rules_are_for_their_user(void **state)
{
    (void)state;
    EXPECT("# comment\n"
           "topic read open/#\n"
           "\n"
           "user alice\n"
           "topic a/#\n"
           "topic deny a/secret\n"
           "  topic write w\r\n"
           "user bob\n"
           "topic readwrite with space/+\n",
           {true, NULL, "c", MIDGE_READ, "open/1"}, {false, NULL, "c", MIDGE_WRITE, "open/1"},
           {false, "alice", "c", MIDGE_READ, "open/1"}, {true, "alice", "c", MIDGE_READ, "a"},
           {true, "alice", "c", MIDGE_WRITE, "a/b/c"}, {false, "alice", "c", MIDGE_READ, "a/secret"},
           {false, "alice", "c", MIDGE_WRITE, "a/secret"}, {true, "alice", "c", MIDGE_WRITE, "w"},
           {false, "alice", "c", MIDGE_READ, "w"}, {true, "bob", "c", MIDGE_READ, "with space/x"},
           {false, "bob", "c", MIDGE_READ, "a/b"}, {false, "carol", "c", MIDGE_READ, "open/1"});
}

static void a_domain_without_a_file_allows_everything(void **state)
{
    (void)state;
    assert_true(read_rights(""));
    assert_false(allowed("alice", "c", MIDGE_READ, "a"));
    assert_false(allowed(NULL, "c", MIDGE_WRITE, "a"));
    midge_accounts_clear(&accounts);
    assert_true(allowed("alice", "c", MIDGE_READ, "a"));
    assert_true(allowed(NULL, "c", MIDGE_WRITE, "a"));
}

static void patterns_have_the_names_of_the_client(void **state)
{
    (void)state;
    EXPECT("pattern read clients/%c/in\n"
           "pattern users/%u/#\n"
           "pattern write both/%u-%c\n"
           "pattern deny users/%u/secret\n",
           {true, NULL, "c1", MIDGE_READ, "clients/c1/in"}, {false, NULL, "c2", MIDGE_READ, "clients/c1/in"},
           {false, NULL, "c1", MIDGE_READ, "users//x"}, {true, "alice", "c1", MIDGE_READ, "users/alice/x"},
           {false, "alice", "c1", MIDGE_READ, "users/bob/x"}, {false, "alice", "c1", MIDGE_READ, "users/alice/secret"},
           {true, "alice", "c1", MIDGE_WRITE, "both/alice-c1"}, {false, "+", "c1", MIDGE_READ, "users/alice/x"},
           {false, NULL, "+", MIDGE_READ, "clients/c1/in"}, {false, NULL, "#", MIDGE_READ, "clients/c1/in"});
}

static void own_rules_come_before_patterns(void **state)
{
    (void)state;
    EXPECT("user alice\ntopic read a/#\npattern deny #\n", {true, "alice", "c", MIDGE_READ, "a/b"},
           {true, "alice", "c", MIDGE_SUBSCRIBE, "a/+"}, {false, "alice", "c", MIDGE_READ, "b"},
           {false, "alice", "c", MIDGE_SUBSCRIBE, "b/#"}, {false, "bob", "c", MIDGE_SUBSCRIBE, "a/+"});
}

static void a_subscription_is_refused_only_where_all_of_it_is_denied(void **state)
{
    (void)state;
    EXPECT("user alice\ntopic deny secret/#\ntopic read open/#\ntopic write w/#\n",
           {false, "alice", "c", MIDGE_SUBSCRIBE, "secret/#"}, {false, "alice", "c", MIDGE_SUBSCRIBE, "secret/+/x"},
           {true, "alice", "c", MIDGE_SUBSCRIBE, "#"}, {true, "alice", "c", MIDGE_SUBSCRIBE, "nothing/allows/this"},
           {true, "alice", "c", MIDGE_SUBSCRIBE, "w/#"}, {false, "alice", "c", MIDGE_READ, "w/x"});
}

static void wrong_lines_are_named(void **state)
{
    (void)state;
    static const char *const bad[] = {"topic\n",    "user\n",           "topics a\n", "topic read\tbad/#/x\n",
                                      "topic a+\n", "topic read a/b#\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char content[128];
        snprintf(content, sizeof(content), "\n%s", bad[i]);
        assert_false(read_rights(content));
        assert_non_null(strstr(error, ":2: "));
    }
    /* A topic may be called as a word of the format. */
    assert_true(read_rights("topic read\n"));
    assert_true(allowed(NULL, "c", MIDGE_WRITE, "read"));
    midge_accounts_clear(&accounts);
    assert_false(midge_rights_read(&accounts, 0, "/does/not/exist", error, sizeof(error)));
    assert_non_null(strstr(error, "cannot read /does/not/exist: "));
    assert_false(midge_rights_read(&accounts, 0, "/tmp", error, sizeof(error)));
}

static void full_tables_say_which_limit_to_raise(void **state)
{
    (void)state;
    char content[4096] = "";
    for (unsigned i = 0; i < RULES; i++) {
        strcat(content, "topic a\n");
    }
    assert_false(read_rights(content));
    assert_non_null(strstr(error, "raise limit_rights"));
    content[0] = '\0';
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        snprintf(content + strlen(content), 16, "user u%u\n", i);
    }
    assert_false(read_rights(content));
    assert_non_null(strstr(error, "raise limit_users"));
}

/* ---- Users -------------------------------------------------------------------------------------------------------------- */

#define HASH "CFKhkpI5gLvT/za52jpt8SQoJdj4WwuaQ1mECO045SD28dZ1ctn4zowICTF2NKaJyfaQLNiRNBeJBxg8uOuDag=="
#define ALICE "alice:$7$101$eu+7IeWspiGp3X/Q$" HASH "\n"

static void users_stand_in_a_file(void **state)
{
    (void)state;
    assert_true(read_users("# users\n\n" ALICE "bob:$6$eu+7IeWspiGp3X/Q$" HASH "\n"));
    uint32_t alice = midge_accounts_find(&accounts, 0, view("alice"));
    uint32_t bob = midge_accounts_find(&accounts, 0, view("bob"));
    assert_int_equal(entries[alice].password.iterations, 101);
    assert_int_equal(entries[bob].password.iterations, 0);
    assert_int_equal(midge_accounts_find(&accounts, 0, view("carol")), MIDGE_ACCOUNT_NONE);
    assert_int_equal(midge_accounts_find(&accounts, 1, view("alice")), MIDGE_ACCOUNT_NONE);
    assert_int_equal(midge_accounts_find(&accounts, 0, view("alic")), MIDGE_ACCOUNT_NONE);
}

static void a_user_of_both_files_is_one_account(void **state)
{
    (void)state;
    assert_true(read_users(ALICE));
    write_file("user alice\ntopic a\nuser carol\ntopic c\n");
    assert_true(midge_rights_read(&accounts, 0, path, error, sizeof(error)));
    assert_int_equal(accounts.account_count, 3);
    assert_true(entries[midge_accounts_find(&accounts, 0, view("alice"))].has_password);
    assert_false(entries[midge_accounts_find(&accounts, 0, view("carol"))].has_password);
    assert_true(allowed("alice", "c", MIDGE_READ, "a"));
}

static void wrong_users_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *words;
    } bad[] = {{"alice", "a line is NAME:HASH"},
               {":$7$101$a$b", "a user name is missing"},
               {"alice:secret", "not hashed: midge passwd -U"},
               {"alice:$argon2id$v=19$m=1,t=1,p=1$a$b", "mosquitto_passwd -H sha512-pbkdf2"},
               {"alice:$5$a$b", "only $6$ and $7$"},
               {"alice:$7$0$eu+7IeWspiGp3X/Q$" HASH, "iterations"},
               {"alice:$7$100000001$eu+7IeWspiGp3X/Q$" HASH, "iterations"},
               {"alice:$7$101$eu+7IeWspiGp3X/Q$CFKh", "damaged"},
               {"alice:$7$101$$" HASH, "damaged"},
               {"alice:$7$101$eu+7IeWspiGp3X/Q", "damaged"},
               {"alice:$6$!$" HASH, "damaged"}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char content[256];
        snprintf(content, sizeof(content), "#\n%s\n", bad[i].line);
        assert_false(read_users(content));
        assert_non_null(strstr(error, ":2: "));
        assert_non_null(strstr(error, bad[i].words));
    }
    assert_false(read_users(ALICE ALICE));
    assert_non_null(strstr(error, "twice"));
}

static void a_decoy_is_always_the_same_user(void **state)
{
    (void)state;
    assert_true(read_users(""));
    assert_int_equal(midge_accounts_decoy(&accounts, 0, view("nobody"), 1), MIDGE_ACCOUNT_NONE);
    assert_true(read_users(ALICE "bob:$7$5$eu+7IeWspiGp3X/Q$" HASH "\n"));
    bool used[ACCOUNTS] = {false};
    for (unsigned i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof(name), "nobody%u", i);
        uint32_t decoy = midge_accounts_decoy(&accounts, 0, view(name), 1);
        assert_true(entries[decoy].has_password);
        assert_int_equal(midge_accounts_decoy(&accounts, 0, view(name), 1), decoy);
        used[decoy] = true;
    }
    assert_true(used[1] && used[2]);
    assert_int_equal(midge_accounts_decoy(&accounts, 1, view("nobody"), 1), MIDGE_ACCOUNT_NONE);
}

/* ---- Lines -------------------------------------------------------------------------------------------------------------- */

static void lines_have_a_size(void **state)
{
    (void)state;
    static struct midge_lines lines;
    static char content[3 * MIDGE_LINE_SIZE];
    memset(content, 'x', sizeof(content));
    content[0] = '#';
    content[2 * MIDGE_LINE_SIZE] = '\0';
    strcat(content, "\n\n  next  \r\nlast");
    write_file(content);
    assert_true(midge_lines_open(&lines, path));
    assert_string_equal(midge_lines_next(&lines), "next");
    assert_int_equal(lines.line, 3);
    assert_string_equal(midge_lines_next(&lines), "last");
    assert_null(midge_lines_next(&lines));
    assert_null(lines.wrong);
    midge_lines_close(&lines);
    content[0] = 'x';
    write_file(content);
    assert_true(midge_lines_open(&lines, path));
    assert_null(midge_lines_next(&lines));
    assert_string_equal(lines.wrong, "the line is too long");
    assert_int_equal(lines.line, 1);
    midge_lines_close(&lines);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite("a\nb\0c\n", 1, 6, file), 6);
    assert_int_equal(fclose(file), 0);
    assert_true(midge_lines_open(&lines, path));
    assert_string_equal(midge_lines_next(&lines), "a");
    assert_null(midge_lines_next(&lines));
    assert_string_equal(lines.wrong, "it contains a byte 0");
    midge_lines_close(&lines);
}

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_match_as_the_standard_says),
        cmocka_unit_test(covering_and_overlapping_follow_from_matching),
        cmocka_unit_test(rules_are_for_their_user),
        cmocka_unit_test(a_domain_without_a_file_allows_everything),
        cmocka_unit_test(patterns_have_the_names_of_the_client),
        cmocka_unit_test(own_rules_come_before_patterns),
        cmocka_unit_test(a_subscription_is_refused_only_where_all_of_it_is_denied),
        cmocka_unit_test(wrong_lines_are_named),
        cmocka_unit_test(full_tables_say_which_limit_to_raise),
        cmocka_unit_test(users_stand_in_a_file),
        cmocka_unit_test(a_user_of_both_files_is_one_account),
        cmocka_unit_test(wrong_users_are_named),
        cmocka_unit_test(a_decoy_is_always_the_same_user),
        cmocka_unit_test(lines_have_a_size),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
