/*
 * A file, line by line, in a buffer of fixed size.
 */
#ifndef MIDGE_LINES_H
#define MIDGE_LINES_H

#include <stdbool.h>
#include <stddef.h>

#define MIDGE_LINE_SIZE 4096u /* the longest line, with its end */

struct midge_lines {
    int fd;
    unsigned line; /* the number of the line that was given last */
    size_t next;   /* bytes next .. used of the buffer have not been given yet */
    size_t used;
    bool ended;
    const char *wrong; /* after NULL was returned: what is wrong with the file, NULL where it has ended */
    char buffer[MIDGE_LINE_SIZE];
};

/* Returns false, with the reason in errno, where the file cannot be read. */
bool midge_lines_open(struct midge_lines *lines, const char *path);

/* The next line as a string without spaces around it; NULL after the last, and where something is wrong. Empty lines and
 * comments (#), which may be longer than a line, are left out. */
char *midge_lines_next(struct midge_lines *lines);

void midge_lines_close(struct midge_lines *lines);

/* Hands each line of a file to `take`, which returns NULL, or what is wrong with it: then that is all. Returns false, with
 * what is wrong and where in `error`. */
bool midge_lines_each(const char *path, const char *(*take)(void *context, char *line), void *context, char *error,
                      size_t size);

#endif
