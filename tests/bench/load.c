/*
 * The load generator: raw packets over loopback, one thread. It checks the topic, the size and the order of everything that
 * arrives, ends with an error where something is wrong, and prints what it measured as lines of "name value".
 *
 *     load --port N --pid N [--OPTION N...]
 */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static struct bench_load load;

static void packet(struct bench_client *client, const struct bench_view *view)
{
    if (view->type == BENCH_CONNACK) {
        if (view->code != 0) {
            bench_fail("the broker refuses client %u: %u", client->number, view->code);
        }
        load.connacks++;
    } else if (view->type == BENCH_SUBACK) {
        if (view->code > 2) {
            bench_fail("the broker refuses a subscription of client %u", client->number);
        }
        load.subacks++;
    } else if (view->type == BENCH_PINGRESP) {
        load.pingresps++;
    } else if (load.options.retained > 0) {
        bench_replay_packet(&load, view);
    } else {
        bench_traffic_packet(&load, client, view);
    }
}

static void handled(struct bench_client *client)
{
    bench_traffic_handled(&load, client);
}

static void usage(void)
{
    fprintf(stderr, "usage: load --port N --pid N [--OPTION N...]\n");
#define OPTION_HELP(name, value, help) fprintf(stderr, "  --%-14s %s (%u)\n", #name, help, value);
    BENCH_OPTIONS(OPTION_HELP)
#undef OPTION_HELP
    exit(2);
}

static void read_options(struct bench_options *options, int argc, char **argv)
{
#define OPTION_DEFAULT(name, value, help) options->name = value;
    BENCH_OPTIONS(OPTION_DEFAULT)
#undef OPTION_DEFAULT
    for (int i = 1; i < argc; i += 2) {
        uint32_t *field = NULL;
        char *end = NULL;
#define OPTION_FIND(name, value, help) field = strcmp(argv[i], "--" #name) == 0 ? &options->name : field;
        BENCH_OPTIONS(OPTION_FIND)
#undef OPTION_FIND
        if (field == NULL || i + 1 == argc) {
            usage();
        }
        *field = (uint32_t)strtoul(argv[i + 1], &end, 10);
        if (*argv[i + 1] == '\0' || *end != '\0') {
            usage();
        }
    }
    if (options->port == 0 || options->port > UINT16_MAX || options->pid == 0 || options->qos > 1) {
        usage();
    }
}

static void raise_files(uint32_t wanted)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < wanted) {
        struct rlimit raised = {wanted, files.rlim_max > wanted ? files.rlim_max : wanted};
        if (setrlimit(RLIMIT_NOFILE, &raised) != 0) {
            bench_fail("%u open files are not allowed here (ulimit -n)", wanted);
        }
    }
}

int main(int argc, char **argv)
{
    struct bench_options *options = &load.options;
    read_options(options, argc, argv);
    uint32_t clients = options->publishers + options->subscribers + options->idle + 16;
    raise_files(clients + 64);
    load.net.packet = packet;
    load.net.handled = handled;
    bench_clients_open(&load.net, clients);
    load.topics = calloc(options->topics, sizeof(*load.topics));
    if (load.topics == NULL || options->topics == 0) {
        bench_fail("no memory for %u topics", options->topics);
    }
    for (uint32_t i = 0; i < options->topics; i++) {
        snprintf(load.topics[i], sizeof(load.topics[i]), "bench/%u/data", i);
    }
    if (options->retained > 0) {
        bench_setup_replay(&load);
        return 0;
    }
    if (options->publishers + options->subscribers > 0) {
        bench_setup_clients(&load);
    }
    if (options->idle > 0) {
        bench_setup_idle(&load);
    }
    if (options->messages > 0) {
        bench_traffic_open(&load);
        bench_traffic_run(&load);
    }
    return 0;
}
