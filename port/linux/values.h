/*
 * Values as they are written in a configuration.
 */
#ifndef MIDGE_VALUES_H
#define MIDGE_VALUES_H

#include "config.h"

/* A number without a sign at the start of `text`, `max` at most; *end is what follows it. Returns false where there is none. */
bool midge_value_leading(const char *text, uint64_t max, uint64_t *number, const char **end);

/* A text that is nothing but a number in this range. */
bool midge_value_number(const char *text, uint64_t min, uint64_t max, uint64_t *number);

bool midge_value_bool(const char *text, bool *value);

/* Copies a text that is not empty, with its terminator, where `size` bytes have room for it. */
bool midge_value_text(char *to, size_t size, const char *value);

#endif
