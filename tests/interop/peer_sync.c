/* A peer by Paho's synchronous library, MQTTClient. The library looks only ten times in a second whether a message was
 * acknowledged, or whether there is room for one more: `pending` counts those sent and not acknowledged, and tells at once. */
#include "peer.h"

#include <MQTTClient.h>

#include <string.h>

const char *const library = "MQTTClient";

/* Messages on their way at once, unless a case wants fewer: what the library takes by itself. */
enum { WINDOW = 10 };

static int present;          /* peers that were made and not freed */
static struct peer *retired; /* freed, but not yet destroyed */

static int message_arrived(void *context, char *topic, int topic_size, MQTTClient_message *from)
{
    struct message message = {.payload = from->payload,
                              .size = (size_t)from->payloadlen,
                              .qos = from->qos,
                              .retained = from->retained != 0,
                              .dup = from->dup != 0};
    peer_arrived(context, topic, topic_size > 0 ? (size_t)topic_size : strlen(topic), &message);
    MQTTClient_freeMessage(&from);
    MQTTClient_free(topic);
    return 1;
}

static void connection_lost(void *context, char *cause)
{
    (void)cause;
    peer_lost(context);
}

static void delivered(void *context, MQTTClient_deliveryToken token)
{
    (void)token;
    peer_acknowledged(context);
}

struct peer *peer_new(const char *client_id)
{
    struct peer *peer = peer_init(client_id);
    present++;
    int error = MQTTClient_create(&peer->client, settings.uri, client_id, MQTTCLIENT_PERSISTENCE_NONE, NULL);
    CHECK(error == MQTTCLIENT_SUCCESS, "MQTTClient_create: %d", error);
    error = MQTTClient_setCallbacks(peer->client, peer, connection_lost, message_arrived, delivered);
    CHECK(error == MQTTCLIENT_SUCCESS, "MQTTClient_setCallbacks: %d", error);
    return peer;
}

/* Paho's thread walks through the list of clients without a lock, so that it crashes now and then when one is destroyed beside
 * it (paho.mqtt.c, issue 1460). It ends when the last client disconnects: clients are kept until no peer is left. */
void peer_free(struct peer *peer)
{
    peer->next_retired = retired;
    retired = peer;
    present--;
    while (present == 0 && retired != NULL) {
        peer = retired;
        retired = peer->next_retired;
        MQTTClient_destroy(&peer->client);
        peer_destroy(peer);
    }
}

int peer_connect(struct peer *peer, const struct how *how)
{
    MQTTClient_connectOptions options = MQTTClient_connectOptions_initializer;
    MQTTClient_willOptions will = MQTTClient_willOptions_initializer;
    MQTTClient_SSLOptions tls = MQTTClient_SSLOptions_initializer;
    options.cleansession = how->clean;
    options.MQTTVersion = how->level_3 ? MQTTVERSION_3_1 : MQTTVERSION_3_1_1;
    options.keepAliveInterval = how->keepalive_s > 0 ? how->keepalive_s : 60;
    options.reliable = 0; /* More than one message on its way at once. */
    options.connectTimeout = DEADLINE_S;
    peer->window = how->inflight > 0 ? how->inflight : WINDOW;
    options.maxInflightMessages = peer->window;
    if (how->will != NULL) {
        will.topicName = how->will->topic;
        will.message = how->will->payload;
        will.qos = how->will->qos;
        will.retained = how->will->retain;
        options.will = &will;
    }
    if (settings.authority != NULL) {
        tls.trustStore = settings.authority;
        tls.keyStore = settings.certificate;
        tls.privateKey = settings.key;
        tls.sslVersion = MQTT_SSL_VERSION_TLS_1_2;
        options.ssl = &tls;
    }
    if (settings.identity != NULL) {
        tls.ssl_psk_cb = peer_shared_key;
        tls.enabledCipherSuites = PEER_PSK_CIPHER;
        tls.sslVersion = MQTT_SSL_VERSION_TLS_1_2;
        options.ssl = &tls;
    }
    struct sockets before;
    sockets_note(&before);
    peer->lost = false;
    unsigned connects = peer_connects();
    int code = MQTTClient_connect(peer->client, &options);
    while (code == MQTTCLIENT_FAILURE && peer_connects() == connects) {
        /* Paho gives up, before it has begun a connection, where its own thread has not started within 0.4 s. */
        peer_pause(1);
        code = MQTTClient_connect(peer->client, &options);
    }
    CHECK(code >= 0, "%s: MQTTClient_connect: %d", peer->client_id, code);
    if (code == 0) {
        peer->socket = sockets_new(&before);
        peer->session_present = options.returned.sessionPresent != 0;
    }
    return code;
}

void peer_disconnect(struct peer *peer)
{
    int error = MQTTClient_disconnect(peer->client, DEADLINE_S * 1000);
    CHECK(error == MQTTCLIENT_SUCCESS || (peer->lost && error == MQTTCLIENT_DISCONNECTED), "%s: MQTTClient_disconnect: %d",
          peer->client_id, error);
}

int peer_subscribe(struct peer *peer, const char *filter, int qos)
{
    char *filters[] = {(char *)(uintptr_t)filter};
    int granted[] = {qos};
    int error = MQTTClient_subscribeMany(peer->client, 1, filters, granted);
    CHECK(error == MQTTCLIENT_SUCCESS, "%s: subscribing to %s: %d", peer->client_id, filter, error);
    return granted[0];
}

void peer_unsubscribe(struct peer *peer, const char *filter)
{
    int error = MQTTClient_unsubscribe(peer->client, filter);
    CHECK(error == MQTTCLIENT_SUCCESS, "%s: unsubscribing from %s: %d", peer->client_id, filter, error);
}

void peer_send(struct peer *peer, const char *topic, const void *payload, size_t size, int qos, bool retain)
{
    MQTTClient_message message = MQTTClient_message_initializer;
    message.payload = (void *)(uintptr_t)payload;
    message.payloadlen = (int)size;
    message.qos = qos;
    message.retained = retain;
    if (qos > 0) {
        peer_take_place(peer);
    }
    int error = MQTTClient_publishMessage(peer->client, topic, &message, NULL);
    CHECK(error == MQTTCLIENT_SUCCESS, "%s: publishing to %s: %d", peer->client_id, topic, error);
}

void peer_flush(struct peer *peer)
{
    peer_wait_below(peer, &peer->pending, 1, "the last acknowledgement");
    MQTTClient_deliveryToken *tokens = NULL;
    int error = MQTTClient_getPendingDeliveryTokens(peer->client, &tokens);
    CHECK(error == MQTTCLIENT_SUCCESS, "%s: MQTTClient_getPendingDeliveryTokens: %d", peer->client_id, error);
    for (int i = 0; tokens != NULL && tokens[i] != -1; i++) {
        error = MQTTClient_waitForCompletion(peer->client, tokens[i], DEADLINE_S * 1000);
        CHECK(error == MQTTCLIENT_SUCCESS, "%s: message not acknowledged: %d", peer->client_id, error);
    }
    MQTTClient_free(tokens);
}
