#include "report.h"

#include "board.h"
#include "console.h"

#include "lwip/memp.h"
#include "lwip/stats.h"

#ifdef MIDGE_BOARD_TLS
#include "tls.h"
#endif

#define LINE_SIZE 80u

static void add_field(struct midge_text *text, const char *before, uint64_t number, const char *after)
{
    midge_text_add(text, before);
    midge_text_add_number(text, number);
    midge_text_add(text, after);
}

void midge_report_start(const struct midge_limits *limits)
{
#define ROW_NAME(id, name, count, size) name,
#define NO_LIMIT(field) 0u
    static const char *const names[MIDGE_MEMORY_ROW_COUNT] = {MIDGE_MEMORY_ROWS(ROW_NAME, NO_LIMIT)};
#undef ROW_NAME
#undef NO_LIMIT
    struct midge_memory_row rows[MIDGE_MEMORY_ROW_COUNT];
    struct midge_text text;
    char bytes[LINE_SIZE];
    uint32_t i;

    midge_text_start(&text, bytes, sizeof bytes);
    midge_text_add(&text, "Midge " MIDGE_VERSION " on ");
    midge_text_add(&text, midge_board_name);
    midge_console_line(&text);
    midge_text_start(&text, bytes, sizeof bytes);
    midge_text_add(&text, "start: ");
    midge_text_add(&text, midge_board_start_reason());
    midge_console_line(&text);
    midge_memory_rows(limits, rows);
    for (i = 0; i < MIDGE_MEMORY_ROW_COUNT; i++) {
        midge_text_start(&text, bytes, sizeof bytes);
        midge_text_add(&text, "  ");
        midge_text_add(&text, names[i]);
        add_field(&text, ": ", rows[i].count, "");
        add_field(&text, " of ", rows[i].entry_size, " bytes");
        midge_console_line(&text);
        midge_console_flush();
    }
    midge_text_start(&text, bytes, sizeof bytes);
    add_field(&text, "  together ", midge_memory_size(limits), " bytes");
    add_field(&text, ", stack ", midge_board_stack_size(), " bytes");
    midge_console_line(&text);
    midge_console_flush();
}

static void say_use(const char *name, uint32_t used, uint32_t peak, uint32_t capacity)
{
    struct midge_text text;
    char bytes[LINE_SIZE];

    midge_text_start(&text, bytes, sizeof bytes);
    midge_text_add(&text, "  ");
    midge_text_add(&text, name);
    add_field(&text, ": ", used, " used");
    add_field(&text, ", ", peak, " at most");
    add_field(&text, ", of ", capacity, "");
    midge_console_line(&text);
    /* A report was asked for by somebody who can wait, and wants it whole. */
    midge_console_flush();
}

static void say_lwip(void)
{
    static const struct {
        const char *name;
        memp_t pool;
    } pools[] = {{"TCP connections", MEMP_TCP_PCB}, {"TCP segments", MEMP_TCP_SEG}, {"receive buffers", MEMP_PBUF_POOL}};
    uint32_t i;

    say_use("TCP heap bytes", lwip_stats.mem.used, lwip_stats.mem.max, lwip_stats.mem.avail);
    for (i = 0; i < sizeof pools / sizeof pools[0]; i++) {
        const struct stats_mem *stats = lwip_stats.memp[pools[i].pool];

        say_use(pools[i].name, stats->used, stats->max, stats->avail);
    }
}

#ifdef MIDGE_BOARD_TLS

static void say_tls(void)
{
    struct midge_tls_use use;

    midge_tls_memory(&use);
    say_use("TLS bytes", use.bytes, use.peak, use.size);
}

#else

static void say_tls(void)
{
}

#endif

void midge_report_pools(const struct midge_server *server)
{
    /* In the order of enum midge_pool_id. */
    static const char *const names[MIDGE_POOL_COUNT] = {"connections",  "sessions",          "subscriptions",
                                                        "filter nodes", "topic nodes",       "names",
                                                        "deliveries",   "QoS 2 identifiers", "blocks"};
    static struct midge_metrics metrics;
    struct midge_text text;
    char bytes[LINE_SIZE];
    uint32_t i;

    midge_metrics(server->broker, &metrics);
    midge_console_say("pools:");
    for (i = 0; i < MIDGE_POOL_COUNT; i++) {
        say_use(names[i], metrics.pools[i].used, metrics.pools[i].peak, metrics.pools[i].capacity);
    }
    say_lwip();
    say_tls();
    midge_text_start(&text, bytes, sizeof bytes);
    add_field(&text, "  stack: ", midge_board_stack_untouched(), " bytes never touched");
    add_field(&text, ", of ", midge_board_stack_size(), "");
    midge_console_line(&text);
    midge_text_start(&text, bytes, sizeof bytes);
    add_field(&text, "  frames lost: ", lwip_stats.link.drop, "");
    add_field(&text, ", connections without room: ", server->refused, "");
    add_field(&text, ", writes tried again: ", server->retried, "");
    midge_console_line(&text);
    midge_console_say("end of pools");
    midge_console_flush();
}
