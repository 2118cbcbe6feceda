/*
 * The loop of port/README.md as a program: guide_loop.h is extracted from that page when this is built. Here is only what the
 * page leaves to a port: its table of peers, and a network that never blocks. Serves until it is killed.
 */
#define _GNU_SOURCE
#include "midge.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PEERS 20
#define BUFFER_SIZE 512
#define LIMITS 16, 4, 24, 64, 96, 64, 224, 16, 192, 32, 192, 64, 4, 1024, 16

struct peer {
    struct midge_handle conn;
    int fd;
    bool output;
    size_t kept_size;
    uint8_t kept[BUFFER_SIZE];
};

static struct peer peers[PEERS + 1];
static int listening;
static uint64_t memory[MIDGE_MEMORY_SIZE(LIMITS) / 8];

static uint64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void network_wait(uint64_t until_ms)
{
    struct pollfd polled[PEERS + 1] = {{listening, POLLIN, 0}};
    uint64_t now_ms = clock_ms();
    uint64_t wait_ms = until_ms > now_ms ? until_ms - now_ms : 0;
    for (size_t i = 1; i <= PEERS; i++) {
        polled[i].fd = peers[i].conn.index != 0 ? peers[i].fd : -1;
        polled[i].events = (short)((peers[i].kept_size == 0 ? POLLIN : 0) | (peers[i].output ? POLLOUT : 0));
    }
    poll(polled, PEERS + 1, wait_ms > 60000 ? 60000 : (int)wait_ms);
}

static int network_accept(void)
{
    return accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static int network_read(int fd, uint8_t *to, size_t size)
{
    ssize_t got = recv(fd, to, size, MSG_DONTWAIT);
    return got > 0 ? (int)got : got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static size_t network_write(int fd, const uint8_t *from, size_t size)
{
    ssize_t sent = send(fd, from, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent > 0 ? (size_t)sent : 0;
}

static void network_close(int fd)
{
    close(fd);
}

#include "guide_loop.h"

int main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    struct midge_config config = {.limits = {LIMITS}, .hash_seed = clock_ms()};
    midge_policy_default(&config.policy);
    config.policy.packet_size_max = 2048;
    struct midge *broker = midge_init(memory, sizeof(memory), &config, NULL);
    listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (broker == NULL || listening < 0 || bind(listening, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(listening, 16) != 0 || getsockname(listening, (struct sockaddr *)&address, &size) != 0) {
        return 1;
    }
    dprintf(STDERR_FILENO, "listening on 127.0.0.1 port %u\n", ntohs(address.sin_port));
    serve(broker);
}
