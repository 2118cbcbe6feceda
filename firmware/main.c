/* The firmware: a board, lwIP and the broker in one loop, which sleeps when there is nothing to do. */
#include "board.h"
#include "board_limits.h"
#include "board_settings.h"
#include "console.h"
#include "log.h"
#include "network.h"
#include "random.h"
#include "report.h"
#include "server.h"

#ifdef MIDGE_BOARD_TLS
#include "secure.h"
#define MQTT_PORT 8883u
#define SERVICE "_secure-mqtt"
#define LISTENING "listening on port 8883, with TLS"
#else
#define MQTT_PORT 1883u
#define SERVICE "_mqtt"
#define LISTENING "listening on port 1883"
#endif

/* How many connections the broker's limits allow: the sum of the first two. */
#define CONNECTIONS_OF(...) FIRST_TWO(__VA_ARGS__)
#define FIRST_TWO(clients, handshakes, ...) ((clients) + (handshakes))
#define CONNECTIONS CONNECTIONS_OF(BOARD_LIMITS)

static uint64_t memory[MIDGE_MEMORY_SIZE(BOARD_LIMITS) / sizeof(uint64_t)];
static struct midge_server_connection connections[CONNECTIONS];
static struct midge_server server = {
    .connections = connections,
    .connection_count = CONNECTIONS,
    .buffers_waiting = midge_board_ethernet_buffers,
};

static void log_record(void *context, const struct midge_log *record)
{
    static char line[BOARD_LINE_SIZE];
    struct midge_text text;
    char peer[24];

    (void)context;
    midge_server_peer(record->conn, peer, sizeof peer);
    midge_text_start(&text, line, sizeof line);
    midge_log_line(&text, record, peer);
    midge_console_line(&text);
}

#ifdef MIDGE_BOARD_TLS

static void log_failed_tls(struct midge_handle conn, const char *why)
{
    static char line[BOARD_LINE_SIZE];
    struct midge_text text;
    char peer[24];

    midge_server_peer(conn, peer, sizeof peer);
    midge_text_start(&text, line, sizeof line);
    midge_text_add(&text, "TLS with ");
    midge_text_add(&text, peer);
    midge_text_add(&text, " failed: ");
    midge_text_add(&text, why);
    midge_console_line(&text);
}

/* There is no way without keys: an image that was built for TLS never serves in clear. */
static bool start_tls(void)
{
    server.tls = midge_secure_start();
    server.tls_failed = log_failed_tls;
    return server.tls != NULL;
}

#else

static bool start_tls(void)
{
    return true;
}

#endif

static struct midge *start_broker(void)
{
    static const struct midge_limits limits = {BOARD_LIMITS};
    struct midge_config config = {.limits = limits, .hash_seed = midge_random_u64(), .log = log_record};

    midge_policy_default(&config.policy);
    config.policy.packet_size_max = BOARD_PACKET_SIZE_MAX;
    config.policy.inflight_max = BOARD_INFLIGHT_MAX;
    midge_report_start(&limits);
    return midge_init(memory, sizeof memory, &config, NULL);
}

/* Connections that never got as far as the broker, whose log has the others. */
static void say_refused(void)
{
    static uint32_t said;

    for (; said != server.refused; said++) {
        midge_console_say("Connection refused: there is no room for another one.");
    }
}

static void obey(int command)
{
    if (command == 'p') {
        midge_report_pools(&server);
    } else if (command >= 0 && command != '\r' && command != '\n') {
        midge_console_say("commands: p shows the pools");
    }
}

int main(void)
{
    bool said = false;

    midge_board_init();
    midge_random_stir(midge_board_entropy());
    server.broker = start_broker();
    midge_network_start(SERVICE, MQTT_PORT);
    if (!server.broker || !start_tls() || !midge_server_start(&server, MQTT_PORT)) {
        midge_console_say("limits do not fit: nothing works");
        midge_console_flush();
        midge_board_restart();
    }
    (void)midge_board_watchdog_start();
    for (;;) {
        bool busy = midge_network_turn();
        uint64_t now_ms = midge_board_now_ms();

        busy = midge_server_turn(now_ms) <= now_ms || busy;
        say_refused();
        if (!said && midge_network_ready()) {
            said = true;
            midge_console_say(LISTENING);
        }
        obey(midge_board_console_get());
        midge_board_watchdog_feed();
        if (!midge_console_turn() && !busy) {
            midge_board_sleep();
        }
    }
}
