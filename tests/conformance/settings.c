/* `limits`, `policy`, `user`, `acl`: what stands at the top of a scenario; `policy` may come later, too. */
#include "run.h"

#include <stddef.h>

struct limit_row {
    const char *name;
    size_t offset;
    uint32_t least;
    uint32_t usual;
    uint32_t step;
    int pool; /* enum midge_pool_id, or none */
};

enum { no_pool = -1 };

/* The usual limits leave every scenario room that does not ask for less. */
static const struct limit_row limit_rows[] = {
#define ROW(field, least, usual, step, pool)                                                                                   \
    {                                                                                                                          \
#field, offsetof(struct midge_limits, field), least, usual, step, pool                                                 \
    }
    ROW(clients, 1, 16, 1, no_pool),
    ROW(handshakes, 1, 4, 1, no_pool),
    ROW(sessions, 1, 24, 1, MIDGE_POOL_SESSIONS),
    ROW(subscriptions, 0, 128, 1, MIDGE_POOL_SUBSCRIPTIONS),
    ROW(filter_nodes, 0, 512, 1, MIDGE_POOL_FILTER_NODES),
    ROW(topic_nodes, 0, 256, 1, MIDGE_POOL_TOPIC_NODES),
    ROW(names, 0, 512, 1, MIDGE_POOL_NAMES),
    ROW(name_size, 8, 32, 4, no_pool),
    ROW(deliveries, 1, 512, 1, MIDGE_POOL_DELIVERIES),
    ROW(qos2_identifiers, 1, 64, 1, MIDGE_POOL_QOS2_IDENTIFIERS),
    ROW(blocks, 4, 1024, 1, MIDGE_POOL_BLOCKS),
    ROW(block_size, 64, 128, 8, no_pool),
    ROW(replies, 4, 16, 1, no_pool),
    ROW(scratch_size, 64, 2048, 8, no_pool),
    ROW(topic_levels, 1, 200, 1, no_pool),
#undef ROW
};

enum policy_kind { KIND_U32, KIND_U16, KIND_U8, KIND_BOOL, KIND_OVERFLOW };

struct policy_row {
    const char *name;
    size_t offset;
    enum policy_kind kind;
    unsigned long usual;
};

/* The policy of the tests stands here in full, so that no scenario depends on what midge_policy_default thinks best. */
static const struct policy_row policy_rows[] = {
#define ROW(field, kind, usual)                                                                                                \
    {                                                                                                                          \
#field, offsetof(struct midge_policy, field), kind, usual                                                              \
    }
    ROW(packet_size_max, KIND_U32, 0),
    ROW(client_id_size_max, KIND_U32, 0),
    ROW(retained_max, KIND_U32, 0),
    ROW(retained_bytes_max, KIND_U32, 0),
    ROW(queued_messages_max, KIND_U32, 0),
    ROW(queued_bytes_max, KIND_U32, 0),
    ROW(connect_timeout_ms, KIND_U32, 30000),
    ROW(progress_ms, KIND_U32, 5000),
    ROW(wait_ms, KIND_U32, 10000),
    ROW(assembly_ms, KIND_U32, 8000),
    ROW(close_ms, KIND_U32, 2000),
    ROW(session_expiry_s, KIND_U32, 0),
    ROW(inflight_max, KIND_U16, 20),
    ROW(qos_max, KIND_U8, 2),
    ROW(queue_qos0, KIND_BOOL, 0),
    ROW(empty_client_id, KIND_BOOL, 1),
    ROW(evict_sessions, KIND_BOOL, 1),
    ROW(overflow_qos0, KIND_OVERFLOW, MIDGE_DROP_NEWEST),
    ROW(overflow_qos12, KIND_OVERFLOW, MIDGE_DROP_NEWEST),
    ROW(overflow_offline, KIND_OVERFLOW, MIDGE_DROP_NEWEST),
    ROW(trace, KIND_BOOL, 0),
#undef ROW
};

size_t settings_limit_count(void)
{
    return sizeof limit_rows / sizeof *limit_rows;
}

const char *settings_limit_name(size_t i)
{
    return limit_rows[i].name;
}

uint32_t settings_limit_least(size_t i)
{
    return limit_rows[i].least;
}

uint32_t settings_limit_step(size_t i)
{
    return limit_rows[i].step;
}

uint32_t settings_limit_peak(const struct run_memory *memory, size_t i)
{
    return limit_rows[i].pool == no_pool ? 0 : memory->peaks[limit_rows[i].pool];
}

uint32_t *settings_limit(struct midge_limits *limits, size_t i)
{
    return (uint32_t *)(void *)((char *)limits + limit_rows[i].offset);
}

size_t settings_policy_count(void)
{
    return sizeof policy_rows / sizeof *policy_rows;
}

unsigned long settings_policy_get(const struct midge_policy *policy, size_t i)
{
    const void *field = (const char *)policy + policy_rows[i].offset;
    switch (policy_rows[i].kind) {
    case KIND_U32:
        return *(const uint32_t *)field;
    case KIND_U16:
        return *(const uint16_t *)field;
    case KIND_U8:
        return *(const uint8_t *)field;
    case KIND_BOOL:
        return *(const bool *)field ? 1 : 0;
    case KIND_OVERFLOW:
        return *(const enum midge_overflow *)field;
    }
    return 0;
}

void settings_policy_set(struct midge_policy *policy, size_t i, unsigned long value)
{
    const struct policy_row *row = &policy_rows[i];
    void *field = (char *)policy + row->offset;
    switch (row->kind) {
    case KIND_U32:
        *(uint32_t *)field = (uint32_t)value;
        break;
    case KIND_U16:
        *(uint16_t *)field = (uint16_t)value;
        break;
    case KIND_U8:
        *(uint8_t *)field = (uint8_t)value;
        break;
    case KIND_BOOL:
        *(bool *)field = value != 0;
        break;
    case KIND_OVERFLOW:
        *(enum midge_overflow *)field = (enum midge_overflow)value;
        break;
    }
}

void settings_defaults(struct midge_config *config)
{
    for (size_t i = 0; i < settings_limit_count(); i++) {
        *settings_limit(&config->limits, i) = limit_rows[i].usual;
    }
    midge_policy_default(&config->policy);
    for (size_t i = 0; i < settings_policy_count(); i++) {
        settings_policy_set(&config->policy, i, policy_rows[i].usual);
    }
}

struct midge_limits settings_unbounded(void)
{
    struct midge_limits limits = {0};
    for (size_t i = 0; i < settings_limit_count(); i++) {
        *settings_limit(&limits, i) = UINT32_MAX;
    }
    return limits;
}

void settings_bound(struct midge_limits *limits, const struct midge_limits *ceiling)
{
    struct midge_limits bound = *ceiling;
    for (size_t i = 0; i < settings_limit_count(); i++) {
        uint32_t most = *settings_limit(&bound, i);
        uint32_t *limit = settings_limit(limits, i);
        if (*limit > most) {
            *limit = most;
        }
    }
    if (limits->sessions < limits->clients) {
        limits->sessions = limits->clients;
    }
}

static void set_limits(struct run *run, struct midge_limits *limits)
{
    for (size_t w = 1; w < run->step->word_count; w++) {
        size_t i = 0;
        while (i < settings_limit_count() && !span_is(run->step->words[w].key, limit_rows[i].name)) {
            i++;
        }
        if (i == settings_limit_count()) {
            run_misread(run, "no limit of this name");
        }
        *settings_limit(limits, i) = (uint32_t)step_number(run, &run->step->words[w]);
    }
}

static unsigned long policy_value(struct run *run, const struct policy_row *row, const struct word *word)
{
    static const char *const overflows[] = {"drop_newest", "drop_oldest", "disconnect", "refuse"};
    if (row->kind != KIND_OVERFLOW) {
        return step_number(run, word);
    }
    for (unsigned i = 0; i < 4; i++) {
        if (span_is(word->value, overflows[i])) {
            run->overruled = run->overruled || (run->options->refuse && i != MIDGE_REFUSE);
            return i;
        }
    }
    run_misread(run, "expected drop_newest, drop_oldest, disconnect or refuse");
}

bool settings_policy(struct run *run, struct midge_policy *policy)
{
    if (!span_is(run->step->words[0].value, "policy")) {
        return false;
    }
    for (size_t w = 1; w < run->step->word_count; w++) {
        size_t i = 0;
        while (i < settings_policy_count() && !span_is(run->step->words[w].key, policy_rows[i].name)) {
            i++;
        }
        if (i == settings_policy_count()) {
            run_misread(run, "no policy of this name");
        }
        settings_policy_set(policy, i, policy_value(run, &policy_rows[i], &run->step->words[w]));
    }
    return true;
}

/* `user NAME pass=P who=N`, `user anonymous`, with `verdict=N` or `pending`. */
static void add_user(struct run *run)
{
    struct user *user = arena_take(&run->world.arena, sizeof *user);
    const struct word *password = step_key(run->step, "pass");
    if (run->step->word_count < 2) {
        run_misread(run, "expected a user's name, or anonymous");
    }
    user->name = run->step->words[1].value;
    user->anonymous = span_is(user->name, "anonymous");
    user->password = password != NULL ? password->value : (struct span){0};
    user->who = (uint32_t)step_key_number(run, "who", 0);
    user->verdict = (enum midge_verdict)step_key_number(run, "verdict", MIDGE_ACCEPT);
    if (step_flag(run->step, 2, "pending")) {
        user->verdict = MIDGE_PENDING;
    }
    user->next = run->world.users;
    run->world.users = user;
}

/* `deny read|write|subscribe FILTER who=N`. */
static void add_acl(struct run *run)
{
    static const char *const actions[] = {"read", "write", "subscribe"};
    struct acl *acl = arena_take(&run->world.arena, sizeof *acl);
    if (run->step->word_count < 3) {
        run_misread(run, "expected: deny read|write|subscribe FILTER who=N");
    }
    unsigned action = 0;
    while (action < 3 && !span_is(run->step->words[1].value, actions[action])) {
        action++;
    }
    if (action == 3) {
        run_misread(run, "expected: deny read|write|subscribe FILTER who=N");
    }
    *acl = (struct acl){run->world.acls, (uint32_t)step_key_number(run, "who", 0), (enum midge_action)action,
                        run->step->words[2].value};
    run->world.acls = acl;
}

bool settings_step(struct run *run, struct midge_config *config)
{
    struct span what = run->step->words[0].value;
    if (span_is(what, "limits")) {
        set_limits(run, &config->limits);
    } else if (span_is(what, "user")) {
        add_user(run);
    } else if (span_is(what, "deny")) {
        add_acl(run);
    } else {
        return settings_policy(run, &config->policy);
    }
    return true;
}
