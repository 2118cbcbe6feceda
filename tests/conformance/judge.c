/* The judgements that no scenario has to ask for: whether want of room excuses a deviation, and whether losses were expected.
 */
#include "run.h"

#include <stdlib.h>
#include <string.h>

/* Reasons that say "there was no room", in the log or a counter. */
static bool is_want_of_room(enum midge_reason reason)
{
    switch (reason) {
    case MIDGE_SLOW_READER:
    case MIDGE_ASSEMBLY_TIMEOUT:
    case MIDGE_NO_ROOM:
    case MIDGE_REFUSED_BY_SUBSCRIBER:
    case MIDGE_QOS2_FULL:
    case MIDGE_CLIENTS_FULL:
    case MIDGE_SESSIONS_FULL:
    case MIDGE_NAMES_FULL:
    case MIDGE_WILL_FULL:
    case MIDGE_PACKET_SIZE:
    case MIDGE_TOPIC_LEVELS:
    case MIDGE_SCRATCH:
    case MIDGE_SUBSCRIPTIONS_FULL:
    case MIDGE_QUEUE_FULL:
    case MIDGE_QUEUE_FULL_OFFLINE:
    case MIDGE_QUEUE_FULL_OLDEST:
    case MIDGE_QOS0_WAIT:
    case MIDGE_RETAINED_FULL:
    case MIDGE_WILL_DROPPED:
    case MIDGE_INTERNAL_DROPPED:
    case MIDGE_SESSION_EVICTED:
        return true;
    default:
        return false;
    }
}

static bool room_was_wanted(const struct world *world)
{
    for (const struct record *record = world->first_record; record != NULL; record = record->next) {
        if (is_want_of_room(record->log.reason)) {
            return true;
        }
    }
    return world->said_no;
}

/* The name in front of `<` or `<~`; empty where the step expects nothing of a client. */
static struct span expecting_client(const struct step *step)
{
    struct span name = step->words[0].value;
    size_t size = name.size;
    size -= size > 0 && name.bytes[size - 1] == '~' ? 1 : 0;
    if (size == 0 || name.bytes[size - 1] != '<' || step->word_count < 2) {
        return (struct span){0};
    }
    return (struct span){name.bytes, size - 1};
}

/* The step without its `id=`: identifiers shift where something was dropped. */
static struct step without_id(const struct step *step, struct word *words, size_t capacity)
{
    struct step copy = *step;
    copy.words = words;
    copy.word_count = 0;
    for (size_t i = 0; i < step->word_count && copy.word_count < capacity; i++) {
        if (!span_is(step->words[i].key, "id")) {
            words[copy.word_count++] = step->words[i];
        }
    }
    return copy;
}

/* How often the scenario expects this client to receive this message. */
static size_t times_expected(struct run *run, const struct client *client, const struct packet *packet)
{
    size_t times = 0;
    for (size_t i = 0; i < run->options->scenario->step_count; i++) {
        const struct step *step = &run->options->scenario->steps[i];
        struct span name = expecting_client(step);
        if (name.size == 0 || !span_equal(name, client->name)) {
            /* What a client forgets it may receive any number of times. */
            if (span_equal(step->words[0].value, client->name) && step->word_count > 1 &&
                span_is(step->words[1].value, "forgets")) {
                return SIZE_MAX;
            }
            continue;
        }
        if (span_is(step->words[1].value, "PUBLISH") && step->word_count >= 4) {
            struct word words[16];
            struct step bare = without_id(step, words, 16);
            struct packet like = *packet;
            like.dup = step_flag(step, 4, "dup");
            times += expect_matches(run, &bare, 1, &like, false) ? 1 : 0;
        }
    }
    return times;
}

static int compare_spans(struct span a, struct span b)
{
    if (a.size != b.size) {
        return a.size < b.size ? -1 : 1;
    }
    return a.size == 0 ? 0 : memcmp(a.bytes, b.bytes, a.size);
}

static int compare_publishes(const void *left, const void *right)
{
    const struct packet *a = *(const struct packet *const *)left;
    const struct packet *b = *(const struct packet *const *)right;
    int order = compare_spans(a->topic, b->topic);
    order = order != 0 ? order : compare_spans(a->payload, b->payload);
    order = order != 0 ? order : (int)a->qos - (int)b->qos;
    return order != 0 ? order : (int)a->retain - (int)b->retain;
}

/* What this client received first-hand, that is without DUP: nothing more often than the scenario expects. */
static void check_history(struct run *run, const struct client *client)
{
    size_t count = 0;
    for (const struct received *at = client->history; at != NULL; at = at->next) {
        count += at->packet.dup ? 0 : 1;
    }
    if (count == 0) {
        return;
    }
    const struct packet **packets = arena_take(&run->world.arena, count * sizeof *packets);
    size_t filled = 0;
    for (const struct received *at = client->history; at != NULL; at = at->next) {
        if (!at->packet.dup) {
            packets[filled++] = &at->packet;
        }
    }
    qsort(packets, count, sizeof *packets, compare_publishes);
    for (size_t first = 0, next; first < count; first = next) {
        for (next = first + 1; next < count && compare_publishes(&packets[first], &packets[next]) == 0; next++) {
        }
        if (next - first > times_expected(run, client, packets[first])) {
            char topic[80];
            char payload[80];
            world_break(&run->world, "wrong delivery: %.*s received %s \"%s\" qos=%u%s %zu times", (int)client->name.size,
                        (const char *)client->name.bytes, span_print(packets[first]->topic, topic, sizeof topic),
                        span_print(packets[first]->payload, payload, sizeof payload), packets[first]->qos,
                        packets[first]->retain ? " retain" : "", next - first);
        }
    }
}

/* Nobody may receive what the scenario never sends there. */
static void check_deliveries(struct run *run)
{
    for (struct client *client = run->world.clients; client != NULL; client = client->next) {
        check_history(run, client);
        for (struct received *at = client->first; at != NULL; at = at->next) {
            if (at->packet.id != 0 && at->packet.type != PUBLISH && !ids_has(client->used_ids, at->packet.id) &&
                at->packet.type != PUBREL) {
                world_break(&run->world, "%.*s received %s for an identifier that it never used", (int)client->name.size,
                            (const char *)client->name.bytes, packet_name(at->packet.type));
            }
        }
    }
}

/* With MIDGE_REFUSE everywhere, only messages that nobody would send again may be lost in a queue. */
static void check_nothing_acknowledged_lost(struct run *run)
{
    char topic[160];
    for (struct record *record = run->world.first_record; record != NULL; record = record->next) {
        enum midge_reason reason = record->log.reason;
        if (record->log.event != MIDGE_LOG_DROPPED ||
            (reason != MIDGE_QUEUE_FULL && reason != MIDGE_QUEUE_FULL_OFFLINE && reason != MIDGE_QUEUE_FULL_OLDEST)) {
            continue;
        }
        bool may_be_lost = false;
        for (const struct sent *sent = run->world.sent; sent != NULL; sent = sent->next) {
            may_be_lost = may_be_lost || (!sent->refusable && sent->topic.size >= record->topic.size &&
                                          memcmp(sent->topic.bytes, record->topic.bytes, record->topic.size) == 0);
        }
        if (!may_be_lost) {
            world_break(&run->world, "the policy is to refuse, but %s lost a message: %s",
                        span_print(record->topic, topic, sizeof topic), reason_name(reason));
        }
    }
}

static bool someone_waits(const struct world *world)
{
    for (const struct client *client = world->clients; client != NULL; client = client->next) {
        if (client->open && client->stalled) {
            return true;
        }
    }
    return false;
}

bool judge_deviation(struct run *run)
{
    struct world *world = &run->world;
    if (world->broken) {
        return false;
    }
    if (run->overruled) {
        return true;
    }
    check_deliveries(run);
    bool excused = room_was_wanted(world);
    if (!excused && someone_waits(world)) {
        excused = world_waits_end(world) || room_was_wanted(world);
    }
    if (!excused) {
        /* Publishers that had to wait for room may overtake each other, and a retained message waits for a free delivery. */
        struct midge_metrics metrics;
        midge_metrics(world->broker, &metrics);
        const struct midge_pool_use *deliveries = &metrics.pools[MIDGE_POOL_DELIVERIES];
        bool waited =
            metrics.stalls[MIDGE_STALL_DELIVERIES] + metrics.stalls[MIDGE_STALL_BLOCKS] + metrics.stalls[MIDGE_STALL_ASSEMBLY] >
            0;
        excused = (run->out_of_order && waited) || (metrics.retained > 0 && deliveries->used == deliveries->capacity);
        check_deliveries(run);
    }
    return excused && !world->broken;
}

void judge_counters(struct run *run)
{
    struct world *world = &run->world;
    struct midge_metrics metrics;
    world_check_counters(world);
    midge_metrics(world->broker, &metrics);
    for (int i = 0; i < MIDGE_REASON_COUNT; i++) {
        enum midge_reason reason = (enum midge_reason)i;
        if (metrics.drops[i] > 0 && !run->asked_drops[i]) {
            run_deviate(run, "%llu messages were lost that the scenario does not mention: %s",
                        (unsigned long long)metrics.drops[i], reason_name(reason));
        }
    }
    if (run->options->refuse) {
        check_nothing_acknowledged_lost(run);
    }
}

/* Whoever still waits must come to an end, except for those who wait for themselves or for the port. */
static void check_waits_end(struct run *run)
{
    struct world *world = &run->world;
    for (const struct user *user = world->users; user != NULL; user = user->next) {
        if (user->verdict == MIDGE_PENDING) {
            return;
        }
    }
    if (!world_waits_end(world)) {
        world_break(world, "somebody waits for ever");
    }
}

void judge_end(struct run *run)
{
    struct world *world = &run->world;
    check_waits_end(run);
    if (run->options->refuse) {
        ledger_settle(world);
    }
    world_conclude(world, run->options->expire || world->users != NULL);
}
