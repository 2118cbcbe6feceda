#include "timers.h"

static midge_index *position_of(const struct midge_timers *timers, midge_index owner)
{
    return (midge_index *)(timers->positions + (size_t)owner * timers->stride);
}

void midge_timers_init(struct midge_timers *timers, struct midge_timer *heap, midge_index capacity, uintptr_t positions,
                       uint32_t stride)
{
    timers->heap = heap;
    timers->positions = positions;
    timers->stride = stride;
    timers->count = 0;
    timers->capacity = capacity;
}

static void place(struct midge_timers *timers, uint32_t at, struct midge_timer timer)
{
    timers->heap[at] = timer;
    *position_of(timers, timer.owner) = (midge_index)(at + 1);
}

/* Whether the timer at `at` fires before this one. */
static bool is_sooner(const struct midge_timers *timers, uint32_t at, struct midge_timer timer)
{
    return midge_time_before(timers->heap[at].deadline_ms, timer.deadline_ms);
}

/* Moves the hole at `at` up or down to where `timer` belongs. */
static void settle(struct midge_timers *timers, uint32_t at, struct midge_timer timer)
{
    while (at > 0 && midge_time_before(timer.deadline_ms, timers->heap[(at - 1) / 2].deadline_ms)) {
        place(timers, at, timers->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child + 1 < timers->count && is_sooner(timers, child + 1, timers->heap[child])) {
            child++;
        }
        if (child >= timers->count || !is_sooner(timers, child, timer)) {
            break;
        }
        place(timers, at, timers->heap[child]);
        at = child;
    }
    place(timers, at, timer);
}

void midge_timers_set(struct midge_timers *timers, midge_index owner, uint32_t deadline_ms)
{
    struct midge_timer timer = {.deadline_ms = deadline_ms, .owner = owner};
    midge_index position = *position_of(timers, owner);
    if (position == 0) {
        MIDGE_ASSERT(timers->count < timers->capacity);
        position = ++timers->count;
    }
    settle(timers, position - 1u, timer);
}

void midge_timers_clear(struct midge_timers *timers, midge_index owner)
{
    midge_index position = *position_of(timers, owner);
    if (position == 0) {
        return;
    }
    MIDGE_ASSERT(position <= timers->count);
    *position_of(timers, owner) = 0;
    struct midge_timer last = timers->heap[--timers->count];
    if (last.owner != owner) {
        settle(timers, position - 1u, last);
    }
}

bool midge_timers_audit(const struct midge_timers *timers)
{
    for (uint32_t i = 0; i < timers->count; i++) {
        if (*position_of(timers, timers->heap[i].owner) != i + 1) {
            return false;
        }
        if (i > 0 && midge_time_before(timers->heap[i].deadline_ms, timers->heap[(i - 1) / 2].deadline_ms)) {
            return false;
        }
    }
    return true;
}
