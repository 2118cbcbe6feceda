#define _GNU_SOURCE
#include "files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

const uint8_t *fuzz_file_write(struct fuzz_file *file, const char *name, const uint8_t *bytes, const uint8_t *end)
{
    const uint8_t *mark = bytes < end ? memchr(bytes, 0xFF, (size_t)(end - bytes)) : NULL;
    size_t size = (size_t)((mark != NULL ? mark : end) - bytes);
    if (file->path[0] == '\0') {
        file->fd = memfd_create(name, 0);
        (void)snprintf(file->path, sizeof file->path, "/proc/self/fd/%d", file->fd);
    }
    if (file->fd < 0 || ftruncate(file->fd, 0) != 0 || pwrite(file->fd, bytes, size, 0) != (ssize_t)size) {
        perror("fuzz_file_write");
        abort();
    }
    return mark != NULL ? mark + 1 : end;
}
