/* Files in memory for what reads files. */
#ifndef FUZZ_FILES_H
#define FUZZ_FILES_H

#include <stdint.h>

struct fuzz_file {
    char path[64]; /* empty: not made yet */
    int fd;
};

/* Fills the file with the bytes up to the next 0xFF, or to the end. Returns where the rest begins. */
const uint8_t *fuzz_file_write(struct fuzz_file *file, const char *name, const uint8_t *bytes, const uint8_t *end);

#endif
