/* Makes the first inputs of the fuzzers out of the conformance scenarios: plays each one, and writes down what happens to its
 * world in the form of format.h. The linker puts the functions __wrap_X below in front of the X of the runner (--wrap).
 *
 *     fuzz_seeds FOLDER SCENARIOS...
 *
 * fills FOLDER/broker, FOLDER/packet and FOLDER/topic. */
#include "format.h"

#include <stdlib.h>
#include <string.h>

enum { SEED_MAX = 4096, LARGE = 1024 };

static const char *folder;
static bool recording;
static struct buffer seed;  /* of the broker's fuzzer */
static struct buffer texts; /* of that of topics: what was published to and subscribed to, a line each */
static unsigned packets;

/* The clients as the fuzzer would have them after what was recorded. */
static struct known {
    bool reads, acknowledges;
    size_t allowance;
} known[FORMAT_CLIENTS];
static struct midge_policy policy;

static void write_seed(const char *kind, unsigned number, struct span head, struct span bytes)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s/%04u", folder, kind, number);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(head.bytes, 1, head.size, file) != head.size ||
        fwrite(bytes.bytes, 1, bytes.size, file) != bytes.size || fclose(file) != 0) {
        perror(path);
        exit(2);
    }
}

static unsigned slot_of(const struct world *world, const struct client *client)
{
    unsigned slot = 0;
    for (const struct client *at = world->clients; at != client; at = at->next) {
        slot++;
    }
    return slot % FORMAT_CLIENTS;
}

static void add_step(unsigned slot, enum format_step step)
{
    buffer_add_byte(&seed, slot << 5 | (unsigned)step);
}

static void add_16(size_t value)
{
    buffer_add_byte(&seed, (unsigned)(value >> 8) & 0xffu);
    buffer_add_byte(&seed, (unsigned)value & 0xffu);
}

/* What a scenario changes in its clients without calling anybody. */
static void record_clients(const struct world *world)
{
    for (const struct client *client = world->clients; recording && client != NULL; client = client->next) {
        unsigned slot = slot_of(world, client);
        struct known *was = &known[slot];
        if (client->open && (client->reads != was->reads || client->allowance != was->allowance)) {
            add_step(slot, STEP_READ);
            buffer_add_byte(&seed, client->reads ? 255 : client->allowance < 254 ? (unsigned)client->allowance : 254);
        }
        if (client->acknowledges != was->acknowledges) {
            add_step(slot, STEP_ACKNOWLEDGE);
            buffer_add_byte(&seed, client->acknowledges ? 1 : 0);
        }
        *was = (struct known){client->reads, client->acknowledges, client->allowance};
    }
}

static void know_clients(const struct world *world)
{
    for (const struct client *client = world->clients; client != NULL; client = client->next) {
        known[slot_of(world, client)] = (struct known){client->reads, client->acknowledges, client->allowance};
    }
}

static void add_text(struct span text)
{
    if (text.size > 0 && text.size < 256) {
        buffer_add(&texts, text.bytes, text.size);
        buffer_add_byte(&texts, '\n');
    }
}

/* The filters of a SUBSCRIBE or UNSUBSCRIBE with a Remaining Length of one byte. */
static void add_filters(struct span bytes, size_t qos_size)
{
    for (size_t at = 4; at + 2 < bytes.size;) {
        size_t size = (size_t)bytes.bytes[at] << 8 | bytes.bytes[at + 1];
        if (size > bytes.size - at - 2) {
            return;
        }
        add_text((struct span){bytes.bytes + at + 2, size});
        at += 2 + size + qos_size;
    }
}

static void record_packet(struct span bytes)
{
    static const uint8_t settings[3] = {0, 60, 255};
    static bool seen[16][64];
    struct client_packet packet;
    if (bytes.size < 2) {
        return;
    }
    unsigned type = bytes.bytes[0] >> 4;
    if (type == SUBSCRIBE || type == UNSUBSCRIBE) {
        add_filters(bytes, type == SUBSCRIBE ? 1 : 0);
    } else if (decode_from_client(bytes, &packet) > 0) {
        add_text(packet.topic);
    }
    bool *known_size = &seen[type][bytes.size % 64];
    if (!*known_size && bytes.size < LARGE) {
        *known_size = true;
        write_seed("packet", ++packets, (struct span){settings, sizeof settings}, bytes);
    }
}

/* ---- What the runner calls ---------------------------------------------------------------------------------------------- */

void __real_world_start(struct world *world, const struct midge_config *config, struct delivery delivery);
void __wrap_world_start(struct world *world, const struct midge_config *config, struct delivery delivery);
bool __real_world_open(struct world *world, struct client *client, uint8_t listener);
bool __wrap_world_open(struct world *world, struct client *client, uint8_t listener);
void __real_world_send(struct world *world, struct client *client, struct span bytes);
void __wrap_world_send(struct world *world, struct client *client, struct span bytes);
void __real_world_lose(struct world *world, struct client *client);
void __wrap_world_lose(struct world *world, struct client *client);
void __real_world_turn(struct world *world);
void __wrap_world_turn(struct world *world);
void __real_world_pass(struct world *world, uint64_t ms);
void __wrap_world_pass(struct world *world, uint64_t ms);
void __real_world_oversleep(struct world *world, uint64_t ms);
void __wrap_world_oversleep(struct world *world, uint64_t ms);
void __real_midge_authenticated(struct midge *b, struct midge_handle conn, enum midge_verdict verdict, uint32_t who);
void __wrap_midge_authenticated(struct midge *b, struct midge_handle conn, enum midge_verdict verdict, uint32_t who);
bool __real_midge_set_policy(struct midge *b, const struct midge_policy *to, size_t *wrong);
bool __wrap_midge_set_policy(struct midge *b, const struct midge_policy *to, size_t *wrong);
bool __real_midge_publish(struct midge *b, struct midge_view topic, struct midge_view payload, uint8_t qos, bool retain);
bool __wrap_midge_publish(struct midge *b, struct midge_view topic, struct midge_view payload, uint8_t qos, bool retain);
void __real_judge_counters(struct run *run);
void __wrap_judge_counters(struct run *run);

void __wrap_world_start(struct world *world, const struct midge_config *config, struct delivery delivery)
{
    struct midge_limits limits = config->limits;
    for (size_t i = 0; i < settings_limit_count(); i++) {
        buffer_add_byte(&seed, format_limit_byte(i, *settings_limit(&limits, i)));
    }
    policy = config->policy;
    for (size_t i = 0; i < settings_policy_count(); i++) {
        buffer_add_byte(&seed, format_policy_byte(i, settings_policy_get(&policy, i)));
    }
    buffer_add_byte(&seed, (world->users != NULL ? FORMAT_USERS : 0u) | (world->acls != NULL ? FORMAT_ACL : 0u));
    memset(known, 0, sizeof known);
    recording = true;
    __real_world_start(world, config, delivery);
}

bool __wrap_world_open(struct world *world, struct client *client, uint8_t listener)
{
    record_clients(world);
    bool opened = __real_world_open(world, client, listener);
    know_clients(world);
    return opened;
}

void __wrap_world_send(struct world *world, struct client *client, struct span bytes)
{
    record_clients(world);
    if (recording) {
        add_step(slot_of(world, client), STEP_SEND_LARGE);
        add_16(bytes.size);
        buffer_add(&seed, bytes.bytes, bytes.size);
        record_packet(bytes);
    }
    __real_world_send(world, client, bytes);
}

void __wrap_world_lose(struct world *world, struct client *client)
{
    record_clients(world);
    if (recording) {
        add_step(slot_of(world, client), STEP_LOSE);
    }
    __real_world_lose(world, client);
}

void __wrap_world_turn(struct world *world)
{
    record_clients(world);
    __real_world_turn(world);
    know_clients(world);
}

void __wrap_world_pass(struct world *world, uint64_t ms)
{
    record_clients(world);
    for (uint64_t left = ms; recording && left > 0 && seed.size < SEED_MAX;) {
        uint64_t part = left < UINT16_MAX ? left : UINT16_MAX;
        add_step(0, STEP_TIME_LONG);
        add_16((size_t)part);
        left -= part;
    }
    __real_world_pass(world, ms);
    know_clients(world);
}

void __wrap_world_oversleep(struct world *world, uint64_t ms)
{
    record_clients(world);
    if (recording) {
        add_step(0, STEP_LATE);
        buffer_add_byte(&seed, ms / 32 < 255 ? (unsigned)(ms / 32) : 255);
    }
    __real_world_oversleep(world, ms);
}

/* Found by the handle of the client that is open. */
void __wrap_midge_authenticated(struct midge *b, struct midge_handle conn, enum midge_verdict verdict, uint32_t who)
{
    if (recording) {
        add_step((conn.index - 1u) % FORMAT_CLIENTS, STEP_ANSWER);
        buffer_add_byte(&seed, verdict == MIDGE_ACCEPT ? 0 : 1);
    }
    __real_midge_authenticated(b, conn, verdict, who);
}

bool __wrap_midge_set_policy(struct midge *b, const struct midge_policy *to, size_t *wrong)
{
    for (size_t i = 0; recording && i < settings_policy_count(); i++) {
        unsigned long value = settings_policy_get(to, i);
        if (value != settings_policy_get(&policy, i)) {
            add_step(0, STEP_POLICY);
            buffer_add_byte(&seed, (unsigned)i);
            buffer_add_byte(&seed, format_policy_byte(i, value));
        }
    }
    policy = *to;
    return __real_midge_set_policy(b, to, wrong);
}

bool __wrap_midge_publish(struct midge *b, struct midge_view topic, struct midge_view payload, uint8_t qos, bool retain)
{
    if (recording && topic.size < 128) {
        add_step(0, STEP_INTERNAL);
        buffer_add_byte(&seed, (unsigned)qos | (retain ? 4u : 0u));
        buffer_add_byte(&seed, 128u + topic.size);
        buffer_add(&seed, topic.bytes, topic.size);
        buffer_add_byte(&seed, payload.size < 255 ? payload.size : 255);
    }
    return __real_midge_publish(b, topic, payload, qos, retain);
}

/* The end of the scenario: what follows is the runner's own. */
void __wrap_judge_counters(struct run *run)
{
    recording = false;
    __real_judge_counters(run);
}

int main(int argc, char **argv)
{
    static const uint8_t topic_settings[3] = {60, 0, 0};
    struct script script = {0};
    if (argc < 3) {
        (void)fputs("usage: fuzz_seeds FOLDER SCENARIOS...\n", stderr);
        return 2;
    }
    folder = argv[1];
    for (int i = 2; i < argc; i++) {
        script_read(&script, argv[i]);
    }
    for (size_t i = 0; i < script.count; i++) {
        char message[1600];
        struct run_memory used;
        struct run_options options = {.scenario = &script.scenarios[i], .delivery = {"whole", 0, 65536, false}};
        options.ceiling = settings_unbounded();
        seed.size = texts.size = 0;
        if (run_scenario(&options, message, sizeof message, &used) != PASSED) {
            (void)fprintf(stderr, "%s\n", message);
            return 1;
        }
        if (seed.size <= SEED_MAX) {
            write_seed("broker", (unsigned)i, (struct span){seed.bytes, seed.size}, (struct span){0});
        }
        if (texts.size > 0 && texts.size <= SEED_MAX) {
            write_seed("topic", (unsigned)i, (struct span){topic_settings, 3}, (struct span){texts.bytes, texts.size});
        }
    }
    buffer_free(&seed);
    buffer_free(&texts);
    script_free(&script);
    return 0;
}
