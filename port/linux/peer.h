/*
 * The address of a peer.
 */
#ifndef MIDGE_PEER_H
#define MIDGE_PEER_H

#include <netinet/in.h>
#include <stdint.h>

/* As text: [ADDRESS]:PORT. */
#define MIDGE_PEER_SIZE (INET6_ADDRSTRLEN + 8u)

/* Of IPv6 the address lies elsewhere, where other peers need no room for it. */
struct midge_peer {
    uint8_t ipv4[4];
    uint16_t port;
    uint8_t family;
};

void midge_peer_note(struct midge_peer *peer, uint8_t ipv6[16], const struct sockaddr_storage *from);

void midge_peer_text(const struct midge_peer *peer, const uint8_t ipv6[16], char text[MIDGE_PEER_SIZE]);

#endif
