/* What a scenario asks about the broker itself: its log, its counters and its pools. */
#include "run.h"

#include <stdio.h>

static const char *const stall_names[] = {"REPLIES", "AUTHENTICATION", "SUBSCRIBER", "DELIVERIES", "BLOCKS", "ASSEMBLY"};
static const char *const pool_names[] = {"CONNECTIONS", "SESSIONS",   "SUBSCRIPTIONS",    "FILTER_NODES", "TOPIC_NODES",
                                         "NAMES",       "DELIVERIES", "QOS2_IDENTIFIERS", "BLOCKS"};
_Static_assert(sizeof stall_names / sizeof *stall_names == MIDGE_STALL_COUNT, "a name for each stall");
_Static_assert(sizeof pool_names / sizeof *pool_names == MIDGE_POOL_COUNT, "a name for each pool");

static size_t index_of(const struct run *run, const char *const *names, size_t count, const struct word *word)
{
    for (size_t i = 0; i < count; i++) {
        if (span_is(word->value, names[i])) {
            return i;
        }
    }
    run_misread(run, "no such name");
}

static enum midge_reason reason_of(const struct run *run, const struct word *word)
{
    for (int i = 0; i < MIDGE_REASON_COUNT; i++) {
        if (span_is(word->value, reason_name((enum midge_reason)i))) {
            return (enum midge_reason)i;
        }
    }
    run_misread(run, "no reason of this name in midge.h");
}

static bool text_matches(const struct run *run, const char *key, struct span text)
{
    const struct word *word = step_key(run->step, key);
    return word == NULL || span_equal(word->value, text);
}

static bool number_matches(const struct run *run, const char *key, unsigned long number)
{
    const struct word *word = step_key(run->step, key);
    return word == NULL || step_number(run, word) == number;
}

/* `log EVENT REASON client= topic= size= limit= code=`: the first record not asked for yet; `no log` says there is none. */
static struct record *find_record(const struct run *run, size_t at)
{
    if (run->step->word_count < at + 2) {
        run_misread(run, "expected: log EVENT REASON");
    }
    enum midge_reason reason = reason_of(run, &run->step->words[at + 1]);
    for (struct record *record = run->world.first_record; record != NULL; record = record->next) {
        if (!record->consumed && span_is(run->step->words[at].value, log_event_name(record->log.event)) &&
            record->log.reason == reason && text_matches(run, "client", record->client_id) &&
            text_matches(run, "topic", record->topic) && number_matches(run, "size", record->log.size) &&
            number_matches(run, "limit", record->log.limit) && number_matches(run, "code", record->log.code)) {
            return record;
        }
    }
    return NULL;
}

static void ask_log(struct run *run)
{
    struct record *record = find_record(run, 1);
    if (record != NULL) {
        record->consumed = true;
        return;
    }
    char last[200] = "nothing";
    if (run->world.last_record != NULL) {
        const struct midge_log *log = &run->world.last_record->log;
        (void)snprintf(last, sizeof last, "%s %s size=%u limit=%u code=%u", log_event_name(log->event),
                       reason_name(log->reason), (unsigned)log->size, (unsigned)log->limit, log->code);
    }
    run_deviate(run, "not logged; the last record is %s", last);
}

static void compare(struct run *run, const char *name, unsigned long long value, const struct word *word)
{
    bool some = span_is(word->value, "some");
    if (some ? value == 0 : value != step_number(run, word)) {
        run_deviate(run, "%s is %llu", name, value);
    }
}

static void ask_metric(struct run *run, const struct midge_metrics *metrics)
{
    const struct {
        const char *name;
        unsigned long long value;
    } rows[] = {
        {"retained", metrics->retained},
        {"retained_bytes", metrics->retained_bytes},
        {"queued", metrics->queued},
        {"stored_messages", metrics->stored_messages},
        {"stored_bytes", metrics->stored_bytes},
        {"subscriptions", metrics->subscriptions},
        {"clients_connected", metrics->clients_connected},
        {"clients_peak", metrics->clients_peak},
        {"clients_accepted", metrics->clients_accepted},
        {"connections_accepted", metrics->connections_accepted},
        {"sessions_offline", metrics->sessions_offline},
        {"sessions_expired", metrics->sessions_expired},
        {"publish_received", metrics->publish_received},
        {"publish_sent", metrics->publish_sent},
        {"publish_bytes_received", metrics->publish_bytes_received},
        {"publish_bytes_sent", metrics->publish_bytes_sent},
        {"packets_received", metrics->packets_received},
        {"packets_sent", metrics->packets_sent},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (span_is(run->step->words[1].value, rows[i].name)) {
            compare(run, rows[i].name, rows[i].value, &run->step->words[2]);
            return;
        }
    }
    run_misread(run, "no metric of this name");
}

bool inquire_step(struct run *run)
{
    const struct step *step = run->step;
    struct span what = step->words[0].value;
    struct midge_metrics metrics;
    midge_metrics(run->world.broker, &metrics);
    if (span_is(what, "log")) {
        ask_log(run);
        return true;
    }
    if (span_is(what, "no")) {
        if (find_record(run, 2) != NULL) {
            run_deviate(run, "it is logged");
        }
        return true;
    }
    bool counter = span_is(what, "drops") || span_is(what, "stalls") || span_is(what, "metric") || span_is(what, "pool");
    if (counter && step->word_count != 3) {
        run_misread(run, "expected a name and a number");
    }
    if (span_is(what, "drops")) {
        enum midge_reason reason = reason_of(run, &step->words[1]);
        run->asked_drops[reason] = true;
        compare(run, reason_name(reason), metrics.drops[reason], &step->words[2]);
    } else if (span_is(what, "stalls")) {
        size_t i = index_of(run, stall_names, MIDGE_STALL_COUNT, &step->words[1]);
        compare(run, stall_names[i], metrics.stalls[i], &step->words[2]);
    } else if (span_is(what, "pool")) {
        size_t i = index_of(run, pool_names, MIDGE_POOL_COUNT, &step->words[1]);
        compare(run, pool_names[i], metrics.pools[i].used, &step->words[2]);
    } else if (counter) {
        ask_metric(run, &metrics);
    }
    return counter;
}
