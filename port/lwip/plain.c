/* Bytes pass as they are. */
#include "server.h"

#include "lwip/pbuf.h"

bool midge_stream_open(struct midge_server *server, struct midge_server_connection *connection)
{
    (void)server;
    (void)connection;
    return true;
}

void midge_stream_offer(struct midge_server *server, struct midge_server_connection *connection, struct pbuf *data)
{
    size_t used;

    for (; data && !connection->stalled; data = data->next) {
        if (data->len > 0) {
            used = midge_receive(server->broker, connection->conn, data->payload, data->len);
            connection->stalled = used < data->len;
            data->payload = (uint8_t *)data->payload + used;
            data->len = (u16_t)(data->len - used);
        }
    }
}

size_t midge_stream_room(struct midge_server_connection *connection)
{
    return midge_server_room(connection);
}

size_t midge_stream_write(struct midge_server_connection *connection, const uint8_t *bytes, size_t size)
{
    return midge_server_write(connection, bytes, size) ? size : 0;
}

/* ---- Nothing ever stays inside ---------------------------------------------------------------------------------------- */

bool midge_stream_waits(const struct midge_server_connection *connection)
{
    (void)connection;
    return false;
}

bool midge_stream_unsent(const struct midge_server_connection *connection)
{
    (void)connection;
    return false;
}

bool midge_stream_shakes(const struct midge_server_connection *connection)
{
    (void)connection;
    return false;
}

bool midge_stream_over(const struct midge_server_connection *connection)
{
    (void)connection;
    return false;
}

bool midge_stream_end(struct midge_server_connection *connection)
{
    (void)connection;
    return true;
}

void midge_stream_close(struct midge_server_connection *connection)
{
    (void)connection;
}

bool midge_stream_turn(void)
{
    return false;
}
