/* Failures and the trace, in words. */
#include "world.h"

#include <stdio.h>
#include <string.h>

enum { WORDS_MAX = 8, WORDS_SIZE = 320 };

static char *words(void)
{
    static char buffers[WORDS_MAX][WORDS_SIZE];
    static uint32_t next;
    return buffers[next++ % WORDS_MAX];
}

const char *say_type(uint32_t type)
{
    static const char *const names[] = {"type 0",  "CONNECT",  "CONNACK",    "PUBLISH", "PUBACK",      "PUBREC",
                                        "PUBREL",  "PUBCOMP",  "SUBSCRIBE",  "SUBACK",  "UNSUBSCRIBE", "UNSUBACK",
                                        "PINGREQ", "PINGRESP", "DISCONNECT", "type 15"};
    return names[type & 15];
}

const char *say_reason(enum midge_reason reason)
{
#define REASON_NAME(id, text, rule) #id,
    static const char *const names[] = {MIDGE_REASONS(REASON_NAME)};
#undef REASON_NAME
    return (uint32_t)reason < MIDGE_REASON_COUNT ? names[reason] : "an unknown reason";
}

const char *say_session(const struct world *w, uint32_t session)
{
    char *text = words();
    if (session == NOBODY) {
        snprintf(text, WORDS_SIZE, "the port");
    } else if (session >= SESSIONS_MAX) {
        snprintf(text, WORDS_SIZE, "an unknown session");
    } else {
        const struct session *s = &w->sessions[session];
        const char *presence = !s->exists ? "no session" : s->online ? "online" : "absent";
        if (session < CLIENTS_MAX) {
            snprintf(text, WORDS_SIZE, "c%u (%s%s)", session, s->exists && s->clean ? "clean, " : "", presence);
        } else {
            snprintf(text, WORDS_SIZE, "anonymous %u '%.*s' (%s)", session, (int)s->id_size, s->id, presence);
        }
    }
    return text;
}

const char *say_link(const struct world *w, const struct link *link)
{
    char *text = words();
    if (link->connect_written && link->login.session < CLIENTS_MAX) {
        snprintf(text, WORDS_SIZE, "link %u of c%u", link->serial, link->login.session);
    } else {
        snprintf(text, WORDS_SIZE, "link %u of client %u%s", link->serial, link->client,
                 link->connect_written ? ", anonymous" : ", before CONNECT");
    }
    (void)w;
    return text;
}

const char *say_message(const struct world *w, uint32_t message)
{
    char *text = words();
    const struct message *m = &w->messages[message];
    int used = snprintf(text, WORDS_SIZE, "message %u (%s '%s', QoS %u%s, %u bytes, from ", message,
                        m->will ? "will on" : "topic", w->topics.topic[m->topic], m->qos, m->retain ? ", retain" : "", m->size);
    if (m->publisher == NOBODY) {
        snprintf(text + used, WORDS_SIZE - (size_t)used, "the port)");
    } else if (m->original != message) {
        snprintf(text + used, WORDS_SIZE - (size_t)used, "%u, repeats %u)", m->publisher, m->original);
    } else {
        snprintf(text + used, WORDS_SIZE - (size_t)used, "%u)", m->publisher);
    }
    return text;
}

static int say_filters(const struct world *w, const struct packet *packet, char *text, size_t size)
{
    int used = 0;
    for (uint32_t i = 0; i < packet->filter_count && (size_t)used < size; i++) {
        used += snprintf(text + used, size - (size_t)used, " '%s'", w->topics.filter[packet->filters[i]]);
        if (packet->type == SUBSCRIBE && (size_t)used < size) {
            used += snprintf(text + used, size - (size_t)used, " at QoS %u", packet->filter_qos[i]);
        }
    }
    return used;
}

const char *say_packet(const struct world *w, const struct packet *packet)
{
    char *text = words();
    int used = snprintf(text, WORDS_SIZE, "%s", say_type(packet->type));
    if (packet->packet_id != 0) {
        used += snprintf(text + used, WORDS_SIZE - (size_t)used, " id %u", packet->packet_id);
    }
    if (packet->fault != NULL) {
        used += snprintf(text + used, WORDS_SIZE - (size_t)used, " with a fault (%s)", packet->fault);
    }
    if (packet->type == PUBLISH && packet->message != 0) {
        snprintf(text + used, WORDS_SIZE - (size_t)used, "%s of %s", packet->dup ? " DUP" : "",
                 say_message(w, packet->message));
    } else if (packet->filter_count > 0) {
        say_filters(w, packet, text + used, WORDS_SIZE - (size_t)used);
    }
    return text;
}

void trace_line(struct world *w, const char *format, ...)
{
    if (w->trace == NULL) {
        return;
    }
    char *line = w->trace + (size_t)(w->trace_next++ % TRACE_LINES) * TRACE_WIDTH;
    int used = snprintf(line, TRACE_WIDTH, "%6u %9llu ms  ", w->step, (unsigned long long)w->now_ms);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + used, TRACE_WIDTH - (size_t)used, format, arguments);
    va_end(arguments);
    if (w->options.trace_live) {
        puts(line);
    }
}

void trace_print(const struct world *w)
{
    if (w->trace == NULL) {
        return;
    }
    uint32_t first = w->trace_next > TRACE_LINES ? w->trace_next - TRACE_LINES : 0;
    printf("  step      time  what happened\n");
    for (uint32_t i = first; i < w->trace_next; i++) {
        printf("%s\n", w->trace + (size_t)(i % TRACE_LINES) * TRACE_WIDTH);
    }
}

void fail(struct world *w, const char *format, ...)
{
    int used = snprintf(w->failure, sizeof w->failure, "step %u, %llu ms: ", w->step, (unsigned long long)w->now_ms);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(w->failure + used, sizeof w->failure - (size_t)used, format, arguments);
    va_end(arguments);
    longjmp(w->failed, 1);
}
