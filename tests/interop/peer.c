/* The half of a peer that does not depend on the library: the inbox, waiting, and cutting a connection. */
#define _GNU_SOURCE
#include "peer.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct settings settings;

/* In place of the C library's, for Paho: its thread that reads waits up to a second in a call of poll that knows nothing of a
 * connection begun meanwhile, so that each CONNACK would be read that late. */
int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    enum { LONGEST_MS = 10 };
    int wait_ms = timeout_ms < 0 || timeout_ms > LONGEST_MS ? LONGEST_MS : timeout_ms;
    return ppoll(fds, count, &(struct timespec){.tv_nsec = wait_ms * 1000000L}, NULL);
}

static atomic_uint connects;

/* Likewise, so that a peer knows whether Paho has tried. */
int connect(int fd, const struct sockaddr *address, socklen_t size)
{
    atomic_fetch_add(&connects, 1);
    return (int)syscall(SYS_connect, fd, address, size);
}

unsigned peer_connects(void)
{
    return atomic_load(&connects);
}

void fail(const char *file, int line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s:%d: ", file, line);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    fflush(NULL);
    _Exit(1); /* The threads of the library may hold anything: no clean-up. */
}

struct peer *peer_init(const char *client_id)
{
    struct peer *peer = calloc(1, sizeof *peer);
    CHECK(peer != NULL, "out of memory");
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&peer->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&peer->mutex, NULL);
    peer->client_id = strdup(client_id);
    peer->socket = -1;
    return peer;
}

void message_free(struct message *message)
{
    free(message->topic);
    free(message->payload);
    free(message);
}

void peer_destroy(struct peer *peer)
{
    while (peer->first != NULL) {
        struct message *message = peer->first;
        peer->first = message->next;
        message_free(message);
    }
    pthread_cond_destroy(&peer->changed);
    pthread_mutex_destroy(&peer->mutex);
    free(peer->client_id);
    free(peer);
}

void peer_arrived(struct peer *peer, const char *topic, size_t topic_size, const struct message *from)
{
    struct message *message = malloc(sizeof *message);
    CHECK(message != NULL, "out of memory");
    *message = *from;
    message->next = NULL;
    message->topic = strndup(topic, topic_size);
    message->payload = malloc(from->size + 1);
    CHECK(message->topic != NULL && message->payload != NULL, "out of memory");
    if (from->size > 0) {
        memcpy(message->payload, from->payload, from->size);
    }
    message->payload[from->size] = 0;
    pthread_mutex_lock(&peer->mutex);
    if (peer->first == NULL) {
        peer->first = message;
    } else {
        peer->last->next = message;
    }
    peer->last = message;
    pthread_cond_broadcast(&peer->changed);
    pthread_mutex_unlock(&peer->mutex);
}

void peer_lost(struct peer *peer)
{
    pthread_mutex_lock(&peer->mutex);
    peer->lost = true;
    pthread_cond_broadcast(&peer->changed);
    pthread_mutex_unlock(&peer->mutex);
}

/* Waits for a change; the mutex is held. */
static void wait_change(struct peer *peer, const struct timespec *until, const char *what)
{
    int error = pthread_cond_timedwait(&peer->changed, &peer->mutex, until);
    CHECK(error != ETIMEDOUT, "%s: %s did not happen in time%s", peer->client_id, what, peer->lost ? "; connection lost" : "");
}

static struct timespec deadline(void)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += DEADLINE_S;
    return until;
}

void peer_wait_below(struct peer *peer, const int *value, int limit, const char *what)
{
    struct timespec until = deadline();
    pthread_mutex_lock(&peer->mutex);
    while (*value >= limit) {
        wait_change(peer, &until, what);
    }
    pthread_mutex_unlock(&peer->mutex);
}

void peer_acknowledged(struct peer *peer)
{
    pthread_mutex_lock(&peer->mutex);
    peer->pending--;
    pthread_cond_broadcast(&peer->changed);
    pthread_mutex_unlock(&peer->mutex);
}

void peer_take_place(struct peer *peer)
{
    peer_wait_below(peer, &peer->pending, peer->window, "an acknowledgement");
    pthread_mutex_lock(&peer->mutex);
    peer->pending++;
    pthread_mutex_unlock(&peer->mutex);
}

void peer_wait_lost(struct peer *peer)
{
    struct timespec until = deadline();
    pthread_mutex_lock(&peer->mutex);
    while (!peer->lost) {
        wait_change(peer, &until, "the end of the connection");
    }
    pthread_mutex_unlock(&peer->mutex);
}

struct message *peer_receive(struct peer *peer)
{
    struct timespec until = deadline();
    pthread_mutex_lock(&peer->mutex);
    while (peer->first == NULL) {
        wait_change(peer, &until, "a message");
    }
    struct message *message = peer->first;
    peer->first = message->next;
    pthread_mutex_unlock(&peer->mutex);
    return message;
}

void peer_expect_empty(struct peer *peer)
{
    pthread_mutex_lock(&peer->mutex);
    CHECK(peer->first == NULL, "%s: unexpected message on %s: \"%.40s\"", peer->client_id, peer->first->topic,
          (const char *)peer->first->payload);
    pthread_mutex_unlock(&peer->mutex);
}

bool message_is(const struct message *message, const char *payload)
{
    return message->size == strlen(payload) && memcmp(message->payload, payload, message->size) == 0;
}

void peer_expect(struct peer *peer, const char *topic, const char *payload, int qos, bool retained)
{
    struct message *got = peer_receive(peer);
    CHECK(
        strcmp(got->topic, topic) == 0 && message_is(got, payload) && got->qos == qos && got->retained == retained && !got->dup,
        "%s: expected %s \"%.40s\" QoS %d retained %d, got %s \"%.40s\" (%zu bytes) QoS %d retained %d dup %d", peer->client_id,
        topic, payload, qos, retained, got->topic, (const char *)got->payload, got->size, got->qos, got->retained, got->dup);
    message_free(got);
}

void peer_publish(struct peer *peer, const char *topic, const char *payload, int qos, bool retain)
{
    peer_send(peer, topic, payload, strlen(payload), qos, retain);
    peer_flush(peer);
}

void peer_pause(unsigned seconds)
{
    struct timespec time = {.tv_sec = (time_t)seconds};
    while (nanosleep(&time, &time) != 0) {
    }
}

void peer_settle(struct peer *peer)
{
    peer_publish(peer, "interop/settle", "", 1, false);
}

struct peer *peer_open_how(const char *client_id, const struct how *how)
{
    struct peer *peer = peer_new(client_id);
    int code = peer_connect(peer, how);
    CHECK(code == 0, "%s: CONNECT was answered with %d", client_id, code);
    return peer;
}

struct peer *peer_open(const char *client_id)
{
    return peer_open_how(client_id, &(struct how){.clean = true});
}

void peer_close(struct peer *peer)
{
    peer_disconnect(peer);
    peer_free(peer);
}

void peer_forget(const char *client_id)
{
    struct peer *peer = peer_open(client_id);
    CHECK(!peer->session_present, "%s: session present in answer to clean session", client_id);
    peer_close(peer);
}

void sockets_note(struct sockets *sockets)
{
    memset(sockets, 0, sizeof *sockets);
    DIR *folder = opendir("/proc/self/fd");
    CHECK(folder != NULL, "/proc/self/fd: %s", strerror(errno));
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        int fd = atoi(entry->d_name);
        struct sockaddr_storage address;
        socklen_t size = sizeof address;
        CHECK(fd >= 0 && fd < 1024, "file descriptor %d is out of range", fd);
        sockets->open[fd] = getpeername(fd, (struct sockaddr *)&address, &size) == 0;
    }
    closedir(folder);
}

int sockets_new(const struct sockets *before)
{
    struct sockets now;
    sockets_note(&now);
    for (int fd = 0; fd < 1024; fd++) {
        if (now.open[fd] && !before->open[fd]) {
            return fd;
        }
    }
    return -1;
}

void peer_cut(struct peer *peer)
{
    CHECK(peer->socket >= 0, "%s: socket not known", peer->client_id);
    CHECK(shutdown(peer->socket, SHUT_RDWR) == 0, "%s: shutdown: %s", peer->client_id, strerror(errno));
    peer_wait_lost(peer);
}

unsigned peer_shared_key(const char *hint, char *identity, unsigned identity_size, unsigned char *key, unsigned key_size,
                         void *context)
{
    (void)hint;
    (void)context;
    unsigned size = (unsigned)strlen(settings.shared_key) / 2;
    CHECK(size <= key_size && strlen(settings.identity) < identity_size, "the shared key is too large");
    strcpy(identity, settings.identity);
    for (unsigned i = 0; i < size; i++) {
        CHECK(sscanf(settings.shared_key + 2 * (size_t)i, "%2hhx", &key[i]) == 1, "the shared key is not hexadecimal");
    }
    return size;
}
