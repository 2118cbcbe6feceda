/* Bytes pass inside TLS. */
#include "server.h"

#include "tls.h"

#include "lwip/def.h"
#include "lwip/pbuf.h"

#include <string.h>

/* A step of a handshake was done in this turn: they may take a second each, so no other follows in it. */
static bool stepped;

/* A handshake can go on. */
static bool hurry;

/* ---- Records: from lwIP's buffers, and to it ---------------------------------------------------------------------------- */

static int receive_records(void *context, uint8_t *bytes, size_t size)
{
    struct midge_stream *stream = &((struct midge_server_connection *)context)->stream;
    size_t copied = 0;

    while (stream->records && copied < size) {
        struct pbuf *part = stream->records;
        size_t count = LWIP_MIN(part->len, size - copied);

        memcpy(bytes + copied, part->payload, count);
        copied += count;
        part->payload = (uint8_t *)part->payload + count;
        part->len = (u16_t)(part->len - count);
        if (part->len == 0) {
            stream->records = part->next;
        }
    }
    return copied > 0 ? (int)copied : MIDGE_TLS_BLOCKED;
}

static int send_records(void *context, const uint8_t *bytes, size_t size)
{
    struct midge_server_connection *connection = context;
    size_t room = midge_server_room(connection);

    size = LWIP_MIN(size, room);
    return size > 0 && midge_server_write(connection, bytes, size) ? (int)size : MIDGE_TLS_BLOCKED;
}

bool midge_stream_open(struct midge_server *server, struct midge_server_connection *connection)
{
    static const struct midge_tls_transport transport = {send_records, receive_records};

    connection->stream.tls = midge_tls_open(server->tls, &transport, connection);
    return connection->stream.tls != NULL;
}

/* ---- Input ------------------------------------------------------------------------------------------------------------ */

/* The peer has ended TLS, or TLS has failed. */
static void end(struct midge_server *server, struct midge_server_connection *connection, int result)
{
    char why[80];

    if (result == MIDGE_TLS_FAILED && midge_tls_why(connection->stream.tls, why, sizeof why)) {
        server->tls_failed(connection->conn, why);
    }
    connection->stream.over = true;
    server->retry = true;
}

/* Does a step of the handshake, unless there was one in this turn. Returns true where it is over. */
static bool shake(struct midge_server *server, struct midge_server_connection *connection)
{
    struct midge_stream *stream = &connection->stream;
    uint8_t none;
    int result = stepped ? MIDGE_TLS_BUSY : midge_tls_read(stream->tls, &none, 0);
    bool done = !midge_tls_shaking(stream->tls);

    stepped = true;
    hurry = hurry || (result == MIDGE_TLS_BUSY && !done);
    stream->shakes = !done && (result == MIDGE_TLS_BUSY || (result == MIDGE_TLS_BLOCKED && midge_tls_unsent(stream->tls)));
    if (stream->shakes) {
        server->retry = true;
    } else if (result == MIDGE_TLS_CLOSED || result == MIDGE_TLS_FAILED) {
        end(server, connection, result);
    }
    return done;
}

static void throw_away(struct pbuf *data)
{
    for (; data; data = data->next) {
        data->len = 0;
    }
}

void midge_stream_offer(struct midge_server *server, struct midge_server_connection *connection, struct pbuf *data)
{
    struct midge_stream *stream = &connection->stream;
    const uint8_t *bytes;
    int size = 1;

    stream->records = data;
    if (!stream->over && (!midge_tls_shaking(stream->tls) || shake(server, connection))) {
        while (size > 0 && !connection->stalled) {
            size = midge_tls_peek(stream->tls, &bytes);
            if (size > 0) {
                size_t used = midge_receive(server->broker, connection->conn, bytes, (size_t)size);

                connection->stalled = used < (size_t)size;
                midge_tls_skip(stream->tls, used);
            } else if (size == MIDGE_TLS_CLOSED || size == MIDGE_TLS_FAILED) {
                end(server, connection, size);
            }
        }
    }
    stream->records = NULL;
    if (stream->over) {
        throw_away(data);
    }
}

bool midge_stream_waits(const struct midge_server_connection *connection)
{
    return connection->stalled || connection->stream.shakes;
}

bool midge_stream_shakes(const struct midge_server_connection *connection)
{
    return connection->stream.shakes;
}

bool midge_stream_turn(void)
{
    bool now = hurry;

    stepped = false;
    hurry = false;
    return now;
}

/* ---- Output ----------------------------------------------------------------------------------------------------------- */

size_t midge_stream_room(struct midge_server_connection *connection)
{
    size_t room = midge_server_room(connection);

    if (midge_tls_shaking(connection->stream.tls) || midge_tls_flush(connection->stream.tls) != MIDGE_TLS_BUSY) {
        return 0;
    }
    return room > MIDGE_TLS_OVERHEAD ? room - MIDGE_TLS_OVERHEAD : 0;
}

size_t midge_stream_write(struct midge_server_connection *connection, const uint8_t *bytes, size_t size)
{
    int taken = midge_tls_write(connection->stream.tls, bytes, size);

    return taken > 0 ? (size_t)taken : 0;
}

bool midge_stream_unsent(const struct midge_server_connection *connection)
{
    return midge_tls_unsent(connection->stream.tls);
}

/* ---- The end ---------------------------------------------------------------------------------------------------------- */

bool midge_stream_over(const struct midge_server_connection *connection)
{
    return connection->stream.over;
}

bool midge_stream_end(struct midge_server_connection *connection)
{
    struct midge_stream *stream = &connection->stream;

    stream->over = true;
    if (!midge_tls_shaking(stream->tls)) {
        if (midge_tls_flush(stream->tls) == MIDGE_TLS_BLOCKED) {
            return false;
        }
        midge_tls_close_notify(stream->tls);
    }
    return true;
}

void midge_stream_close(struct midge_server_connection *connection)
{
    struct midge_stream *stream = &connection->stream;

    if (stream->tls) {
        midge_tls_free(stream->tls);
    }
}
