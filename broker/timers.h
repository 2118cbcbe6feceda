/* A heap of deadlines, one for each owner at most. Owners are 1 .. count; what they are is the caller's business. */
#ifndef MIDGE_TIMERS_H
#define MIDGE_TIMERS_H

#include "base.h"

struct midge_timer {
    uint32_t deadline_ms;
    midge_index owner;
};

/* Times are the low 32 bits of a clock in milliseconds; all those in the heap must lie within 24 days of each other. The heap
 * keeps where each owner's timer is in a field of the owner: position_of(owner) = positions + owner * stride. */
struct midge_timers {
    struct midge_timer *heap; /* heap[0] fires first */
    uintptr_t positions;
    uint32_t stride;
    midge_index count;
    midge_index capacity;
};

/* `positions` is the address at which an owner 0 would keep its position: 1 + its place in the heap, 0 where it has no timer.
 */
void midge_timers_init(struct midge_timers *timers, struct midge_timer *heap, midge_index capacity, uintptr_t positions,
                       uint32_t stride);

/* Sets or moves the owner's timer. */
void midge_timers_set(struct midge_timers *timers, midge_index owner, uint32_t deadline_ms);

/* Removes the owner's timer, if it has one. */
void midge_timers_clear(struct midge_timers *timers, midge_index owner);

/* Returns the owner of the first timer, 0 where there is none. */
static inline midge_index midge_timers_first(const struct midge_timers *timers)
{
    return timers->count == 0 ? 0 : timers->heap[0].owner;
}

/* Whether time a is before time b. */
static inline bool midge_time_before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

bool midge_timers_audit(const struct midge_timers *timers);

#endif
