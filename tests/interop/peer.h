/*
 * A client under Eclipse Paho MQTT C as the cases see it. peer_sync.c implements it with MQTTClient, peer_async.c with
 * MQTTAsync, so that each case runs with both libraries. Everything that takes time waits for what it needs, with a generous
 * deadline; a deadline that passes, and everything else that ought not to happen, ends the program with a line that says where.
 */
#ifndef PEER_H
#define PEER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Seconds until something that has to happen is taken for lost. */
#define DEADLINE_S 300

struct settings {
    char uri[128];
    bool small;       /* for a board: few clients, packets of 1,536 bytes at most */
    bool reference;   /* the broker is not Midge but one that the cases themselves are tried against */
    const char *only; /* the cases to run, with ',' between them, or NULL for all */
    /* With TLS: who may have signed the broker's certificate, and our own; NULL: none. */
    const char *authority, *certificate, *key;
    /* Or with a shared key, in hexadecimal digits. */
    const char *identity, *shared_key;
};
extern struct settings settings;

void fail(const char *file, int line, const char *format, ...) __attribute__((noreturn, format(printf, 3, 4)));
#define CHECK(condition, ...)                                                                                                  \
    do {                                                                                                                       \
        if (!(condition)) {                                                                                                    \
            fail(__FILE__, __LINE__, __VA_ARGS__);                                                                             \
        }                                                                                                                      \
    } while (0)

struct message {
    struct message *next;
    char *topic;
    uint8_t *payload;
    size_t size;
    int qos;
    bool retained;
    bool dup;
};

struct will {
    const char *topic;
    const char *payload;
    int qos;
    bool retain;
};

struct how {
    bool clean;
    bool level_3;    /* MQTT 3.1 instead of 3.1.1 */
    int keepalive_s; /* 0: 60 */
    int inflight;    /* messages on their way at once; 0: as many as usual */
    const struct will *will;
};

struct peer {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct message *first, *last; /* received, not yet taken */
    bool lost;                    /* the connection ended without our doing */
    bool session_present;
    int socket;   /* of the connection, for peer_cut */
    void *client; /* MQTTClient or MQTTAsync */
    char *client_id;
    int pending, window;       /* messages sent and not acknowledged, and how many may be */
    int result, granted;       /* for peer_async.c: what the callbacks report */
    struct peer *next_retired; /* for peer_sync.c */
};

/* ---- In peer_sync.c and peer_async.c ---- */

extern const char *const library;
struct peer *peer_new(const char *client_id);
void peer_free(struct peer *peer);
/* Returns 0 or the return code of the CONNACK. */
int peer_connect(struct peer *peer, const struct how *how);
/* Sends DISCONNECT. */
void peer_disconnect(struct peer *peer);
/* Returns the granted QoS, or 0x80. */
int peer_subscribe(struct peer *peer, const char *filter, int qos);
void peer_unsubscribe(struct peer *peer, const char *filter);
/* Starts to publish; peer_flush waits until all that was sent has been acknowledged. */
void peer_send(struct peer *peer, const char *topic, const void *payload, size_t size, int qos, bool retain);
void peer_flush(struct peer *peer);

/* ---- In peer.c ---- */

/* A peer that is connected and accepted, with a clean session. */
struct peer *peer_open(const char *client_id);
/* The same, in other ways. */
struct peer *peer_open_how(const char *client_id, const struct how *how);
/* peer_disconnect and peer_free. */
void peer_close(struct peer *peer);
/* Removes what the broker keeps for this client. */
void peer_forget(const char *client_id);
/* Ends the connection without DISCONNECT. */
void peer_cut(struct peer *peer);
/* Waits until the broker has ended the connection. */
void peer_wait_lost(struct peer *peer);
/* Lets this much time go by. */
void peer_pause(unsigned seconds);

/* How many connections the library has begun, to whomever. */
unsigned peer_connects(void);
/* Publishes a string, and waits until it is acknowledged. */
void peer_publish(struct peer *peer, const char *topic, const char *payload, int qos, bool retain);
/* The next message; the caller frees it. */
struct message *peer_receive(struct peer *peer);
void message_free(struct message *message);
/* A round trip, by which all that was received has been acknowledged. */
void peer_settle(struct peer *peer);
/* Receives the next message and checks all of it. */
void peer_expect(struct peer *peer, const char *topic, const char *payload, int qos, bool retained);
/* Checks that nothing is there that has not been taken. Only meaningful behind a message known to come last. */
void peer_expect_empty(struct peer *peer);
bool message_is(const struct message *message, const char *payload);

/* For the implementations: called from Paho's threads. */
struct peer *peer_init(const char *client_id);
void peer_destroy(struct peer *peer);
void peer_arrived(struct peer *peer, const char *topic, size_t topic_size, const struct message *from);
void peer_lost(struct peer *peer);
void peer_acknowledged(struct peer *peer);
/* Waits until one more message may be on its way, and counts it. */
void peer_take_place(struct peer *peer);
/* Tells OpenSSL the shared key of the settings; returns its size. It is used with the cipher that the smallest boards have. */
#define PEER_PSK_CIPHER "PSK-AES128-CCM8"
unsigned peer_shared_key(const char *hint, char *identity, unsigned identity_size, unsigned char *key, unsigned key_size,
                         void *context);
/* Waits until *value < limit. */
void peer_wait_below(struct peer *peer, const int *value, int limit, const char *what);
/* Paho does not tell its socket: it is the one that is there after the call and was not before. */
struct sockets {
    bool open[1024];
};
void sockets_note(struct sockets *sockets);
int sockets_new(const struct sockets *before);

#endif
