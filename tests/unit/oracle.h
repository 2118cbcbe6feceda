/* What a topic matcher and the checks of strings must do, said in the fewest words: sections 1.5.3 and 4.7 of the standard. */
#ifndef UNIT_ORACLE_H
#define UNIT_ORACLE_H

#include "midge.h"

/* Whether a valid filter matches a valid topic. */
bool oracle_match(const char *filter, const char *topic);

/* What midge_string_check, midge_topic_check and midge_filter_check must say. */
enum midge_reason oracle_string_check(const uint8_t *bytes, uint32_t size);
enum midge_reason oracle_topic_check(const uint8_t *bytes, uint32_t size, uint32_t levels_max);
enum midge_reason oracle_filter_check(const uint8_t *bytes, uint32_t size, uint32_t levels_max);

#endif
