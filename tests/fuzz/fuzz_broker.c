/* The whole broker: what clients send, how it is cut, what they read, who is lost and how time passes all come from the input
 * (format.h), as do the limits. The world around it is that of the conformance tests, which decodes and checks whatever the
 * broker sends, and audits it every few steps and in the end, when
 * everything has to be given back.
 *
 * With MIDGE_TRACE in the environment an input is told in words. */
#include "format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
const char *__asan_default_options(void);

/* Memory that is used again soon is in the caches, and the kernel need not zero it: that is most of the time of a run. */
const char *__asan_default_options(void)
{
    return "quarantine_size_mb=8:malloc_context_size=4";
}

static unsigned take(struct span *input)
{
    if (input->size == 0) {
        return 0;
    }
    input->size--;
    return *input->bytes++;
}

static unsigned take_16(struct span *input)
{
    unsigned high = take(input);
    return high << 8 | take(input);
}

static struct span take_span(struct span *input, size_t size)
{
    struct span taken = {input->bytes, size < input->size ? size : input->size};
    *input = (struct span){input->bytes + taken.size, input->size - taken.size};
    return taken;
}

/* ---- Settings ----------------------------------------------------------------------------------------------------------- */

static void add_user(struct world *world, const char *name, enum midge_verdict verdict, uint32_t who)
{
    struct user *user = arena_take(&world->arena, sizeof *user);
    *user =
        (struct user){.next = world->users, .name = span_of(name), .password = span_of("p"), .verdict = verdict, .who = who};
    user->anonymous = *name == '\0';
    world->users = user;
}

static void deny(struct world *world, enum midge_action action, const char *filter, uint32_t who)
{
    struct acl *acl = arena_take(&world->arena, sizeof *acl);
    *acl = (struct acl){world->acls, who, action, span_of(filter)};
    world->acls = acl;
}

static void start(struct world *world, struct span *input)
{
    static const struct delivery whole = {"", 0, 65536, false};
    struct midge_config config = {0};
    settings_defaults(&config);
    for (size_t i = 0; i < settings_limit_count(); i++) {
        *settings_limit(&config.limits, i) = format_limit_value(i, take(input));
    }
    for (size_t i = 0; i < settings_policy_count(); i++) {
        settings_policy_set(&config.policy, i, format_policy_value(i, take(input)));
    }
    struct midge_limits unbounded = settings_unbounded();
    settings_bound(&config.limits, &unbounded);
    unsigned rules = take(input);
    if ((rules & FORMAT_USERS) != 0) {
        add_user(world, "", MIDGE_ACCEPT, 0);
        add_user(world, "u", MIDGE_ACCEPT, 1);
        add_user(world, "v", MIDGE_PENDING, 1);
        add_user(world, "w", MIDGE_REFUSE_UNAUTHORIZED, 0);
    }
    if ((rules & FORMAT_ACL) != 0) {
        deny(world, MIDGE_WRITE, "a/b", 0);
        deny(world, MIDGE_READ, "a/+/c", 0);
        deny(world, MIDGE_SUBSCRIBE, "+/b", 0);
        deny(world, MIDGE_READ, "a/#", 1);
    }
    world_start(world, &config, whole);
}

/* ---- What clients send -------------------------------------------------------------------------------------------------- */

static struct span take_topic(struct span *input)
{
    static const char *const topics[] = {"a", "b",   "a/b",  "a/b/c", "#", "+",   "a/#", "+/b",      "a/+/c",
                                         "/", "a//", "$SYS", "$a/b",  "",  "a/+", "b/#", "\xc3\xa9", "a/b/c/d/e/f/g/h"};
    unsigned which = take(input);
    if (which < 128) {
        return span_of(topics[which % (sizeof topics / sizeof *topics)]);
    }
    return take_span(input, which - 128);
}

static void encode_some_connect(struct buffer *out, struct span *input)
{
    static const char *const identifiers[] = {"0", "1", "2", "3", "a client with a long identifier", ""};
    static const char *const users[] = {"u", "v", "w", "x"};
    unsigned flags = take(input);
    unsigned who = take(input);
    struct connect_fields fields = {.protocol = span_of("MQTT"), .level = 4, .flags_and = ~0u};
    if (who >> 6 == 3) {
        fields.protocol = span_of("MQIsdp");
        fields.level = 3;
    }
    fields.clean = (flags & 1) != 0;
    fields.client_id = span_of(identifiers[who % (sizeof identifiers / sizeof *identifiers)]);
    fields.keepalive_s = take(input);
    fields.has_will = (flags & 2) != 0;
    fields.will_retain = (flags & 4) != 0;
    fields.will_qos = fields.has_will ? flags >> 3 & 3 : 0;
    fields.has_username = fields.has_password = (flags & 32) != 0;
    fields.username = span_of(users[flags >> 6]);
    fields.password = span_of("p");
    if (fields.has_will) {
        fields.will_topic = take_topic(input);
        fields.will_payload = take_span(input, take(input));
    }
    encode_connect(out, &fields);
}

static void encode_some_filters(struct buffer *out, struct span *input, bool with_qos)
{
    struct buffer body = {0};
    unsigned count = take(input) % 12;
    unsigned id = take(input);
    buffer_add_byte(&body, id >> 4);
    buffer_add_byte(&body, id);
    for (unsigned i = 0; i < count; i++) {
        encode_string(&body, take_topic(input));
        if (with_qos) {
            buffer_add_byte(&body, take(input));
        }
    }
    encode_header(out, with_qos ? SUBSCRIBE << 4 | 2u : UNSUBSCRIBE << 4 | 2u, body.size);
    buffer_add(out, body.bytes, body.size);
    buffer_free(&body);
}

/* A payload whose bytes differ from place to place. */
static struct span some_payload(size_t size)
{
    static uint8_t payload[65536];
    if (payload[1] == 0) {
        for (size_t i = 0; i < sizeof payload; i++) {
            payload[i] = (uint8_t)(i * 31 + (i >> 8) * 17);
        }
    }
    return (struct span){payload, size};
}

static void encode_some_publish(struct buffer *out, struct span *input)
{
    unsigned flags = take(input) & 15;
    struct span topic = take_topic(input);
    uint16_t id = (uint16_t)take(input);
    encode_publish(out, topic, some_payload(take_16(input)), flags, id);
}

/* The bytes that a client sends with this step. */
static void encode_step(struct buffer *out, enum format_step step, struct span *input)
{
    struct span bytes = {0};
    switch (step) {
    case STEP_SEND:
    case STEP_HOLD:
        bytes = take_span(input, take(input));
        buffer_add(out, bytes.bytes, bytes.size);
        break;
    case STEP_SEND_LARGE:
        bytes = take_span(input, take_16(input));
        buffer_add(out, bytes.bytes, bytes.size);
        break;
    case STEP_CONNECT:
        encode_some_connect(out, input);
        break;
    case STEP_SUBSCRIBE:
    case STEP_UNSUBSCRIBE:
        encode_some_filters(out, input, step == STEP_SUBSCRIBE);
        break;
    case STEP_PUBLISH:
        encode_some_publish(out, input);
        break;
    case STEP_ACK: {
        unsigned type = PUBACK + take(input) % 4;
        encode_ack(out, type, (uint16_t)take(input));
        break;
    }
    default:
        encode_empty(out, take(input) % 2 == 0 ? PINGREQ : DISCONNECT);
        break;
    }
}

/* Returns whether the connection is there. */
static bool open_for(struct world *world, struct client *client)
{
    if (!client->open) {
        /* Another client identifier may follow, with a session of its own. */
        memset(client->in_flight, 0, sizeof client->in_flight);
        client->closed = false;
        return world_open(world, client, 1);
    }
    return true;
}

static void send_step(struct world *world, struct client *client, enum format_step step, struct span *input)
{
    struct buffer out = {0};
    encode_step(&out, step, input);
    if (open_for(world, client)) {
        world_send(world, client, (struct span){out.bytes, out.size});
    }
    buffer_free(&out);
}

/* ---- Everything else ---------------------------------------------------------------------------------------------------- */

static void set_policy(struct world *world, struct span *input)
{
    uint16_t window = world->config.policy.inflight_max;
    size_t which = take(input) % settings_policy_count();
    settings_policy_set(&world->config.policy, which, format_policy_value(which, take(input)));
    /* A policy holds from the next packet on: what a larger window lets out at once is not announced, which the world minds. */
    if (world->config.policy.inflight_max > window) {
        world->config.policy.inflight_max = window;
    }
    if (!midge_set_policy(world->broker, &world->config.policy, NULL)) {
        world_break(world, "midge_set_policy refuses policy %zu", which);
    }
}

static void publish_internal(struct world *world, struct span *input)
{
    unsigned flags = take(input);
    struct span topic = take_topic(input);
    struct span payload = some_payload(take(input));
    struct sent *sent = arena_take(&world->arena, sizeof *sent);
    *sent = (struct sent){world->sent, arena_copy(&world->arena, topic.bytes, topic.size), false, (flags & 4) != 0};
    world->sent = sent;
    (void)midge_publish(world->broker, (struct midge_view){topic.bytes, (uint32_t)topic.size},
                        (struct midge_view){payload.bytes, (uint32_t)payload.size}, (uint8_t)((flags & 3) % 3), sent->retain);
}

static void set_chunks(struct world *world, struct span *input)
{
    unsigned output = take(input);
    world->delivery.input_size = take(input);
    world->delivery.output_size = output == 0 ? 65536 : 16 + output % 128;
    world->delivery.partial = output >= 128;
}

static void read_step(struct client *client, unsigned count)
{
    client->reads = count == 255;
    client->allowance = client->reads ? 0 : count;
}

static void pass_time(struct world *world, enum format_step step, struct span *input)
{
    if (step == STEP_LATE) {
        world_oversleep(world, take(input) * 32u);
    } else {
        world_turn(world); /* the port may have come late */
        world_pass(world, step == STEP_TIME ? take(input) : take_16(input));
    }
}

static void other_step(struct world *world, struct client *client, enum format_step step, struct span *input)
{
    static const enum midge_verdict verdicts[] = {MIDGE_ACCEPT, MIDGE_REFUSE_CREDENTIALS, MIDGE_REFUSE_UNAVAILABLE};
    switch (step) {
    case STEP_LOSE:
        if (client->open) {
            world_lose(world, client);
        }
        break;
    case STEP_TIME:
    case STEP_TIME_LONG:
    case STEP_LATE:
        pass_time(world, step, input);
        break;
    case STEP_READ:
        read_step(client, take(input));
        break;
    case STEP_ACKNOWLEDGE:
        client->acknowledges = take(input) % 2 == 1;
        break;
    case STEP_CHUNKS:
        set_chunks(world, input);
        break;
    case STEP_ANSWER:
        midge_authenticated(world->broker, client->handle, verdicts[take(input) % 3], 1);
        break;
    case STEP_POLICY:
        set_policy(world, input);
        break;
    default:
        publish_internal(world, input);
        break;
    }
}

static void do_step(struct world *world, struct span *input)
{
    static const char *const names[FORMAT_CLIENTS] = {"c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"};
    unsigned byte = take(input);
    enum format_step step = (enum format_step)((byte & 31) % STEP_COUNT);
    struct client *client = world_client(world, span_of(names[byte >> 5]));
    world_trace(world, "step %u of c%u, %zu bytes of input left", (unsigned)step, byte >> 5, input->size);
    if (step <= STEP_EMPTY) {
        send_step(world, client, step, input);
    } else {
        other_step(world, client, step, input);
    }
    if (step != STEP_HOLD && step != STEP_LATE) {
        world_turn(world);
    }
}

/* Whoever waits for the port or for itself is let go, and then nobody may wait for ever. */
static void finish(struct world *world)
{
    world_turn(world);
    for (struct client *client = world->clients; client != NULL; client = client->next) {
        client->reads = true;
        if (client->open) {
            midge_authenticated(world->broker, client->handle, MIDGE_ACCEPT, 0);
        }
    }
    world_turn(world);
    world_check_counters(world);
    if (!world->broken && !world_waits_end(world)) {
        world_break(world, "somebody waits for ever");
    }
    if (!world->broken) {
        world_conclude(world, true);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct span input = {bytes, size};
    struct world world = {.audit_every = 4, .trace = getenv("MIDGE_TRACE") != NULL ? stdout : NULL};
    start(&world, &input);
    while (input.size > 0 && !world.broken) {
        do_step(&world, &input);
    }
    if (!world.broken) {
        world_audit(&world);
        finish(&world);
    }
    if (world.broken) {
        (void)fflush(stdout);
        (void)fprintf(stderr, "fuzz_broker: %s\n", world.failure);
        abort();
    }
    world_end(&world);
    return 0;
}
