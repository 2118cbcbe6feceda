#define _GNU_SOURCE
#include "directory.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/* An entry as getdents64 gives it. */
struct entry {
    uint64_t inode;
    int64_t offset;
    uint16_t size;
    uint8_t type;
    char name[];
};

bool midge_directory_open(struct midge_directory *directory, const char *path)
{
    directory->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    directory->next = 0;
    directory->used = 0;
    return directory->fd >= 0;
}

const char *midge_directory_next(struct midge_directory *directory)
{
    if (directory->next >= directory->used) {
        directory->next = 0;
        directory->used = syscall(SYS_getdents64, directory->fd, directory->buffer, sizeof(directory->buffer));
        if (directory->used <= 0) {
            return NULL;
        }
    }
    const struct entry *entry = (const struct entry *)(const void *)(directory->buffer + directory->next);
    directory->next += entry->size;
    return entry->name;
}

bool midge_directory_failed(const struct midge_directory *directory)
{
    return directory->used < 0;
}

void midge_directory_rewind(struct midge_directory *directory)
{
    directory->next = 0;
    directory->used = lseek(directory->fd, 0, SEEK_SET) < 0 ? -1 : 0;
}

void midge_directory_close(struct midge_directory *directory)
{
    close(directory->fd);
}
