/*
 * The address of a peer.
 */
#ifndef MIDGE_PEER_H
#define MIDGE_PEER_H

#include <netinet/in.h>
#include <stdint.h>

/* As text: [ADDRESS]:PORT. */
#define MIDGE_PEER_SIZE (INET6_ADDRSTRLEN + 8u)

struct midge_peer {
    uint8_t family;
    uint16_t port;
    uint8_t address[16];
};

void midge_peer_note(struct midge_peer *peer, const struct sockaddr_storage *from);

void midge_peer_text(const struct midge_peer *peer, char text[MIDGE_PEER_SIZE]);

#endif
