/*
 * What users may do: ACL files in Mosquitto's format, and the answers that follow from them.
 */
#ifndef MIDGE_RIGHTS_H
#define MIDGE_RIGHTS_H

#include "accounts.h"

/* Who asks. */
struct midge_asker {
    uint8_t domain;
    bool has_user;
    uint32_t account; /* MIDGE_ACCOUNT_NONE: anonymous, or a user of whom the files say nothing */
    struct midge_view user;
    struct midge_view client_id;
};

/* Reads an ACL file. Returns false, with what is wrong in `error`, where the file or a line of it cannot be used. */
bool midge_rights_read(struct midge_accounts *accounts, uint8_t domain, const char *path, char *error, size_t size);

/* Whether the asker may do this. As in Mosquitto, its own rules come before patterns, and among each those that deny come
 * first; what no rule allows is denied. A filter may be subscribed to unless a rule that denies covers all of it: what else may
 * not be read is left out at delivery. */
bool midge_rights_allow(const struct midge_accounts *accounts, const struct midge_asker *asker, enum midge_action action,
                        struct midge_view topic);

/* Whether all topics that match `filter` match `wide` too; a topic is a filter without wildcards. */
bool midge_rights_cover(struct midge_view wide, struct midge_view filter);

/* Whether there is a topic that matches both. */
bool midge_rights_overlap(struct midge_view a, struct midge_view b);

#endif
