/* Runs one scenario in one way. */
#ifndef CONFORMANCE_RUN_H
#define CONFORMANCE_RUN_H

#include "world.h"

struct run_options {
    const struct scenario *scenario;
    struct delivery delivery;
    struct midge_limits ceiling;  /* bounds the usual limits and those that the scenario asks for */
    uint32_t queued_messages_max; /* 0: as the scenario says */
    bool tolerant;                /* a refusal, close or counted loss for want of room may end the scenario */
    bool refuse;                  /* MIDGE_REFUSE is the policy for QoS 1 and 2: nothing acknowledged may be lost (ledger.h).
                                     Where the scenario has other policies, what it expects is then of no interest */
    unsigned audit_every;         /* as in struct world */
    bool expire;                  /* clean up by session expiry rather than by clean sessions */
    FILE *trace;
};

enum outcome {
    PASSED,
    REFUSED, /* tolerant only: it ended early, and for a reason that the broker named */
    FAILED
};

struct run {
    struct world world;
    const struct run_options *options;
    const struct step *step;
    bool deviated;     /* something expected did not happen: limits may excuse it */
    bool out_of_order; /* ... when it was expected, but it is there */
    bool started;
    bool overruled; /* the scenario's own overflow policies gave way to MIDGE_REFUSE */
    bool asked_drops[MIDGE_REASON_COUNT];
    char message[900];
};

/* The limits that were in force, and how much of each pool was in use at the most. */
struct run_memory {
    struct midge_limits limits;
    uint32_t peaks[MIDGE_POOL_COUNT];
};

/* `message` gets at least one byte; it says where and what where the outcome is not PASSED. */
enum outcome run_scenario(const struct run_options *options, char *message, size_t message_size, struct run_memory *memory);

/* run.c, for the other files of the runner. */
void run_deviate(struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The step cannot be understood: ends the program. */
_Noreturn void run_misread(const struct run *run, const char *what);

/* words.c: the parts of a step. */
const struct word *step_key(const struct step *step, const char *key);
bool step_flag(const struct step *step, size_t from, const char *word);
unsigned long step_number(const struct run *run, const struct word *word);
unsigned long step_key_number(const struct run *run, const char *key, unsigned long otherwise);
bool span_number(struct span span, unsigned base, unsigned long *number);

/* send.c: `>`: the packet that begins with word `at`, appended to `out`. */
void send_packet(struct run *run, struct client *client, size_t at, struct buffer *out);
uint16_t send_id(struct run *run, struct client *client);

/* expect.c: `<`. */
void expect_step(struct run *run, struct client *client, bool any_order);
/* The next packet of that type, wherever it stands in the queue; NULL after a deviation. */
const struct packet *expect_type(struct run *run, struct client *client, unsigned type);
bool expect_matches(struct run *run, const struct step *step, size_t at, const struct packet *packet, bool bind);

/* settings.c: what stands in front of the first packet, and `policy` anywhere. */
bool settings_step(struct run *run, struct midge_config *config);
void settings_defaults(struct midge_config *config);
struct midge_limits settings_unbounded(void);
void settings_bound(struct midge_limits *limits, const struct midge_limits *ceiling);
bool settings_policy(struct run *run, struct midge_policy *policy);
size_t settings_limit_count(void);
const char *settings_limit_name(size_t i);
uint32_t *settings_limit(struct midge_limits *limits, size_t i);
uint32_t settings_limit_least(size_t i);
/* From one valid value to the next. */
uint32_t settings_limit_step(size_t i);
/* Of how many entries the scenario had need, 0 where this limit is not that of a pool. */
uint32_t settings_limit_peak(const struct run_memory *memory, size_t i);
size_t settings_policy_count(void);
unsigned long settings_policy_get(const struct midge_policy *policy, size_t i);
void settings_policy_set(struct midge_policy *policy, size_t i, unsigned long value);

/* inquire.c: log, drops, stalls, metric, pool. */
bool inquire_step(struct run *run);

/* judge.c: whether a deviation is excused, and the end of every scenario. */
bool judge_deviation(struct run *run);
void judge_counters(struct run *run);
void judge_end(struct run *run);

#endif
