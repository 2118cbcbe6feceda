#include "run.h"

#include <string.h>

uint16_t send_id(struct run *run, struct client *client)
{
    return (uint16_t)step_key_number(run, "id", client->next_id++);
}

static struct span value_of(const struct run *run, const char *key, struct span otherwise)
{
    const struct word *word = step_key(run->step, key);
    return word != NULL ? word->value : otherwise;
}

static void send_connect(struct run *run, struct client *client, size_t at, struct buffer *out)
{
    const struct step *step = run->step;
    struct connect_fields fields = {.clean = step_key_number(run, "clean", 1) != 0, .flags_and = ~0u};
    fields.level = (unsigned)step_key_number(run, "level", 4);
    fields.protocol = value_of(run, "name", span_of((fields.level & 0x7Fu) == 3 ? "MQIsdp" : "MQTT"));
    fields.flags_or = (unsigned)step_key_number(run, "flags_or", 0);
    fields.flags_and = (unsigned)step_key_number(run, "flags_and", 0xFF);
    fields.keepalive_s = (unsigned)step_key_number(run, "keepalive", 0);
    fields.client_id = value_of(run, "id", client->name);
    const struct word *will = step_key(step, "will");
    if (will != NULL) {
        const uint8_t *colon = will->value.size > 0 ? memchr(will->value.bytes, ':', will->value.size) : NULL;
        size_t size = colon != NULL ? (size_t)(colon - will->value.bytes) : will->value.size;
        fields.has_will = true;
        fields.will_topic = (struct span){will->value.bytes, size};
        if (colon != NULL) {
            fields.will_payload = (struct span){colon + 1, will->value.size - size - 1};
        }
        fields.will_payload = value_of(run, "willpayload", fields.will_payload);
        fields.will_qos = (unsigned)step_key_number(run, "willqos", 0);
        fields.will_retain = step_flag(step, at, "willretain");
    }
    fields.has_username = step_key(step, "user") != NULL;
    fields.username = value_of(run, "user", (struct span){0});
    fields.has_password = step_key(step, "pass") != NULL;
    fields.password = value_of(run, "pass", (struct span){0});
    encode_connect(out, &fields);
}

static void send_publish(struct run *run, struct client *client, size_t at, struct buffer *out)
{
    const struct step *step = run->step;
    if (step->word_count < at + 2 || step->words[at].key.size > 0 || step->words[at + 1].key.size > 0) {
        run_misread(run, "expected: PUBLISH topic payload");
    }
    unsigned long qos = step_key_number(run, "qos", 0);
    unsigned flags =
        (unsigned)qos << 1 | (step_flag(step, at + 2, "retain") ? 1u : 0u) | (step_flag(step, at + 2, "dup") ? 8u : 0u);
    uint16_t id = qos > 0 ? send_id(run, client) : 0;
    encode_publish(out, step->words[at].value, step->words[at + 1].value, flags, id);
}

/* SUBSCRIBE and UNSUBSCRIBE: the filters stand as plain words; `filter:Q` with Q in hexadecimal for SUBSCRIBE. */
static void send_filters(struct run *run, struct client *client, size_t at, bool with_qos, struct buffer *out)
{
    struct buffer body = {0};
    uint16_t id = send_id(run, client);
    buffer_add_byte(&body, id >> 8);
    buffer_add_byte(&body, id & 0xFFu);
    for (size_t i = at; i < run->step->word_count; i++) {
        struct span filter = run->step->words[i].value;
        unsigned long qos = 0;
        if (run->step->words[i].key.size > 0) {
            continue;
        }
        if (with_qos) {
            size_t colon = filter.size;
            while (colon > 0 && filter.bytes[colon - 1] != ':') {
                colon--;
            }
            if (colon == 0 || !span_number((struct span){filter.bytes + colon, filter.size - colon}, 16, &qos)) {
                run_misread(run, "expected filter:QoS");
            }
            filter.size = colon - 1;
        }
        encode_string(&body, filter);
        if (with_qos) {
            buffer_add_byte(&body, (unsigned)qos);
        }
    }
    encode_header(out, with_qos ? SUBSCRIBE << 4 | 2u : UNSUBSCRIBE << 4 | 2u, body.size);
    buffer_add(out, body.bytes, body.size);
    buffer_free(&body);
}

/* `raw` takes bytes in hexadecimal and, behind a `-`, strings as they are: raw 30 05 -"\x00\x03t/xhi". */
static void send_raw(struct run *run, size_t at, struct buffer *out)
{
    for (size_t i = at; i < run->step->word_count; i++) {
        struct span value = run->step->words[i].value;
        unsigned long byte;
        if (run->step->words[i].key.size > 0) {
            continue;
        }
        if (value.size > 0 && value.bytes[0] == '-') {
            buffer_add(out, value.bytes + 1, value.size - 1);
        } else if (value.size == 2 && span_number(value, 16, &byte)) {
            buffer_add_byte(out, (unsigned)byte);
        } else {
            run_misread(run, "raw: expected two hexadecimal digits or -\"...\"");
        }
    }
}

/* The packet may be named by what the client does: `a connects`. */
static unsigned type_of(struct span name)
{
    if (span_is(name, "connects")) {
        return CONNECT;
    }
    if (span_is(name, "subscribes")) {
        return SUBSCRIBE;
    }
    return span_is(name, "publishes") ? PUBLISH : packet_type_of(name);
}

void send_packet(struct run *run, struct client *client, size_t at, struct buffer *out)
{
    struct span name = run->step->words[at].value;
    unsigned type = type_of(name);
    size_t before = out->size;
    switch (type) {
    case CONNECT:
        send_connect(run, client, at + 1, out);
        break;
    case PUBLISH:
        send_publish(run, client, at + 1, out);
        break;
    case SUBSCRIBE:
    case UNSUBSCRIBE:
        send_filters(run, client, at + 1, type == SUBSCRIBE, out);
        break;
    case PUBACK:
    case PUBREC:
    case PUBREL:
    case PUBCOMP:
        if (step_key(run->step, "id") == NULL) {
            run_misread(run, "expected id=");
        }
        encode_ack(out, type, send_id(run, client));
        break;
    case PINGREQ:
    case DISCONNECT:
        encode_empty(out, type);
        break;
    case 0:
        if (span_is(name, "raw")) {
            send_raw(run, at + 1, out);
            break;
        }
        run_misread(run, "no packet of this name");
    default:
        run_misread(run, "no packet that a client sends");
    }
    /* `cut=N` sends the first N bytes only; `first=XX` replaces the first byte. */
    out->size = before + step_key_number(run, "cut", out->size - before);
    const struct word *first = step_key(run->step, "first");
    unsigned long byte;
    if (first != NULL && span_number(first->value, 16, &byte)) {
        out->bytes[before] = (uint8_t)byte;
    }
}
