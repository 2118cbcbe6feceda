/*
 * An image with drivers and lwIP, but no broker: what comes in at port 7 goes to the connection that was there first. With one
 * connection that is an echo, which proves a new board's drivers; with two it is the floor under what a message costs a broker
 * (./dev bench firmware).
 */
#include "board.h"
#include "console.h"
#include "network.h"
#include "random.h"

#include "lwip/tcp.h"

#define PORT 7u

static struct tcp_pcb *first;

static void lost(void *context, err_t error)
{
    struct tcp_pcb **place = context;

    (void)error;
    if (place) {
        *place = NULL;
    }
}

/* With nothing held back, what is sent fits what was received: both windows are of the same size. */
static err_t received(void *context, struct tcp_pcb *pcb, struct pbuf *data, err_t error)
{
    struct pbuf *part;

    if (!data || error != ERR_OK) {
        lost(context, ERR_OK);
        return tcp_close(pcb);
    }
    if (first && tcp_sndbuf(first) < data->tot_len) {
        return ERR_MEM;
    }
    for (part = data; first && part; part = part->next) {
        if (tcp_write(first, part->payload, part->len, TCP_WRITE_FLAG_COPY) != ERR_OK) {
            tcp_abort(pcb);
            pbuf_free(data);
            return ERR_ABRT;
        }
    }
    tcp_recved(pcb, data->tot_len);
    pbuf_free(data);
    if (first && first != pcb) {
        tcp_output(first);
    }
    return ERR_OK;
}

static err_t accepted(void *context, struct tcp_pcb *pcb, err_t error)
{
    (void)context;
    if (error != ERR_OK || !pcb) {
        return ERR_VAL;
    }
    if (!first) {
        first = pcb;
    }
    tcp_arg(pcb, first == pcb ? &first : NULL);
    tcp_err(pcb, lost);
    tcp_recv(pcb, received);
    tcp_nagle_disable(pcb);
    return ERR_OK;
}

static void listen_on(uint16_t port)
{
    struct tcp_pcb *pcb = tcp_new();

    if (!pcb || tcp_bind(pcb, IP_ADDR_ANY, port) != ERR_OK) {
        midge_board_restart();
    }
    pcb = tcp_listen(pcb);
    if (!pcb) {
        midge_board_restart();
    }
    tcp_accept(pcb, accepted);
}

int main(void)
{
    bool said = false;

    midge_board_init();
    midge_random_stir(midge_board_entropy());
    midge_network_start("_echo", PORT);
    listen_on(PORT);
    for (;;) {
        if (!said && midge_network_ready()) {
            said = true;
            midge_console_say("listening on port 7");
        }
        if (!midge_network_turn() && !midge_console_turn()) {
            midge_board_sleep();
        }
    }
}
