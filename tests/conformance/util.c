#include "util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arena_chunk {
    struct arena_chunk *next;
    size_t used;
    size_t size;
    max_align_t bytes[];
};

static void *must(void *memory)
{
    if (memory == NULL) {
        fputs("out of memory\n", stderr);
        exit(2);
    }
    return memory;
}

void *arena_take(struct arena *arena, size_t size)
{
    size_t step = sizeof(max_align_t);
    size = (size + step - 1) / step * step;
    struct arena_chunk *chunk = arena->chunks;
    if (chunk == NULL || chunk->size - chunk->used < size) {
        size_t room = size > 4096 ? size : 4096;
        chunk = must(calloc(1, sizeof *chunk + room));
        chunk->size = room;
        chunk->next = arena->chunks;
        arena->chunks = chunk;
    }
    void *taken = (uint8_t *)chunk->bytes + chunk->used;
    chunk->used += size;
    return taken;
}

struct span arena_copy(struct arena *arena, const void *bytes, size_t size)
{
    uint8_t *copy = arena_take(arena, size + 1);
    if (size > 0) {
        memcpy(copy, bytes, size);
    }
    return (struct span){copy, size};
}

void arena_free(struct arena *arena)
{
    while (arena->chunks != NULL) {
        struct arena_chunk *next = arena->chunks->next;
        free(arena->chunks);
        arena->chunks = next;
    }
}

void buffer_add(struct buffer *buffer, const void *bytes, size_t size)
{
    if (size == 0) {
        return;
    }
    if (buffer->capacity - buffer->removed - buffer->size < size) {
        uint8_t *start = buffer->bytes != NULL ? buffer->bytes - buffer->removed : NULL;
        if (buffer->size > 0) {
            memmove(start, buffer->bytes, buffer->size);
        }
        buffer->removed = 0;
        if (buffer->capacity - buffer->size < buffer->size + size) {
            buffer->capacity = (buffer->size + size) * 2;
            start = must(realloc(start, buffer->capacity));
        }
        buffer->bytes = start;
    }
    memcpy(buffer->bytes + buffer->size, bytes, size);
    buffer->size += size;
}

void buffer_add_byte(struct buffer *buffer, unsigned byte)
{
    uint8_t value = (uint8_t)byte;
    buffer_add(buffer, &value, 1);
}

void buffer_remove(struct buffer *buffer, size_t size)
{
    if (size > 0) {
        buffer->bytes += size;
        buffer->removed += size;
        buffer->size -= size;
    }
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->bytes != NULL ? buffer->bytes - buffer->removed : NULL);
    *buffer = (struct buffer){0};
}

bool span_equal(struct span a, struct span b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.bytes, b.bytes, a.size) == 0);
}

struct span span_of(const char *text)
{
    return (struct span){(const uint8_t *)text, strlen(text)};
}

bool span_is(struct span span, const char *text)
{
    return span_equal(span, span_of(text));
}

const char *span_print(struct span span, char *text, size_t size)
{
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < span.size; i++) {
        if (at + 24 > size) {
            (void)snprintf(text + at, size - at, "... (%zu)", span.size);
            break;
        }
        unsigned byte = span.bytes[i];
        const char *format = byte > 0x20 && byte < 0x7F ? "%c" : "\\x%02x";
        at += (size_t)snprintf(text + at, size - at, byte == ' ' ? "%c" : format, byte);
    }
    return text;
}
