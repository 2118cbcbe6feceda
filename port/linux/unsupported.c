/*
 * Options of Mosquitto 2 that Midge does not have. They stop the start: to ignore a password file would open a hole.
 */
#include "config.h"

#include <string.h>

#define ENGINE "keys are read from files: remove the line, and name a PEM file with keyfile"
#define BRIDGE "there are no bridges yet: remove the lines of the bridge"
#define PLUGIN "there are no plugins: remove the line"

struct unsupported {
    const char *name; /* a final * stands for any rest */
    const char *instead;
};

static const struct unsupported options[] = {
    {"auth_*", PLUGIN},
    {"plugin*", PLUGIN},
    {"dhparamfile", "keys are agreed on with elliptic curves, which need no parameters: remove the line"},
    {"tls_engine*", ENGINE},
    {"tls_keyform", ENGINE},
    {"ciphers_tls1.3", "there is no TLS 1.3: remove the line; ciphers is for TLS 1.2"},
    {"allow_duplicate_messages", "a client gets one copy of a message: remove the line"},
    {"bind_interface", "give listener an address of that interface"},
    {"log_facility", "log_dest syslog uses the facility daemon: remove the line"},
    {"max_inflight_bytes", "max_inflight_messages bounds the window: remove the line"},
    {"retry_interval", "messages are sent again when a client comes back, not by time: remove the line"},
    {"store_clean_interval", "the store needs no cleaning: remove the line"},
    {"max_topic_alias", "it concerns MQTT 5: remove the line"},
    {"memory_limit", "memory is set aside at start: see midge --memory, and set limit_blocks"},
    {"mount_point",
     "topics are the same on all listeners: remove the line, and put the prefix into the topics of those clients"},
    {"http_dir", "there are no WebSockets: remove the line"},
    {"websockets_*", "there are no WebSockets: remove the line"},
    {"upgrade_outgoing_qos", "remove the line"},
    {"connection", BRIDGE},
    {"address*", BRIDGE},
    {"topic", BRIDGE},
    {"bridge_*", BRIDGE},
    {"remote_*", BRIDGE},
    {"local_*", BRIDGE},
    {"cleansession", BRIDGE},
    {"idle_timeout", BRIDGE},
    {"keepalive_interval", BRIDGE},
    {"notification*", BRIDGE},
    {"restart_timeout", BRIDGE},
    {"round_robin", BRIDGE},
    {"start_type", BRIDGE},
    {"threshold", BRIDGE},
    {"try_private", BRIDGE},
};

static bool matches(const char *pattern, const char *name)
{
    size_t size = strlen(pattern);
    if (pattern[size - 1] == '*') {
        return strncmp(pattern, name, size - 1) == 0;
    }
    return strcmp(pattern, name) == 0;
}

const char *midge_option_unsupported(const char *name)
{
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (matches(options[i].name, name)) {
            return options[i].instead;
        }
    }
    return NULL;
}
