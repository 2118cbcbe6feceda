#include "run.h"

#include <stdio.h>
#include <string.h>

#define NAME(client) (int)(client)->name.size, (const char *)(client)->name.bytes

static void describe(const struct packet *packet, char *text, size_t size)
{
    char topic[80];
    char payload[80];
    int at = snprintf(text, size, "%s", packet_name(packet->type));
    if (packet->type == PUBLISH) {
        (void)snprintf(text + at, size - (size_t)at, " %s \"%s\" qos=%u id=%u%s%s",
                       span_print(packet->topic, topic, sizeof topic), span_print(packet->payload, payload, sizeof payload),
                       packet->qos, packet->id, packet->dup ? " dup" : "", packet->retain ? " retain" : "");
    } else if (packet->type == CONNACK) {
        (void)snprintf(text + at, size - (size_t)at, " sp=%u rc=%u", packet->session_present, packet->return_code);
    } else if (packet->type != PINGRESP) {
        (void)snprintf(text + at, size - (size_t)at, " id=%u%s%s", packet->id, packet->payload.size > 0 ? " codes " : "",
                       span_print(packet->payload, payload, sizeof payload));
    }
}

/* `id=7`, `id=$x`: the second binds x where it is free and `bind` allows it. */
static bool id_matches(struct run *run, const struct step *step, uint16_t id, bool bind)
{
    const struct word *word = step_key(step, "id");
    if (word == NULL) {
        return true;
    }
    unsigned long number;
    if (word->value.size < 2 || word->value.bytes[0] != '$') {
        return span_number(word->value, 0, &number) && number == id;
    }
    struct span name = {word->value.bytes + 1, word->value.size - 1};
    for (const struct binding *binding = run->world.bindings; binding != NULL; binding = binding->next) {
        if (span_equal(binding->name, name)) {
            return binding->id == id;
        }
    }
    if (bind) {
        struct binding *binding = arena_take(&run->world.arena, sizeof *binding);
        *binding = (struct binding){run->world.bindings, name, id};
        run->world.bindings = binding;
    }
    return true;
}

static unsigned long number_of(const struct step *step, const char *key, unsigned long otherwise)
{
    const struct word *word = step_key(step, key);
    unsigned long number;
    return word != NULL && span_number(word->value, 0, &number) ? number : otherwise;
}

static bool codes_match(const struct step *step, size_t at, struct span codes)
{
    size_t count = 0;
    for (size_t i = at; i < step->word_count; i++) {
        unsigned long code;
        if (step->words[i].key.size == 0) {
            if (count >= codes.size || !span_number(step->words[i].value, 16, &code) || codes.bytes[count] != code) {
                return false;
            }
            count++;
        }
    }
    return count == codes.size;
}

bool expect_matches(struct run *run, const struct step *step, size_t at, const struct packet *packet, bool bind)
{
    if (packet->type != packet_type_of(step->words[at].value)) {
        return false;
    }
    if (packet->type == CONNACK) {
        return packet->session_present == number_of(step, "sp", 0) && packet->return_code == number_of(step, "rc", 0);
    }
    if (packet->type == PUBLISH) {
        if (step->word_count < at + 3) {
            run_misread(run, "expected: PUBLISH topic payload");
        }
        return span_equal(packet->topic, step->words[at + 1].value) && span_equal(packet->payload, step->words[at + 2].value) &&
               packet->qos == number_of(step, "qos", 0) && packet->dup == step_flag(step, at + 3, "dup") &&
               packet->retain == step_flag(step, at + 3, "retain") &&
               (packet->qos == 0 || id_matches(run, step, packet->id, bind));
    }
    if (packet->type == SUBACK && !codes_match(step, at + 1, packet->payload)) {
        return false;
    }
    return packet->type == PINGRESP || id_matches(run, step, packet->id, bind);
}

static void remove_received(struct client *client, struct received *before)
{
    struct received *gone = before != NULL ? before->next : client->first;
    if (before != NULL) {
        before->next = gone->next;
    } else {
        client->first = gone->next;
    }
    if (client->last == gone) {
        client->last = before;
    }
}

static void deviate_with_queue(struct run *run, const struct client *client)
{
    char text[400] = "nothing";
    if (client->first != NULL) {
        describe(&client->first->packet, text, sizeof text);
    }
    run_deviate(run, "%.*s received %s%s%s", NAME(client), text,
                client->first != NULL && client->first->next != NULL ? " and more" : "",
                client->closed    ? " and was closed"
                : !client->open   ? " and is not connected"
                : client->stalled ? " and waits"
                                  : "");
}

static void expect_packet(struct run *run, struct client *client, bool any_order)
{
    if (packet_type_of(run->step->words[1].value) == 0) {
        run_misread(run, "no packet of this name");
    }
    struct received *before = NULL;
    for (struct received *at = client->first; at != NULL; before = at, at = at->next) {
        if (expect_matches(run, run->step, 1, &at->packet, true)) {
            remove_received(client, before);
            return;
        }
        if (!any_order) {
            break;
        }
    }
    for (struct received *at = client->first; at != NULL; at = at->next) {
        run->out_of_order = run->out_of_order || expect_matches(run, run->step, 1, &at->packet, false);
    }
    deviate_with_queue(run, client);
}

static void expect_close(struct run *run, struct client *client)
{
    if (!client->closed || client->first != NULL) {
        deviate_with_queue(run, client);
    } else if (step_flag(run->step, 2, "unsaid") && client->bytes_on_connection > 0) {
        run_deviate(run, "%.*s was sent %zu bytes before the close", NAME(client), client->bytes_on_connection);
    } else {
        client->closed = false;
    }
}

/* `refused`: closed without a word, or after a CONNACK that says why. */
static void expect_refused(struct run *run, struct client *client)
{
    if (client->closed && client->first != NULL && client->first->packet.type == CONNACK &&
        client->first->packet.return_code != 0) {
        remove_received(client, NULL);
    }
    expect_close(run, client);
}

const struct packet *expect_type(struct run *run, struct client *client, unsigned type)
{
    struct received *before = NULL;
    for (struct received *at = client->first; at != NULL; before = at, at = at->next) {
        if (at->packet.type == type) {
            remove_received(client, before);
            return &at->packet;
        }
    }
    deviate_with_queue(run, client);
    return NULL;
}

void expect_step(struct run *run, struct client *client, bool any_order)
{
    const struct step *step = run->step;
    if (step->word_count < 2) {
        run_misread(run, "expected what?");
    }
    struct span what = step->words[1].value;
    if (span_is(what, "nothing")) {
        if (client->first != NULL || client->closed) {
            deviate_with_queue(run, client);
        }
    } else if (span_is(what, "close")) {
        expect_close(run, client);
    } else if (span_is(what, "refused")) {
        expect_refused(run, client);
    } else {
        expect_packet(run, client, any_order);
    }
}
