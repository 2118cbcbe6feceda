/* The questions of the broker, answered from the scenario's rules, and its log. */
#include "world.h"

static const char *const reason_names[] = {
#define REASON_NAME(id, text, rule) #id,
    MIDGE_REASONS(REASON_NAME)
#undef REASON_NAME
};

const char *reason_name(enum midge_reason reason)
{
    return (unsigned)reason < MIDGE_REASON_COUNT ? reason_names[reason] : "?";
}

const char *log_event_name(enum midge_log_event event)
{
    static const char *const names[] = {"CONNECTED", "REFUSED",  "DISCONNECTED", "DENIED",     "DROPPED",     "SESSION_GONE",
                                        "WILL",      "RECEIVED", "SENT",         "SUBSCRIBED", "UNSUBSCRIBED"};
    _Static_assert(sizeof names / sizeof *names == MIDGE_LOG_UNSUBSCRIBED + 1, "a name for each event");
    return (unsigned)event < sizeof names / sizeof *names ? names[event] : "?";
}

static struct span from_view(struct midge_view view)
{
    return (struct span){view.bytes, view.size};
}

enum midge_verdict world_authenticate(void *context, const struct midge_login *login, uint32_t *who)
{
    struct world *world = context;
    for (const struct user *user = world->users; user != NULL; user = user->next) {
        bool is_it = user->anonymous ? !login->has_username
                                     : login->has_username && span_equal(from_view(login->username), user->name) &&
                                           span_equal(from_view(login->password), user->password);
        if (is_it) {
            *who = user->who;
            return user->verdict;
        }
    }
    return MIDGE_REFUSE_CREDENTIALS;
}

/* Takes the first level off a topic or filter; false behind the last one. */
static bool take_level(struct span *rest, struct span *level)
{
    if (rest->bytes == NULL) {
        return false;
    }
    size_t size = 0;
    while (size < rest->size && rest->bytes[size] != '/') {
        size++;
    }
    *level = (struct span){rest->bytes, size};
    *rest = size < rest->size ? (struct span){rest->bytes + size + 1, rest->size - size - 1} : (struct span){NULL, 0};
    return true;
}

bool world_matches(struct span filter, struct span topic)
{
    struct span filter_level;
    struct span topic_level;
    while (take_level(&filter, &filter_level)) {
        if (span_is(filter_level, "#")) {
            return true;
        }
        if (!take_level(&topic, &topic_level) || (!span_is(filter_level, "+") && !span_equal(filter_level, topic_level))) {
            return false;
        }
    }
    return topic.bytes == NULL;
}

/* An `acl` line denies; everything else is allowed. A filter is denied where it is written exactly so. */
bool world_authorize(void *context, uint32_t who, enum midge_action action, struct midge_view topic)
{
    struct world *world = context;
    for (const struct acl *acl = world->acls; acl != NULL; acl = acl->next) {
        if (acl->who == who && acl->action == action &&
            (action == MIDGE_SUBSCRIBE ? span_equal(acl->filter, from_view(topic))
                                       : world_matches(acl->filter, from_view(topic)))) {
            return false;
        }
    }
    return true;
}

void world_log(void *context, const struct midge_log *log)
{
    struct world *world = context;
    struct record *record = arena_take(&world->arena, sizeof *record);
    record->log = *log;
    record->client_id = arena_copy(&world->arena, log->client_id.bytes, log->client_id.size);
    record->topic = arena_copy(&world->arena, log->topic.bytes, log->topic.size);
    if (world->last_record == NULL) {
        world->first_record = record;
    } else {
        world->last_record->next = record;
    }
    world->last_record = record;
    if (log->event == MIDGE_LOG_SESSION_GONE) {
        ledger_session_gone(world, record->client_id);
    }
    char id[80];
    char topic[160];
    world_trace(world, "    log %s %s client=%s topic=%s size=%u limit=%u code=%u", log_event_name(log->event),
                reason_name(log->reason), span_print(record->client_id, id, sizeof id),
                span_print(record->topic, topic, sizeof topic), (unsigned)log->size, (unsigned)log->limit, log->code);
}

uint64_t world_logged_drops(const struct world *world, enum midge_reason reason)
{
    uint64_t count = 0;
    for (const struct record *record = world->first_record; record != NULL; record = record->next) {
        if (record->log.reason == reason) {
            count += record->log.event == MIDGE_LOG_DROPPED        ? 1
                     : record->log.event == MIDGE_LOG_SESSION_GONE ? record->log.size
                                                                   : 0;
        }
    }
    return count;
}
