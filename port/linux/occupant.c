#define _GNU_SOURCE
#include "occupant.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* Finds the socket that listens on the port in one of the kernel's tables, proc(5). Returns its inode, 0 for none. */
static unsigned long listening_inode(const char *table, uint16_t port)
{
    char line[512];
    unsigned long inode = 0;
    FILE *file = fopen(table, "re");
    while (file != NULL && inode == 0 && fgets(line, sizeof(line), file) != NULL) {
        unsigned local = 0;
        unsigned state = 0;
        unsigned long found = 0;
        /* sl, local address:port, remote address:port, state, queues, timer, retransmits, user, timeout, inode */
        if (sscanf(line, " %*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*u %*u %lu", &local, &state, &found) == 3 &&
            local == port && state == 0x0A) {
            inode = found;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return inode;
}

static bool holds_socket(const char *process, const char *socket)
{
    char path[320];
    char target[64];
    bool found = false;
    snprintf(path, sizeof(path), "/proc/%s/fd", process);
    DIR *files = opendir(path);
    const struct dirent *entry;
    while (files != NULL && !found && (entry = readdir(files)) != NULL) {
        ssize_t size = readlinkat(dirfd(files), entry->d_name, target, sizeof(target) - 1);
        if (size > 0) {
            target[size] = '\0';
            found = strcmp(target, socket) == 0;
        }
    }
    if (files != NULL) {
        closedir(files);
    }
    return found;
}

static void describe(const char *process, char *text, size_t size)
{
    char path[320];
    char name[32] = "a program";
    snprintf(path, sizeof(path), "/proc/%s/comm", process);
    FILE *file = fopen(path, "re");
    if (file != NULL) {
        if (fgets(name, sizeof(name), file) != NULL) {
            name[strcspn(name, "\n")] = '\0';
        }
        fclose(file);
    }
    snprintf(text, size, "%s (process %s)", name, process);
}

void midge_occupant(uint16_t port, char *text, size_t size)
{
    char socket[64];
    snprintf(text, size, "another program");
    unsigned long inode = listening_inode("/proc/net/tcp", port);
    if (inode == 0) {
        inode = listening_inode("/proc/net/tcp6", port);
    }
    DIR *processes = inode == 0 ? NULL : opendir("/proc");
    if (processes == NULL) {
        return;
    }
    snprintf(socket, sizeof(socket), "socket:[%lu]", inode);
    const struct dirent *entry;
    while ((entry = readdir(processes)) != NULL) {
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && holds_socket(entry->d_name, socket)) {
            describe(entry->d_name, text, size);
            break;
        }
    }
    closedir(processes);
}
