#define _GNU_SOURCE
#include "rights.h"

#include <string.h>

/* ---- Filters ------------------------------------------------------------------------------------------------------------ */

/* Cuts the first level off. `ended` is set behind the last: "a" has one level, "a/" two. */
struct levels {
    struct midge_view rest;
    struct midge_view level;
    bool ended;
};

static void next_level(struct levels *levels)
{
    const uint8_t *slash = levels->rest.size > 0 ? memchr(levels->rest.bytes, '/', levels->rest.size) : NULL;
    levels->ended = levels->rest.bytes == NULL;
    levels->level = levels->rest;
    if (slash == NULL) {
        levels->rest = (struct midge_view){NULL, 0};
    } else {
        levels->level.size = (uint32_t)(slash - levels->rest.bytes);
        levels->rest.bytes = slash + 1;
        levels->rest.size -= levels->level.size + 1;
    }
}

static bool is(struct midge_view level, char c)
{
    return level.size == 1 && level.bytes[0] == (uint8_t)c;
}

static bool same(struct midge_view a, struct midge_view b)
{
    return a.size == b.size && memcmp(a.bytes, b.bytes, a.size) == 0;
}

static bool is_internal(struct midge_view text)
{
    return text.size > 0 && text.bytes[0] == '$';
}

/* Whether `wide` covers `filter`, a topic being a filter without wildcards. A wildcard at the start covers no topic that starts
 * with $ [MQTT-4.7.2-1]. */
bool midge_rights_cover(struct midge_view wide, struct midge_view filter)
{
    struct levels a = {.rest = wide};
    struct levels b = {.rest = filter};
    if (is_internal(filter) && !is_internal(wide)) {
        return false;
    }
    if (is(filter, '#') && wide.size == 3 && memcmp(wide.bytes, "+/#", 3) == 0) {
        return true; /* every topic has a first level */
    }
    for (;;) {
        next_level(&a);
        next_level(&b);
        if (!a.ended && is(a.level, '#')) {
            return true; /* also its parent */
        }
        if (a.ended || b.ended) {
            return a.ended && b.ended;
        }
        if (is(b.level, '#') || (!is(a.level, '+') && !same(a.level, b.level))) {
            return false;
        }
    }
}

/* What is left of a filter may be empty, as "a/#" matches "a". */
static bool may_end(struct levels *levels)
{
    return levels->ended || is(levels->level, '#');
}

bool midge_rights_overlap(struct midge_view first, struct midge_view second)
{
    struct levels a = {.rest = first};
    struct levels b = {.rest = second};
    if (is_internal(first) != is_internal(second)) {
        return false;
    }
    for (;;) {
        next_level(&a);
        next_level(&b);
        if (a.ended || b.ended) {
            return may_end(&a) && may_end(&b);
        }
        if (is(a.level, '#') || is(b.level, '#')) {
            return true;
        }
        if (!is(a.level, '+') && !is(b.level, '+') && !same(a.level, b.level)) {
            return false;
        }
    }
}

/* ---- The file ----------------------------------------------------------------------------------------------------------- */

/* The next word of a line; *rest is what follows it. */
static const char *word(char **rest)
{
    char *start = *rest;
    char *end = start + strcspn(start, " \t");
    if (*end != '\0') {
        *end++ = '\0';
        end += strspn(end, " \t");
    }
    *rest = end;
    return start;
}

/* Takes the optional word before a filter. A filter may have spaces in it, and may be called "read". */
static enum midge_access take_access(char **rest)
{
    static const struct {
        const char *word;
        enum midge_access access;
    } words[] = {{"read", MIDGE_ACCESS_READ},
                 {"write", MIDGE_ACCESS_WRITE},
                 {"readwrite", MIDGE_ACCESS_BOTH},
                 {"deny", MIDGE_ACCESS_DENY}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t size = strlen(words[i].word);
        if (strncmp(*rest, words[i].word, size) == 0 && ((*rest)[size] == ' ' || (*rest)[size] == '\t')) {
            (void)word(rest);
            return words[i].access;
        }
    }
    return MIDGE_ACCESS_BOTH;
}

/* A wildcard has its level to itself, and # is the last [MQTT-4.7.1-2] [MQTT-4.7.1-3]. */
static bool is_filter(const char *text)
{
    struct levels levels = {.rest = {(const uint8_t *)text, (uint32_t)strlen(text)}};
    bool last = false;
    for (next_level(&levels); !levels.ended; next_level(&levels)) {
        bool wild = memchr(levels.level.bytes, '+', levels.level.size) != NULL ||
                    memchr(levels.level.bytes, '#', levels.level.size) != NULL;
        if (last || (wild && levels.level.size != 1)) {
            return false;
        }
        last = is(levels.level, '#');
    }
    return text[0] != '\0';
}

/* Adds a rule: one that denies behind the others that deny, another at the end. */
static const char *add_rule(struct midge_accounts *accounts, struct midge_rules *rules, enum midge_access access,
                            const char *filter, bool is_pattern)
{
    size_t size = strlen(filter);
    uint32_t text = midge_accounts_keep(accounts, filter, size);
    if (!is_filter(filter)) {
        return "the topic is missing or is no topic filter";
    }
    if (text == 0 || accounts->rule_count == accounts->rule_max) {
        return "there are too many rules; raise limit_rights";
    }
    uint32_t number = accounts->rule_count++;
    struct midge_rule *rule = &accounts->rules[number];
    bool of_user = is_pattern && strstr(filter, "%u") != NULL;
    *rule = (struct midge_rule){.filter = text,
                                .filter_size = (uint16_t)size,
                                .access = (uint8_t)access,
                                .has_parts = of_user || (is_pattern && strstr(filter, "%c") != NULL),
                                .of_user = of_user};
    uint32_t before = access == MIDGE_ACCESS_DENY ? rules->last_deny : rules->last;
    uint32_t *link = before == 0 ? &rules->first : &accounts->rules[before].next;
    rule->next = *link;
    *link = number;
    if (access == MIDGE_ACCESS_DENY) {
        rules->last_deny = number;
    }
    if (rule->next == 0) {
        rules->last = number;
    }
    return NULL;
}

struct reading {
    struct midge_accounts *accounts;
    uint8_t domain;
    uint32_t account; /* whom the rules of a user are for; MIDGE_ACCOUNT_NONE: anonymous clients */
};

static const char *take_line(void *context, char *line)
{
    struct reading *reading = context;
    struct midge_accounts *accounts = reading->accounts;
    char *rest = line;
    const char *kind = word(&rest);
    if (strcmp(kind, "user") == 0) {
        return midge_accounts_add(accounts, reading->domain, rest, strlen(rest), &reading->account);
    }
    bool is_pattern = strcmp(kind, "pattern") == 0;
    if (!is_pattern && strcmp(kind, "topic") != 0) {
        return "a line begins with user, topic or pattern";
    }
    struct midge_domain_rules *rules = &accounts->domains[reading->domain];
    struct midge_rules *own =
        reading->account == MIDGE_ACCOUNT_NONE ? &rules->anonymous : &accounts->accounts[reading->account].rules;
    enum midge_access access = take_access(&rest);
    return add_rule(accounts, is_pattern ? &rules->patterns : own, access, rest, is_pattern);
}

bool midge_rights_read(struct midge_accounts *accounts, uint8_t domain, const char *path, char *error, size_t size)
{
    struct reading reading = {.accounts = accounts, .domain = domain, .account = MIDGE_ACCOUNT_NONE};
    accounts->domains[domain].has_rights = true;
    return midge_lines_each(path, take_line, &reading, error, size);
}

/* ---- The answers -------------------------------------------------------------------------------------------------------- */

static bool add_part(char *to, size_t *used, struct midge_view part)
{
    if (part.size > MIDGE_LINE_SIZE - *used) {
        return false;
    }
    for (uint32_t i = 0; i < part.size; i++) {
        to[(*used)++] = (char)part.bytes[i];
    }
    return true;
}

/* Puts the asker's names into a pattern. Returns false where the rule is not about this asker. */
static bool expand(struct midge_view pattern, const struct midge_asker *asker, struct midge_view *filter)
{
    static char buffer[MIDGE_LINE_SIZE];
    size_t used = 0;
    bool fits = true;
    for (uint32_t i = 0; i < pattern.size && fits; i++) {
        uint8_t next = pattern.bytes[i] == '%' && i + 1 < pattern.size ? pattern.bytes[i + 1] : 0;
        if (next == 'u' || next == 'c') {
            fits = add_part(buffer, &used, next == 'u' ? asker->user : asker->client_id);
            i++;
        } else {
            fits = add_part(buffer, &used, (struct midge_view){pattern.bytes + i, 1});
        }
    }
    *filter = (struct midge_view){(const uint8_t *)buffer, (uint32_t)used};
    return fits;
}

/* The filter of a rule. Returns false where the rule is not about this asker. */
static bool filter_of(const struct midge_accounts *accounts, const struct midge_rule *rule, const struct midge_asker *asker,
                      struct midge_view *filter)
{
    *filter = (struct midge_view){(const uint8_t *)accounts->text + rule->filter, rule->filter_size};
    if (!rule->has_parts) {
        return true;
    }
    return (!rule->of_user || asker->has_user) && expand(*filter, asker, filter);
}

enum answer { ANSWER_NONE, ANSWER_DENY, ANSWER_ALLOW };

/* What these rules say about all topics of a filter, or about one topic, which is a filter without wildcards: denied is what
 * one of them covers, allowed what one allows a part of. */
static enum answer ask(const struct midge_accounts *accounts, const struct midge_rules *rules, const struct midge_asker *asker,
                       enum midge_access access, struct midge_view wanted)
{
    struct midge_view filter;
    for (uint32_t i = rules->first; i != 0; i = accounts->rules[i].next) {
        const struct midge_rule *rule = &accounts->rules[i];
        bool denies = rule->access == MIDGE_ACCESS_DENY;
        if ((!denies && (rule->access & access) == 0) || !filter_of(accounts, rule, asker, &filter)) {
            continue;
        }
        if (denies ? midge_rights_cover(filter, wanted) : midge_rights_overlap(filter, wanted)) {
            return denies ? ANSWER_DENY : ANSWER_ALLOW;
        }
    }
    return ANSWER_NONE;
}

/* Names with wildcards in them would turn a pattern into another one. */
static bool is_plain(struct midge_view name)
{
    for (uint32_t i = 0; i < name.size; i++) {
        if (name.bytes[i] == '+' || name.bytes[i] == '#') {
            return false;
        }
    }
    return true;
}

bool midge_rights_allow(const struct midge_accounts *accounts, const struct midge_asker *asker, enum midge_action action,
                        struct midge_view topic)
{
    static const struct midge_rules none = {0, 0, 0};
    const struct midge_domain_rules *domain = &accounts->domains[asker->domain];
    const struct midge_rules *own = asker->account != MIDGE_ACCOUNT_NONE ? &accounts->accounts[asker->account].rules
                                    : asker->has_user                    ? &none
                                                                         : &domain->anonymous;
    if (!domain->has_rights) {
        return true;
    }
    const struct midge_rules *patterns = is_plain(asker->user) && is_plain(asker->client_id) ? &domain->patterns : &none;
    enum midge_access access = action == MIDGE_WRITE ? MIDGE_ACCESS_WRITE : MIDGE_ACCESS_READ;
    enum answer answer = ask(accounts, own, asker, access, topic);
    answer = answer == ANSWER_NONE ? ask(accounts, patterns, asker, access, topic) : answer;
    return answer == ANSWER_ALLOW || (answer == ANSWER_NONE && action == MIDGE_SUBSCRIBE);
}
