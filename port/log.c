#include "log.h"

#include <string.h>

struct reason_words {
    const char *text; /* what happened */
    const char *rule; /* the clause of the standard or the setting that decides it, "" for none */
};

#define REASON_WORDS(id, text, rule) {text, rule},
static const struct reason_words reasons[MIDGE_REASON_COUNT] = {MIDGE_REASONS(REASON_WORDS)};
#undef REASON_WORDS

static const char *const packet_names[16] = {
    "packet type 0", "CONNECT", "CONNACK",     "PUBLISH",  "PUBACK",  "PUBREC",   "PUBREL",     "PUBCOMP",
    "SUBSCRIBE",     "SUBACK",  "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "packet type 15"};

static bool is_clause(const char *rule)
{
    return strncmp(rule, "MQTT-", 5) == 0;
}

enum midge_log_level midge_log_level(const struct midge_log *record)
{
    switch (record->event) {
    case MIDGE_LOG_RECEIVED:
    case MIDGE_LOG_SENT:
        return MIDGE_LEVEL_DEBUG;
    case MIDGE_LOG_SUBSCRIBED:
        return MIDGE_LEVEL_SUBSCRIBE;
    case MIDGE_LOG_UNSUBSCRIBED:
        return MIDGE_LEVEL_UNSUBSCRIBE;
    case MIDGE_LOG_DROPPED:
        /* These two are how the rules are meant to work, and come with every message. */
        if (record->reason == MIDGE_QOS0_OFFLINE || record->reason == MIDGE_READ_DENIED) {
            return MIDGE_LEVEL_DEBUG;
        }
        return MIDGE_LEVEL_WARNING;
    case MIDGE_LOG_DENIED:
        return MIDGE_LEVEL_WARNING;
    case MIDGE_LOG_CONNECTED:
    case MIDGE_LOG_REFUSED:
    case MIDGE_LOG_DISCONNECTED:
    case MIDGE_LOG_SESSION_GONE:
    case MIDGE_LOG_WILL:
        break;
    }
    return MIDGE_LEVEL_NOTICE;
}

static void add_client(struct midge_text *text, const struct midge_log *record)
{
    if (record->client_id.size == 0) {
        midge_text_add(text, "<unknown>");
    } else {
        midge_text_add_foreign(text, record->client_id);
    }
}

static void add_client_and_address(struct midge_text *text, const struct midge_log *record, const char *address)
{
    midge_text_add(text, "Client ");
    add_client(text, record);
    if (address[0] != '\0') {
        midge_text_add(text, " at ");
        midge_text_add(text, address);
    }
}

static void add_topic(struct midge_text *text, const char *before, const struct midge_log *record)
{
    if (record->topic.size > 0) {
        midge_text_add(text, before);
        midge_text_add(text, "\"");
        midge_text_add_foreign(text, record->topic);
        midge_text_add(text, "\"");
    }
}

/* What happened, then what decides it: a clause of the standard as [MQTT-x.y.z-n], a setting by its name. */
static void add_reason(struct midge_text *text, const struct midge_log *record)
{
    const struct reason_words *words = &reasons[record->reason < MIDGE_REASON_COUNT ? record->reason : MIDGE_NONE];
    midge_text_add(text, words->text);
    if (record->limit > 0) {
        midge_text_add(text, ": ");
        midge_text_add_number(text, record->size);
        midge_text_add(text, " where ");
        midge_text_add_number(text, record->limit);
        midge_text_add(text, " is the limit");
    }
    if (record->event == MIDGE_LOG_DISCONNECTED) {
        add_topic(text, ", topic ", record);
    }
    if (is_clause(words->rule)) {
        midge_text_add(text, " [");
        midge_text_add(text, words->rule);
        midge_text_add(text, "]");
    } else if (words->rule[0] != '\0') {
        midge_text_add(text, " (setting: ");
        midge_text_add(text, words->rule);
        midge_text_add(text, ")");
    }
    midge_text_add(text, ".");
}

/* One packet, in the manner of Mosquitto: (d0, q1, r0, m7, "topic", 44 bytes). The size is that of the packet. */
static void add_packet(struct midge_text *text, const struct midge_log *record)
{
    bool received = record->event == MIDGE_LOG_RECEIVED;
    uint8_t type = record->packet >> 4;
    midge_text_add(text, received ? "Received " : "Sending ");
    midge_text_add(text, packet_names[type]);
    midge_text_add(text, received ? " from " : " to ");
    add_client(text, record);
    midge_text_add(text, " (");
    if (type == 2) {
        midge_text_add(text, "return code ");
        midge_text_add_number(text, record->code);
        midge_text_add(text, ", ");
    }
    if (type == 3) {
        midge_text_add(text, (record->packet & 8) != 0 ? "d1, q" : "d0, q");
        midge_text_add_number(text, (record->packet >> 1) & 3);
        midge_text_add(text, (record->packet & 1) != 0 ? ", r1, " : ", r0, ");
    }
    if (record->packet_id != 0) {
        midge_text_add(text, "m");
        midge_text_add_number(text, record->packet_id);
        midge_text_add(text, ", ");
    }
    add_topic(text, "", record);
    midge_text_add(text, record->topic.size > 0 ? ", " : "");
    midge_text_add_number(text, record->size);
    midge_text_add(text, " bytes)");
}

/* The record is about the receiver, but about the publisher where the message got no further; and about nobody where only the
 * copy that was to be kept is lost. */
static void add_dropped(struct midge_text *text, const struct midge_log *record)
{
    bool half_sent = record->reason == MIDGE_QOS0_WAIT && record->topic.size == 0;
    if (record->reason == MIDGE_RETAINED_FULL) {
        midge_text_add(text, "Message not retained");
    } else {
        midge_text_add(text, record->reason == MIDGE_WRITE_DENIED || half_sent ? "Message from " : "Message for ");
        add_client(text, record);
        midge_text_add(text, " dropped");
    }
    add_topic(text, ", topic ", record);
    midge_text_add(text, ", payload of ");
    midge_text_add_number(text, record->size);
    midge_text_add(text, " bytes: ");
    add_reason(text, record);
}

static void add_connected(struct midge_text *text, const struct midge_log *record, const char *address)
{
    midge_text_add(text, "New client connected from ");
    midge_text_add(text, address[0] != '\0' ? address : "<unknown>");
    midge_text_add(text, " as ");
    add_client(text, record);
    midge_text_add(text, record->code != 0 ? " (session present, keep alive " : " (new session, keep alive ");
    midge_text_add_number(text, record->size);
    midge_text_add(text, " s).");
}

static void add_subscription(struct midge_text *text, const struct midge_log *record, const char *address)
{
    bool added = record->event == MIDGE_LOG_SUBSCRIBED;
    add_client_and_address(text, record, address);
    add_topic(text, added ? " subscribed to " : " unsubscribed from ", record);
    if (added) {
        midge_text_add(text, " with QoS ");
        midge_text_add_number(text, record->code);
    }
    midge_text_add(text, ".");
}

void midge_log_line(struct midge_text *text, const struct midge_log *record, const char *address)
{
    switch (record->event) {
    case MIDGE_LOG_CONNECTED:
        add_connected(text, record, address);
        break;
    case MIDGE_LOG_REFUSED:
        add_client_and_address(text, record, address);
        midge_text_add(text, " refused with return code ");
        midge_text_add_number(text, record->code);
        midge_text_add(text, ": ");
        add_reason(text, record);
        break;
    case MIDGE_LOG_DISCONNECTED:
        add_client_and_address(text, record, address);
        midge_text_add(text, " disconnected: ");
        add_reason(text, record);
        break;
    case MIDGE_LOG_DENIED:
        add_client_and_address(text, record, address);
        midge_text_add(text, " was refused the subscription");
        add_topic(text, " to ", record);
        midge_text_add(text, ": ");
        add_reason(text, record);
        break;
    case MIDGE_LOG_DROPPED:
        add_dropped(text, record);
        break;
    case MIDGE_LOG_SESSION_GONE:
        midge_text_add(text, "Session of ");
        add_client(text, record);
        midge_text_add(text, " removed with ");
        midge_text_add_number(text, record->size);
        midge_text_add(text, record->size == 1 ? " undelivered message: " : " undelivered messages: ");
        add_reason(text, record);
        break;
    case MIDGE_LOG_WILL:
        midge_text_add(text, "Will published");
        add_topic(text, ", topic ", record);
        midge_text_add(text, ", payload of ");
        midge_text_add_number(text, record->size);
        midge_text_add(text, " bytes.");
        break;
    case MIDGE_LOG_RECEIVED:
    case MIDGE_LOG_SENT:
        add_packet(text, record);
        break;
    case MIDGE_LOG_SUBSCRIBED:
    case MIDGE_LOG_UNSUBSCRIBED:
        add_subscription(text, record, address);
        break;
    }
}
