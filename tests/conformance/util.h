/* Memory and byte strings for the conformance runner. */
#ifndef CONFORMANCE_UTIL_H
#define CONFORMANCE_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A byte string that somebody else owns. */
struct span {
    const uint8_t *bytes;
    size_t size;
};

/* Everything that one run remembers is taken from an arena and freed in one go. */
struct arena_chunk;
struct arena {
    struct arena_chunk *chunks;
};

/* Returns zeroed memory, aligned for anything. Ends the program where there is none. */
void *arena_take(struct arena *arena, size_t size);
struct span arena_copy(struct arena *arena, const void *bytes, size_t size);
void arena_free(struct arena *arena);

/* A growing byte string that is its own owner. */
struct buffer {
    uint8_t *bytes;
    size_t size;
    size_t capacity;
    size_t removed; /* bytes that were taken off and still lie in front of `bytes` */
};

void buffer_add(struct buffer *buffer, const void *bytes, size_t size);
void buffer_add_byte(struct buffer *buffer, unsigned byte);
/* Takes the first `size` bytes off, at no cost. */
void buffer_remove(struct buffer *buffer, size_t size);
void buffer_free(struct buffer *buffer);

bool span_equal(struct span a, struct span b);
bool span_is(struct span span, const char *text);
struct span span_of(const char *text);

/* Writes a span into `text` for people: printable characters as they are, others as \xHH, long ones shortened. */
const char *span_print(struct span span, char *text, size_t size);

#endif
