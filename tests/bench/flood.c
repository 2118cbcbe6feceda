#include "load.h"
#include "process.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define CHUNK_SIZE 65536u
#define PATIENCE_NS (10u * UINT64_C(1000000000))

enum { WRITER, READER, CLIENTS };

static struct {
    uint64_t *read; /* messages, shared by both processes */
    uint32_t answers;
} f;

static void packet(struct bench_client *client, const struct bench_view *view)
{
    (void)client;
    if (view->type == BENCH_PUBLISH) {
        (*f.read)++;
    } else {
        f.answers++;
    }
}

static void handled(struct bench_client *client)
{
    (void)client;
}

static void begin(struct bench_clients *net, uint16_t port)
{
    static const char *const filter = "flood";
    static const char *const names[CLIENTS] = {"flood-out", "flood-in"};
    uint8_t bytes[64];
    net->packet = packet;
    net->handled = handled;
    bench_clients_open(net, CLIENTS);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        bench_client_connect(net, i, port);
        bench_client_prepare(&net->clients[i]);
        bench_client_send(net, &net->clients[i], bytes, bench_put_connect(bytes, names[i], 0));
    }
    bench_client_send(net, &net->clients[READER], bytes, bench_put_subscribe(bytes, 1, &filter, 1, 0));
    while (f.answers < CLIENTS + 1) {
        (void)bench_clients_turn(net, bench_clock_ns() + PATIENCE_NS);
    }
}

static _Noreturn void flood(const struct bench_options *options)
{
    struct bench_clients net = {0};
    uint32_t message_size = 64 + options->payload;
    uint8_t *chunk = calloc(1, CHUNK_SIZE + message_size);
    size_t size = 0;
    if (chunk == NULL) {
        bench_fail("no memory");
    }
    while (size < CHUNK_SIZE) {
        size += bench_put_publish(chunk + size, "flood", 0, false, 0, options->payload) + options->payload;
    }
    begin(&net, (uint16_t)options->port);
    for (;;) {
        if (!bench_client_busy(&net.clients[WRITER])) {
            bench_client_send(&net, &net.clients[WRITER], chunk, size);
        }
        (void)bench_clients_turn(&net, bench_clock_ns() + PATIENCE_NS);
    }
}

const uint64_t *bench_flood_start(const struct bench_load *load)
{
    f.read = mmap(NULL, sizeof(*f.read), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t child = f.read != MAP_FAILED ? fork() : -1;
    if (child < 0) {
        bench_fail("no second process");
    }
    if (child == 0) {
        struct sched_param usual = {0};
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)sched_setscheduler(0, SCHED_OTHER, &usual);
        flood(&load->options);
    }
    return f.read;
}
