/*
 * A bounded line of text, for ports that have no stdio. What does not fit is cut off; the text is always terminated.
 */
#ifndef MIDGE_PORT_TEXT_H
#define MIDGE_PORT_TEXT_H

#include "midge.h"

struct midge_text {
    char *bytes;
    size_t size; /* of bytes, with the terminator */
    size_t used; /* without the terminator: used < size */
};

/* Starts an empty text in `bytes`, which has room for `size` >= 1 bytes. */
void midge_text_start(struct midge_text *text, char *bytes, size_t size);

void midge_text_add(struct midge_text *text, const char *string);

void midge_text_add_number(struct midge_text *text, uint64_t number);

/* Adds a number given in hundredths, with two decimals: 150 is 1.50. */
void midge_text_add_hundredths(struct midge_text *text, uint64_t hundredths);

/* Adds what a peer has sent. Control characters, quotation marks, backslashes and cut or ill-formed UTF-8 become \xNN, so that
 * no peer can forge a line of a log or talk to the terminal that shows it. */
void midge_text_add_foreign(struct midge_text *text, struct midge_view view);

/* The text without its terminator. */
struct midge_view midge_text_view(const struct midge_text *text);

#endif
