/* conformance: plays scenarios against the core. README.md in this folder says how. */
#include "run.h"
#include "table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct delivery deliveries[] = {
    {"whole", 0, 65536, false},
    {"input 1", 1, 65536, false},
    {"output 16", 0, 16, false},
    {"output 16 partial", 0, 16, true},
    {"input 2, output 16", 2, 16, false},
    {"input 1, output 16 partial", 1, 16, true},
    {"input 3, output 64 partial", 3, 64, true},
    {"input 7, output 17", 7, 17, false},
    {"input 61, output 256 partial", 61, 256, true},
};
static const struct delivery large_deliveries[] = {
    {"whole", 0, 65536, false},
    {"input 1", 1, 65536, false},
    {"input 1000, output 1000", 1000, 1000, false},
};

struct profile {
    const char *name;
    struct midge_limits limits;
    uint32_t queued_messages_max;
};
/* The fields of struct midge_limits in their order. */
static const struct profile profiles[] = {
    {"tiny", {2, 1, 2, 2, 6, 4, 6, 16, 1, 1, 8, 64, 4, 64, 8}, 0},
    {"tiny, few deliveries", {2, 1, 3, 4, 12, 8, 12, 16, 3, 1, 8, 64, 4, 64, 16}, 1},
    {"small", {4, 1, 4, 8, 24, 16, 32, 16, 6, 2, 24, 64, 4, 128, 32}, 1},
    {"board", {16, 2, 24, 64, 96, 64, 224, 16, 192, 32, 192, 64, 4, 512, 200}, 0},
};

/* What a child that plays one scenario tells its parent, also when it dies. */
struct report {
    unsigned long passed, refused, failed;
    char doing[200];
};

struct options {
    const char *group, *only, *delivery;
    bool trace, list;
    struct report *report;
};

static const size_t failures_shown = 4;

static enum outcome play(const struct options *options, struct run_options *run, const char *how, struct run_memory *used)
{
    char message[1600];
    struct run_memory unused;
    struct report *report = options->report;
    (void)snprintf(report->doing, sizeof report->doing, "%s, %s", run->delivery.name, how);
    run->trace = options->trace ? stdout : NULL;
    enum outcome outcome = run_scenario(run, message, sizeof message, used != NULL ? used : &unused);
    report->passed += outcome == PASSED;
    report->refused += outcome == REFUSED;
    report->failed += outcome == FAILED;
    if (outcome == FAILED && report->failed <= failures_shown) {
        printf("FAILED %s\n    (%s)\n    %s\n", run->scenario->title, report->doing, message);
    }
    return outcome;
}

static bool chosen(const struct options *options, const struct delivery *delivery)
{
    return options->delivery == NULL || strcmp(options->delivery, delivery->name) == 0;
}

static void play_usual(const struct options *options, const struct scenario *scenario)
{
    const struct delivery *list = scenario->large ? large_deliveries : deliveries;
    size_t count = scenario->large ? sizeof large_deliveries / sizeof *list : sizeof deliveries / sizeof *list;
    for (size_t i = 0; i < count; i++) {
        if (chosen(options, &list[i])) {
            struct run_options run = {.scenario = scenario, .delivery = list[i], .expire = i % 2 == 1};
            run.ceiling = settings_unbounded();
            (void)play(options, &run, "usual limits", NULL);
        }
    }
}

static void play_tiny(const struct options *options, const struct scenario *scenario)
{
    const struct delivery *list = scenario->large ? large_deliveries : deliveries;
    size_t count = scenario->large ? sizeof large_deliveries / sizeof *list : sizeof deliveries / sizeof *list;
    for (size_t p = 0; p < sizeof profiles / sizeof *profiles; p++) {
        for (size_t i = 0; i < count; i++) {
            /* A large one in one way for each profile, in turn. */
            if (chosen(options, &list[i]) && (!scenario->large || i == p % count)) {
                struct run_options run = {.scenario = scenario, .delivery = list[i], .tolerant = true};
                run.ceiling = profiles[p].limits;
                run.queued_messages_max = profiles[p].queued_messages_max;
                run.expire = (p + i) % 2 == 1;
                (void)play(options, &run, profiles[p].name, NULL);
            }
        }
    }
}

/* One after the other; a large scenario takes too long for that, and steps by a sixteenth between 64 and the last 16. */
static uint32_t sweep_stride(const struct scenario *scenario, uint32_t k, uint32_t peak)
{
    return !scenario->large || k < 64 ? 1 : k + k / 16 + 16 < peak ? k / 16 : k + 16 < peak ? peak - 16 - k : 1;
}

/* One limit from its least value on, until the scenario passes and, but for large ones, has had all that it can use. */
static void sweep_limit(const struct options *options, struct run_options run, size_t limit, const struct run_memory *ample)
{
    enum outcome outcome = REFUSED;
    struct midge_limits most = ample->limits;
    uint32_t peak = settings_limit_peak(ample, limit);
    for (uint32_t k = settings_limit_least(limit);
         (outcome != PASSED || (k <= peak && !run.scenario->large)) && k <= *settings_limit(&most, limit) &&
         options->report->failed <= failures_shown;
         k += sweep_stride(run.scenario, k, peak) * settings_limit_step(limit)) {
        char how[100];
        (void)snprintf(how, sizeof how, "%s limited to %u%s", settings_limit_name(limit), (unsigned)k,
                       run.refuse ? ", refuse" : "");
        run.ceiling = settings_unbounded();
        run.expire = k % 2 == 1;
        *settings_limit(&run.ceiling, limit) = k;
        outcome = play(options, &run, how, NULL);
    }
}

static void play_sweep(const struct options *options, const struct scenario *scenario)
{
    static const struct delivery swept[] = {{"whole", 0, 65536, false}, {"input 3, output 16 partial", 3, 16, true}};
    size_t ways = scenario->large ? 1 : sizeof swept / sizeof *swept;
    for (size_t i = 0; i < ways * 2; i++) {
        struct run_options run = {.scenario = scenario, .delivery = swept[i / 2], .tolerant = true, .refuse = i % 2 == 1};
        run.audit_every = scenario->large ? 100 : 0;
        struct run_memory ample;
        if (!chosen(options, &run.delivery)) {
            continue;
        }
        run.ceiling = settings_unbounded();
        (void)play(options, &run, run.refuse ? "usual limits, refuse" : "usual limits", &ample);
        for (size_t limit = 0; limit < settings_limit_count(); limit++) {
            sweep_limit(options, run, limit, &ample);
        }
    }
}

static void play_group(const struct options *options, const struct scenario *scenario)
{
    if (strcmp(options->group, "usual") == 0) {
        play_usual(options, scenario);
    } else if (strcmp(options->group, "tiny") == 0) {
        play_tiny(options, scenario);
    } else {
        play_sweep(options, scenario);
    }
}

/* Each scenario has a process of its own, so that one that crashes or hangs does not hide the others. */
static bool play_apart(const struct options *options, const struct scenario *scenario)
{
    struct report before = *options->report;
    (void)fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        perror("fork");
        exit(2);
    }
    if (child == 0) {
        (void)alarm(options->trace ? 0 : 1800);
        options->report->failed = 0;
        play_group(options, scenario);
        (void)fflush(NULL);
        /* Not exit: a search for leaks of the runner at the end of each of these processes would take longer than all else. */
        _exit(0);
    }
    int status = 0;
    (void)waitpid(child, &status, 0);
    bool died = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    if (died) {
        printf("FAILED %s:%d: %s\n    (%s) ended with %s %d\n", scenario->file, scenario->line, scenario->title,
               options->report->doing, WIFSIGNALED(status) ? "signal" : "status",
               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
    unsigned long failed = options->report->failed + (died ? 1 : 0);
    options->report->failed = before.failed + failed;
    return failed == 0;
}

static int play_all(const struct options *options, const struct script *script)
{
    size_t played = 0;
    size_t failed = 0;
    for (size_t i = 0; i < script->count; i++) {
        const struct scenario *scenario = &script->scenarios[i];
        if (options->only != NULL && strstr(scenario->title, options->only) == NULL) {
            continue;
        }
        if (options->list) {
            printf("%s:%d: %s\n", scenario->file, scenario->line, scenario->title);
            continue;
        }
        played++;
        failed += play_apart(options, scenario) ? 0 : 1;
    }
    if (options->list) {
        return 0;
    }
    printf("%zu scenarios, %zu failed; runs: %lu passed, %lu ended in a refusal, %lu failed\n", played, failed,
           options->report->passed, options->report->refused, options->report->failed);
    return failed == 0 && played > 0 ? 0 : 1;
}

static int usage(void)
{
    (void)fputs("usage: conformance [--group usual|tiny|sweep] [--only TEXT] [--delivery NAME] [--trace] [--list] FILE...\n"
                "       conformance --table|--check-table STATEMENTS README FILE...\n",
                stderr);
    return 2;
}

int main(int argc, char **argv)
{
    struct options options = {.group = "usual"};
    const char *table = NULL;
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        const char *value = at + 1 < argc ? argv[at + 1] : NULL;
        if (strcmp(argv[at], "--trace") == 0) {
            options.trace = true;
        } else if (strcmp(argv[at], "--list") == 0) {
            options.list = true;
        } else if (strcmp(argv[at], "--table") == 0 || strcmp(argv[at], "--check-table") == 0) {
            table = argv[at];
        } else if (value != NULL && strcmp(argv[at], "--group") == 0) {
            options.group = argv[++at];
        } else if (value != NULL && strcmp(argv[at], "--only") == 0) {
            options.only = argv[++at];
        } else if (value != NULL && strcmp(argv[at], "--delivery") == 0) {
            options.delivery = argv[++at];
        } else {
            return usage();
        }
    }
    int first = at + (table != NULL ? 2 : 0);
    bool group_known =
        strcmp(options.group, "usual") == 0 || strcmp(options.group, "tiny") == 0 || strcmp(options.group, "sweep") == 0;
    if (first >= argc || !group_known) {
        return usage();
    }
    struct script script = {0};
    for (int i = first; i < argc; i++) {
        script_read(&script, argv[i]);
    }
    int status;
    if (table != NULL) {
        status = table_update(&script, argv[at], argv[at + 1], strcmp(table, "--check-table") == 0) ? 0 : 1;
    } else {
        options.report = mmap(NULL, sizeof *options.report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        status = options.report == MAP_FAILED ? 2 : play_all(&options, &script);
    }
    script_free(&script);
    return status;
}
