#include "unit.h"

#include <time.h>
#include <unistd.h>

struct unit_random unit_random_begin(const char *test)
{
    const char *given = getenv("MIDGE_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL) * 1000003u + (uint64_t)getpid();
    printf("%s: replay with MIDGE_SEED=%llu\n", test, (unsigned long long)seed);
    fflush(stdout);
    return (struct unit_random){.state = seed};
}

uint64_t unit_random_next(struct unit_random *random)
{
    random->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = random->state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}
