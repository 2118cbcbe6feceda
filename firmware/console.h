/* The serial console: lines wait in a ring until the transmitter takes them, so that a slow line never holds the loop up. */
#ifndef MIDGE_CONSOLE_H
#define MIDGE_CONSOLE_H

#include "text.h"

/* Adds the text and a line end. A line for which the ring has no room is lost, and the next one that fits says how many were.
 */
void midge_console_line(const struct midge_text *text);

/* The same for words that need no putting together. */
void midge_console_say(const char *words);

/* Hands characters to the transmitter as far as it takes them. Returns true while some are left. */
bool midge_console_turn(void);

/* Waits until all is with the transmitter: only at the start, before there is anybody to keep waiting, and for a
 * report that somebody has asked for. */
void midge_console_flush(void);

#endif
