/*
 * The broker's own statistics, published below $SYS/broker/ under the names that Mosquitto uses, and below drops/, pools/ and
 * stalls/ for what only Midge counts. Shared by all ports. A port that does not call these functions pays nothing for them.
 */
#ifndef MIDGE_PORT_SYS_H
#define MIDGE_PORT_SYS_H

#include "midge.h"

/* The rates of which averages over 1, 5 and 15 minutes are kept: $SYS/broker/load/... */
#define MIDGE_SYS_LOADS 9u
#define MIDGE_SYS_COUNTERS 21u
#define MIDGE_SYS_OWN_MAX 4u
#define MIDGE_SYS_VALUES                                                                                                       \
    (MIDGE_SYS_COUNTERS + MIDGE_REASON_COUNT + 3u * MIDGE_POOL_COUNT + MIDGE_STALL_COUNT + MIDGE_SYS_OWN_MAX)

/* A counter of the port's own. */
struct midge_sys_own {
    const char *topic; /* below $SYS/broker/ */
    const uint64_t *value;
};

struct midge_sys {
    uint64_t start_ms;
    uint64_t due_ms;  /* when the next round begins */
    uint64_t last_ms; /* when the last round began */
    uint32_t interval_ms;
    uint16_t next; /* what this round publishes next; 0: no round is going on */
    bool retain;
    struct midge_sys_own own[MIDGE_SYS_OWN_MAX];
    uint16_t own_count;
    bool first_round;                          /* nothing has been published yet */
    struct midge_metrics metrics;              /* as they stood when this round began */
    midge_counter published[MIDGE_SYS_VALUES]; /* what subscribers have been told */
    midge_counter counted[MIDGE_SYS_LOADS];    /* the counters behind the loads at the last round */
    uint64_t load[MIDGE_SYS_LOADS][3];         /* events per minute, in 1/65536 */
    bool load_moved[MIDGE_SYS_LOADS][3];       /* by a hundredth or more in this round */
};

/* `interval_ms` 0 publishes nothing. Without `retain` (a broker that cannot retain) only those subscribed at the time hear of a
 * value. The first round is due at once. */
void midge_sys_start(struct midge_sys *sys, uint32_t interval_ms, bool retain, uint64_t now_ms);

/* Has a counter of the port's own published too; for MIDGE_SYS_OWN_MAX counters at most, after midge_sys_start. */
void midge_sys_add(struct midge_sys *sys, struct midge_sys_own own);

/* Changes the interval, from the next round on. */
void midge_sys_set_interval(struct midge_sys *sys, uint32_t interval_ms, uint64_t now_ms);

/* Publishes what has changed since it was last published, a few values in each call, so that a subscriber's queue has the time
 * to drain. Returns when it wants to be called again, UINT64_MAX for never. */
uint64_t midge_sys_turn(struct midge_sys *sys, struct midge *broker, uint64_t now_ms);

#endif
