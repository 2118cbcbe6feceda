#define _GNU_SOURCE
#include "loop.h"

#include "clock.h"
#include "logger.h"
#include "notify.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX 256
#define ACCEPTS_MAX 64u
#define ACCEPT_PAUSE_MS 100u

/* What epoll gives back: the index of a slot, or one of these. An index has 24 bits. */
#define LISTENER_TAG (UINT64_C(1) << 32)
#define SIGNAL_TAG (UINT64_C(2) << 32)
#define HASHER_TAG (UINT64_C(3) << 32)

uint64_t midge_loop_clock_ms(void)
{
    return midge_clock_us() / 1000;
}

static bool watch(int epoll, int operation, int fd, uint32_t events, uint64_t tag)
{
    struct epoll_event interest = {.events = events, .data.u64 = tag};
    return epoll_ctl(epoll, operation, fd, &interest) == 0;
}

bool midge_loop_take_signals(struct midge_loop *loop)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) {
        return false;
    }
    loop->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return loop->signals >= 0;
}

bool midge_loop_open(struct midge_loop *loop)
{
    loop->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    loop->transport.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->reserve < 0 || loop->transport.epoll < 0 ||
        !watch(loop->transport.epoll, EPOLL_CTL_ADD, loop->signals, EPOLLIN, SIGNAL_TAG) ||
        !midge_hasher_start(&loop->gate->logins.hasher) ||
        !watch(loop->transport.epoll, EPOLL_CTL_ADD, loop->gate->logins.hasher.finished, EPOLLIN, HASHER_TAG)) {
        return false;
    }
    for (size_t i = 0; i < loop->listeners->count; i++) {
        if (!watch(loop->transport.epoll, EPOLL_CTL_ADD, loop->listeners->sockets[i].fd, EPOLLIN, LISTENER_TAG + i)) {
            return false;
        }
    }
    return true;
}

/* ---- Signals ---------------------------------------------------------------------------------------------------------- */

static void audit(const struct midge_loop *loop)
{
    uint32_t place = midge_audit(loop->broker);
    if (place == 0) {
        midge_logger_write(MIDGE_LEVEL_NOTICE, "audit: ok");
    } else {
        midge_logger_write(MIDGE_LEVEL_ERROR, "audit: failed in file %u, line %u", place >> 16, place & 0xFFFF);
    }
}

static void report_tls_memory(void)
{
    struct midge_tls_use use;
    midge_tls_memory(&use);
    if (use.size > 0) {
        midge_logger_write(MIDGE_LEVEL_NOTICE, "TLS: %u connections, %zu of %zu bytes, at most %zu.", use.sessions, use.bytes,
                           use.size, use.peak);
    }
}

static void read_signals(struct midge_loop *loop)
{
    struct signalfd_siginfo info;
    while (read(loop->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGHUP) {
            loop->reload(loop->context);
        } else if (info.ssi_signo == SIGUSR1) {
            audit(loop);
            report_tls_memory();
        } else {
            midge_notify_stopping();
            loop->stopping = true;
        }
    }
}

/* ---- Accepting -------------------------------------------------------------------------------------------------------- */

static void pause_accepting(struct midge_loop *loop, bool pause)
{
    loop->accept_again_ms = pause ? loop->transport.now_ms + ACCEPT_PAUSE_MS : 0;
    for (size_t i = 0; i < loop->listeners->count; i++) {
        (void)watch(loop->transport.epoll, EPOLL_CTL_MOD, loop->listeners->sockets[i].fd, pause ? 0u : (uint32_t)EPOLLIN,
                    LISTENER_TAG + i);
    }
}

/* There is no descriptor for this peer. To leave it in the queue would wake us again and again, so it is turned away. */
static void turn_away(struct midge_loop *loop, int listening)
{
    midge_logger_provoked(MIDGE_LEVEL_ERROR,
                          "Connection refused: no more open files; raise the limit (ulimit -n, LimitNOFILE).");
    if (loop->reserve >= 0) {
        close(loop->reserve);
        int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            close(fd);
        }
    }
    loop->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (loop->reserve < 0) {
        pause_accepting(loop, true);
    }
}

/* Takes a batch of connections; the kernel says again that there are more. */
static void accept_some(struct midge_loop *loop, const struct midge_listening *listening)
{
    for (unsigned i = 0; i < ACCEPTS_MAX; i++) {
        struct sockaddr_storage peer;
        socklen_t size = sizeof(peer);
        int fd = accept4(listening->fd, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0 && !midge_gate_admits(loop->gate, &peer)) {
            midge_logger_provoked(MIDGE_LEVEL_WARNING,
                                  "Connection refused: its host has as many as it may (setting: max_connections_per_address).");
            close(fd);
        } else if (fd >= 0) {
            if (!midge_transport_accepted(&loop->transport, fd, listening->listener, &peer)) {
                midge_logger_provoked(MIDGE_LEVEL_WARNING, "Connection refused: all connections are in use (settings: "
                                                           "global_max_connections, limit_handshakes).");
            }
        } else if (errno == EMFILE || errno == ENFILE) {
            if (!midge_transport_hurry(&loop->transport)) {
                turn_away(loop, listening->fd);
                return;
            }
        } else if (errno == ENOBUFS || errno == ENOMEM) {
            midge_logger_provoked(MIDGE_LEVEL_ERROR, "Cannot accept connections for now: the kernel has no memory for them.");
            pause_accepting(loop, true);
            return;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        }
        /* Other errors concern a connection that has ended before it was taken. */
    }
}

/* ---- The turn --------------------------------------------------------------------------------------------------------- */

static void wait_and_note(struct midge_loop *loop, int timeout_ms)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(loop->transport.epoll, events, EVENTS_MAX, timeout_ms);
    loop->transport.now_ms = midge_loop_clock_ms();
    midge_time(loop->broker, loop->transport.now_ms);
    for (int i = 0; i < count; i++) {
        uint64_t tag = events[i].data.u64;
        if (tag < LISTENER_TAG) {
            midge_transport_ready(&loop->transport, (midge_index)tag, events[i].events);
        }
    }
    /* Only now, since a connection that is accepted may take the slot of one that ends. */
    for (int i = 0; i < count; i++) {
        uint64_t tag = events[i].data.u64;
        if (tag == SIGNAL_TAG) {
            read_signals(loop);
        } else if (tag == HASHER_TAG) {
            midge_hasher_acknowledge(&loop->gate->logins.hasher); /* midge_gate_turn takes what is done */
        } else if (tag >= LISTENER_TAG && loop->accept_again_ms == 0) {
            accept_some(loop, &loop->listeners->sockets[tag - LISTENER_TAG]);
        }
    }
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Does what the time asks for, at the time when the turn began: had the machine stood still since then, clients that came in
 * this turn would seem to have been silent. Returns when to do it again. */
static uint64_t advance(struct midge_loop *loop)
{
    uint64_t now_ms = loop->transport.now_ms;
    /* Before the timers: who has sent more than may pass at once is not silent. */
    uint64_t next_ms = midge_transport_resume(&loop->transport);
    loop->timer_ms = midge_advance(loop->broker, now_ms);
    next_ms = earlier(next_ms, loop->timer_ms);
    next_ms = earlier(next_ms, midge_sys_turn(&loop->sys, loop->broker, now_ms));
    midge_logger_publish(loop->broker);
    next_ms = earlier(next_ms, midge_gate_turn(loop->gate, now_ms));
    (void)midge_transport_expire(&loop->transport);
    if (midge_transport_events(&loop->transport)) {
        next_ms = now_ms; /* what was done may have set timers that midge_advance has not seen */
    }
    next_ms = earlier(next_ms, midge_transport_expire(&loop->transport));
    next_ms = earlier(next_ms, midge_logger_turn(now_ms));
    next_ms = earlier(next_ms, midge_notify_turn(now_ms));
    if (loop->accept_again_ms != 0) {
        if (loop->accept_again_ms <= now_ms) {
            pause_accepting(loop, false);
        } else {
            next_ms = earlier(next_ms, loop->accept_again_ms);
        }
    }
    return next_ms;
}

static int timeout_until(const struct midge_loop *loop, uint64_t next_ms)
{
    uint64_t now_ms = midge_loop_clock_ms();
    if (midge_transport_busy(&loop->transport) || next_ms <= now_ms) {
        return 0;
    }
    if (next_ms == UINT64_MAX) {
        return -1;
    }
    return next_ms - now_ms > INT_MAX ? INT_MAX : (int)(next_ms - now_ms);
}

void midge_loop_run(struct midge_loop *loop)
{
    loop->transport.now_ms = midge_loop_clock_ms();
    uint64_t next_ms = advance(loop);
    while (!loop->stopping) {
        wait_and_note(loop, timeout_until(loop, next_ms));
        midge_transport_read(&loop->transport);
        (void)midge_transport_events(&loop->transport);
        midge_transport_write(&loop->transport);
        next_ms = advance(loop);
    }
    uint32_t closed = midge_transport_close_all(&loop->transport);
    midge_logger_write(MIDGE_LEVEL_INFORMATION, "midge ends: %u connections closed.", closed);
}
