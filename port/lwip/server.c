#include "server.h"

#include "text.h"

#include "lwip/priv/tcp_priv.h"
#include "lwip/stats.h"
#include "lwip/tcp.h"

#include <string.h>

/* How long a connection that the broker has closed may take to read its last bytes and close, in lwIP's polls of 0.5 s. */
#define LINGER_POLLS 10u

/* What each connection can always write, and what lwIP adds to a write: the pbuf, the headers' room, the heap's own header. */
#define SHARE 128u
#define WRITE_OVERHEAD 88u

/* Kept free for what lwIP has to say by itself: SYN-ACKs, ACKs, FINs, DHCP. */
#define HEAP_RESERVE 768u
#define SEGMENT_RESERVE 6u
#define BUFFER_RESERVE 2u

/* The least that midge_output wants. */
#define OUTPUT_MIN 16u

static struct midge_server *server;
static uint8_t output[TCP_MSS];

static struct midge_server_connection *find(struct midge_handle conn)
{
    struct midge_server_connection *connection = &server->connections[conn.index - 1u];

    return connection->pcb && connection->conn.generation == conn.generation ? connection : NULL;
}

/* The transport is gone or goes its own way. The broker is told first, since its log asks for the peer. */
static void forget(struct midge_server_connection *connection)
{
    midge_disconnected(server->broker, connection->conn);
    if (connection->held) {
        (void)pbuf_free(connection->held);
    }
    server->open--;
    if (!connection->waiting) {
        server->quiet--;
    }
    midge_stream_close(connection);
    memset(connection, 0, sizeof *connection);
}

/* ---- Closing ---------------------------------------------------------------------------------------------------------- */

/* lwIP answers unread input of a closed connection with a RST, which would destroy a CONNACK on its way: so only the sending
 * side is shut, and what still comes in is thrown away until the peer closes or the time is up. */
static err_t linger_received(void *nothing, struct tcp_pcb *pcb, struct pbuf *data, err_t error)
{
    (void)nothing;
    (void)error;
    if (!data) {
        return tcp_close(pcb);
    }
    tcp_recved(pcb, data->tot_len);
    (void)pbuf_free(data);
    return ERR_OK;
}

static err_t linger_polled(void *nothing, struct tcp_pcb *pcb)
{
    (void)nothing;
    tcp_abort(pcb);
    return ERR_ABRT;
}

/* Hands the connection over to the functions above, and forgets about it. */
static struct tcp_pcb *let_go(struct midge_server_connection *connection)
{
    struct tcp_pcb *pcb = connection->pcb;

    if (connection->held) {
        tcp_recved(pcb, connection->held->tot_len);
    }
    forget(connection);
    tcp_arg(pcb, NULL);
    tcp_recv(pcb, linger_received);
    tcp_sent(pcb, NULL);
    tcp_err(pcb, NULL);
    tcp_poll(pcb, linger_polled, LINGER_POLLS);
    return pcb;
}

/* The broker wants the connection closed, or TLS is at its end. What waits inside the stream is still sent. */
static void close_connection(struct midge_server_connection *connection)
{
    bool ended = connection->ended;
    struct tcp_pcb *pcb = connection->pcb;

    if (!midge_stream_end(connection)) {
        tcp_poll(pcb, linger_polled, LINGER_POLLS);
        server->retry = true;
        return;
    }
    (void)let_go(connection);
    if (ended) {
        (void)tcp_close(pcb);
    } else if (tcp_shutdown(pcb, 0, 1) != ERR_OK) {
        tcp_abort(pcb);
    } else if (pcb->refused_data) {
        (void)tcp_process_refused_data(pcb);
    }
}

/* ---- Input ------------------------------------------------------------------------------------------------------------ */

/* Offers a chain of buffers to the broker. What it took is cut off in place, since the chain may be lwIP's: a part of it may
 * then be empty. Returns true where nothing is left. */
static bool offer(struct midge_server_connection *connection, struct pbuf *data)
{
    struct pbuf *part;
    uint32_t left = 0;

    midge_stream_offer(server, connection, data);
    for (part = data; part; part = part->next) {
        left += part->len;
    }
    if (left < data->tot_len) {
        tcp_recved(connection->pcb, (u16_t)(data->tot_len - left));
    }
    for (part = data; part; part = part->next) {
        part->tot_len = (u16_t)left;
        left -= part->len;
    }
    return data->tot_len == 0;
}

/* May one buffer more be held? The stack must still find some, and each connection one while its peer may send: what is not
 * held stays with lwIP, which keeps one refused buffer for each connection and takes no other. */
static bool may_hold(void)
{
    const struct stats_mem *pool = lwip_stats.memp[MEMP_PBUF_POOL];
    uint32_t wanted = BUFFER_RESERVE;
    uint32_t i;

    for (i = 0; i < server->connection_count; i++) {
        const struct tcp_pcb *pcb = server->connections[i].pcb;

        if (pcb && pcb->rcv_wnd > 0 && !pcb->refused_data) {
            wanted++;
        }
    }
    return (uint32_t)(pool->avail - pool->used) + server->buffers_waiting() >= wanted;
}

/* Keeps what the broker did not take, until MIDGE_INPUT_READY; the window stays shut by as much. lwIP would keep it too where
 * it is answered ERR_MEM, but it drops the next segment then, and the peer waits a second or more before it sends that again.
 * So that is only done where buffers are short. */
static err_t hold(struct midge_server_connection *connection, struct pbuf *data)
{
    if (!may_hold()) {
        return ERR_MEM;
    }
    if (connection->held) {
        pbuf_cat(connection->held, data);
    } else {
        connection->held = data;
    }
    return ERR_OK;
}

static err_t received(void *context, struct tcp_pcb *pcb, struct pbuf *data, err_t error)
{
    struct midge_server_connection *connection = context;

    (void)error;
    if (!data && (connection->held || midge_stream_waits(connection))) {
        connection->ended = true;
        return ERR_OK;
    }
    if (!data) {
        (void)let_go(connection);
        return tcp_close(pcb);
    }
    if (connection->held || !offer(connection, data)) {
        return hold(connection, data);
    }
    (void)pbuf_free(data);
    return ERR_OK;
}

/* The broker takes input again. */
static void resume(struct midge_server_connection *connection)
{
    struct tcp_pcb *pcb = connection->pcb;
    struct pbuf *rest;

    connection->stalled = false;
    if (connection->held) {
        (void)offer(connection, connection->held);
        /* The emptied buffers at the front go back to the pool; each part of a chain is held by the one before it. */
        while (connection->held && connection->held->len == 0) {
            rest = connection->held->next;
            if (rest) {
                pbuf_ref(rest);
            }
            (void)pbuf_free(connection->held);
            connection->held = rest;
        }
        if (connection->held) {
            return;
        }
    } else {
        midge_stream_offer(server, connection, NULL);
    }
    if (midge_stream_waits(connection)) {
        return;
    }
    if (connection->ended) {
        (void)let_go(connection);
        (void)tcp_close(pcb);
    } else if (pcb->refused_data) {
        (void)tcp_process_refused_data(pcb);
    }
}

/* ---- Output ----------------------------------------------------------------------------------------------------------- */

/* How many bytes this connection may write now. lwIP's heap is small and shared, and a reader that does not read holds on to
 * what it was sent: so a connection gets more than SHARE at a time only from what is left when every connection with nothing
 * under way could still get its share. So however many readers are slow, the others go on. */
uint32_t midge_server_room(const struct midge_server_connection *connection)
{
    uint32_t others = server->quiet - (connection->waiting ? 0u : 1u);
    uint32_t free_bytes = (uint32_t)(lwip_stats.mem.avail - lwip_stats.mem.used);
    uint32_t free_segments = (uint32_t)(lwip_stats.memp[MEMP_TCP_SEG]->avail - lwip_stats.memp[MEMP_TCP_SEG]->used);
    uint32_t reserved = HEAP_RESERVE + WRITE_OVERHEAD + others * (SHARE + WRITE_OVERHEAD);
    uint32_t limit = tcp_sndbuf(connection->pcb);
    uint32_t bytes = SHARE;

    if (tcp_sndqueuelen(connection->pcb) + 2u > TCP_SND_QUEUELEN) {
        return 0;
    }
    if (free_bytes > reserved + SHARE && free_segments > SEGMENT_RESERVE + others) {
        bytes = free_bytes - reserved;
    } else if (connection->waiting) {
        return 0;
    }
    return LWIP_MIN(LWIP_MIN(bytes, limit), sizeof output);
}

bool midge_server_write(struct midge_server_connection *connection, const uint8_t *bytes, size_t size)
{
    if (tcp_write(connection->pcb, bytes, (u16_t)size, TCP_WRITE_FLAG_COPY) != ERR_OK) {
        server->retried++;
        return false;
    }
    if (!connection->waiting) {
        connection->waiting = true;
        server->quiet--;
    }
    return true;
}

/* Passes what the broker has to say to lwIP. What lwIP has no memory for stays with the broker, and is tried again. */
static void flush(struct midge_server_connection *connection)
{
    size_t size, filled, taken = 1;

    while (connection->output && taken > 0) {
        size = midge_stream_room(connection);
        if (size < OUTPUT_MIN) {
            break;
        }
        filled = midge_output(server->broker, connection->conn, output, size);
        if (filled == 0) {
            connection->output = false;
            break;
        }
        taken = midge_stream_write(connection, output, filled);
        connection->output = midge_output_done(server->broker, connection->conn, taken);
    }
    if (connection->output || midge_stream_unsent(connection)) {
        /* With nothing under way no acknowledgement will ever call us back. */
        server->retry = true;
    }
    (void)tcp_output(connection->pcb);
}

static err_t sent(void *context, struct tcp_pcb *pcb, u16_t size)
{
    struct midge_server_connection *connection = context;

    (void)size;
    if (connection->waiting && tcp_sndqueuelen(pcb) == 0) {
        connection->waiting = false;
        server->quiet++;
    }
    return ERR_OK;
}

/* ---- Connections ------------------------------------------------------------------------------------------------------ */

/* lwIP has given the connection up, and freed it: a RST, no acknowledgement for too long, no answer to TCP's keepalive. */
static void lost(void *context, err_t error)
{
    struct midge_server_connection *connection = context;

    (void)error;
    connection->pcb = NULL;
    forget(connection);
}

static err_t accepted(void *context, struct tcp_pcb *pcb, err_t error)
{
    struct midge_server_connection *connection;
    struct midge_handle conn;

    (void)context;
    if (error != ERR_OK || !pcb) {
        return ERR_VAL;
    }
    conn = midge_connected(server->broker, 0);
    if (conn.index == 0) {
        server->refused++;
        tcp_abort(pcb);
        return ERR_ABRT;
    }
    connection = &server->connections[conn.index - 1u];
    connection->pcb = pcb;
    connection->conn = conn;
    server->open++;
    server->quiet++;
    if (!midge_stream_open(server, connection)) {
        server->refused++;
        forget(connection);
        tcp_abort(pcb);
        return ERR_ABRT;
    }
    tcp_arg(pcb, connection);
    tcp_recv(pcb, received);
    tcp_sent(pcb, sent);
    tcp_err(pcb, lost);
    tcp_nagle_disable(pcb);
    ip_set_option(pcb, SOF_KEEPALIVE);
    return ERR_OK;
}

bool midge_server_start(struct midge_server *new_server, uint16_t port)
{
    struct tcp_pcb *pcb = tcp_new();
    struct tcp_pcb *listening = NULL;

    server = new_server;
    if (pcb && tcp_bind(pcb, IP_ADDR_ANY, port) == ERR_OK) {
        listening = tcp_listen(pcb);
    }
    if (!listening) {
        return false;
    }
    tcp_accept(listening, accepted);
    return true;
}

/* ---- The loop --------------------------------------------------------------------------------------------------------- */

static void handle(const struct midge_event *event)
{
    struct midge_server_connection *connection = find(event->conn);

    if (!connection) {
        return;
    }
    switch (event->type) {
    case MIDGE_OUTPUT_READY:
        connection->output = true;
        flush(connection);
        break;
    case MIDGE_INPUT_READY:
        resume(connection);
        break;
    case MIDGE_CLOSE:
        close_connection(connection);
        break;
    }
}

/* What waited for memory, or for the next turn. */
static void go_on(struct midge_server_connection *connection)
{
    if (connection->pcb && midge_stream_shakes(connection)) {
        resume(connection);
    }
    if (connection->pcb && midge_stream_over(connection)) {
        close_connection(connection);
    }
    if (connection->pcb && (connection->output || midge_stream_unsent(connection))) {
        flush(connection);
    }
}

uint64_t midge_server_turn(uint64_t now_ms)
{
    struct midge_event event;
    uint32_t i;

    /* Many turns pass while the clock stands: nothing can have become due then. */
    if (now_ms != server->now_ms) {
        server->now_ms = now_ms;
        server->next_ms = midge_advance(server->broker, now_ms);
    }
    if (server->retry) {
        server->retry = false;
        for (i = 0; i < server->connection_count; i++) {
            go_on(&server->connections[i]);
        }
    }
    while (midge_next_event(server->broker, &event)) {
        handle(&event);
    }
    return midge_stream_turn() ? now_ms : server->next_ms;
}

void midge_server_peer(struct midge_handle conn, char *bytes, size_t size)
{
    const struct midge_server_connection *connection = conn.index > 0 ? find(conn) : NULL;
    char address[IP4ADDR_STRLEN_MAX];
    struct midge_text text;

    midge_text_start(&text, bytes, size);
    if (connection) {
        midge_text_add(&text, ip4addr_ntoa_r(ip_2_ip4(&connection->pcb->remote_ip), address, sizeof address));
        midge_text_add(&text, ":");
        midge_text_add_number(&text, connection->pcb->remote_port);
    }
}
