/* The configuration file reader: whatever a file holds, it is read or refused with one line that says where and why, and
 * reading it again gives the same. */
#define _GNU_SOURCE
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct midge_configuration first, second;

static char folder[] = "/tmp/midge-fuzz-XXXXXX";
static char included[2][sizeof folder + 8];

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
    } else if (config->error[0] == '\0' || strchr(config->error, '\n') != NULL ||
               (strstr(config->error, path) == NULL && strstr(config->error, folder) == NULL)) {
        fail("refused, but not with a line that names the file", config);
    }
    return good;
}

static void remove_folder(void)
{
    (void)unlink(included[0]);
    (void)unlink(included[1]);
    (void)rmdir(folder);
}

/* A folder of two files, which are in memory. */
static void make_folder(const struct fuzz_file *a, const struct fuzz_file *b)
{
    if (mkdtemp(folder) == NULL) {
        perror("fuzz_config");
        abort();
    }
    (void)snprintf(included[0], sizeof included[0], "%s/a.conf", folder);
    (void)snprintf(included[1], sizeof included[1], "%s/b.conf", folder);
    (void)atexit(remove_folder);
    if (symlink(a->path, included[0]) != 0 || symlink(b->path, included[1]) != 0) {
        perror("fuzz_config");
        abort();
    }
}

/* An input is one file, or, set apart by bytes that no text holds, one and two that it includes from a directory. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct fuzz_file file, a, b;
    uint8_t start[80];
    const uint8_t *end = bytes + size;
    /* Files that a line names are not there, and a directory would be read. */
    if (size > 0 && memmem(bytes, size, "include_dir", 11) != NULL) {
        return -1;
    }
    const uint8_t *rest = fuzz_file_write(&file, "midge.conf", bytes, end);
    bool includes = rest < end;
    rest = fuzz_file_write(&a, "a.conf", rest, end);
    (void)fuzz_file_write(&b, "b.conf", rest, end);
    if (includes) {
        if (included[0][0] == '\0') {
            make_folder(&a, &b);
        }
        int length = snprintf((char *)start, sizeof start, "\ninclude_dir %s\n", folder);
        if (pwrite(file.fd, start, (size_t)length, lseek(file.fd, 0, SEEK_END)) != length) {
            abort();
        }
    }
    bool good = read_once(&first, file.path);
    if (read_once(&second, file.path) != good ||
        (good && memcmp(&first.settings, &second.settings, sizeof first.settings) != 0) ||
        strcmp(first.error, second.error) != 0) {
        fail("read twice with different results", &first);
    }
    return 0;
}
