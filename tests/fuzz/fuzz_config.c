/* The configuration file reader: whatever a file holds, it is read or refused with one line that says where and why, and
 * reading it again gives the same. */
#define _GNU_SOURCE
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct midge_configuration first, second;

/* The core's defaults are not what is tested here. */
void midge_policy_default(struct midge_policy *policy)
{
    memset(policy, 0, sizeof *policy);
}

static void fail(const char *what, const struct midge_configuration *config)
{
    (void)fprintf(stderr, "fuzz_config: %s: %s\n", what, config->error);
    abort();
}

static bool read_once(struct midge_configuration *config, const char *path)
{
    memset(config, 0, sizeof *config);
    midge_config_start(config);
    bool good = midge_config_read(config, path);
    if (good) {
        midge_config_finish(config);
        if (config->settings.listener_count == 0 || config->settings.listener_count > MIDGE_LISTENERS_MAX + 1) {
            fail("read, but without listeners", config);
        }
    } else if (config->error[0] == '\0' || strchr(config->error, '\n') != NULL || strstr(config->error, path) == NULL) {
        fail("refused, but not with a line that names the file", config);
    }
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static int file = -1;
    static char path[64];
    /* Files that a line names are not there, and a directory would be read. */
    if (size > 0 && memmem(bytes, size, "include_dir", 11) != NULL) {
        return -1;
    }
    if (file < 0) {
        file = memfd_create("midge.conf", 0);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    }
    if (file < 0 || ftruncate(file, 0) != 0 || pwrite(file, bytes, size, 0) != (ssize_t)size) {
        perror("fuzz_config");
        abort();
    }
    bool good = read_once(&first, path);
    if (read_once(&second, path) != good || (good && memcmp(&first.settings, &second.settings, sizeof first.settings) != 0) ||
        strcmp(first.error, second.error) != 0) {
        fail("read twice with different results", &first);
    }
    return 0;
}
