#define _GNU_SOURCE
#include "logger.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PROVOKED_LINES_MAX 1000u
#define PROVOKED_PERIOD_MS 1000u
#define QUEUE_MAX 64u
#define LOG_TOPIC "$SYS/broker/log/"

static struct {
    struct midge_log_settings settings;
    int file;   /* -1: none */
    int syslog; /* a datagram socket, -1: none */
    bool zone_known;
    uint64_t period_ms; /* when the period began in which lines are counted */
    uint32_t provoked;  /* lines in this period */
    uint32_t left_out;  /* of them, those that were not written */
    uint32_t queued;    /* lines in the queue */
    uint32_t overrun;   /* lines that the queue had no room for */
} logger = {.settings = {.levels = ~0u, .destinations = MIDGE_LOG_TO_STDERR, .connections = true}, .file = -1, .syslog = -1};

/* Lines for the topic; a line is logged while the core works, and published when it does not. */
static struct {
    enum midge_log_level level;
    char text[MIDGE_LOG_LINE_SIZE];
} queue[QUEUE_MAX];

/* syslog(3) would allocate memory. */
static int open_syslog(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static void close_one(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

bool midge_logger_open(const struct midge_log_settings *settings)
{
    int file = -1;
    if ((settings->destinations & MIDGE_LOG_TO_FILE) != 0) {
        file = open(settings->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
        if (file < 0) {
            return false;
        }
    }
    close_one(&logger.file);
    close_one(&logger.syslog);
    logger.settings = *settings;
    logger.file = file;
    if ((settings->destinations & MIDGE_LOG_TO_SYSLOG) != 0) {
        logger.syslog = open_syslog();
    }
    if (!logger.zone_known) {
        tzset(); /* it allocates, so that it must be over before the start is; localtime_r then does without */
        logger.zone_known = true;
    }
    return true;
}

static void write_line(int fd, const char *stamp, const char *line)
{
    struct iovec parts[3] = {{(void *)(uintptr_t)stamp, strlen(stamp)}, {(void *)(uintptr_t)line, strlen(line)}, {"\n", 1}};
    ssize_t written = writev(fd, parts, 3);
    (void)written; /* there is nowhere to complain */
}

static void write_syslog(enum midge_log_level level, const char *line)
{
    /* The facility daemon and the severities of syslog. */
    static const int severities[MIDGE_LEVEL_COUNT] = {3, 4, 5, 6, 7, 5, 5};
    char message[MIDGE_LOG_LINE_SIZE + 64];
    int size = snprintf(message, sizeof(message), "<%d>midge[%d]: %s", 3 * 8 + severities[level], (int)getpid(), line);
    if (logger.syslog < 0 || send(logger.syslog, message, (size_t)size, MSG_NOSIGNAL) < 0) {
        /* The service was not there, or has been started anew. */
        close_one(&logger.syslog);
        logger.syslog = open_syslog();
        if (logger.syslog >= 0) {
            (void)send(logger.syslog, message, (size_t)size, MSG_NOSIGNAL);
        }
    }
}

static void stamp_now(char *stamp, size_t size)
{
    struct timespec now;
    struct tm local;
    stamp[0] = '\0';
    if (!logger.settings.timestamp) {
        return;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    if (logger.settings.timestamp_format[0] == '\0') {
        snprintf(stamp, size, "%lld: ", (long long)now.tv_sec);
    } else if (localtime_r(&now.tv_sec, &local) != NULL) {
        size_t used = strftime(stamp, size - 2, logger.settings.timestamp_format, &local);
        memcpy(stamp + used, ": ", 3);
    }
}

static bool wanted(enum midge_log_level level)
{
    return (logger.settings.levels >> level & 1u) != 0;
}

/* A line about each packet would itself be packets. */
static void queue_line(enum midge_log_level level, const char *stamp, const char *line)
{
    if (level == MIDGE_LEVEL_DEBUG) {
        return;
    }
    if (logger.queued == QUEUE_MAX) {
        logger.overrun++;
        return;
    }
    queue[logger.queued].level = level;
    snprintf(queue[logger.queued].text, MIDGE_LOG_LINE_SIZE, "%s%s", stamp, line);
    logger.queued++;
}

static void publish_line(struct midge *broker, enum midge_log_level level, const char *line)
{
    /* As in Mosquitto. */
    static const char *const topics[MIDGE_LEVEL_COUNT] = {LOG_TOPIC "E",
                                                          LOG_TOPIC "W",
                                                          LOG_TOPIC "N",
                                                          LOG_TOPIC "I",
                                                          LOG_TOPIC "D",
                                                          LOG_TOPIC "M/subscribe",
                                                          LOG_TOPIC "M/unsubscribe"};
    const char *topic = topics[level];
    (void)midge_publish(broker, (struct midge_view){(const uint8_t *)topic, (uint32_t)strlen(topic)},
                        (struct midge_view){(const uint8_t *)line, (uint32_t)strlen(line)}, 0, false);
}

void midge_logger_publish(struct midge *broker)
{
    uint32_t count = logger.queued; /* publishing may add more, for the next time */
    for (uint32_t i = 0; i < count; i++) {
        publish_line(broker, queue[i].level, queue[i].text);
    }
    logger.queued -= count;
    memmove(queue, queue + count, logger.queued * sizeof(queue[0]));
    if (logger.overrun > 0) {
        char line[64];
        snprintf(line, sizeof(line), "%u lines are missing here.", logger.overrun);
        logger.overrun = 0;
        publish_line(broker, MIDGE_LEVEL_WARNING, line);
    }
}

static void emit(enum midge_log_level level, const char *line, bool about_topic)
{
    char stamp[160];
    stamp_now(stamp, sizeof(stamp));
    if ((logger.settings.destinations & MIDGE_LOG_TO_STDERR) != 0) {
        write_line(STDERR_FILENO, stamp, line);
    }
    if ((logger.settings.destinations & MIDGE_LOG_TO_STDOUT) != 0) {
        write_line(STDOUT_FILENO, stamp, line);
    }
    if (logger.file >= 0) {
        write_line(logger.file, stamp, line);
    }
    if ((logger.settings.destinations & MIDGE_LOG_TO_SYSLOG) != 0) {
        write_syslog(level, line);
    }
    if ((logger.settings.destinations & MIDGE_LOG_TO_TOPIC) != 0 && !about_topic) {
        queue_line(level, stamp, line);
    }
}

/* Counts a line that a peer has provoked. Returns whether it may be written. */
static bool admit(void)
{
    logger.provoked++;
    if (logger.provoked <= PROVOKED_LINES_MAX) {
        return true;
    }
    logger.left_out++;
    return false;
}

static void write_formatted(enum midge_log_level level, const char *format, va_list arguments)
{
    char line[MIDGE_LOG_LINE_SIZE];
    vsnprintf(line, sizeof(line), format, arguments);
    emit(level, line, false);
}

void midge_logger_write(enum midge_log_level level, const char *format, ...)
{
    if (wanted(level)) {
        va_list arguments;
        va_start(arguments, format);
        write_formatted(level, format, arguments);
        va_end(arguments);
    }
}

void midge_logger_provoked(enum midge_log_level level, const char *format, ...)
{
    if (wanted(level) && admit()) {
        va_list arguments;
        va_start(arguments, format);
        write_formatted(level, format, arguments);
        va_end(arguments);
    }
}

bool midge_logger_wants(const struct midge_log *record)
{
    enum midge_log_level level = midge_log_level(record);
    bool comes_or_goes = record->event == MIDGE_LOG_CONNECTED || record->event == MIDGE_LOG_DISCONNECTED;
    /* Who asks for each packet gets each packet. */
    bool limited = level != MIDGE_LEVEL_DEBUG;
    return wanted(level) && (!comes_or_goes || logger.settings.connections) && (!limited || admit());
}

/* What is lost of the log's topic must not add to it. */
static bool is_log_topic(struct midge_view topic)
{
    return topic.size >= sizeof(LOG_TOPIC) - 1 && memcmp(topic.bytes, LOG_TOPIC, sizeof(LOG_TOPIC) - 1) == 0;
}

void midge_logger_record(const struct midge_log *record, const char *line)
{
    emit(midge_log_level(record), line, is_log_topic(record->topic));
}

uint64_t midge_logger_turn(uint64_t now_ms)
{
    if (now_ms - logger.period_ms >= PROVOKED_PERIOD_MS) {
        if (logger.left_out > 0) {
            midge_logger_write(MIDGE_LEVEL_WARNING, "%u lines suppressed: more than %u in %u ms.", logger.left_out,
                               PROVOKED_LINES_MAX, PROVOKED_PERIOD_MS);
        }
        logger.period_ms = now_ms;
        logger.provoked = 0;
        logger.left_out = 0;
    }
    if (logger.queued > 0) {
        return now_ms;
    }
    return logger.left_out > 0 ? logger.period_ms + PROVOKED_PERIOD_MS : UINT64_MAX;
}
