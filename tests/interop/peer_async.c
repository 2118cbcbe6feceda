/* A peer by Paho's asynchronous library, MQTTAsync. Its callbacks come from a thread of the library; `pending` counts the
 * messages sent and not acknowledged, `result` is 1 while a connect, subscribe, unsubscribe or disconnect is under way. */
#include "peer.h"

#include <MQTTAsync.h>

#include <string.h>

const char *const library = "MQTTAsync";

/* What `result` says besides. */
enum { DONE = 0, UNDER_WAY = 1 };

/* Messages on their way at once, unless a case wants fewer. The window is kept here, not by maxInflight: with that reached, the
 * library looks again only ten times in a second, and with thousands of messages pending it takes minutes to search its list.
 */
enum { WINDOW = 150 };

static int message_arrived(void *context, char *topic, int topic_size, MQTTAsync_message *from)
{
    struct message message = {.payload = from->payload,
                              .size = (size_t)from->payloadlen,
                              .qos = from->qos,
                              .retained = from->retained != 0,
                              .dup = from->dup != 0};
    peer_arrived(context, topic, topic_size > 0 ? (size_t)topic_size : strlen(topic), &message);
    MQTTAsync_freeMessage(&from);
    MQTTAsync_free(topic);
    return 1;
}

static void connection_lost(void *context, char *cause)
{
    (void)cause;
    peer_lost(context);
}

static void finish(struct peer *peer, int granted)
{
    pthread_mutex_lock(&peer->mutex);
    peer->granted = granted;
    peer->result = DONE;
    pthread_cond_broadcast(&peer->changed);
    pthread_mutex_unlock(&peer->mutex);
}

static void on_connected(void *context, MQTTAsync_successData *data)
{
    struct peer *peer = context;
    pthread_mutex_lock(&peer->mutex);
    peer->session_present = data->alt.connect.sessionPresent != 0;
    pthread_mutex_unlock(&peer->mutex);
    finish(peer, 0);
}

static void on_subscribed(void *context, MQTTAsync_successData *data)
{
    finish(context, data->alt.qos);
}

static void on_done(void *context, MQTTAsync_successData *data)
{
    (void)data;
    finish(context, 0);
}

/* A refusal: the code of the CONNACK or SUBACK; other errors of the library are negative. */
static void on_failure(void *context, MQTTAsync_failureData *data)
{
    finish(context, data != NULL ? data->code : -1);
}

static void on_sent(void *context, MQTTAsync_successData *data)
{
    (void)data;
    peer_acknowledged(context);
}

static void on_send_failure(void *context, MQTTAsync_failureData *data)
{
    struct peer *peer = context;
    fail(__FILE__, __LINE__, "%s: message not delivered: %d", peer->client_id, data != NULL ? data->code : -1);
}

struct peer *peer_new(const char *client_id)
{
    struct peer *peer = peer_init(client_id);
    int error = MQTTAsync_create(&peer->client, settings.uri, client_id, MQTTCLIENT_PERSISTENCE_NONE, NULL);
    CHECK(error == MQTTASYNC_SUCCESS, "MQTTAsync_create: %d", error);
    error = MQTTAsync_setCallbacks(peer->client, peer, connection_lost, message_arrived, NULL);
    CHECK(error == MQTTASYNC_SUCCESS, "MQTTAsync_setCallbacks: %d", error);
    return peer;
}

void peer_free(struct peer *peer)
{
    MQTTAsync_destroy(&peer->client);
    peer_destroy(peer);
}

int peer_connect(struct peer *peer, const struct how *how)
{
    MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
    MQTTAsync_willOptions will = MQTTAsync_willOptions_initializer;
    MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
    options.cleansession = how->clean;
    options.MQTTVersion = how->level_3 ? MQTTVERSION_3_1 : MQTTVERSION_3_1_1;
    options.keepAliveInterval = how->keepalive_s > 0 ? how->keepalive_s : 60;
    options.connectTimeout = DEADLINE_S;
    options.onSuccess = on_connected;
    options.onFailure = on_failure;
    options.context = peer;
    peer->window = how->inflight > 0 ? how->inflight : WINDOW;
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
    peer->result = UNDER_WAY;
    int error = MQTTAsync_connect(peer->client, &options);
    CHECK(error == MQTTASYNC_SUCCESS, "%s: MQTTAsync_connect: %d", peer->client_id, error);
    peer_wait_below(peer, &peer->result, UNDER_WAY, "CONNACK");
    CHECK(peer->granted >= 0, "%s: connecting failed: %d", peer->client_id, peer->granted);
    peer->socket = sockets_new(&before);
    return peer->granted;
}

void peer_disconnect(struct peer *peer)
{
    MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer;
    options.timeout = DEADLINE_S * 1000;
    options.onSuccess = on_done;
    options.onFailure = on_failure;
    options.context = peer;
    peer->result = UNDER_WAY;
    int error = MQTTAsync_disconnect(peer->client, &options);
    if (peer->lost && error == MQTTASYNC_DISCONNECTED) {
        return;
    }
    CHECK(error == MQTTASYNC_SUCCESS, "%s: MQTTAsync_disconnect: %d", peer->client_id, error);
    peer_wait_below(peer, &peer->result, UNDER_WAY, "the end of DISCONNECT");
}

int peer_subscribe(struct peer *peer, const char *filter, int qos)
{
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    options.onSuccess = on_subscribed;
    options.onFailure = on_failure;
    options.context = peer;
    peer->result = UNDER_WAY;
    int error = MQTTAsync_subscribe(peer->client, filter, qos, &options);
    CHECK(error == MQTTASYNC_SUCCESS, "%s: subscribing to %s: %d", peer->client_id, filter, error);
    peer_wait_below(peer, &peer->result, UNDER_WAY, "SUBACK");
    CHECK(peer->granted >= 0, "%s: subscribing to %s failed: %d", peer->client_id, filter, peer->granted);
    return peer->granted;
}

void peer_unsubscribe(struct peer *peer, const char *filter)
{
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    options.onSuccess = on_done;
    options.onFailure = on_failure;
    options.context = peer;
    peer->result = UNDER_WAY;
    int error = MQTTAsync_unsubscribe(peer->client, filter, &options);
    CHECK(error == MQTTASYNC_SUCCESS, "%s: unsubscribing from %s: %d", peer->client_id, filter, error);
    peer_wait_below(peer, &peer->result, UNDER_WAY, "UNSUBACK");
    CHECK(peer->granted == 0, "%s: unsubscribing from %s failed: %d", peer->client_id, filter, peer->granted);
}

void peer_send(struct peer *peer, const char *topic, const void *payload, size_t size, int qos, bool retain)
{
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    options.onSuccess = on_sent;
    options.onFailure = on_send_failure;
    options.context = peer;
    MQTTAsync_message message = MQTTAsync_message_initializer;
    message.payload = (void *)(uintptr_t)payload;
    message.payloadlen = (int)size;
    message.qos = qos;
    message.retained = retain;
    peer_take_place(peer);
    int error = MQTTAsync_sendMessage(peer->client, topic, &message, &options);
    CHECK(error == MQTTASYNC_SUCCESS, "%s: publishing to %s: %d", peer->client_id, topic, error);
}

void peer_flush(struct peer *peer)
{
    peer_wait_below(peer, &peer->pending, 1, "the last acknowledgement");
}
