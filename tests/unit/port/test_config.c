/* Configurations: what each option stores, and what is said about lines that are wrong. */
#define _GNU_SOURCE
#include "config.h"

#include "../unit.h"

#include <sys/stat.h>
#include <unistd.h>

static struct midge_configuration config;
static char folder[] = "/tmp/midge-config-XXXXXX";
static char path[64];

/* The core's defaults are not what is tested here. */
void midge_policy_default(struct midge_policy *policy)
{
    memset(policy, 0, sizeof(*policy));
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static bool read_text(const char *text)
{
    write_file(path, text);
    midge_config_start(&config);
    return midge_config_read(&config, path) && midge_config_finish(&config);
}

/* The number in the field at `offset` whose option has this type. */
static uint64_t field(const struct midge_option *option)
{
    const uint8_t *at = midge_option_field(option, &config.settings);
    switch (option->type) {
    case MIDGE_OPTION_NUMBER8:
        return *at;
    case MIDGE_OPTION_NUMBER16:
        return *(const uint16_t *)(const void *)at;
    case MIDGE_OPTION_BOOL:
        return *(const bool *)at;
    case MIDGE_OPTION_OVERFLOW:
        return *(const enum midge_overflow *)(const void *)at;
    default:
        return *(const uint32_t *)(const void *)at;
    }
}

static const struct midge_option *find(const char *name)
{
    const struct midge_option *option = midge_options;
    while (option->name != NULL && strcmp(option->name, name) != 0) {
        option++;
    }
    assert_non_null(option->name);
    return option;
}

/* Every number takes its smallest and its largest value, and refuses those beside them. */
static void numbers_have_ranges(void **state)
{
    (void)state;
    for (const struct midge_option *option = midge_options; option->name != NULL; option++) {
        char line[128];
        if (option->type != MIDGE_OPTION_NUMBER && option->type != MIDGE_OPTION_NUMBER16 &&
            option->type != MIDGE_OPTION_NUMBER8) {
            continue;
        }
        for (uint64_t value = option->min; value <= option->max; value += option->max - option->min) {
            snprintf(line, sizeof(line), "%s %llu\n", option->name, (unsigned long long)value);
            assert_true(read_text(line));
            bool all = value == 0 && strcmp(option->name, "max_inflight_messages") == 0;
            if (strcmp(option->name, "message_size_limit") != 0) {
                assert_int_equal(field(option), all ? MIDGE_INFLIGHT_MAX : value);
            }
        }
        snprintf(line, sizeof(line), "%s %llu\n", option->name, (unsigned long long)option->max + 1);
        assert_false(read_text(line));
        assert_non_null(strstr(config.error, option->name));
        snprintf(line, sizeof(line), "%s %lld\n", option->name, (long long)option->min - 1);
        assert_false(read_text(line));
    }
}

static void booleans_are_true_or_false(void **state)
{
    (void)state;
    for (const struct midge_option *option = midge_options; option->name != NULL; option++) {
        char line[128];
        if (option->type != MIDGE_OPTION_BOOL) {
            continue;
        }
        snprintf(line, sizeof(line), "%s true\n", option->name);
        assert_true(read_text(line));
        assert_true(field(option));
        snprintf(line, sizeof(line), "%s false\n", option->name);
        assert_true(read_text(line));
        assert_false(field(option));
        snprintf(line, sizeof(line), "%s yes\n", option->name);
        assert_false(read_text(line));
        assert_non_null(strstr(config.error, "valid: true or false"));
    }
}

static void durations_have_units(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        uint32_t value;
    } good[] = {
        {"overflow_wait 500ms", 500},
        {"overflow_wait 2s", 2000},
        {"overflow_wait 3", 3000},
        {"overflow_wait 2min", 120000},
        {"overflow_wait 24h", 86400000},
        {"persistent_client_expiration 30s", 30},
        {"persistent_client_expiration 1h", 3600},
        {"persistent_client_expiration 2d", 172800},
        {"persistent_client_expiration 3w", 1814400},
        {"persistent_client_expiration 6m", 15552000},
        {"persistent_client_expiration 1y", 31536000},
    };
    static const char *const bad[] = {"overflow_wait 0",
                                      "overflow_wait 25h",
                                      "overflow_wait 2d",
                                      "overflow_wait s",
                                      "overflow_wait",
                                      "persistent_client_expiration 7",
                                      "persistent_client_expiration 999999999y",
                                      "persistent_client_expiration d"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        char name[64];
        assert_true(read_text(good[i].line));
        assert_int_equal(sscanf(good[i].line, "%63s", name), 1);
        assert_int_equal(field(find(name)), good[i].value);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(read_text(bad[i]));
        assert_non_null(strstr(config.error, "valid: "));
    }
}

static void overflow_policies_have_names(void **state)
{
    (void)state;
    static const char *const names[] = {"drop_newest", "drop_oldest", "disconnect", "refuse"};
    for (unsigned i = 0; i < 4; i++) {
        char line[128];
        snprintf(line, sizeof(line), "overflow_qos0 %s\noverflow_qos12 %s\n", names[i], names[i]);
        assert_true(read_text(line));
        assert_int_equal(config.settings.core.policy.overflow_qos0, i);
        assert_int_equal(config.settings.core.policy.overflow_qos12, i);
    }
    assert_false(read_text("overflow_offline newest"));
}

/* Which listeners a configuration asks for. */
static void listeners_are_those_of_mosquitto(void **state)
{
    (void)state;
    assert_true(read_text("# nothing\n\n"));
    assert_int_equal(config.settings.listener_count, 1);
    assert_true(config.settings.listeners[0].loopback);
    assert_int_equal(config.settings.listeners[0].port, 1883);

    assert_true(read_text("listener 1884\nsocket_domain ipv4\nlistener 1885 192.0.2.7\r\n"));
    assert_int_equal(config.settings.listener_count, 2);
    assert_false(config.settings.listeners[0].loopback);
    assert_string_equal(config.settings.listeners[0].address, "");
    assert_int_equal(config.settings.listeners[0].domain, MIDGE_DOMAIN_IPV4);
    assert_int_equal(config.settings.listeners[1].port, 1885);
    assert_string_equal(config.settings.listeners[1].address, "192.0.2.7");
    assert_int_equal(config.settings.listeners[1].domain, MIDGE_DOMAIN_ANY);

    assert_true(read_text("port 1886\nbind_address localhost\nsocket_domain ipv6\nlistener 1\n"));
    assert_int_equal(config.settings.listener_count, 2);
    assert_int_equal(config.settings.listeners[1].port, 1886);
    assert_string_equal(config.settings.listeners[1].address, "localhost");
    assert_int_equal(config.settings.listeners[1].domain, MIDGE_DOMAIN_IPV6);

    static const char *const bad[] = {"listener",
                                      "listener x",
                                      "listener 65536",
                                      "listener 1x",
                                      "listener 1 /run/midge.sock",
                                      "port -1",
                                      "bind_address",
                                      "socket_domain ipv5",
                                      "listener 1 127.0.0.1 more",
                                      "bind_address 127.0.0.1 more"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(read_text(bad[i]));
    }
    char many[17 * 16] = "";
    size_t used = 0;
    for (unsigned i = 0; i < 16; i++) {
        used += (size_t)snprintf(many + used, sizeof(many) - used, "listener 1\n");
    }
    assert_true(read_text(many));
    used += (size_t)snprintf(many + used, sizeof(many) - used, "port 2\n");
    assert_true(read_text(many));
    assert_int_equal(config.settings.listener_count, 17);
    snprintf(many + used, sizeof(many) - used, "listener 1\n");
    assert_false(read_text(many));
}

static void a_path_is_a_unix_socket(void **state)
{
    (void)state;
    char line[160];
    assert_true(read_text("listener 0 /run/midge.sock\n"));
    assert_int_equal(config.settings.listeners[0].domain, MIDGE_DOMAIN_UNIX);
    assert_string_equal(config.settings.listeners[0].address, "/run/midge.sock");
    assert_false(read_text("listener 0 /run/midge.sock\nsocket_domain ipv4\n"));
    snprintf(line, sizeof(line), "listener 0 /%0106d\n", 0);
    assert_true(read_text(line));
    snprintf(line, sizeof(line), "listener 0 /%0107d\n", 0);
    assert_false(read_text(line));
}

/* An option of listeners belongs to the listener above it, before any to the default listener. */
static void options_of_listeners_belong_to_the_one_above(void **state)
{
    (void)state;
    const struct midge_listener_settings *listeners = config.settings.listeners;
    assert_true(read_text("port 1\nmax_connections 5\nlistener 2\nlistener 3\nmax_connections 7\n"));
    assert_int_equal(config.settings.listener_count, 3);
    assert_int_equal(listeners[0].connections_max, MIDGE_LIMIT_UNSET);
    assert_int_equal(listeners[1].connections_max, 7);
    assert_int_equal(listeners[2].connections_max, 5);
    midge_config_wrong(&config, 2, "max_connections", "it is %s", "wrong");
    assert_non_null(strstr(config.error, ":2: option \"max_connections\": it is wrong"));
    midge_config_wrong(&config, 1, "max_connections", "wrong");
    assert_non_null(strstr(config.error, ":5: option \"max_connections\": wrong"));
    midge_config_wrong(&config, SIZE_MAX, "max_qos", "wrong");
    assert_string_equal(config.error, "option \"max_qos\": wrong");
    assert_true(read_text("max_connections 5\n"));
    assert_int_equal(listeners[0].connections_max, 5);
    assert_false(read_text("max_connections 5\nlistener 2\n"));
    assert_non_null(strstr(config.error, ":1: option \"max_connections\": it is above all listeners"));
}

static void with_per_listener_settings_each_has_its_own_rules(void **state)
{
    (void)state;
    const struct midge_listener_settings *listeners = config.settings.listeners;
    assert_true(read_text("listener 1\nallow_anonymous false\nlistener 2\nallow_anonymous true\n"));
    assert_int_equal(listeners[0].security.allow_anonymous, MIDGE_ANONYMOUS_YES);
    assert_int_equal(listeners[1].security.allow_anonymous, MIDGE_ANONYMOUS_YES);
    assert_true(read_text("per_listener_settings true\nport 3\nallow_anonymous true\nlistener 1\nallow_anonymous false\n"
                          "listener 2\n"));
    assert_int_equal(listeners[0].security.allow_anonymous, MIDGE_ANONYMOUS_NO);
    assert_int_equal(listeners[1].security.allow_anonymous, MIDGE_ANONYMOUS_UNSET);
    assert_int_equal(listeners[2].security.allow_anonymous, MIDGE_ANONYMOUS_YES);
    assert_false(read_text("allow_anonymous true\nper_listener_settings true\n"));
    assert_non_null(strstr(config.error, ":2: option \"per_listener_settings\": it decides about lines that stand above it"));
}

static void anonymous_can_be_left_open(void **state)
{
    (void)state;
    assert_true(read_text(""));
    assert_int_equal(config.settings.listeners[0].security.allow_anonymous, MIDGE_ANONYMOUS_UNSET);
    assert_true(read_text("allow_anonymous true"));
    assert_int_equal(config.settings.listeners[0].security.allow_anonymous, MIDGE_ANONYMOUS_YES);
    assert_true(read_text("allow_anonymous false"));
    assert_int_equal(config.settings.listeners[0].security.allow_anonymous, MIDGE_ANONYMOUS_NO);
    assert_false(read_text("allow_anonymous perhaps"));
}

static void limits_that_are_not_given_follow_the_clients(void **state)
{
    (void)state;
    assert_true(read_text("max_connections 100000\nlimit_blocks 77\nretain_available false\n"));
    const struct midge_limits *limits = &config.settings.core.limits;
    assert_int_equal(limits->clients, 100000);
    assert_true(limits->sessions >= 100000);
    assert_true(limits->deliveries >= 100000);
    assert_int_equal(limits->blocks, 77);
    assert_int_equal(limits->topic_nodes, 0);
    assert_true(read_text("max_connections 2\n"));
    assert_int_equal(limits->clients, 2);
    assert_true(limits->sessions > 1024);
    assert_true(read_text("max_connections -1\nmax_connections -1\n"));
    assert_true(limits->clients >= 1024);
    assert_true(read_text("listener 1\nmax_connections 5\nlistener 2\nmax_connections 6\n"));
    assert_int_equal(limits->clients, 11);
    assert_true(read_text("listener 1\nmax_connections 5\nlistener 2\n"));
    assert_true(limits->clients >= 1024);
    assert_true(read_text("global_max_connections 9\nlistener 1\nmax_connections 5\n"));
    assert_int_equal(limits->clients, 9);
    assert_false(read_text("max_connections 0\n"));
}

static void message_size_limit_lowers_the_packet_size(void **state)
{
    (void)state;
    assert_true(read_text("message_size_limit 1000\n"));
    assert_int_equal(config.settings.core.policy.packet_size_max, 66544);
    assert_true(read_text("message_size_limit 1000\nmax_packet_size 100\n"));
    assert_int_equal(config.settings.core.policy.packet_size_max, 100);
    assert_true(read_text("message_size_limit 1000\nmax_packet_size 0\n"));
    assert_int_equal(config.settings.core.policy.packet_size_max, 66544);
    assert_true(read_text("message_size_limit 0\n"));
    assert_int_equal(config.settings.core.policy.packet_size_max, 2097152);
}

static void inflight_zero_is_the_most(void **state)
{
    (void)state;
    assert_true(read_text("max_inflight_messages 0\n"));
    assert_int_equal(config.settings.core.policy.inflight_max, 4096);
    assert_true(read_text("max_inflight_messages 20\n"));
    assert_int_equal(config.settings.core.policy.inflight_max, 20);
    assert_false(read_text("max_inflight_messages 4097\n"));
}

static void comments_may_follow_values(void **state)
{
    (void)state;
    assert_true(read_text("listener 1883 127.0.0.1 # plain\nmax_qos 1 \t#two\npersistence false # no\nlog_type error #\n"));
    assert_string_equal(config.settings.listeners[0].address, "127.0.0.1");
    assert_int_equal(config.settings.core.policy.qos_max, 1);
    assert_int_equal(config.settings.log.levels, 1u << MIDGE_LEVEL_ERROR);
    assert_true(read_text("password_file /a #b\n"));
    assert_string_equal(config.settings.security.password_path, "/a #b");
    assert_false(read_text("max_qos 1#2\n"));
    assert_false(read_text("max_qos # 2\n"));
    assert_non_null(strstr(config.error, "a value is missing"));
}

static void log_lines_add_up(void **state)
{
    (void)state;
    const struct midge_log_settings *log = &config.settings.log;
    assert_true(read_text("log_type error\nlog_type warning\nlog_dest stdout\nlog_dest file /tmp/a b\n"));
    assert_int_equal(log->levels, 1u << MIDGE_LEVEL_ERROR | 1u << MIDGE_LEVEL_WARNING);
    assert_int_equal(log->destinations, MIDGE_LOG_TO_STDOUT | MIDGE_LOG_TO_FILE);
    assert_string_equal(log->path, "/tmp/a b");
    assert_int_equal(config.settings.core.policy.trace, 0);
    assert_true(read_text("log_type all\nlog_dest none\n"));
    assert_int_equal(config.settings.core.policy.trace, MIDGE_TRACE_PACKETS | MIDGE_TRACE_SUBSCRIPTIONS);
    assert_int_equal(log->destinations, 0);
    assert_true(read_text("log_type error\nlog_type unsubscribe\n"));
    assert_int_equal(config.settings.core.policy.trace, MIDGE_TRACE_SUBSCRIPTIONS);
    assert_true(read_text("log_type none\n"));
    assert_int_equal(log->levels, 0);
    assert_true(read_text("log_type subscribe\nlog_dest syslog\nlog_timestamp_format %H:%M\n"));
    assert_string_equal(log->timestamp_format, "%H:%M");
    assert_false(read_text("log_type chatter\n"));
    assert_true(read_text("log_dest topic\n"));
    assert_int_equal(log->destinations, MIDGE_LOG_TO_TOPIC);
    assert_false(read_text("log_dest file\n"));
}

static void expect_error(const char *text, const char *error)
{
    char expected[512];
    assert_false(read_text(text));
    snprintf(expected, sizeof(expected), "%s:%s", path, error);
    assert_string_equal(config.error, expected);
}

static void errors_name_file_line_option_and_choices(void **state)
{
    (void)state;
    expect_error("\n#x\n max_qos 3\n", "3: option \"max_qos\": \"3\" is not valid; valid: 0 .. 2");
    expect_error("max_qos\n", "1: option \"max_qos\": a value is missing; valid: 0 .. 2");
    expect_error("max_qoss 1\n", "1: option \"max_qoss\": there is no such option; midge --options lists them");
    expect_error(
        "persistence true\n",
        "1: option \"persistence\": \"true\" is not supported, only false: retained messages, sessions and what waits for "
        "them are lost when Midge ends; write \"persistence false\" where that will do, and no other line about it has to "
        "go");
    expect_error("mount_point x/\n", "1: option \"mount_point\": Mosquitto has it, Midge does not; topics are the same on all "
                                     "listeners: remove the line, and put the prefix into the topics of those clients");
    assert_true(read_text("persistence false\npersistence_location /var/lib/\nautosave_interval 60\nprotocol mqtt\n"));
}

static void included_files_are_read_by_name(void **state)
{
    (void)state;
    char name[128];
    char text[128];
    snprintf(name, sizeof(name), "%s/conf.d", folder);
    assert_int_equal(mkdir(name, 0700), 0);
    snprintf(name, sizeof(name), "%s/conf.d/b.conf", folder);
    write_file(name, "max_qos 0\nsys_interval 2\n");
    snprintf(name, sizeof(name), "%s/conf.d/a.conf", folder);
    write_file(name, "max_qos 1\nsys_interval 1\n");
    snprintf(name, sizeof(name), "%s/conf.d/c.txt", folder);
    write_file(name, "nonsense\n");
    snprintf(text, sizeof(text), "include_dir %s/conf.d\nmax_qos 2\n", folder);
    assert_true(read_text(text));
    assert_int_equal(config.settings.sys_interval_s, 2);
    assert_int_equal(config.settings.core.policy.qos_max, 2);

    snprintf(name, sizeof(name), "%s/conf.d/a.conf", folder);
    write_file(name, "\nmax_qos 9\n");
    assert_false(read_text(text));
    assert_non_null(strstr(config.error, "conf.d/a.conf:2: option \"max_qos\""));
    write_file(name, "include_dir /etc\n");
    assert_false(read_text(text));
    assert_non_null(strstr(config.error, "valid: a directory, in no file that is included itself"));
    assert_false(read_text("include_dir /does/not/exist\n"));
    assert_non_null(strstr(config.error, ":1: option \"include_dir\": cannot read the directory"));
    assert_false(read_text("include_dir\n"));
}

static void what_is_no_configuration_is_refused(void **state)
{
    (void)state;
    midge_config_start(&config);
    assert_false(midge_config_read(&config, "/does/not/exist"));
    assert_non_null(strstr(config.error, "cannot read /does/not/exist"));
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite("port 1\0", 1, 7, file), 7);
    assert_int_equal(fclose(file), 0);
    midge_config_start(&config);
    assert_false(midge_config_read(&config, path));
    assert_non_null(strstr(config.error, "contains a byte 0"));
    char *large = calloc(1, 300001);
    assert_non_null(large);
    memset(large, '#', 300000);
    assert_true(read_text(large)); /* one very long line is only a comment */
    large[0] = 'x';
    assert_false(read_text(large));
    assert_non_null(strstr(config.error, ":1: the line is too long"));
    free(large);
}

/* An offset that midge_init reports leads back to the line. */
static void refused_fields_lead_back_to_their_line(void **state)
{
    (void)state;
    assert_true(read_text("\nlimit_sessions 3\n"));
    midge_config_explain(&config, offsetof(struct midge_config, limits.sessions));
    assert_non_null(strstr(config.error, ":2: option \"limit_sessions\": not possible with the other settings; valid: 1 .. "));
    midge_config_explain(&config, offsetof(struct midge_config, policy.overflow_offline));
    assert_non_null(strstr(config.error, "option \"overflow_offline\": its default does not fit"));
    midge_config_explain(&config, SIZE_MAX);
    assert_non_null(strstr(config.error, "the broker refuses its settings"));
}

/* Every field of the limits and the policy can be set: trace is log_type debug. */
static void loopback_listeners_can_be_added(void **state)
{
    (void)state;
    midge_config_start(&config);
    for (unsigned i = 0; i < MIDGE_LISTENERS_MAX; i++) {
        assert_true(midge_config_add_loopback(&config, (uint16_t)i));
    }
    assert_false(midge_config_add_loopback(&config, 1));
    assert_true(midge_config_finish(&config));
    assert_int_equal(config.settings.listener_count, MIDGE_LISTENERS_MAX);
    assert_true(config.settings.listeners[3].loopback);
}

static int make_folder(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/midge.conf", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"midge.conf", "conf.d/a.conf", "conf.d/b.conf", "conf.d/c.txt", "conf.d"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char name[128];
        snprintf(name, sizeof(name), "%s/%s", folder, names[i]);
        (void)remove(name);
    }
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_have_ranges),
        cmocka_unit_test(booleans_are_true_or_false),
        cmocka_unit_test(durations_have_units),
        cmocka_unit_test(overflow_policies_have_names),
        cmocka_unit_test(listeners_are_those_of_mosquitto),
        cmocka_unit_test(a_path_is_a_unix_socket),
        cmocka_unit_test(options_of_listeners_belong_to_the_one_above),
        cmocka_unit_test(with_per_listener_settings_each_has_its_own_rules),
        cmocka_unit_test(anonymous_can_be_left_open),
        cmocka_unit_test(limits_that_are_not_given_follow_the_clients),
        cmocka_unit_test(message_size_limit_lowers_the_packet_size),
        cmocka_unit_test(inflight_zero_is_the_most),
        cmocka_unit_test(comments_may_follow_values),
        cmocka_unit_test(log_lines_add_up),
        cmocka_unit_test(errors_name_file_line_option_and_choices),
        cmocka_unit_test(included_files_are_read_by_name),
        cmocka_unit_test(what_is_no_configuration_is_refused),
        cmocka_unit_test(refused_fields_lead_back_to_their_line),
        cmocka_unit_test(loopback_listeners_can_be_added),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
