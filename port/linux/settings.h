/*
 * Everything that can be set, in one structure without pointers to memory of its own: it can be filled anew on a reload and
 * compared with the one in use.
 */
#ifndef MIDGE_SETTINGS_H
#define MIDGE_SETTINGS_H

#include "log.h"

#define MIDGE_LISTENERS_MAX 16u
#define MIDGE_ADDRESS_SIZE 256u
#define MIDGE_PATH_SIZE 1024u
#define MIDGE_PSK_HINT_SIZE 128u
#define MIDGE_CIPHERS_SIZE 512u
#define MIDGE_UNIX_PATH_SIZE 108u /* of a socket, with the terminator */
#define MIDGE_USER_SIZE 64u

#define MIDGE_PREFIX_SIZE 64u

/* A limit that the configuration does not mention; midge_defaults_fill replaces it. */
#define MIDGE_LIMIT_UNSET UINT32_MAX

enum midge_anonymous { MIDGE_ANONYMOUS_UNSET = -1, MIDGE_ANONYMOUS_NO = 0, MIDGE_ANONYMOUS_YES = 1 };

/* Who may connect, and do what: of each listener with per_listener_settings, else the same for all. */
struct midge_security_settings {
    int allow_anonymous; /* enum midge_anonymous */
    char password_path[MIDGE_PATH_SIZE];
    char acl_path[MIDGE_PATH_SIZE];
    char auto_id_prefix[MIDGE_PREFIX_SIZE];
    char psk_path[MIDGE_PATH_SIZE]; /* the keys that are shared with clients; "": none */
};

/* TLS on a listener, where certificate_path or psk_hint is set; "": not given. */
struct midge_tls_settings {
    char certificate_path[MIDGE_PATH_SIZE];
    char key_path[MIDGE_PATH_SIZE];
    char authority_path[MIDGE_PATH_SIZE];
    char authority_directory[MIDGE_PATH_SIZE];
    char crl_path[MIDGE_PATH_SIZE];
    char psk_hint[MIDGE_PSK_HINT_SIZE];
    char ciphers[MIDGE_CIPHERS_SIZE]; /* names with ':' between them */
    bool require_certificate;
    bool identity_as_username; /* the certificate's common name, or the identity of the shared key, is the user name */
    bool subject_as_username;  /* likewise the certificate's whole subject */
};

enum midge_domain { MIDGE_DOMAIN_ANY, MIDGE_DOMAIN_IPV4, MIDGE_DOMAIN_IPV6, MIDGE_DOMAIN_UNIX };

struct midge_listener_settings {
    uint16_t port; /* 0: one that is free */
    bool loopback; /* on 127.0.0.1 and ::1, whatever `address` says */
    bool use_username_as_clientid;
    char address[MIDGE_ADDRESS_SIZE]; /* "": all interfaces; the path of a Unix socket */
    enum midge_domain domain;
    uint32_t connections_max; /* MIDGE_LIMIT_UNSET: as many as the broker takes */
    struct midge_security_settings security;
    struct midge_tls_settings tls;
};

/* Where log lines go; several are possible. */
enum midge_log_destination {
    MIDGE_LOG_TO_STDERR = 1,
    MIDGE_LOG_TO_STDOUT = 2,
    MIDGE_LOG_TO_FILE = 4,
    MIDGE_LOG_TO_SYSLOG = 8,
    MIDGE_LOG_TO_TOPIC = 16
};

struct midge_log_settings {
    unsigned levels;       /* a bit for each enum midge_log_level */
    unsigned destinations; /* enum midge_log_destination */
    bool connections;      /* lines about clients that come and go */
    bool timestamp;
    char timestamp_format[64]; /* for strftime; "": seconds since 1970 */
    char path[MIDGE_PATH_SIZE];
};

struct midge_settings {
    struct midge_config core;
    /* The listeners of the configuration; default_listener is what port, bind_address and socket_domain before any listener
     * describe. */
    struct midge_listener_settings listeners[MIDGE_LISTENERS_MAX + 1]; /* the default listener comes last */
    size_t listener_count;
    struct midge_listener_settings default_listener;
    bool default_listener_used; /* port or bind_address was given */
    bool per_listener;
    struct midge_security_settings security; /* without per_listener; midge_config_finish copies it to all listeners */
    bool retain_available;
    bool tcp_nodelay;
    uint32_t message_size_limit; /* payload, bytes; 0: none */
    uint32_t sys_interval_s;
    char clientid_prefixes[MIDGE_PREFIX_SIZE]; /* "": any */
    uint16_t keepalive_max_s;                  /* 0: any */
    uint32_t connections_per_address_max;      /* 0: any number */
    uint32_t user_max;                         /* users of all files */
    uint32_t rule_max;                         /* lines of all ACL files */
    uint32_t identity_size;                    /* user name and client identifier together, bytes */
    uint32_t login_max;                        /* logins that wait for an answer */
    uint32_t message_rate;                     /* messages a second from each client; 0: any */
    uint32_t byte_rate;                        /* bytes a second from each client; 0: any */
    uint32_t tls_memory_size;                  /* bytes for TLS, taken where a listener has it */
    struct midge_log_settings log;
    char pid_path[MIDGE_PATH_SIZE];
    char user[MIDGE_USER_SIZE]; /* "": as midge_user_find decides */
};

/* The listener that an option of listeners belongs to at this point of the configuration. */
struct midge_listener_settings *midge_settings_listener(struct midge_settings *settings);

/* Likewise for the options that say who may connect and do what. */
struct midge_security_settings *midge_settings_security(struct midge_settings *settings);

/* What holds for a listener of which nothing was said. */
void midge_defaults_listener(struct midge_listener_settings *listener);

/* What holds without a configuration, in zeroed settings; limits are left unset. */
void midge_defaults_start(struct midge_settings *settings);

/* Replaces the limits that are unset, from the number of clients. */
void midge_defaults_fill(struct midge_settings *settings);

#endif
