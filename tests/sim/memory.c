#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *allocate(void *old, size_t size)
{
    void *memory = realloc(old, size);
    if (memory == NULL) {
        fputs("sim: out of memory\n", stderr);
        exit(2);
    }
    return memory;
}

void *memory_grow(void *array, size_t count, size_t *capacity, size_t entry)
{
    if (count < *capacity) {
        return array;
    }
    *capacity = *capacity == 0 ? 64 : *capacity * 2;
    return allocate(array, *capacity * entry);
}

uint8_t *bytes_room(struct bytes *bytes, size_t size)
{
    if (bytes->end + size > bytes->capacity && bytes->begin > 0) {
        memmove(bytes->data, bytes->data + bytes->begin, bytes_size(bytes));
        bytes->end -= bytes->begin;
        bytes->begin = 0;
    }
    if (bytes->end + size > bytes->capacity) {
        bytes->capacity = (bytes->end + size) * 2;
        bytes->data = allocate(bytes->data, bytes->capacity);
    }
    return bytes->data + bytes->end;
}

void bytes_add(struct bytes *bytes, const void *data, size_t size)
{
    if (size > 0) {
        memcpy(bytes_room(bytes, size), data, size);
        bytes->end += size;
    }
}

void bytes_take(struct bytes *bytes, size_t size)
{
    bytes->begin += size;
    if (bytes->begin == bytes->end) {
        bytes_clear(bytes);
    }
}

void bytes_clear(struct bytes *bytes)
{
    bytes->begin = 0;
    bytes->end = 0;
}

void bytes_free(struct bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct bytes){0};
}
