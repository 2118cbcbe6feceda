#define _GNU_SOURCE
#include "memory.h"

#include "certificates.h"
#include "gate.h"
#include "transport.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

/* Descriptors beside those of the connections: standard streams, log, epoll, signals, the reserve, and the listeners. */
#define FILES_BESIDE 64u

static uint32_t slots_of(const struct midge_limits *limits)
{
    return limits->clients + limits->handshakes + 1;
}

static void *map(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* The rows of the table that are not the core's; each part of memory is one or more of them. */
enum { ROW_SLOTS, ROW_REST, ROW_ARENA, ROW_METERS, ROW_GATE, ROW_TLS = ROW_GATE + MIDGE_GATE_ROW_COUNT, ROW_COUNT };

static struct midge_gate_memory row_of(const struct midge_settings *settings, unsigned row)
{
    uint32_t slots = slots_of(&settings->core.limits);
    switch (row) {
    case ROW_SLOTS:
        return (struct midge_gate_memory){"sockets", slots, sizeof(struct midge_slot)};
    case ROW_REST:
        return (struct midge_gate_memory){"sockets, what few need", slots, sizeof(struct midge_slot_rest)};
    case ROW_ARENA:
        return (struct midge_gate_memory){"stalled input", slots, MIDGE_READ_SIZE};
    case ROW_METERS:
        return (struct midge_gate_memory){"rate meters", slots, sizeof(struct midge_meter)};
    case ROW_TLS:
        return (struct midge_gate_memory){"TLS", midge_settings_have_tls(settings) ? 1 : 0, settings->tls_memory_size};
    default:
        return midge_gate_row(settings, (enum midge_gate_row)(row - ROW_GATE));
    }
}

/* What the rows first .. end - 1 take. */
static size_t size_of(const struct midge_settings *settings, unsigned first, unsigned end)
{
    size_t sum = 0;
    for (unsigned i = first; i < end; i++) {
        struct midge_gate_memory row = row_of(settings, i);
        sum += MIDGE_ALIGN_UP(row.count * row.entry_size);
    }
    return sum;
}

bool midge_memory_take(struct midge_memory *memory, const struct midge_settings *settings, char *error, size_t size)
{
    const struct midge_limits *limits = &settings->core.limits;
    memory->slot_count = slots_of(limits);
    memory->core_size = midge_memory_size(limits);
    if ((uint64_t)memory->slot_count * MIDGE_READ_SIZE > PTRDIFF_MAX) {
        snprintf(error, size, "max_connections is more than this machine can address; lower it");
        return false;
    }
    memory->core = map(memory->core_size);
    memory->slots = map(size_of(settings, ROW_SLOTS, ROW_REST));
    memory->rest = map(size_of(settings, ROW_REST, ROW_ARENA));
    memory->arena = map(size_of(settings, ROW_ARENA, ROW_METERS));
    memory->meters = map(size_of(settings, ROW_METERS, ROW_GATE));
    memory->gate = map(size_of(settings, ROW_GATE, ROW_TLS));
    memory->tls_size = size_of(settings, ROW_TLS, ROW_COUNT);
    memory->tls = memory->tls_size > 0 ? map(memory->tls_size) : NULL;
    if (memory->core == NULL || memory->slots == NULL || memory->rest == NULL || memory->arena == NULL ||
        memory->meters == NULL || memory->gate == NULL || (memory->tls == NULL && memory->tls_size > 0)) {
        snprintf(error, size,
                 "cannot take %zu bytes of address space: %s; lower max_connections or limit_blocks (midge --memory)",
                 memory->core_size + size_of(settings, 0, ROW_COUNT), strerror(errno));
        return false;
    }
    return true;
}

uint32_t midge_memory_raise_files(const struct midge_limits *limits)
{
    struct rlimit files;
    rlim_t wanted = (rlim_t)slots_of(limits) + FILES_BESIDE;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < wanted) {
        struct rlimit raised = {wanted, files.rlim_max > wanted ? files.rlim_max : wanted};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0) {
            files = raised;
        } else {
            /* Only root may go beyond the hard limit. */
            raised = (struct rlimit){files.rlim_max, files.rlim_max};
            if (setrlimit(RLIMIT_NOFILE, &raised) == 0) {
                files = raised;
            }
        }
    }
    rlim_t left = files.rlim_cur > FILES_BESIDE ? files.rlim_cur - FILES_BESIDE : 1;
    return left < limits->clients ? (uint32_t)left : limits->clients;
}

static void print_row(int fd, const char *name, uint32_t count, size_t each)
{
    dprintf(fd, "%-26s %10u %12zu %14zu\n", name, count, each, MIDGE_ALIGN_UP(count * each));
}

#define ROW_NAME(id, name, count, size) name,
#define NO_LIMIT(field) 0u
static const char *const row_names[MIDGE_MEMORY_ROW_COUNT] = {MIDGE_MEMORY_ROWS(ROW_NAME, NO_LIMIT)};
#undef ROW_NAME
#undef NO_LIMIT

void midge_memory_print(int fd, const struct midge_settings *settings)
{
    const struct midge_limits *limits = &settings->core.limits;
    dprintf(fd, "%-26s %10s %12s %14s\n", "pool", "count", "bytes each", "bytes");
    struct midge_memory_row rows[MIDGE_MEMORY_ROW_COUNT];
    midge_memory_rows(limits, rows);
    for (unsigned i = 0; i < MIDGE_MEMORY_ROW_COUNT; i++) {
        print_row(fd, row_names[i], rows[i].count, rows[i].entry_size);
    }
    size_t core = midge_memory_size(limits);
    dprintf(fd, "%-50s %14zu\n", "core", core);
    for (unsigned i = 0; i < ROW_COUNT; i++) {
        struct midge_gate_memory row = row_of(settings, i);
        if (row.count > 0) {
            print_row(fd, row.name, row.count, row.entry_size);
        }
    }
    dprintf(fd, "%-50s %14zu\n", "total", core + size_of(settings, 0, ROW_COUNT));
    dprintf(fd, "Address space, taken at the start; a page of it takes memory once it is used.\n");
}
