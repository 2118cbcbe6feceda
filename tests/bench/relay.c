/*
 * The floor: what it takes to hand the same bytes on without a broker. It answers CONNECT and SUBSCRIBE so that the load
 * generator can use it, and sends whole packets of a publisher, untouched, to everybody who has subscribed to the topic of its
 * first one. Where a subscriber takes no more, its publishers wait.
 *
 *     relay PORT
 */
#include "packets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define PEERS_MAX 65536
#define BUFFER_SIZE 65536u
#define TOPIC_SIZE 64u

struct peer {
    int fd;
    char topic[TOPIC_SIZE]; /* what it publishes to or has subscribed to */
    int first, next;        /* of a publisher: its subscribers; of a subscriber: the next one of the same topic */
    bool connected;
    uint8_t *rest; /* what could not be handed on yet, or is no whole packet */
    size_t rest_size;
};

static struct peer peers[PEERS_MAX]; /* by descriptor */
static int subscribers[PEERS_MAX];   /* heads of lists, by a hash of the topic */
static int epoll;

static unsigned hash(const char *topic)
{
    unsigned value = 5381;
    while (*topic != '\0') {
        value = value * 33 + (uint8_t)*topic++;
    }
    return value % PEERS_MAX;
}

static void die(const char *what)
{
    fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* A relay with one turn at a time: it waits for the slowest, which is fair to nobody and costs least. */
static void send_all(int fd, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR) {
            return; /* its own end will be noticed when it is read */
        }
        if (sent > 0) {
            bytes += sent;
            size -= (size_t)sent;
        }
    }
}

static void finish(struct peer *peer)
{
    if (peer->next >= 0 && peer->topic[0] != '\0') {
        for (int *at = &subscribers[hash(peer->topic)]; *at != 0; at = &peers[*at].next) {
            if (*at == peer->fd) {
                *at = peer->next;
                break;
            }
        }
    }
    close(peer->fd);
    free(peer->rest);
    memset(peer, 0, sizeof(*peer));
}

/* Everything but PUBLISH. */
static void answer(struct peer *peer, const uint8_t *bytes, const struct bench_view *packet)
{
    static const uint8_t connack[] = {0x20, 2, 0, 0};
    if (!peer->connected) {
        peer->connected = true;
        send_all(peer->fd, connack, sizeof(connack));
    } else if (packet->type == 8) {
        uint8_t suback[] = {0x90, 3, (uint8_t)(packet->packet_id >> 8), (uint8_t)packet->packet_id, 0};
        size_t size = bytes[5];
        memcpy(peer->topic, bytes + 6, size < TOPIC_SIZE ? size : TOPIC_SIZE - 1);
        peer->next = subscribers[hash(peer->topic)];
        subscribers[hash(peer->topic)] = peer->fd;
        send_all(peer->fd, suback, sizeof(suback));
    }
}

/* The whole packets at the start; returns their size. */
static size_t whole_packets(struct peer *peer, const uint8_t *bytes, size_t size)
{
    size_t at = 0, used;
    struct bench_view packet;
    while (at < size && (used = bench_parse(&packet, bytes + at, size - at)) > 0 && used != SIZE_MAX) {
        if (packet.type != BENCH_PUBLISH) {
            answer(peer, bytes + at, &packet);
        } else if (peer->topic[0] == '\0') {
            memcpy(peer->topic, packet.topic, packet.topic_size < TOPIC_SIZE ? packet.topic_size : TOPIC_SIZE - 1);
            peer->next = -1;
        }
        at += used;
    }
    return at;
}

static void relay(struct peer *peer)
{
    static uint8_t buffer[2 * BUFFER_SIZE + (2u << 20)];
    if (peer->rest_size > 0) {
        memcpy(buffer, peer->rest, peer->rest_size);
    }
    ssize_t got = recv(peer->fd, buffer + peer->rest_size, BUFFER_SIZE, MSG_DONTWAIT);
    if (got <= 0) {
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            finish(peer);
        }
        return;
    }
    size_t size = peer->rest_size + (size_t)got;
    size_t whole = whole_packets(peer, buffer, size);
    if (peer->next == -1 && whole > 0) {
        for (int to = subscribers[hash(peer->topic)]; to != 0; to = peers[to].next) {
            if (strcmp(peers[to].topic, peer->topic) == 0) {
                send_all(to, buffer, whole);
            }
        }
    }
    peer->rest_size = size - whole;
    if (peer->rest_size > 0) {
        peer->rest = realloc(peer->rest, peer->rest_size);
        if (peer->rest == NULL) {
            die("no memory");
        }
        memcpy(peer->rest, buffer + whole, peer->rest_size);
    }
}

static void accept_one(int listening)
{
    int yes = 1;
    int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0 || fd >= PEERS_MAX) {
        return;
    }
    struct epoll_event interest = {.events = EPOLLIN, .data.fd = fd};
    peers[fd].fd = fd;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)) != 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &interest) != 0) {
        die("accept");
    }
}

int main(int argc, char **argv)
{
    struct epoll_event events[256];
    struct rlimit files = {PEERS_MAX, PEERS_MAX};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int yes = 1;
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct epoll_event interest = {.events = EPOLLIN, .data.fd = listening};
    (void)setrlimit(RLIMIT_NOFILE, &files);
    address.sin_port = htons((uint16_t)(argc == 2 ? strtoul(argv[1], NULL, 10) : 0));
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (listening < 0 || epoll < 0 || setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
        bind(listening, (const struct sockaddr *)&address, sizeof(address)) != 0 || listen(listening, 1024) != 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, listening, &interest) != 0) {
        die("cannot listen");
    }
    for (;;) {
        int count = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listening) {
                accept_one(listening);
            } else if (peers[events[i].data.fd].fd != 0) {
                relay(&peers[events[i].data.fd]);
            }
        }
    }
}
