#include "run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void run_deviate(struct run *run, const char *format, ...)
{
    if (!run->deviated) {
        char text[600];
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        (void)snprintf(run->message, sizeof run->message, "%s:%d: %s\n        %s", run->options->scenario->file,
                       run->step != NULL ? run->step->line : run->options->scenario->line,
                       run->step != NULL ? run->step->text : "at the end", text);
        run->deviated = true;
        world_trace(&run->world, "    DEVIATES: %s", text);
    }
}

void run_misread(const struct run *run, const char *what)
{
    (void)fprintf(stderr, "%s:%d: %s\n    %s\n", run->options->scenario->file, run->step->line, run->step->text, what);
    exit(2);
}

static void refuse(struct run *run, struct midge_policy *policy)
{
    if (run->options->refuse) {
        policy->overflow_qos12 = policy->overflow_offline = MIDGE_REFUSE;
    }
}

static void start(struct run *run, struct midge_config *config)
{
    settings_bound(&config->limits, &run->options->ceiling);
    if (run->options->queued_messages_max > 0) {
        config->policy.queued_messages_max = run->options->queued_messages_max;
    }
    refuse(run, &config->policy);
    run->world.ledger.kept = run->options->refuse;
    run->world.audit_every = run->options->audit_every;
    world_start(&run->world, config, run->options->delivery);
    run->started = true;
}

/* The client needs a transport connection to send; a close that no step expected is in the way. */
static bool may_send(struct run *run, struct client *client)
{
    if (client->open) {
        return true;
    }
    if (client->closed) {
        run_deviate(run, "%.*s was closed by the broker", (int)client->name.size, (const char *)client->name.bytes);
        return false;
    }
    if (!world_open(&run->world, client, (uint8_t)step_key_number(run, "listener", 1))) {
        run_deviate(run, "the broker has no connection left");
        return false;
    }
    return true;
}

/* Sends the packet that begins with word `at`, behind what is held. */
static void send_step(struct run *run, struct client *client, size_t at, bool hold)
{
    if (run->step->word_count <= at) {
        run_misread(run, "send what?");
    }
    if (!may_send(run, client)) {
        return;
    }
    send_packet(run, client, at, &client->held);
    if (!hold) {
        world_send(&run->world, client, (struct span){client->held.bytes, client->held.size});
        client->held.size = 0;
        world_turn(&run->world);
    }
}

static void send_ack(struct run *run, struct client *client, unsigned type, uint16_t id)
{
    struct buffer bytes = {0};
    if (may_send(run, client)) {
        encode_ack(&bytes, type, id);
        world_send(&run->world, client, (struct span){bytes.bytes, bytes.size});
        world_turn(&run->world);
    }
    buffer_free(&bytes);
}

static void connects(struct run *run, struct client *client)
{
    send_step(run, client, 1, false);
    const struct packet *packet = run->deviated ? NULL : expect_type(run, client, CONNACK);
    if (packet != NULL && (packet->return_code != 0 || packet->session_present != step_key_number(run, "sp", 0))) {
        run_deviate(run, "CONNACK sp=%u rc=%u", packet->session_present, packet->return_code);
    }
}

static void subscribes(struct run *run, struct client *client)
{
    send_step(run, client, 1, false);
    const struct packet *packet = run->deviated ? NULL : expect_type(run, client, SUBACK);
    if (packet == NULL) {
        return;
    }
    size_t count = 0;
    for (size_t i = 2; i < run->step->word_count; i++) {
        struct span filter = run->step->words[i].value;
        if (run->step->words[i].key.size == 0) {
            unsigned wanted = filter.bytes[filter.size - 1] - (unsigned)'0';
            if (count >= packet->payload.size || packet->payload.bytes[count] != wanted) {
                run_deviate(run, "not granted");
                return;
            }
            count++;
        }
    }
}

/* The whole exchange of one PUBLISH. */
static void publishes(struct run *run, struct client *client)
{
    unsigned long qos = step_key_number(run, "qos", 0);
    send_step(run, client, 1, false);
    if (qos == 1 && !run->deviated) {
        (void)expect_type(run, client, PUBACK);
    }
    if (qos == 2 && !run->deviated) {
        const struct packet *packet = client->acknowledges ? NULL : expect_type(run, client, PUBREC);
        if (packet != NULL) {
            send_ack(run, client, PUBREL, packet->id);
        }
        if (!run->deviated) {
            (void)expect_type(run, client, PUBCOMP);
        }
    }
}

static void reads(struct run *run, struct client *client)
{
    client->reads = run->step->word_count == 2;
    client->allowance = client->reads ? 0 : step_number(run, &run->step->words[2]);
    world_turn(&run->world);
}

/* `a is accepted who=N` or `a is refused rc=N`: the port answers for a PENDING verdict. */
static void answer(struct run *run, struct client *client)
{
    bool accepted = step_flag(run->step, 2, "accepted");
    enum midge_verdict verdict =
        accepted ? MIDGE_ACCEPT : (enum midge_verdict)step_key_number(run, "rc", MIDGE_REFUSE_CREDENTIALS);
    midge_authenticated(run->world.broker, client->handle, verdict, (uint32_t)step_key_number(run, "who", 0));
    world_turn(&run->world);
}

static void client_step(struct run *run, struct span who, struct span verb)
{
    struct client *client = world_client(&run->world, who);
    if (span_is(verb, "connects")) {
        connects(run, client);
    } else if (span_is(verb, "subscribes")) {
        subscribes(run, client);
    } else if (span_is(verb, "publishes")) {
        publishes(run, client);
    } else if (span_is(verb, "opens")) {
        if (may_send(run, client)) {
            world_turn(&run->world);
        }
    } else if (span_is(verb, "lost")) {
        if (client->open) {
            world_lose(&run->world, client);
            world_turn(&run->world);
        } else {
            run_deviate(run, "there is no connection to lose");
        }
    } else if (span_is(verb, "stops")) {
        client->reads = client->reads && !step_flag(run->step, 2, "reading");
        client->acknowledges = client->acknowledges && !step_flag(run->step, 2, "acknowledging");
    } else if (span_is(verb, "reads")) {
        reads(run, client);
    } else if (span_is(verb, "forgets")) {
        client->first = client->last = NULL;
    } else if (span_is(verb, "acknowledges")) {
        client->acknowledges = true;
    } else if (span_is(verb, "waits") ? !client->stalled : span_is(verb, "goes") ? client->stalled : false) {
        run_deviate(run, "it does not");
    } else if (span_is(verb, "is")) {
        answer(run, client);
    } else if (!span_is(verb, "waits") && !span_is(verb, "goes")) {
        run_misread(run, "nothing that a client does");
    }
}

static void broker_publishes(struct run *run)
{
    const struct step *step = run->step;
    if (step->word_count < 4) {
        run_misread(run, "expected: broker publishes topic payload");
    }
    struct span topic = step->words[2].value;
    struct span payload = step->words[3].value;
    struct sent *sent = arena_take(&run->world.arena, sizeof *sent);
    *sent = (struct sent){run->world.sent, topic, false, step_flag(step, 4, "retain")};
    run->world.sent = sent;
    bool done = midge_publish(run->world.broker, (struct midge_view){topic.bytes, (uint32_t)topic.size},
                              (struct midge_view){payload.bytes, (uint32_t)payload.size},
                              (uint8_t)step_key_number(run, "qos", 0), sent->retain);
    run->world.said_no = run->world.said_no || !done;
    if (done == step_flag(step, 4, "fails")) {
        run_deviate(run, "midge_publish returns %s", done ? "true" : "false");
    }
    world_turn(&run->world);
}

static void change_policy(struct run *run)
{
    refuse(run, &run->world.config.policy);
    if (!midge_set_policy(run->world.broker, &run->world.config.policy, NULL)) {
        run_misread(run, "midge_set_policy refuses it");
    }
    world_turn(&run->world);
}

static void do_step(struct run *run)
{
    const struct step *step = run->step;
    struct span word = step->words[0].value;
    struct span second = step->word_count > 1 ? step->words[1].value : (struct span){0};
    if (span_is(word, "time")) {
        world_pass(&run->world, step_number(run, &step->words[1]));
    } else if (span_is(word, "late")) {
        world_oversleep(&run->world, step_number(run, &step->words[1]));
    } else if (settings_policy(run, &run->world.config.policy)) {
        change_policy(run);
    } else if (span_is(word, "broker")) {
        broker_publishes(run);
    } else if (!inquire_step(run)) {
        size_t size = word.size;
        bool any_order = size > 1 && word.bytes[size - 1] == '~';
        size -= any_order ? 1 : 0;
        bool hold = size > 2 && word.bytes[size - 1] == '>' && word.bytes[size - 2] == '>';
        size -= hold ? 1 : 0;
        struct span name = {word.bytes, size - 1};
        if (word.bytes[size - 1] == '>') {
            send_step(run, world_client(&run->world, name), 1, hold);
        } else if (word.bytes[size - 1] == '<') {
            expect_step(run, world_client(&run->world, name), any_order);
        } else {
            client_step(run, word, second);
        }
    }
}

/* What came and was never expected is a deviation, too. */
static void check_leftovers(struct run *run)
{
    run->step = NULL;
    for (struct client *client = run->world.clients; client != NULL; client = client->next) {
        char text[120];
        if (client->first != NULL) {
            run_deviate(run, "%.*s received more than expected: %s", (int)client->name.size, (const char *)client->name.bytes,
                        span_print(client->first->packet.whole, text, sizeof text));
        } else if (client->closed) {
            run_deviate(run, "%.*s was closed by the broker", (int)client->name.size, (const char *)client->name.bytes);
        }
    }
}

static void play(struct run *run)
{
    struct midge_config config = {0};
    settings_defaults(&config);
    const struct scenario *scenario = run->options->scenario;
    for (size_t i = 0; i < scenario->step_count && !run->deviated && !run->world.broken; i++) {
        run->step = &scenario->steps[i];
        if (!run->started && settings_step(run, &config)) {
            continue;
        }
        if (!run->started) {
            start(run, &config);
        }
        if (!run->world.broken) {
            world_trace(&run->world, "%d: %s", run->step->line, run->step->text);
            do_step(run);
        }
    }
    if (!run->started) {
        run_misread(run, "a scenario that does nothing");
    }
}

static void note_peaks(struct run *run, struct run_memory *memory)
{
    struct midge_metrics metrics = {0};
    if (run->world.broker != NULL) {
        midge_metrics(run->world.broker, &metrics);
    }
    for (int i = 0; i < MIDGE_POOL_COUNT; i++) {
        memory->peaks[i] = metrics.pools[i].peak;
    }
}

enum outcome run_scenario(const struct run_options *options, char *message, size_t message_size, struct run_memory *memory)
{
    struct run run = {.options = options};
    enum outcome outcome = PASSED;
    run.world.trace = options->trace;
    play(&run);
    if (!run.deviated && !run.world.broken) {
        check_leftovers(&run);
    }
    note_peaks(&run, memory);
    if (!run.world.broken) {
        judge_counters(&run);
    }
    if (run.deviated) {
        outcome = options->tolerant && judge_deviation(&run) ? REFUSED : FAILED;
    }
    if (!run.world.broken && outcome != FAILED) {
        run.step = NULL;
        judge_end(&run);
    }
    memory->limits = run.world.config.limits;
    if (run.world.broken) {
        (void)snprintf(message, message_size, "%s:%d: %s\n        %s%s%s", options->scenario->file,
                       run.step != NULL ? run.step->line : options->scenario->line,
                       run.step != NULL ? run.step->text : "at the end", run.world.failure, run.deviated ? "\n    after " : "",
                       run.deviated ? run.message : "");
        outcome = FAILED;
    } else {
        (void)snprintf(message, message_size, "%s", run.message);
    }
    world_end(&run.world);
    return outcome;
}
