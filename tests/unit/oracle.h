/* What a topic matcher must do, said in the fewest words: section 4.7 of the standard. */
#ifndef UNIT_ORACLE_H
#define UNIT_ORACLE_H

#include <stdbool.h>

/* Whether a valid filter matches a valid topic. */
bool oracle_match(const char *filter, const char *topic);

#endif
