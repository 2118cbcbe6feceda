#define _GNU_SOURCE
#include "peer.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

void midge_peer_note(struct midge_peer *peer, uint8_t ipv6[16], const struct sockaddr_storage *from)
{
    peer->family = (uint8_t)from->ss_family;
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)from;
        memcpy(peer->ipv4, &in->sin_addr, 4);
        peer->port = ntohs(in->sin_port);
    } else if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)from;
        memcpy(ipv6, &in6->sin6_addr, 16);
        peer->port = ntohs(in6->sin6_port);
    }
}

void midge_peer_text(const struct midge_peer *peer, const uint8_t ipv6[16], char text[MIDGE_PEER_SIZE])
{
    char address[INET6_ADDRSTRLEN];
    bool is_ipv6 = peer->family == AF_INET6;
    text[0] = '\0';
    if (peer->family == AF_UNIX) {
        memcpy(text, "a local socket", sizeof("a local socket"));
    } else if (inet_ntop(peer->family, is_ipv6 ? ipv6 : peer->ipv4, address, sizeof(address)) != NULL) {
        snprintf(text, MIDGE_PEER_SIZE, is_ipv6 ? "[%s]:%u" : "%s:%u", address, peer->port);
    }
}
