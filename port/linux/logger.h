/*
 * The log: one event a line, to stderr, stdout, a file or syslog. There is one log in a process.
 */
#ifndef MIDGE_LOGGER_H
#define MIDGE_LOGGER_H

#include "settings.h"

/* Opens what the settings name, and closes what was open before; also used to begin a file that was moved away anew. Returns
 * false, and goes on as before, where the file cannot be opened: errno says why. */
bool midge_logger_open(const struct midge_log_settings *settings);

/* One line of the program's own. */
__attribute__((format(printf, 2, 3))) void midge_logger_write(enum midge_log_level level, const char *format, ...);

/* One line that a peer may provoke as often as it likes: a second holds a limited number of them, the rest is only counted. */
__attribute__((format(printf, 2, 3))) void midge_logger_provoked(enum midge_log_level level, const char *format, ...);

/* Whether there is to be a line for a record of the core, which counts as one that a peer has provoked. */
bool midge_logger_wants(const struct midge_log *record);

/* That line. */
void midge_logger_record(const struct midge_log *record, const char *line);

/* Publishes the lines that have come together for log_dest topic. */
void midge_logger_publish(struct midge *broker);

/* Tells the log the time, and writes how many lines were left out in a second that is over. Returns when it wants to be called
 * again, UINT64_MAX for never. */
uint64_t midge_logger_turn(uint64_t now_ms);

#endif
