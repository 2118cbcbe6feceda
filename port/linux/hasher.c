#define _GNU_SOURCE
#include "hasher.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define NICENESS 10
#define STACK_SIZE 131072u

static void ring(int fd)
{
    uint64_t one = 1;
    ssize_t written = write(fd, &one, sizeof(one));
    (void)written; /* it fails only where the count is full, and then the other side is awake anyway */
}

static void *hash_forever(void *context)
{
    struct midge_hasher *hasher = context;
    uint64_t count;
    (void)!nice(NICENESS); /* of this thread only */
    for (;;) {
        unsigned next = atomic_load_explicit(&hasher->hashed, memory_order_relaxed);
        if (next == atomic_load_explicit(&hasher->submitted, memory_order_acquire)) {
            ssize_t got = read(hasher->wake, &count, sizeof(count));
            (void)got;
            continue;
        }
        struct midge_hash_job *job = &hasher->jobs[hasher->queue[next % hasher->max]];
        job->matches = midge_password_matches_key(&job->password, &job->key, &job->stop);
        explicit_bzero(&job->key, sizeof(job->key));
        atomic_store_explicit(&hasher->hashed, next + 1, memory_order_release);
        ring(hasher->finished);
    }
    return NULL;
}

bool midge_hasher_start(struct midge_hasher *hasher)
{
    pthread_attr_t attributes;
    pthread_t thread;
    hasher->wake = eventfd(0, EFD_CLOEXEC);
    hasher->finished = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (hasher->wake < 0 || hasher->finished < 0) {
        return false;
    }
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    errno = pthread_create(&thread, &attributes, hash_forever, hasher);
    pthread_attr_destroy(&attributes);
    return errno == 0;
}

void midge_hasher_submit(struct midge_hasher *hasher, uint32_t job)
{
    unsigned next = atomic_load_explicit(&hasher->submitted, memory_order_relaxed);
    hasher->queue[next % hasher->max] = job;
    atomic_store_explicit(&hasher->submitted, next + 1, memory_order_release);
    ring(hasher->wake);
}

bool midge_hasher_take(struct midge_hasher *hasher, uint32_t *job)
{
    if (hasher->taken == atomic_load_explicit(&hasher->hashed, memory_order_acquire)) {
        return false;
    }
    *job = hasher->queue[hasher->taken % hasher->max];
    hasher->taken++;
    return true;
}

void midge_hasher_acknowledge(struct midge_hasher *hasher)
{
    uint64_t count;
    ssize_t got = read(hasher->finished, &count, sizeof(count));
    (void)got;
}
