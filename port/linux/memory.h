/*
 * All memory of the process that grows with its limits: taken once, at the start, as address space whose pages cost nothing
 * until they are used.
 */
#ifndef MIDGE_MEMORY_H
#define MIDGE_MEMORY_H

#include "settings.h"

struct midge_slot;
struct midge_slot_rest;
struct midge_meter;

struct midge_memory {
    void *core;
    size_t core_size;
    struct midge_slot *slots; /* one for each connection, and [0] */
    struct midge_slot_rest *rest;
    uint8_t *arena;             /* MIDGE_READ_SIZE for each slot */
    struct midge_meter *meters; /* one for each slot */
    uint8_t *gate;              /* for midge_gate_start */
    uint32_t slot_count;
    void *tls; /* NULL: no listener has TLS */
    size_t tls_size;
};

/* Returns false, with what is wrong in `error`, where the kernel does not give it. */
bool midge_memory_take(struct midge_memory *memory, const struct midge_settings *settings, char *error, size_t size);

/* Raises the limit of open files, if need be, so that every connection can have one. Returns how many connections can. */
uint32_t midge_memory_raise_files(const struct midge_limits *limits);

/* Writes the table of --memory. */
void midge_memory_print(int fd, const struct midge_settings *settings);

#endif
