/*
 * The conformance scenarios on the target: tests/conformance without its main.c, which gives each scenario a process of its
 * own. Here they run one after another, and a crash ends the run.
 *
 *     conformance usual|board FILE...
 */
#include "run.h"

#include <string.h>

static const struct delivery deliveries[] = {
    {"whole", 0, 65536, false},
    {"input 3, output 16 partial", 3, 16, true},
};

/* The limits of the smallest board, with scratch and levels enough for the scenarios that want long topics. */
static const struct midge_limits board = {16, 2, 24, 64, 96, 64, 224, 16, 192, 32, 192, 64, 4, 512, 200};

struct counts {
    unsigned passed, refused, failed;
};

static void play(const struct scenario *scenario, const struct delivery *delivery, bool usual, struct counts *counts)
{
    static char message[1600];
    struct run_memory used;
    struct run_options options = {.scenario = scenario, .delivery = *delivery, .tolerant = !usual};
    enum outcome outcome;

    options.ceiling = usual ? settings_unbounded() : board;
    outcome = run_scenario(&options, message, sizeof message, &used);
    counts->passed += outcome == PASSED;
    counts->refused += outcome == REFUSED;
    counts->failed += outcome == FAILED;
    if (outcome == FAILED) {
        printf("FAILED %s\n    (%s) %s\n", scenario->title, delivery->name, message);
    }
}

int main(int argc, char **argv)
{
    struct script script = {0};
    struct counts counts = {0};
    size_t i, d;
    int file;
    bool usual = argc > 1 && strcmp(argv[1], "usual") == 0;

    for (file = 2; file < argc; file++) {
        script_read(&script, argv[file]);
    }
    for (i = 0; i < script.count; i++) {
        for (d = 0; d < sizeof deliveries / sizeof deliveries[0]; d++) {
            play(&script.scenarios[i], &deliveries[d], usual, &counts);
        }
    }
    printf("%u scenarios with %s limits; runs: %u passed, %u ended in a refusal, %u failed\n", (unsigned)script.count,
           usual ? "usual" : "the board's", counts.passed, counts.refused, counts.failed);
    script_free(&script);
    return counts.failed == 0 && counts.passed > 0 ? 0 : 1;
}
