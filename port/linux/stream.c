#define _GNU_SOURCE
#include "stream.h"

#include "logger.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- The socket ------------------------------------------------------------------------------------------------------- */

static int outcome(ssize_t count)
{
    return count >= 0 ? (int)count : errno == EAGAIN || errno == EWOULDBLOCK ? MIDGE_TLS_BLOCKED : MIDGE_TLS_FAILED;
}

static int socket_read(void *stream, uint8_t *bytes, size_t size)
{
    ssize_t got;
    do {
        got = recv(((struct midge_stream *)stream)->fd, bytes, size, 0);
    } while (got < 0 && errno == EINTR);
    return outcome(got);
}

static int socket_write(void *stream, const uint8_t *bytes, size_t size)
{
    ssize_t sent;
    do {
        sent = send(((struct midge_stream *)stream)->fd, bytes, size, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return outcome(sent);
}

static const struct midge_tls_transport socket_transport = {socket_write, socket_read};

/* ---- Plain, or inside TLS --------------------------------------------------------------------------------------------- */

bool midge_stream_open(struct midge_stream *stream, int fd, struct midge_tls_context *context)
{
    stream->fd = fd;
    stream->tls = context != NULL ? midge_tls_open(context, &socket_transport, stream) : NULL;
    return stream->tls != NULL || context == NULL;
}

int midge_stream_read(struct midge_stream *stream, uint8_t *bytes, size_t size)
{
    return stream->tls != NULL ? midge_tls_read(stream->tls, bytes, size) : socket_read(stream, bytes, size);
}

int midge_stream_write(struct midge_stream *stream, const uint8_t *bytes, size_t size)
{
    return stream->tls != NULL ? midge_tls_write(stream->tls, bytes, size) : socket_write(stream, bytes, size);
}

bool midge_stream_unsent(const struct midge_stream *stream)
{
    return stream->tls != NULL && midge_tls_unsent(stream->tls);
}

int midge_stream_flush(struct midge_stream *stream)
{
    return stream->tls != NULL ? midge_tls_flush(stream->tls) : MIDGE_TLS_BUSY;
}

bool midge_stream_shaking(const struct midge_stream *stream)
{
    return stream->tls != NULL && midge_tls_shaking(stream->tls);
}

static void end_tls(struct midge_stream *stream)
{
    if (stream->tls != NULL) {
        midge_tls_free(stream->tls);
        stream->tls = NULL;
    }
}

bool midge_stream_shut(struct midge_stream *stream)
{
    if (stream->tls != NULL) {
        midge_tls_close_notify(stream->tls);
        end_tls(stream);
    }
    return shutdown(stream->fd, SHUT_WR) == 0;
}

void midge_stream_report(const struct midge_stream *stream, const char *peer)
{
    char text[256];
    if (midge_tls_why(stream->tls, text, sizeof(text))) {
        midge_logger_provoked(MIDGE_LEVEL_NOTICE, "%s with %s failed: %s.",
                              midge_tls_shaking(stream->tls) ? "TLS handshake" : "TLS", peer, text);
    } else {
        midge_tls_describe(stream->tls, text, sizeof(text));
        midge_logger_write(MIDGE_LEVEL_DEBUG, "TLS with %s: %s.", peer, text);
    }
}

void midge_stream_close(struct midge_stream *stream)
{
    end_tls(stream);
    close(stream->fd);
}
