/*
 * Whom the process becomes once it holds what only root may open: the option `user`.
 */
#ifndef MIDGE_PRIVILEGES_H
#define MIDGE_PRIVILEGES_H

#include "settings.h"

#include <sys/types.h>

struct midge_user {
    bool change; /* false: the process stays who it is */
    uid_t uid;
    gid_t gid;
    char name[MIDGE_USER_SIZE];
};

/* Finds out whom to become. `name` is the option's value, "" without one: then it is the user midge, or nobody where there is
 * no midge. Whoever is not root stays who he is, and so does root with the name root. Returns false, with what is wrong in
 * `error`, where there is no such user. */
bool midge_user_find(struct midge_user *user, const char *name, char *error, size_t size);

/* Creates the file `path` for the user, where there is none: in a directory of root's the user could not. What exists is left
 * as it is, and so is a failure: whoever opens the file notices. */
void midge_user_create_file(const struct midge_user *user, const char *path);

/* Becomes that user, with the user's groups instead of root's, for good. Returns false, with what is wrong in `error`, where
 * the kernel does not allow it, or would allow the way back. */
bool midge_user_become(const struct midge_user *user, char *error, size_t size);

/* Tells the log who the process is now, or that the option has no effect. */
void midge_user_report(const struct midge_user *user, const char *name);

#endif
