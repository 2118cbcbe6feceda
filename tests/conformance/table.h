/* The table of statements and the scenarios that test them, in tests/README.md. */
#ifndef CONFORMANCE_TABLE_H
#define CONFORMANCE_TABLE_H

#include "script.h"

/* Writes the table between the markers of `readme`, or, with `check`, compares it with what stands there. Returns false, and
 * says why on stderr, where they differ, where a scenario names an unknown statement, or where a statement has neither a
 * scenario nor a reason. */
bool table_update(const struct script *script, const char *statements, const char *readme, bool check);

#endif
