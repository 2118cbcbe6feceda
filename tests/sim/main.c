/* The simulator's command line. */
#include "simulation.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char usage[] = "usage: sim [--seed N] [--steps N] [--count N | --minutes N] [--seeds FILE]\n"
                            "           [--trace] [--shrink] [--audit N]\n"
                            "  Runs the broker in a simulated world, and compares it with an oracle.\n"
                            "  --seed N      this seed only; without it seeds are fresh\n"
                            "  --steps N     steps of a simulation (10000)\n"
                            "  --count N     so many seeds, one after the other\n"
                            "  --minutes N   fresh seeds for so long of processor time, or a fraction. Without it, one seed\n"
                            "  --seeds FILE  the seeds of a file: lines of SEED [STEPS], # starts a comment\n"
                            "  --trace       tell in words what happens\n"
                            "  --shrink      if a seed fails: find fewer steps that still fail, and trace those\n"
                            "  --audit N     check all invariants after every N-th step only (of a small world after each)\n";

static struct world world;

struct totals {
    uint64_t seeds;
    uint64_t events;
    uint64_t published;
    uint64_t delivered;
    uint64_t checks;
    uint64_t audits;
    double seconds;
};

static double processor_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* An assertion of the broker ends the program: the seed must be told all the same. */
static void on_crash(int number)
{
    char text[200];
    int size =
        snprintf(text, sizeof text, "\nsim: the broker crashed (signal %d): replay with --seed %llu --steps %u, at step %u\n",
                 number, (unsigned long long)world.options.seed, world.options.steps, world.step);
    if (world.options.trace && !world.options.trace_live) {
        trace_print(&world);
        fflush(stdout);
    }
    ssize_t written = write(STDERR_FILENO, text, (size_t)size);
    (void)written;
    signal(number, SIG_DFL);
    raise(number);
}

static void handle_crashes(void (*handler)(int))
{
    static const int signals[] = {SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGABRT, SIGFPE};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        signal(signals[i], handler);
    }
}

/* Runs in a process of its own and says nothing: an assertion of the broker is a failure like any other. */
static bool fails(const struct options *options, const uint8_t *skipped)
{
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        perror("fork");
        exit(2);
    }
    if (child == 0) {
        handle_crashes(SIG_DFL);
        _exit(simulation_run(&world, options, skipped) ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return status != 0;
}

/* Leaves out ever smaller stretches of steps, as long as what is left still fails. */
static void shrink(const struct options *options)
{
    struct options quiet = *options;
    uint8_t *skipped = calloc(options->steps, 1);
    uint8_t *attempt = calloc(options->steps, 1);
    if (skipped == NULL || attempt == NULL) {
        exit(2);
    }
    quiet.trace = false;
    quiet.trace_live = false;
    for (uint32_t size = options->steps / 2; size > 0; size /= 2) {
        for (uint32_t begin = 0; begin < options->steps; begin += size) {
            uint32_t end = begin + size < options->steps ? begin + size : options->steps;
            memcpy(attempt, skipped, options->steps);
            memset(attempt + begin, 1, end - begin);
            if (memcmp(attempt, skipped, options->steps) != 0 && fails(&quiet, attempt)) {
                memcpy(skipped, attempt, options->steps);
            }
        }
    }
    uint32_t left = 0;
    for (uint32_t i = 0; i < options->steps; i++) {
        left += !skipped[i];
    }
    printf("\nseed %llu fails, and so do %u of its %u steps:\n", (unsigned long long)options->seed, left, options->steps);
    struct options loud = *options;
    loud.trace = true;
    loud.trace_live = true;
    if (!simulation_run(&world, &loud, skipped)) {
        printf("%s\n", world.failure);
    }
    simulation_free(&world);
    free(skipped);
    free(attempt);
}

/* Tells what failed; the simulation is run again, in order to trace it. */
static void report(const struct options *options)
{
    printf("\nFAILED: seed %llu, %s\n", (unsigned long long)options->seed, world.failure);
    printf("replay: sim --seed %llu --steps %u --trace\n", (unsigned long long)options->seed, options->steps);
    simulation_free(&world);
    struct options traced = *options;
    traced.trace = true;
    if (!options->trace_live) {
        simulation_run(&world, &traced, NULL);
        trace_print(&world);
        printf("%s\n", world.failure);
        simulation_free(&world);
    }
}

static bool run_seed(const struct options *options, bool shrinking, struct totals *totals)
{
    if (shrinking && fails(options, NULL)) {
        shrink(options);
        return false;
    }
    double start = processor_seconds();
    bool passed = simulation_run(&world, options, NULL);
    double seconds = processor_seconds() - start;
    totals->seconds += seconds;
    totals->seeds++;
    totals->events += world.events;
    totals->published += world.published;
    totals->delivered += world.delivered;
    totals->checks += world.checks;
    totals->audits += world.audits;
    if (!passed) {
        report(options);
        return false;
    }
    printf("seed %llu: %s, %u clients, %u steps, %llu events, %llu published, %llu delivered, %.2f s\n",
           (unsigned long long)options->seed, world.scenario.name, world.scenario.clients, options->steps,
           (unsigned long long)world.events, (unsigned long long)world.published, (unsigned long long)world.delivered, seconds);
    simulation_free(&world);
    return true;
}

static bool run_file(const char *path, struct options options, bool shrinking, struct totals *totals)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fprintf(stderr, "sim: cannot read %s\n", path);
        exit(2);
    }
    char line[200];
    uint32_t steps = options.steps;
    bool passed = true;
    while (passed && fgets(line, sizeof line, file) != NULL) {
        unsigned long long seed;
        unsigned count = steps;
        if (sscanf(line, " %llu %u", &seed, &count) >= 1) {
            options.seed = seed;
            options.steps = count;
            passed = run_seed(&options, shrinking, totals);
        }
    }
    fclose(file);
    return passed;
}

struct arguments {
    struct options options;
    bool has_seed;
    bool shrinking;
    double minutes;
    uint32_t count;
    const char *file;
};

static _Noreturn void complain(const char *argument)
{
    fprintf(stderr, "sim: cannot make sense of '%s'\n%s", argument, usage);
    exit(2);
}

static void parse(int count, char **words, struct arguments *arguments)
{
    for (int i = 1; i < count; i++) {
        const char *word = words[i];
        if (strcmp(word, "--help") == 0) {
            fputs(usage, stdout);
            exit(0);
        }
        if (strcmp(word, "--trace") == 0) {
            arguments->options.trace = true;
            arguments->options.trace_live = true;
            continue;
        }
        if (strcmp(word, "--shrink") == 0) {
            arguments->shrinking = true;
            continue;
        }
        if (i + 1 == count) {
            complain(word);
        }
        const char *value = words[++i];
        char *end = NULL;
        if (strcmp(word, "--seed") == 0) {
            arguments->options.seed = strtoull(value, &end, 10);
            arguments->has_seed = true;
        } else if (strcmp(word, "--steps") == 0) {
            arguments->options.steps = (uint32_t)strtoul(value, &end, 10);
        } else if (strcmp(word, "--count") == 0) {
            arguments->count = (uint32_t)strtoul(value, &end, 10);
        } else if (strcmp(word, "--audit") == 0) {
            arguments->options.audit_every = (uint32_t)strtoul(value, &end, 10);
        } else if (strcmp(word, "--minutes") == 0) {
            arguments->minutes = strtod(value, &end);
        } else if (strcmp(word, "--seeds") == 0) {
            arguments->file = value;
            continue;
        }
        if (end == NULL || end == value || *end != '\0') {
            complain(word);
        }
    }
}

int main(int count, char **words)
{
    struct arguments arguments = {.options = {.steps = 10000}};
    struct totals totals = {0};
    parse(count, words, &arguments);
    setvbuf(stdout, NULL, _IOLBF, 0);
    handle_crashes(on_crash);
    bool passed = true;
    if (arguments.file != NULL) {
        passed = run_file(arguments.file, arguments.options, arguments.shrinking, &totals);
    } else {
        /* Processor time: a busy machine does not make a run smaller. */
        double end = processor_seconds() + arguments.minutes * 60;
        uint64_t seed =
            arguments.has_seed ? arguments.options.seed : rng_mix((uint64_t)time(NULL) << 32 | (uint32_t)getpid()) % 1000000000;
        do {
            arguments.options.seed = seed++;
            passed = run_seed(&arguments.options, arguments.shrinking, &totals);
        } while (passed && (totals.seeds < arguments.count || processor_seconds() < end));
    }
    if (totals.seconds > 0) {
        printf("%llu seeds, %llu events, %llu messages published, %llu delivered, %.0f %% of the steps audited, in %.1f s of "
               "processor time: %.0f events/s\n",
               (unsigned long long)totals.seeds, (unsigned long long)totals.events, (unsigned long long)totals.published,
               (unsigned long long)totals.delivered, 100.0 * (double)totals.audits / (double)totals.checks, totals.seconds,
               (double)totals.events / totals.seconds);
    }
    return passed ? 0 : 1;
}
