/*
 * Loaded into a program with LD_PRELOAD: once the program gets the signal SIGRTMIN + 5, any further allocation ends it with
 * status 97, and stderr says who called. The answer to the signal is a line on stderr, so that the test knows that it counts.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <execinfo.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ALLOCATED_STATUS = 97, CALLERS_MAX = 32 };

/* glibc's own functions under their other names: the ones that malloc and its kin would have been. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static atomic_bool armed;
static atomic_uint count;

static void say(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0) {
        _exit(ALLOCATED_STATUS);
    }
}

static void allocated(const char *function)
{
    void *callers[CALLERS_MAX];

    if (!atomic_load(&armed)) {
        atomic_fetch_add(&count, 1);
        return;
    }
    say("no_malloc: the program called ");
    say(function);
    say(" after its start\n");
    backtrace_symbols_fd(callers, backtrace(callers, CALLERS_MAX), STDERR_FILENO);
    _exit(ALLOCATED_STATUS);
}

static void arm(int number)
{
    char line[80];
    unsigned before = atomic_load(&count);

    (void)number;
    /* snprintf of a number does not allocate; if it did, this would be found before the program is blamed for it. */
    (void)snprintf(line, sizeof line, "no_malloc: armed after %u allocations\n", before);
    atomic_store(&armed, true);
    say(line);
}

__attribute__((constructor)) static void install(void)
{
    struct sigaction action;
    void *callers[CALLERS_MAX];

    memset(&action, 0, sizeof action);
    action.sa_handler = arm;
    (void)sigaction(SIGRTMIN + 5, &action, NULL);
    (void)backtrace(callers, CALLERS_MAX); /* its first call allocates */
}

void *malloc(size_t size)
{
    allocated("malloc");
    return __libc_malloc(size);
}

void *calloc(size_t members, size_t size)
{
    allocated("calloc");
    return __libc_calloc(members, size);
}

void *realloc(void *memory, size_t size)
{
    allocated("realloc");
    return __libc_realloc(memory, size);
}

void *reallocarray(void *memory, size_t members, size_t size)
{
    allocated("reallocarray");
    if (size != 0 && members > SIZE_MAX / size) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_realloc(memory, members * size);
}

void *memalign(size_t alignment, size_t size)
{
    allocated("memalign");
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    allocated("aligned_alloc");
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
    allocated("posix_memalign");
    *memory = __libc_memalign(alignment, size);
    return *memory != NULL ? 0 : ENOMEM;
}
