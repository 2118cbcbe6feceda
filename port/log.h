/*
 * The words for what the core reports: a struct midge_log becomes one line of text. Shared by all ports.
 */
#ifndef MIDGE_PORT_LOG_H
#define MIDGE_PORT_LOG_H

#include "text.h"

/* How much a line matters, the most first. The names are those of Mosquitto's log_type. */
enum midge_log_level {
    MIDGE_LEVEL_ERROR,
    MIDGE_LEVEL_WARNING,
    MIDGE_LEVEL_NOTICE,
    MIDGE_LEVEL_INFORMATION,
    MIDGE_LEVEL_DEBUG,
    MIDGE_LEVEL_SUBSCRIBE,
    MIDGE_LEVEL_UNSUBSCRIBE,
    MIDGE_LEVEL_COUNT
};

/* Enough for the longest line: three escaped strings of a peer and the words around them. */
#define MIDGE_LOG_LINE_SIZE 1088u

enum midge_log_level midge_log_level(const struct midge_log *record);

/* Adds the line for `record`, without a line end. `address` says where the connection comes from, "" where that is not known.
 */
void midge_log_line(struct midge_text *text, const struct midge_log *record, const char *address);

#endif
