/*
 * What the kernel knows about a process: the program that is measured.
 */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <stdint.h>

/* CPU time of its first thread by the scheduler's own accounting, ns. Exact while the thread sleeps. */
uint64_t bench_process_cpu_ns(int pid);

/* Resident memory, bytes. */
uint64_t bench_process_rss(int pid);

uint64_t bench_clock_ns(void);

#endif
