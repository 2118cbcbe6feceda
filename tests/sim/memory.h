/* Growing arrays for the simulator; it ends when there is no memory. */
#ifndef SIM_MEMORY_H
#define SIM_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* Makes room for one more entry of `entry` bytes behind `count` of them, and returns the array where it then lies. */
void *memory_grow(void *array, size_t count, size_t *capacity, size_t entry);

/* A queue of bytes: bytes[begin .. end) are in it. */
struct bytes {
    uint8_t *data;
    size_t begin;
    size_t end;
    size_t capacity;
};

static inline size_t bytes_size(const struct bytes *bytes)
{
    return bytes->end - bytes->begin;
}

/* Makes room for `size` more bytes and returns the place behind the last one. */
uint8_t *bytes_room(struct bytes *bytes, size_t size);
void bytes_add(struct bytes *bytes, const void *data, size_t size);
void bytes_take(struct bytes *bytes, size_t size);
void bytes_clear(struct bytes *bytes);
void bytes_free(struct bytes *bytes);

#endif
