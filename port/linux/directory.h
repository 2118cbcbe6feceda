/*
 * The names in a directory, read without the readdir of the C library, which would allocate memory.
 */
#ifndef MIDGE_DIRECTORY_H
#define MIDGE_DIRECTORY_H

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>

struct midge_directory {
    int fd;
    long next, used; /* of the buffer; used < 0: reading has failed */
    alignas(uint64_t) char buffer[32768];
};

/* Returns false, with the reason in errno, where it cannot be opened. */
bool midge_directory_open(struct midge_directory *directory, const char *path);

/* The next name, in no order; NULL after the last, and where reading fails: midge_directory_failed tells, errno says why. */
const char *midge_directory_next(struct midge_directory *directory);
bool midge_directory_failed(const struct midge_directory *directory);

/* Begins again with the first name. */
void midge_directory_rewind(struct midge_directory *directory);

void midge_directory_close(struct midge_directory *directory);

#endif
