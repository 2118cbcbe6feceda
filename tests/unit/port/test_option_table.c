/* The table of options: it is complete, and the defaults that it tells are true. */
#include "config.h"

#include "../unit.h"

static struct midge_configuration config;

/* The core's defaults are not what is tested here. */
void midge_policy_default(struct midge_policy *policy)
{
    memset(policy, 0, sizeof(*policy));
}

static void every_name_stands_once(void **state)
{
    (void)state;
    for (const struct midge_option *option = midge_options; option->name != NULL; option++) {
        for (const struct midge_option *other = midge_options; other != option; other++) {
            assert_string_not_equal(other->name, option->name);
        }
        assert_null(midge_option_unsupported(option->name));
    }
}

/* The options of Mosquitto 2.0. */
/* clang-format off */
static const char *const mosquitto_options[] = {
    "acl_file", "address", "addresses", "allow_anonymous", "allow_duplicate_messages", "allow_zero_length_clientid",
    "auth_opt_x", "auth_plugin", "auth_plugin_deny_special_chars", "auto_id_prefix", "autosave_interval",
    "autosave_on_changes", "bind_address", "bind_interface", "bridge_alpn", "bridge_attempt_unsubscribe",
    "bridge_bind_address", "bridge_cafile", "bridge_capath", "bridge_certfile", "bridge_identity", "bridge_insecure",
    "bridge_keyfile", "bridge_max_packet_size", "bridge_outgoing_retain", "bridge_protocol_version", "bridge_psk",
    "bridge_require_ocsp", "bridge_tls_version", "cafile", "capath", "certfile", "ciphers", "ciphers_tls1.3", "cleansession",
    "clientid_prefixes", "connection", "connection_messages", "crlfile", "dhparamfile", "http_dir", "idle_timeout",
    "include_dir", "keepalive_interval", "keyfile", "listener", "local_cleansession", "local_clientid", "local_password",
    "local_username", "log_dest", "log_facility", "log_timestamp", "log_timestamp_format", "log_type", "max_connections",
    "max_inflight_bytes", "max_inflight_messages", "max_keepalive", "max_packet_size", "max_qos", "max_queued_bytes",
    "max_queued_messages", "max_topic_alias", "memory_limit", "message_size_limit", "mount_point", "notification_topic",
    "notifications", "notifications_local_only", "password_file", "per_listener_settings", "persistence", "persistence_file",
    "persistence_location", "persistent_client_expiration", "pid_file", "plugin", "plugin_opt_x", "port", "protocol",
    "psk_file", "psk_hint", "queue_qos0_messages", "remote_clientid", "remote_password", "remote_username",
    "require_certificate", "restart_timeout", "retain_available", "retry_interval", "round_robin", "set_tcp_nodelay",
    "socket_domain", "start_type", "store_clean_interval", "sys_interval", "threshold", "tls_engine", "tls_engine_kpass_sha1",
    "tls_keyform", "tls_version", "topic", "try_private", "upgrade_outgoing_qos", "use_identity_as_username",
    "use_subject_as_username", "use_username_as_clientid", "user", "websockets_headers_size", "websockets_log_level",
};
/* clang-format on */

/* Every option of Mosquitto 2 is either there or answered with advice. */
static void every_option_of_mosquitto_is_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(mosquitto_options) / sizeof(mosquitto_options[0]); i++) {
        const struct midge_option *option = midge_options;
        while (option->name != NULL && strcmp(option->name, mosquitto_options[i]) != 0) {
            option++;
        }
        if ((option->name != NULL) == (midge_option_unsupported(mosquitto_options[i]) != NULL)) {
            fail_msg("%s is in both tables or in none", mosquitto_options[i]);
        }
    }
    assert_null(midge_option_unsupported("no_such_option"));
}

static void every_field_of_the_core_has_an_option(void **state)
{
    (void)state;
    for (size_t offset = 0; offset < offsetof(struct midge_config, policy); offset += sizeof(uint32_t)) {
        midge_config_start(&config);
        midge_config_explain(&config, offset);
        assert_non_null(strstr(config.error, "option \""));
    }
    static const size_t offsets[] = {
#define POLICY(field) offsetof(struct midge_config, policy.field)
        POLICY(packet_size_max),
        POLICY(client_id_size_max),
        POLICY(retained_max),
        POLICY(retained_bytes_max),
        POLICY(queued_messages_max),
        POLICY(queued_bytes_max),
        POLICY(connect_timeout_ms),
        POLICY(progress_ms),
        POLICY(wait_ms),
        POLICY(assembly_ms),
        POLICY(close_ms),
        POLICY(session_expiry_s),
        POLICY(inflight_max),
        POLICY(qos_max),
        POLICY(queue_qos0),
        POLICY(empty_client_id),
        POLICY(evict_sessions),
        POLICY(overflow_qos0),
        POLICY(overflow_qos12),
        POLICY(overflow_offline),
    };
    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        midge_config_start(&config);
        midge_config_explain(&config, offsets[i]);
        assert_non_null(strstr(config.error, "option \""));
    }
}

/* What the documentation calls the default of an option is a value that changes nothing. */
static void defaults_can_be_written(void **state)
{
    (void)state;
    static struct midge_settings written;
    static const uint32_t durations_ms[] = {1, 999, 1000, 59000, 60000, 90000, 3600000, 7200000, 86400000};
    unsigned found = 0;
    unsigned durations = 0;
    midge_config_start(&config);
    assert_true(midge_config_finish(&config));
    /* The core, which has defaults for these, is not in this test. */
    for (const struct midge_option *option = midge_options; option->name != NULL; option++) {
        if (option->type == MIDGE_OPTION_MILLISECONDS) {
            uint32_t *field = midge_option_field(option, &config.settings);
            *field = durations_ms[durations++ % (sizeof(durations_ms) / sizeof(durations_ms[0]))];
        }
    }
    for (const struct midge_option *option = midge_options; option->name != NULL; option++) {
        char buffer[128];
        const char *value = midge_option_default(option, &config.settings, buffer, sizeof(buffer));
        if (value != NULL) {
            written = config.settings;
            if (!midge_option_set(option, &written, value, false)) {
                fail_msg("%s %s is not valid", option->name, value);
            }
            if (memcmp(&written, &config.settings, sizeof(written)) != 0) {
                fail_msg("%s %s is not the default", option->name, value);
            }
            found++;
        }
    }
    assert_true(found > 30);
}

/* Likewise where it takes several lines, or words. */
static void defaults_in_words(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *words;
        const char *values[5];
    } said[] = {
        {"port", "without this line 1883", {"1883"}},
        {"log_dest", "without this line to stderr", {"stderr"}},
        {"log_type", "without any of them: error, warning, notice, information", {"error", "warning", "notice", "information"}},
    };
    midge_config_start(&config);
    struct midge_settings defaults = config.settings;
    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        const struct midge_option *option = midge_options;
        while (strcmp(option->name, said[i].name) != 0) {
            option++;
        }
        assert_non_null(strstr(option->doc, said[i].words));
        for (size_t j = 0; said[i].values[j] != NULL; j++) {
            assert_true(midge_option_set(option, &config.settings, said[i].values[j], j > 0));
        }
    }
    config.settings.default_listener_used = false; /* set by port */
    assert_memory_equal(&config.settings, &defaults, sizeof(defaults));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_stands_once),
        cmocka_unit_test(every_option_of_mosquitto_is_known),
        cmocka_unit_test(every_field_of_the_core_has_an_option),
        cmocka_unit_test(defaults_can_be_written),
        cmocka_unit_test(defaults_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
