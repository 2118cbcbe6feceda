#define _GNU_SOURCE
#include "lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char spaces[] = " \t\r";

bool midge_lines_open(struct midge_lines *lines, const char *path)
{
    lines->fd = open(path, O_RDONLY | O_CLOEXEC);
    lines->line = 0;
    lines->next = 0;
    lines->used = 0;
    lines->ended = false;
    lines->wrong = NULL;
    if (lines->fd < 0) {
        return false;
    }
    /* A directory can be opened, and says only now that it cannot be read. */
    char none;
    if (read(lines->fd, &none, 0) < 0) {
        int error = errno;
        close(lines->fd);
        errno = error;
        return false;
    }
    return true;
}

void midge_lines_close(struct midge_lines *lines)
{
    close(lines->fd);
}

/* Moves what is left to the front, and reads as much as there is room for. */
static void refill(struct midge_lines *lines)
{
    memmove(lines->buffer, lines->buffer + lines->next, lines->used - lines->next);
    lines->used -= lines->next;
    lines->next = 0;
    ssize_t got;
    do {
        got = read(lines->fd, lines->buffer + lines->used, sizeof(lines->buffer) - 1 - lines->used);
    } while (got < 0 && errno == EINTR);
    lines->wrong = got < 0 ? strerror(errno) : NULL;
    lines->ended = got <= 0;
    lines->used += got > 0 ? (size_t)got : 0;
}

/* The end of the next line, NULL where the buffer does not hold it. */
static char *find_end(struct midge_lines *lines)
{
    char *end = memchr(lines->buffer + lines->next, '\n', lines->used - lines->next);
    return end == NULL && lines->ended && lines->next < lines->used ? lines->buffer + lines->used : end;
}

/* Takes the next line from the file, whatever is in it. Of a comment that does not fit only the start is left. */
static char *take_line(struct midge_lines *lines)
{
    char *end;
    while ((end = find_end(lines)) == NULL && !lines->ended) {
        if (lines->used - lines->next == sizeof(lines->buffer) - 1) {
            if (lines->buffer[lines->next] != '#') {
                lines->line++;
                lines->wrong = "the line is too long";
                return NULL;
            }
            lines->next = lines->used - 1;
            lines->buffer[lines->next] = '#';
        }
        refill(lines);
    }
    if (end == NULL || lines->wrong != NULL) {
        return NULL;
    }
    char *line = lines->buffer + lines->next;
    *end = '\0';
    lines->line++;
    lines->next = (size_t)(end - lines->buffer) + (end < lines->buffer + lines->used ? 1 : 0);
    if (strlen(line) != (size_t)(end - line)) {
        lines->wrong = "it contains a byte 0";
        return NULL;
    }
    return line;
}

char *midge_lines_next(struct midge_lines *lines)
{
    char *line;
    while ((line = take_line(lines)) != NULL) {
        line += strspn(line, spaces);
        size_t size = strlen(line);
        while (size > 0 && strchr(spaces, line[size - 1]) != NULL) {
            line[--size] = '\0';
        }
        if (size > 0 && line[0] != '#') {
            return line;
        }
    }
    return NULL;
}

bool midge_lines_each(const char *path, const char *(*take)(void *context, char *line), void *context, char *error, size_t size)
{
    struct midge_lines lines;
    char *line;
    const char *wrong = NULL;
    if (!midge_lines_open(&lines, path)) {
        snprintf(error, size, "cannot read %s: %s; check the path and its permissions", path, strerror(errno));
        return false;
    }
    while (wrong == NULL && (line = midge_lines_next(&lines)) != NULL) {
        wrong = take(context, line);
    }
    midge_lines_close(&lines);
    wrong = wrong != NULL ? wrong : lines.wrong;
    if (wrong != NULL) {
        snprintf(error, size, "%s:%u: %s", path, lines.line, wrong);
    }
    return wrong == NULL;
}
