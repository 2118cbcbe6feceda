/*
 * The Linux program: command line, start, reload, end.
 */
#define _GNU_SOURCE
#include "certificates.h"
#include "config.h"
#include "gate.h"
#include "listener.h"
#include "logger.h"
#include "loop.h"
#include "memory.h"
#include "notify.h"
#include "passwd.h"
#include "privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum job { JOB_RUN, JOB_MEMORY, JOB_TEST_CONFIG };

struct command {
    enum job job;
    const char *config_path; /* NULL: none */
    uint16_t ports[MIDGE_LISTENERS_MAX];
    size_t port_count;
    bool verbose;
};

/* All of the process. Large, and therefore not on the stack; zero at the start, and so without pages until they are used. */
static struct {
    struct command command;
    struct midge_configuration config;
    struct midge_configuration reloaded; /* what SIGHUP has read, until it is known to be good */
    struct midge_listeners listeners;
    struct midge_memory memory;
    struct midge_loop loop;
    struct midge_gate gate;
    struct midge_user user;
} process;

static int pid_file = -1; /* -1: none */

static const char usage[] =
    "usage: midge [-c FILE] [-p PORT] [-v] [-h] [--version] [--memory] [--test-config] [--options]\n"
    "       midge passwd ...    writes password files; midge passwd -h says how\n"
    "An MQTT 3.1.1 broker. Without -c and -p it listens on port 1883 of the loopback addresses.\n"
    "\n"
    "  -c, --config FILE   read the configuration, in the syntax of mosquitto.conf\n"
    "  -p, --port PORT     listen on this port of the loopback addresses; may be repeated\n"
    "  -v, --verbose       log everything, each packet in one line\n"
    "  -h, --help          print this\n"
    "      --version       print the version\n"
    "      --memory        print how the memory is divided with this configuration\n"
    "      --test-config   check the configuration and end\n"
    "      --options       print the options that a configuration can have\n"
    "\n"
    "SIGHUP reads the configuration again, SIGTERM and SIGINT end the program, SIGUSR1 checks its data structures.\n"
    "Exit status: 0 after such an end, 1 where the system does not let it start, 2 where the command line or the\n"
    "configuration is wrong.\n";

/* The one line that says why there is no start. */
__attribute__((format(printf, 1, 2))) static int fail(const char *format, ...)
{
    char line[MIDGE_CONFIG_ERROR_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    dprintf(STDERR_FILENO, "midge: %s\n", line);
    return EXIT_FAILURE;
}

/* ---- The command line ------------------------------------------------------------------------------------------------- */

enum { OPTION_VERSION = 256, OPTION_MEMORY, OPTION_TEST_CONFIG, OPTION_OPTIONS };

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"port", required_argument, NULL, 'p'},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"memory", no_argument, NULL, OPTION_MEMORY},
    {"test-config", no_argument, NULL, OPTION_TEST_CONFIG},
    {"options", no_argument, NULL, OPTION_OPTIONS},
    {NULL, 0, NULL, 0},
};

static bool add_port(struct command *command, const char *text)
{
    char *end;
    errno = 0;
    unsigned long port = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || port > 65535 ||
        command->port_count == MIDGE_LISTENERS_MAX) {
        return false;
    }
    command->ports[command->port_count++] = (uint16_t)port;
    return true;
}

/* Prints what an option asks for and ends the program. */
static void print_and_exit(int option)
{
    if (option == 'h') {
        dprintf(STDOUT_FILENO, "%s", usage);
    } else if (option == OPTION_VERSION) {
        dprintf(STDOUT_FILENO, "midge version %s\n", MIDGE_VERSION);
    } else {
        midge_options_print(STDOUT_FILENO);
    }
    exit(EXIT_SUCCESS);
}

/* Returns EXIT_SUCCESS, or EXIT_FAILURE after the line that says why. */
static int parse_command(struct command *command, int count, char **arguments)
{
    int option;
    opterr = 0;
    while ((option = getopt_long(count, arguments, ":c:p:vh", long_options, NULL)) >= 0) {
        const char *given = arguments[optind - 1];
        switch (option) {
        case 'c':
            command->config_path = optarg;
            break;
        case 'p':
            if (!add_port(command, optarg)) {
                return fail(
                    "option -p: \"%s\" is not a port; give a number, 0 .. 65535 (0: one that is free), at most %u times",
                    optarg, MIDGE_LISTENERS_MAX);
            }
            break;
        case 'v':
            command->verbose = true;
            break;
        case OPTION_MEMORY:
            command->job = JOB_MEMORY;
            break;
        case OPTION_TEST_CONFIG:
            command->job = JOB_TEST_CONFIG;
            break;
        case ':':
            return fail("option %s needs a value; midge -h lists the options", given);
        case '?':
            return fail("there is no option %s; midge -h lists the options", given);
        default:
            print_and_exit(option);
        }
    }
    if (optind < count) {
        return fail("\"%s\" is not an option; midge -h lists the options", arguments[optind]);
    }
    return EXIT_SUCCESS;
}

/* ---- The configuration ------------------------------------------------------------------------------------------------ */

/* --test-config tells of all lines that are wrong. */
static void complain(const char *error)
{
    (void)fail("%s", error);
}

/* Reads and completes the configuration that the command line asks for. */
static bool load(struct midge_configuration *config)
{
    midge_config_start(config);
    config->complain = process.command.job == JOB_TEST_CONFIG ? complain : NULL;
    if (process.command.config_path != NULL && !midge_config_read(config, process.command.config_path)) {
        return false;
    }
    for (size_t i = 0; i < process.command.port_count; i++) {
        if (!midge_config_add_loopback(config, process.command.ports[i])) {
            return false;
        }
    }
    if (process.command.verbose) {
        config->settings.log.levels = (1u << MIDGE_LEVEL_COUNT) - 1;
    }
    return midge_config_finish(config);
}

static void log_record(void *context, const struct midge_log *record)
{
    char peer[MIDGE_PEER_SIZE];
    char line[MIDGE_LOG_LINE_SIZE];
    struct midge_text text;
    (void)context;
    midge_gate_note(&process.gate, record);
    if (!midge_logger_wants(record)) {
        return;
    }
    midge_transport_peer(&process.loop.transport, record->conn.index, peer);
    midge_text_start(&text, line, sizeof(line));
    if (!midge_gate_line(&process.gate, record, peer, &text)) {
        midge_log_line(&text, record, peer);
    }
    midge_logger_record(record, line);
}

static const char *identity(void *context, struct midge_handle conn)
{
    return midge_transport_identity(context, conn);
}

static void send_away(void *context, midge_index index)
{
    midge_transport_end(context, index);
}

/* Says which of the changed settings have to wait for the next start. */
static void report_fixed(const struct midge_settings *old, const struct midge_settings *new, bool moved)
{
    if (memcmp(&old->core.limits, &new->core.limits, sizeof(old->core.limits)) != 0 || old->user_max != new->user_max ||
        old->rule_max != new->rule_max || old->identity_size != new->identity_size || old->login_max != new->login_max) {
        midge_logger_write(MIDGE_LEVEL_WARNING, "Reload: global_max_connections and limit_... change at the next start only.");
    }
    if (old->tcp_nodelay != new->tcp_nodelay || moved) {
        midge_logger_write(MIDGE_LEVEL_WARNING, "Reload: listeners and set_tcp_nodelay change at the next start only.");
    }
    if (strcmp(old->pid_path, new->pid_path) != 0) {
        midge_logger_write(MIDGE_LEVEL_WARNING, "Reload: pid_file changes at the next start only.");
    }
    if (strcmp(old->user, new->user) != 0) {
        midge_logger_write(MIDGE_LEVEL_WARNING, "Reload: user changes at the next start only.");
    }
}

/* Takes over what can be wrong, all of it or nothing. Connections keep the certificates that they began with. */
static bool take_over(struct midge_configuration *new, bool *moved)
{
    const struct midge_settings *running = &process.config.settings;
    struct midge_certificates certificates;
    size_t wrong = 0;
    if (!load(new) || !midge_config_align(new, running, moved) || !midge_certificates_fixed(new, running) ||
        !midge_certificates_load(&certificates, new)) {
        return false;
    }
    bool good = midge_set_policy(process.loop.broker, &new->settings.core.policy, &wrong);
    if (!good) {
        midge_config_explain(new, wrong);
    } else if (!midge_gate_load(&process.gate, new)) {
        (void)midge_set_policy(process.loop.broker, &running->core.policy, NULL);
        good = false;
    }
    if (!good) {
        midge_certificates_release(&certificates);
        return false;
    }
    midge_certificates_release(&process.loop.transport.certificates);
    process.loop.transport.certificates = certificates;
    process.config.settings.core.policy = new->settings.core.policy;
    return true;
}

/* Reads the configuration again. What is wrong leaves everything as it was. */
static void read_again(void)
{
    struct midge_configuration *new = &process.reloaded;
    bool moved = false;
    if (!take_over(new, &moved)) {
        midge_logger_write(MIDGE_LEVEL_ERROR, "Reload failed, nothing was changed: %s", new->error);
        return;
    }
    midge_transport_set_rates(&process.loop.transport,
                              (struct midge_rates){new->settings.message_rate, new->settings.byte_rate});
    if (!midge_logger_open(&new->settings.log)) {
        midge_logger_write(MIDGE_LEVEL_ERROR, "Reload: cannot write %s: %s; the log stays where it was.",
                           new->settings.log.path, strerror(errno));
    }
    report_fixed(&process.config.settings, &new->settings, moved);
    midge_sys_set_interval(&process.loop.sys, new->settings.sys_interval_s * 1000, midge_loop_clock_ms());
    process.config.settings.log = new->settings.log;
    midge_logger_write(MIDGE_LEVEL_NOTICE, "Reload: the configuration was read again.");
}

/* SIGHUP */
static void reload(void *context)
{
    (void)context;
    midge_notify_reloading();
    read_again();
    midge_notify_ready();
}

/* ---- The start -------------------------------------------------------------------------------------------------------- */

static int random_bytes(void *nothing, unsigned char *bytes, size_t size)
{
    (void)nothing;
    while (size > 0) {
        ssize_t got = getrandom(bytes, size, 0);
        if (got < 0) {
            return -1;
        }
        bytes += got;
        size -= (size_t)got;
    }
    return 0;
}

/* Builds the broker in memory of its own. */
static int build(struct midge_configuration *config)
{
    char error[512];
    size_t wrong = 0;
    if (!midge_memory_take(&process.memory, &config->settings, error, sizeof(error))) {
        return fail("%s", error);
    }
    uint64_t seeds[2];
    if (random_bytes(NULL, (unsigned char *)seeds, sizeof(seeds)) != 0) {
        return fail("cannot get random numbers: %s", strerror(errno));
    }
    config->settings.core.hash_seed = seeds[0];
    midge_gate_start(&process.gate, process.memory.gate, &config->settings, seeds[1]);
    config->settings.core.context = &process.gate;
    config->settings.core.authenticate = midge_gate_authenticate;
    config->settings.core.client_id = midge_gate_client_id;
    config->settings.core.authorize = midge_gate_authorize;
    if (process.memory.tls != NULL) {
        midge_tls_start(process.memory.tls, process.memory.tls_size, random_bytes);
    }
    if (!midge_certificates_load(&process.loop.transport.certificates, config)) {
        fail("%s", config->error);
        return MIDGE_EXIT_WRONG;
    }
    config->settings.core.log = log_record;
    process.loop.broker = midge_init(process.memory.core, process.memory.core_size, &config->settings.core, &wrong);
    if (process.loop.broker == NULL) {
        midge_config_explain(config, wrong);
        fail("%s", config->error);
        return MIDGE_EXIT_WRONG;
    }
    return EXIT_SUCCESS;
}

/* O_NOFOLLOW: in a directory that the user may write, a link must not make root write elsewhere. */
static int write_pid_file(const char *path)
{
    if (path[0] == '\0') {
        return EXIT_SUCCESS;
    }
    pid_file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (pid_file < 0 || dprintf(pid_file, "%d\n", (int)getpid()) < 0) {
        return fail("cannot write pid_file %s: %s", path, strerror(errno));
    }
    return EXIT_SUCCESS;
}

/* Who is no longer root may be unable to remove the file, but can still empty it. */
static void remove_pid_file(const char *path)
{
    if (pid_file >= 0 && unlink(path) != 0) {
        int failed = ftruncate(pid_file, 0);
        (void)failed;
    }
}

/* Becomes the user that serves. What only root may open is open by now; the log is not, since the user has to be able to open
 * it again on a reload. */
static int become_user(const struct midge_settings *settings)
{
    char error[512];
    if ((settings->log.destinations & MIDGE_LOG_TO_FILE) != 0) {
        midge_user_create_file(&process.user, settings->log.path);
    }
    if (!midge_user_become(&process.user, error, sizeof(error))) {
        return fail("%s", error);
    }
    return EXIT_SUCCESS;
}

static void report_start(const struct midge_settings *settings, uint32_t connections)
{
    midge_logger_write(MIDGE_LEVEL_INFORMATION, "midge version %s starts.", MIDGE_VERSION);
    if (connections < settings->core.limits.clients) {
        midge_logger_write(MIDGE_LEVEL_WARNING,
                           "The limit of open files leaves %u of %u connections; raise it (ulimit -n, LimitNOFILE), or lower "
                           "global_max_connections.",
                           connections, settings->core.limits.clients);
    }
    for (size_t i = 0; i < process.listeners.count; i++) {
        const struct midge_listening *listening = &process.listeners.sockets[i];
        const struct midge_gate_listener *gate = &process.gate.listeners[listening->listener];
        midge_logger_write(MIDGE_LEVEL_INFORMATION, listening->port != 0 ? "listening on %s port %u" : "listening on %s",
                           listening->address, listening->port);
        if (!gate->anonymous && !process.gate.accounts->domains[gate->domain].has_passwords) {
            midge_logger_write(MIDGE_LEVEL_WARNING,
                               "No client may connect there: %s and there is no password_file; \"allow_anonymous true\" lets "
                               "everybody in.",
                               settings->listeners[listening->listener].security.allow_anonymous == MIDGE_ANONYMOUS_NO
                                   ? "allow_anonymous is false"
                                   : "a listener can be reached from other hosts, allow_anonymous is not set");
        }
    }
    midge_user_report(&process.user, settings->user);
}

static int run(const struct midge_settings *settings)
{
    char error[MIDGE_ADDRESS_SIZE + 512];
    struct midge_loop *loop = &process.loop;
    uint32_t connections = midge_memory_raise_files(&settings->core.limits);
    if (!midge_listeners_open(&process.listeners, settings, error, sizeof(error))) {
        return fail("%s", error);
    }
    process.gate.beyond_loopback = process.listeners.beyond_loopback;
    if (!midge_gate_load(&process.gate, &process.config)) {
        fail("%s", process.config.error);
        return MIDGE_EXIT_WRONG;
    }
    loop->transport.broker = loop->broker;
    loop->transport.slots = process.memory.slots;
    loop->transport.rest = process.memory.rest;
    loop->transport.arena = process.memory.arena;
    loop->transport.slot_count = process.memory.slot_count;
    loop->transport.meters = process.memory.meters;
    midge_transport_set_rates(&loop->transport, (struct midge_rates){settings->message_rate, settings->byte_rate});
    loop->transport.gate = &process.gate;
    loop->gate = &process.gate;
    process.gate.broker = loop->broker;
    process.gate.send_away = send_away;
    process.gate.identity = identity;
    process.gate.context = &loop->transport;
    loop->listeners = &process.listeners;
    loop->reload = reload;
    midge_notify_open();
    /* Before the file, since whoever has read it may send one. */
    if (!midge_loop_take_signals(loop)) {
        return fail("cannot take signals: %s", strerror(errno));
    }
    if (write_pid_file(settings->pid_path) != EXIT_SUCCESS || become_user(settings) != EXIT_SUCCESS) {
        return EXIT_FAILURE;
    }
    /* Behind that, since it starts a thread, and a thread does not lose what another one gives up. */
    if (!midge_loop_open(loop)) {
        return fail("cannot set up the event loop: %s", strerror(errno));
    }
    if (!midge_logger_open(&settings->log)) {
        return fail("cannot write the log file %s: %s; its user is %s (option user)", settings->log.path, strerror(errno),
                    process.user.change ? process.user.name : "who starts Midge");
    }
    midge_sys_start(&loop->sys, settings->sys_interval_s * 1000, settings->core.limits.topic_nodes > 0, midge_loop_clock_ms());
    midge_sys_add(&loop->sys, (struct midge_sys_own){"logins/failed", &process.gate.logins.failed});
    midge_sys_add(&loop->sys, (struct midge_sys_own){"connections/refused", &process.gate.refused});
    midge_sys_add(&loop->sys, (struct midge_sys_own){"stalls/rate", &loop->transport.pauses});
    report_start(settings, connections);
    midge_notify_ready();
    midge_loop_run(loop);
    midge_listeners_close(&process.listeners);
    remove_pid_file(settings->pid_path);
    return EXIT_SUCCESS;
}

/* Loads the configuration and looks up its user. */
static bool prepare(struct midge_configuration *config)
{
    char reason[256];
    if (!load(config)) {
        return false;
    }
    if (!midge_user_find(&process.user, config->settings.user, reason, sizeof(reason))) {
        midge_config_wrong(config, SIZE_MAX, "user", "%s", reason);
        return false;
    }
    return true;
}

int main(int count, char **arguments)
{
    if (count > 1 && strcmp(arguments[1], "passwd") == 0) {
        return midge_passwd(count - 1, arguments + 1);
    }
    if (parse_command(&process.command, count, arguments) != EXIT_SUCCESS) {
        return MIDGE_EXIT_WRONG;
    }
    if (!prepare(&process.config)) {
        if (process.config.complaints == 0) {
            fail("%s", process.config.error);
        }
        return MIDGE_EXIT_WRONG;
    }
    int status = build(&process.config);
    if (status == EXIT_SUCCESS && process.command.job == JOB_TEST_CONFIG && !midge_gate_load(&process.gate, &process.config)) {
        fail("%s", process.config.error);
        return MIDGE_EXIT_WRONG;
    }
    if (status != EXIT_SUCCESS || process.command.job == JOB_TEST_CONFIG) {
        return status;
    }
    if (process.command.job == JOB_MEMORY) {
        midge_memory_print(STDOUT_FILENO, &process.config.settings);
        return EXIT_SUCCESS;
    }
    return run(&process.config.settings);
}
