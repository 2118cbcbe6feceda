#include "world.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void world_trace(struct world *world, const char *format, ...)
{
    if (world->trace != NULL) {
        va_list arguments;
        va_start(arguments, format);
        (void)vfprintf(world->trace, format, arguments);
        va_end(arguments);
        (void)fputc('\n', world->trace);
    }
}

void world_break(struct world *world, const char *format, ...)
{
    if (!world->broken) {
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(world->failure, sizeof world->failure, format, arguments);
        va_end(arguments);
        world->broken = true;
        world_trace(world, "    BROKEN: %s", world->failure);
    }
}

bool ids_has(const uint8_t *ids, uint16_t id)
{
    return (ids[id / 8] >> id % 8 & 1) != 0;
}

void ids_set(uint8_t *ids, uint16_t id, bool in)
{
    unsigned bit = 1u << id % 8;
    ids[id / 8] = (uint8_t)(in ? ids[id / 8] | bit : ids[id / 8] & ~bit);
}

/* ---- Beginning and end -------------------------------------------------------------------------------------------------- */

void world_audit(struct world *world)
{
    uint32_t audit = midge_audit(world->broker);
    if (audit != 0) {
        world_break(world, "midge_audit: file %u, line %u", (unsigned)(audit >> 16), (unsigned)(audit & 0xFFFFu));
    }
}

void world_start(struct world *world, const struct midge_config *config, struct delivery delivery)
{
    world->delivery = delivery;
    world->config = *config;
    world->config.context = world;
    world->config.hash_seed = 0x6D69646765u;
    world->config.authenticate = world->users != NULL ? world_authenticate : NULL;
    world->config.authorize = world->acls != NULL ? world_authorize : NULL;
    world->config.log = world_log;
    size_t size = midge_memory_size(&world->config.limits);
    size_t wrong = 0;
    world->memory = calloc(1, size);
    world->broker = world->memory != NULL ? midge_init(world->memory, size, &world->config, &wrong) : NULL;
    if (world->broker == NULL) {
        world_break(world, "midge_init refuses the configuration: field at offset %zu", wrong);
        return;
    }
    world->now = 1000;
    world->deadline = midge_advance(world->broker, world->now);
    world_audit(world);
    midge_metrics(world->broker, &world->before);
}

void world_end(struct world *world)
{
    for (struct client *client = world->clients; client != NULL; client = client->next) {
        buffer_free(&client->input);
        buffer_free(&client->said);
        buffer_free(&client->held);
        buffer_free(&client->output);
    }
    free(world->client_ids);
    free(world->memory);
    arena_free(&world->arena);
}

struct client *world_client(struct world *world, struct span name)
{
    struct client **at = &world->clients;
    for (; *at != NULL; at = &(*at)->next) {
        if (span_equal((*at)->name, name)) {
            return *at;
        }
    }
    *at = arena_take(&world->arena, sizeof **at);
    (*at)->name = name;
    (*at)->next_id = 40000;
    return *at;
}

bool world_open(struct world *world, struct client *client, uint8_t listener)
{
    client->handle = midge_connected(world->broker, listener);
    if (client->handle.index == 0) {
        world->said_no = true;
        return false;
    }
    uint32_t slots = world->config.limits.clients + world->config.limits.handshakes;
    if (client->handle.index > slots) {
        world_break(world, "midge_connected: index %lu of %lu", (unsigned long)client->handle.index, (unsigned long)slots);
    }
    client->open = true;
    client->closed = client->stalled = client->has_output = false;
    client->reads = true;
    client->allowance = 0;
    client->bytes_on_connection = 0;
    client->input.size = client->said.size = client->held.size = client->output.size = 0;
    return true;
}

static void forget_connection(struct world *world, struct client *client)
{
    world->cut = world->cut || client->output.size > 0 || client->has_output;
    client->open = false;
    client->output.size = client->input.size = client->held.size = 0;
    ledger_ended(world, client);
    midge_disconnected(world->broker, client->handle);
}

void world_lose(struct world *world, struct client *client)
{
    forget_connection(world, client);
}

/* ---- What clients send -------------------------------------------------------------------------------------------------- */

static void remember_client_id(struct world *world, struct span id)
{
    for (size_t i = 0; i < world->client_id_count; i++) {
        if (span_equal(world->client_ids[i], id)) {
            return;
        }
    }
    world->client_ids = realloc(world->client_ids, (world->client_id_count + 1) * sizeof *world->client_ids);
    if (world->client_ids == NULL) {
        exit(2);
    }
    world->client_ids[world->client_id_count++] = arena_copy(&world->arena, id.bytes, id.size);
}

/* Remembers what has to be cleaned up in the end, and what the broker's answers may refer to. */
static void remember_sent(struct world *world, struct client *client, struct span bytes)
{
    struct client_packet packet;
    long size = 0;
    size_t at = 0;
    buffer_add(&client->said, bytes.bytes, bytes.size);
    bytes = (struct span){client->said.bytes, client->said.size};
    while (bytes.size > 0 && (size = decode_from_client(bytes, &packet)) > 0) {
        if (packet.type == CONNECT) {
            remember_client_id(world, packet.client_id);
        }
        if (packet.type == PUBLISH || (packet.type == CONNECT && packet.topic.size > 0)) {
            struct sent *sent = arena_take(&world->arena, sizeof *sent);
            *sent = (struct sent){world->sent, arena_copy(&world->arena, packet.topic.bytes, packet.topic.size),
                                  packet.type == PUBLISH && packet.qos > 0, packet.retain};
            world->sent = sent;
        }
        if (packet.type == PUBACK || packet.type == PUBCOMP) {
            ids_set(client->in_flight, packet.id, false);
        }
        ids_set(client->used_ids, packet.id, true);
        ledger_sent(world, client, &packet);
        bytes = (struct span){bytes.bytes + size, bytes.size - (size_t)size};
        at += (size_t)size;
    }
    /* Behind a packet that makes no sense there is none. */
    buffer_remove(&client->said, size < 0 ? client->said.size : at);
}

void world_send(struct world *world, struct client *client, struct span bytes)
{
    remember_sent(world, client, bytes);
    buffer_add(&client->input, bytes.bytes, bytes.size);
}

/* ---- What clients receive ----------------------------------------------------------------------------------------------- */

static void queue_packet(struct world *world, struct client *client, const struct packet *packet)
{
    struct received *received = arena_take(&world->arena, sizeof *received);
    received->packet = *packet;
    if (client->first == NULL) {
        client->first = received;
    } else {
        client->last->next = received;
    }
    client->last = received;
}

static void note_publish(struct world *world, struct client *client, const struct packet *packet)
{
    struct received *noted = arena_take(&world->arena, sizeof *noted);
    noted->packet = *packet;
    noted->next = client->history;
    client->history = noted;
    world->publish_seen++;
    if (packet->qos > 0) {
        if (!packet->dup && ids_has(client->in_flight, packet->id)) {
            world_break(world, "%.*s: packet identifier %u is in flight already [MQTT-2.3.1-4]", (int)client->name.size,
                        (const char *)client->name.bytes, packet->id);
        }
        ids_set(client->in_flight, packet->id, true);
    }
}

/* Where the client answers by itself: does so, and says whether the packet is done with. */
static bool answer_packet(struct world *world, struct client *client, const struct packet *packet)
{
    unsigned answer = 0;
    if (packet->type == PUBLISH) {
        answer = packet->qos == 1 ? PUBACK : packet->qos == 2 ? PUBREC : 0;
    } else if (packet->type == PUBREL) {
        answer = PUBCOMP;
    } else if (packet->type == PUBREC) {
        answer = PUBREL;
    }
    if (!client->acknowledges || answer == 0) {
        return false;
    }
    struct buffer bytes = {0};
    encode_ack(&bytes, answer, packet->id);
    world_send(world, client, (struct span){bytes.bytes, bytes.size});
    buffer_free(&bytes);
    return packet->type != PUBLISH;
}

static void take_packet(struct world *world, struct client *client, struct packet *packet, bool is_first)
{
    char text[200];
    struct span whole = arena_copy(&world->arena, packet->whole.bytes, packet->whole.size);
    packet->topic.bytes = packet->topic.size > 0 ? whole.bytes + (packet->topic.bytes - packet->whole.bytes) : NULL;
    packet->payload.bytes = packet->payload.size > 0 ? whole.bytes + (packet->payload.bytes - packet->whole.bytes) : NULL;
    packet->whole = whole;
    world_trace(world, "    %.*s< %s %s qos=%u id=%u%s%s", (int)client->name.size, (const char *)client->name.bytes,
                packet_name(packet->type), span_print(whole, text, sizeof text), packet->qos, packet->id,
                packet->dup ? " dup" : "", packet->retain ? " retain" : "");
    if (is_first != (packet->type == CONNACK)) {
        world_break(world, "%.*s: CONNACK is the first packet and no other [MQTT-3.2.0-1]", (int)client->name.size,
                    (const char *)client->name.bytes);
    }
    if (packet->type == CONNACK && packet->return_code == 0 && packet->session_present == 0) {
        memset(client->in_flight, 0, sizeof client->in_flight);
    }
    ledger_received(world, client, packet);
    if (packet->type == PUBLISH) {
        note_publish(world, client, packet);
    }
    if (!answer_packet(world, client, packet)) {
        queue_packet(world, client, packet);
    }
}

static void take_bytes(struct world *world, struct client *client, const uint8_t *bytes, size_t size)
{
    size_t before = client->bytes_on_connection - client->output.size;
    buffer_add(&client->output, bytes, size);
    client->bytes_on_connection += size;
    world->bytes_done += size;
    size_t at = 0;
    while (at < client->output.size) {
        struct packet packet;
        const char *why = NULL;
        long used = decode_from_server((struct span){client->output.bytes + at, client->output.size - at}, &packet, &why);
        if (used < 0) {
            world_break(world, "%.*s: %s", (int)client->name.size, (const char *)client->name.bytes, why);
            client->output.size = 0;
            return;
        }
        if (used == 0) {
            break;
        }
        take_packet(world, client, &packet, before + at == 0);
        at += (size_t)used;
    }
    buffer_remove(&client->output, at);
}

/* ---- The port loop ------------------------------------------------------------------------------------------------------ */

/* How much of `size` bytes the transport takes now. */
static size_t transport_takes(struct world *world, const struct client *client, size_t size)
{
    static const size_t parts[] = {1, 0, 5, 16, 0, 2, 64, 3};
    size_t takes = size;
    if (world->delivery.partial) {
        size_t part = parts[world->partial_turn++ % (sizeof parts / sizeof *parts)];
        takes = part < size ? part : size;
    }
    return client->reads || client->allowance > takes ? takes : client->allowance;
}

/* One piece of output; false where there is nothing to do. */
static bool send_output(struct world *world, struct client *client)
{
    if (!client->open || !client->has_output || (!client->reads && client->allowance == 0)) {
        return false;
    }
    uint8_t buffer[65536];
    size_t size = midge_output(world->broker, client->handle, buffer, world->delivery.output_size);
    if (size > world->delivery.output_size) {
        world_break(world, "midge_output returns more than the buffer holds");
        return false;
    }
    if (size == 0) {
        client->has_output = false;
        return true;
    }
    size_t taken = transport_takes(world, client, size);
    if (!client->reads) {
        client->allowance -= taken;
    }
    client->has_output = midge_output_done(world->broker, client->handle, taken);
    take_bytes(world, client, buffer, taken);
    return true;
}

static bool offer_input(struct world *world, struct client *client)
{
    if (!client->open || client->stalled || client->input.size == 0) {
        return false;
    }
    size_t offered = world->delivery.input_size;
    offered = offered == 0 || offered > client->input.size ? client->input.size : offered;
    /* A copy of exactly that size, so that a sanitizer sees a read beyond its end. */
    uint8_t *copy = malloc(offered);
    if (copy == NULL) {
        exit(2);
    }
    memcpy(copy, client->input.bytes, offered);
    size_t used = midge_receive(world->broker, client->handle, copy, offered);
    free(copy);
    if (used > offered) {
        world_break(world, "midge_receive took more than was offered");
        used = offered;
    }
    client->stalled = used < offered;
    buffer_remove(&client->input, used);
    return true;
}

static struct client *client_of(struct world *world, struct midge_handle handle)
{
    for (struct client *client = world->clients; client != NULL; client = client->next) {
        if (client->open && client->handle.index == handle.index && client->handle.generation == handle.generation) {
            return client;
        }
    }
    return NULL;
}

static bool take_events(struct world *world)
{
    struct midge_event event;
    bool any = false;
    while (midge_next_event(world->broker, &event)) {
        struct client *client = client_of(world, event.conn);
        any = true;
        if (client == NULL) {
            world_break(world, "event %d for a connection that is gone", (int)event.type);
        } else if (event.type == MIDGE_OUTPUT_READY) {
            if (client->has_output) {
                world_break(world, "OUTPUT_READY came twice");
            }
            client->has_output = true;
        } else if (event.type == MIDGE_INPUT_READY) {
            if (!client->stalled) {
                world_break(world, "INPUT_READY without a stall");
            }
            client->stalled = false;
        } else {
            world_trace(world, "    %.*s< close", (int)client->name.size, (const char *)client->name.bytes);
            forget_connection(world, client);
            client->closed = true;
        }
    }
    return any;
}

/* Every output that is due must have been announced; a port would never ask for it otherwise. */
static void check_announced(struct world *world)
{
    uint8_t buffer[64];
    for (struct client *client = world->clients; client != NULL; client = client->next) {
        if (client->open && !client->has_output && midge_output(world->broker, client->handle, buffer, sizeof buffer) > 0) {
            midge_output_done(world->broker, client->handle, 0);
            world_break(world, "%.*s: output without OUTPUT_READY", (int)client->name.size, (const char *)client->name.bytes);
        }
    }
}

/* Returns whether there was anything to do. */
static bool run_loop(struct world *world)
{
    bool busy = true;
    bool any = false;
    for (unsigned long turn = 0; busy && !world->broken; turn++) {
        busy = take_events(world);
        for (struct client *client = world->clients; client != NULL; client = client->next) {
            busy = send_output(world, client) || busy;
        }
        for (struct client *client = world->clients; client != NULL; client = client->next) {
            busy = offer_input(world, client) || busy;
        }
        any = any || busy;
        if (turn > 20000000) {
            world_break(world, "the port loop does not come to rest");
        }
    }
    return any;
}

void world_turn(struct world *world)
{
    (void)run_loop(world);
    do {
        world->deadline = midge_advance(world->broker, world->now);
    } while (run_loop(world));
    if (!world->broken) {
        check_announced(world);
        if (world->audit_every == 0 || world->turn_count++ % world->audit_every == 0) {
            world_audit(world);
        }
    }
}

void world_pass(struct world *world, uint64_t ms)
{
    uint64_t end = world->now + ms;
    while (!world->broken && world->deadline <= end) {
        if (world->deadline <= world->now) {
            world_break(world, "midge_advance returned a deadline that has passed");
            break;
        }
        world->now = world->deadline;
        world_turn(world);
    }
    world->now = end;
    world_turn(world);
}

void world_oversleep(struct world *world, uint64_t ms)
{
    world->now += ms;
    midge_time(world->broker, world->now);
}
