/*
 * The proof that no_malloc can find something: says "listening", waits for the signal that arms it, and then allocates by the
 * way named on the command line, or not at all.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void allocate(const char *way)
{
    void *volatile memory = NULL; /* volatile: the compiler must not leave the call out */

    if (strcmp(way, "malloc") == 0) {
        memory = malloc(10);
    } else if (strcmp(way, "calloc") == 0) {
        memory = calloc(10, 10);
    } else if (strcmp(way, "realloc") == 0) {
        memory = realloc(NULL, 10);
    } else if (strcmp(way, "aligned_alloc") == 0) {
        memory = aligned_alloc(64, 64);
    } else if (strcmp(way, "strdup") == 0) {
        memory = strdup(way);
    } else if (strcmp(way, "fopen") == 0) {
        FILE *file = fopen("/dev/null", "r");

        if (file != NULL) {
            (void)fclose(file);
        }
    }
    free(memory);
}

int main(int argc, char **argv)
{
    sigset_t all, before;

    /* The signal stays blocked until sigsuspend, so that it cannot come too early. */
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &before);
    if (write(STDERR_FILENO, "listening\n", 10) != 10) {
        return 1;
    }
    (void)sigsuspend(&before);
    allocate(argc > 1 ? argv[1] : "");
    return 0;
}
