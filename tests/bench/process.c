#include "process.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static FILE *open_proc(int pid, const char *name)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fprintf(stderr, "load: cannot read %s\n", path);
        exit(1);
    }
    return file;
}

uint64_t bench_process_cpu_ns(int pid)
{
    uint64_t cpu_ns = 0;
    FILE *file = open_proc(pid, "schedstat");
    if (fscanf(file, "%" SCNu64, &cpu_ns) != 1) {
        fprintf(stderr, "load: no accounting of the scheduler in /proc/%d/schedstat\n", pid);
        exit(1);
    }
    fclose(file);
    return cpu_ns;
}

/* Not /proc/PID/statm, whose counters lag behind by some dozens of pages for each processor. */
uint64_t bench_process_rss(int pid)
{
    char line[256];
    uint64_t kib = 0;
    FILE *file = open_proc(pid, "smaps_rollup");
    while (fgets(line, sizeof(line), file) != NULL && sscanf(line, "Rss: %" SCNu64, &kib) != 1) {
    }
    fclose(file);
    return kib * 1024;
}

uint64_t bench_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
