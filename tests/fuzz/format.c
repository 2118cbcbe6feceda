#include "format.h"

#include "run.h"

/* In the order of struct midge_limits. The first is ample, but all together stay below the 128 KB from which on the sanitizer
 * asks the kernel for memory, which would take most of the time of a run. */
static const uint32_t limit_values[][FORMAT_VALUES] = {
    {16, 1, 2, 3, 4, 6, 8, 12},              /* clients */
    {4, 1, 2, 3, 5, 6, 8, 16},               /* handshakes */
    {24, 1, 2, 3, 4, 6, 8, 12},              /* sessions */
    {128, 0, 1, 2, 3, 5, 8, 32},             /* subscriptions */
    {256, 0, 1, 2, 4, 8, 16, 512},           /* filter_nodes */
    {128, 0, 1, 2, 4, 8, 16, 64},            /* topic_nodes */
    {256, 0, 1, 2, 4, 8, 32, 128},           /* names */
    {32, 8, 12, 16, 20, 24, 64, 256},        /* name_size */
    {256, 1, 2, 3, 4, 8, 16, 64},            /* deliveries */
    {64, 1, 2, 3, 4, 8, 16, 32},             /* qos2_identifiers */
    {512, 4, 5, 6, 8, 16, 64, 1024},         /* blocks */
    {128, 64, 72, 96, 104, 256, 512, 1024},  /* block_size */
    {16, 4, 5, 6, 8, 12, 32, 128},           /* replies */
    {2048, 64, 65, 72, 128, 256, 512, 4096}, /* scratch_size */
    {200, 1, 2, 3, 4, 8, 16, 32},            /* topic_levels */
};

/* In the order of struct midge_policy; the first, the usual one, is known to settings.c. */
static const uint32_t policy_values[][FORMAT_VALUES - 1] = {
    {2, 16, 64, 128, 256, 1024, 16384},      /* packet_size_max */
    {1, 2, 8, 23, 64, 256, 65535},           /* client_id_size_max */
    {1, 2, 3, 5, 8, 16, 64},                 /* retained_max */
    {1, 8, 32, 64, 128, 512, 4096},          /* retained_bytes_max */
    {1, 2, 3, 5, 8, 32, 128},                /* queued_messages_max */
    {1, 16, 64, 128, 512, 2048, 16384},      /* queued_bytes_max */
    {1, 10, 100, 1000, 5000, 60000, 30000},  /* connect_timeout_ms */
    {1, 10, 100, 1000, 3000, 20000, 30000},  /* progress_ms */
    {1, 10, 100, 1000, 5000, 20000, 30000},  /* wait_ms */
    {1, 10, 100, 1000, 5000, 20000, 30000},  /* assembly_ms */
    {1, 10, 100, 1000, 5000, 20000, 30000},  /* close_ms */
    {1, 2, 5, 10, 60, 3600, UINT32_MAX},     /* session_expiry_s */
    {1, 2, 3, 4, 8, 64, MIDGE_INFLIGHT_MAX}, /* inflight_max */
    {0, 1, 2, 0, 1, 2, 0},                   /* qos_max */
    {0, 1, 0, 1, 0, 1, 0},                   /* queue_qos0 */
    {0, 1, 0, 1, 0, 1, 0},                   /* empty_client_id */
    {0, 1, 0, 1, 0, 1, 0},                   /* evict_sessions */
    {0, 1, 2, 3, 0, 1, 2},                   /* overflow_qos0 */
    {0, 1, 2, 3, 0, 1, 2},                   /* overflow_qos12 */
    {0, 1, 3, 0, 1, 3, 0},                   /* overflow_offline: MIDGE_DISCONNECT is not allowed */
    {0, 1, 0, 1, 0, 1, 0},                   /* trace */
};

uint32_t format_limit_value(size_t limit, unsigned byte)
{
    return limit_values[limit][byte % FORMAT_VALUES];
}

unsigned long format_policy_value(size_t policy, unsigned byte)
{
    struct midge_config usual = {0};
    settings_defaults(&usual);
    unsigned which = byte % FORMAT_VALUES;
    return which == 0 ? settings_policy_get(&usual.policy, policy) : policy_values[policy][which - 1];
}

unsigned format_limit_byte(size_t limit, uint32_t wanted)
{
    unsigned best = 0;
    for (unsigned byte = 0; byte < FORMAT_VALUES; byte++) {
        uint32_t value = format_limit_value(limit, byte);
        if (value >= wanted && (format_limit_value(limit, best) < wanted || value < format_limit_value(limit, best))) {
            best = byte;
        }
    }
    return best;
}

unsigned format_policy_byte(size_t policy, unsigned long wanted)
{
    unsigned best = 0;
    for (unsigned byte = 0; byte < FORMAT_VALUES; byte++) {
        unsigned long value = format_policy_value(policy, byte);
        if (value >= wanted && (format_policy_value(policy, best) < wanted || value < format_policy_value(policy, best))) {
            best = byte;
        }
    }
    return best;
}
