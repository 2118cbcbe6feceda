/*
 * How the bytes of a connection pass: as they are (plain.c), or inside TLS (sealed.c). An image has one of the two.
 */
#ifndef MIDGE_STREAM_H
#define MIDGE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct midge_server;
struct midge_server_connection;
struct midge_tls;
struct pbuf;

#ifdef MIDGE_BOARD_TLS
struct midge_stream {
    struct midge_tls *tls;
    struct pbuf *records; /* where they are read from, while they are */
    bool shakes;          /* the handshake can go on */
    bool over;            /* TLS is at its end, or the broker's connection: input is thrown away */
};
#endif

/* Begins. Returns false where there is no memory for it. */
bool midge_stream_open(struct midge_server *server, struct midge_server_connection *connection);

/* Offers to the broker what came in, until it is stalled. What was used is cut off in place. Without `data` it offers what
 * the stream itself still holds. */
void midge_stream_offer(struct midge_server *server, struct midge_server_connection *connection, struct pbuf *data);

/* Whether input waits inside the stream. */
bool midge_stream_waits(const struct midge_server_connection *connection);

/* How many bytes can be written now; and writes them: returns how many it took. */
size_t midge_stream_room(struct midge_server_connection *connection);
size_t midge_stream_write(struct midge_server_connection *connection, const uint8_t *bytes, size_t size);

/* Whether what was taken waits inside the stream for room. */
bool midge_stream_unsent(const struct midge_server_connection *connection);

/* Whether its handshake is to go on in the next turn: the server then offers what there is. */
bool midge_stream_shakes(const struct midge_server_connection *connection);

/* Whether the connection is to be closed. */
bool midge_stream_over(const struct midge_server_connection *connection);

/* Says that nothing more will come. Returns false where something still waits for room: to be called again. */
bool midge_stream_end(struct midge_server_connection *connection);

void midge_stream_close(struct midge_server_connection *connection);

/* A turn is over. Returns true where a handshake should have the next one at once. */
bool midge_stream_turn(void);

#endif
