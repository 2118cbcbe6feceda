#define _GNU_SOURCE
#include "privileges.h"

#include "logger.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static const struct passwd *default_user(void)
{
    const struct passwd *found = getpwnam("midge");
    return found != NULL ? found : getpwnam("nobody");
}

bool midge_user_find(struct midge_user *user, const char *name, char *error, size_t size)
{
    memset(user, 0, sizeof(*user));
    if (geteuid() != 0) {
        return true;
    }
    const struct passwd *found = name[0] == '\0' ? default_user() : getpwnam(name);
    if (found == NULL) {
        if (name[0] == '\0') {
            snprintf(error, size, "this system has neither a user midge nor nobody; create one, or write \"user root\"");
        } else {
            snprintf(error, size, "this system has no user \"%s\"; create it, or name another", name);
        }
        return false;
    }
    user->change = found->pw_uid != 0;
    user->uid = found->pw_uid;
    user->gid = found->pw_gid;
    snprintf(user->name, sizeof(user->name), "%s", found->pw_name);
    return true;
}

void midge_user_create_file(const struct midge_user *user, const char *path)
{
    if (!user->change) {
        return;
    }
    /* O_EXCL: a link that the user has laid there must not make root write elsewhere. */
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd >= 0) {
        int failed = fchown(fd, user->uid, user->gid);
        (void)failed;
        close(fd);
    }
}

static bool become(const struct midge_user *user)
{
    return initgroups(user->name, user->gid) == 0 && setresgid(user->gid, user->gid, user->gid) == 0 &&
           setresuid(user->uid, user->uid, user->uid) == 0;
}

bool midge_user_become(const struct midge_user *user, char *error, size_t size)
{
    /* Nothing is ever executed; this closes what a program with the set-user-id bit would open. */
    bool good = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
    if (good && user->change) {
        good = become(user);
        if (good && (setuid(0) == 0 || setgid(0) == 0)) {
            good = false;
            errno = EPERM;
        }
    }
    if (!good) {
        snprintf(error, size, "cannot become the user %s: %s; start Midge as that user, or write \"user root\"", user->name,
                 strerror(errno));
    }
    return good;
}

void midge_user_report(const struct midge_user *user, const char *name)
{
    if (user->change) {
        midge_logger_write(MIDGE_LEVEL_INFORMATION, "running as the user %s", user->name);
    } else if (geteuid() != 0 && name[0] != '\0' && strcmp(name, "root") != 0) {
        const struct passwd *present = getpwuid(geteuid());
        if (present == NULL || strcmp(present->pw_name, name) != 0) {
            midge_logger_write(MIDGE_LEVEL_NOTICE, "user %s has no effect: only root can become another user.", name);
        }
    }
}
