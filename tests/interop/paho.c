/*
 * The interop cases under Eclipse Paho MQTT C: built with peer_sync.c into paho_sync, with peer_async.c into paho_async.
 *
 *     paho_sync HOST:PORT [--small] [--only CASE,...] [--tls HOST:PORT AUTHORITY [--certificate FILE KEY]]
 *               [--psk HOST:PORT IDENTITY KEY]
 */
#include "cases.h"
#include "peer.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int usage(const char *program)
{
    fprintf(stderr,
            "usage: %s HOST:PORT [--small] [--only CASE,...] [--tls HOST:PORT AUTHORITY [--certificate FILE KEY]]\n"
            "       [--psk HOST:PORT IDENTITY KEY]\n",
            program);
    return 2;
}

/* Whether this case is to run. */
static bool wanted(const char *name)
{
    size_t size = strlen(name);
    for (const char *at = settings.only; at != NULL; at = strchr(at, ',') != NULL ? strchr(at, ',') + 1 : NULL) {
        if (strncmp(at, name, size) == 0 && (at[size] == ',' || at[size] == '\0')) {
            return true;
        }
    }
    return settings.only == NULL;
}

static unsigned run_cases(const struct test_case *list)
{
    unsigned count = 0;
    for (; list->name != NULL; list++) {
        if (wanted(list->name)) {
            printf("%s: %s\n", library, list->name);
            fflush(stdout);
            list->run();
            count++;
        }
    }
    return count;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        return usage(argv[0]);
    }
    snprintf(settings.uri, sizeof settings.uri, "tcp://%s", argv[1]);
    settings.reference = getenv("INTEROP_REFERENCE") != NULL;
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--small") == 0) {
            settings.small = true;
        } else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc) {
            settings.only = argv[++i];
        } else if (strcmp(argv[i], "--tls") == 0 && i + 2 < argc) {
            snprintf(settings.uri, sizeof settings.uri, "ssl://%s", argv[++i]);
            settings.authority = argv[++i];
        } else if (strcmp(argv[i], "--psk") == 0 && i + 3 < argc) {
            snprintf(settings.uri, sizeof settings.uri, "ssl://%s", argv[++i]);
            settings.identity = argv[++i];
            settings.shared_key = argv[++i];
        } else if (strcmp(argv[i], "--certificate") == 0 && i + 2 < argc) {
            settings.certificate = argv[++i];
            settings.key = argv[++i];
        } else {
            return usage(argv[0]);
        }
    }
    signal(SIGPIPE, SIG_IGN);
    const struct test_case *const lists[] = {delivery_cases, filter_cases, session_cases, volume_cases};
    unsigned count = 0;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        count += run_cases(lists[i]);
    }
    CHECK(count > 0, "there is no case %s", settings.only != NULL ? settings.only : "");
    printf("%s: %u cases passed\n", library, count);
    return 0;
}
