/*
 * The loop: one thread waits for the kernel, feeds the core, and tells it the time.
 */
#ifndef MIDGE_LOOP_H
#define MIDGE_LOOP_H

#include "listener.h"
#include "sys.h"
#include "transport.h"

struct midge_loop {
    struct midge *broker;
    struct midge_transport transport;
    struct midge_sys sys;
    struct midge_gate *gate;
    struct midge_listeners *listeners;
    int signals;              /* a signalfd */
    int reserve;              /* a descriptor that is given up for a moment when there is no other, to turn a peer away */
    uint64_t accept_again_ms; /* accepting waits until then; 0: it does not wait */
    uint64_t timer_ms;        /* when the core's first timer is due */
    bool stopping;
    void (*reload)(void *context); /* SIGHUP */
    void *context;
};

/* From now on signals wait until the loop reads them. Returns false, with the error number in errno, where that fails. */
bool midge_loop_take_signals(struct midge_loop *loop);

/* Prepares everything else that can fail: epoll, listeners. broker, gate, listeners, reload, context and the memory of the
 * transport are set. Returns false, with the error number in errno, where it does. */
bool midge_loop_open(struct midge_loop *loop);

/* Runs until SIGTERM or SIGINT. */
void midge_loop_run(struct midge_loop *loop);

uint64_t midge_loop_clock_ms(void);

#endif
