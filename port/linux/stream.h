/*
 * How the bytes of a connection pass its socket: as they are, or inside TLS. Nothing else knows the difference.
 *
 * What the functions return that is not a number of bytes is an enum midge_tls_result, for a plain stream too.
 */
#ifndef MIDGE_STREAM_H
#define MIDGE_STREAM_H

#include "tls.h"

struct midge_stream {
    int fd;
    struct midge_tls *tls; /* NULL: plain */
};

/* Begins with a socket that was accepted; `context` NULL: plain. Returns false where TLS has no memory for it: the stream is
 * then plain, and good for nothing but to be closed. The stream must stay in place. */
bool midge_stream_open(struct midge_stream *stream, int fd, struct midge_tls_context *context);

/* Reads up to `size` bytes. MIDGE_TLS_BUSY: a step of the handshake is done, and there may be more to do. */
int midge_stream_read(struct midge_stream *stream, uint8_t *bytes, size_t size);

/* Sends up to `size` bytes, and returns how many were taken: fewer than `size` where the socket is full. */
int midge_stream_write(struct midge_stream *stream, const uint8_t *bytes, size_t size);

/* Whether something that was taken, or that TLS itself has to say, waits for room in the socket. */
bool midge_stream_unsent(const struct midge_stream *stream);

/* Goes on with that. MIDGE_TLS_BUSY: nothing of it is left. */
int midge_stream_flush(struct midge_stream *stream);

/* Whether a step of a handshake, which may take milliseconds, comes next. */
bool midge_stream_shaking(const struct midge_stream *stream);

/* Says that nothing more will be sent, and gives back what TLS holds: from then on the peer's bytes are read as they are, to be
 * thrown away. Returns false where the connection is gone. */
bool midge_stream_shut(struct midge_stream *stream);

/* Logs that TLS with this peer (its address as text) has begun, or why it has failed; for streams with TLS. */
void midge_stream_report(const struct midge_stream *stream, const char *peer);

void midge_stream_close(struct midge_stream *stream);

#endif
