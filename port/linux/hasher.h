/*
 * Passwords are hashed in a thread of its own beside the loop: a hash of 100,000 iterations takes longer than anything else
 * that the program does, and there the kernel divides the time, on another core where there is one. The thread has a lower
 * priority than the loop. It touches nothing but the jobs that it was given.
 */
#ifndef MIDGE_HASHER_H
#define MIDGE_HASHER_H

#include "password.h"

struct midge_hash_job {
    struct midge_password password;
    struct midge_password_key key;
    atomic_bool stop; /* nobody waits for the answer any more */
    bool matches;     /* the answer */
};

struct midge_hasher {
    struct midge_hash_job *jobs;
    uint32_t *queue; /* a ring of numbers of jobs */
    uint32_t max;    /* of both */
    int wake;        /* an eventfd that the thread waits for */
    int finished;    /* an eventfd that is readable when there are answers */
    /* submitted >= hashed >= taken; each counts jobs and is written by one thread only. */
    atomic_uint submitted;
    atomic_uint hashed;
    unsigned taken;
};

/* jobs, queue and max are set. Starts the thread. Returns false, with the reason in errno, where that fails. */
bool midge_hasher_start(struct midge_hasher *hasher);

/* Gives the thread a job, which must not be touched until it is taken back, but for `stop`. At most `max` may be out. */
void midge_hasher_submit(struct midge_hasher *hasher, uint32_t job);

/* Takes the next job that is done, in the order in which they were submitted. Returns whether there was one. */
bool midge_hasher_take(struct midge_hasher *hasher, uint32_t *job);

/* Takes notice that `finished` is readable; to be followed by midge_hasher_take until there is nothing more. */
void midge_hasher_acknowledge(struct midge_hasher *hasher);

#endif
