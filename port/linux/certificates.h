/*
 * What the listeners with TLS offer, read from the files that the configuration names: certificates, keys, authorities, lists
 * of what was revoked, shared keys.
 */
#ifndef MIDGE_CERTIFICATES_H
#define MIDGE_CERTIFICATES_H

#include "config.h"
#include "tls.h"

/* Of each listener; NULL: it is plain. */
struct midge_certificates {
    struct midge_tls_context *contexts[MIDGE_LISTENERS_MAX + 1];
};

/* Whether a listener of these settings has TLS. */
bool midge_listener_has_tls(const struct midge_listener_settings *listener);
bool midge_settings_have_tls(const struct midge_settings *settings);

/* Checks the options of TLS of each listener, and reads the files. Returns false, with what is wrong in config->error and
 * nothing left in `certificates`, where something is. */
bool midge_certificates_load(struct midge_certificates *certificates, struct midge_configuration *config);

/* Checks that listeners with TLS stay such, and plain ones plain, when the configuration is read again. */
bool midge_certificates_fixed(struct midge_configuration *config, const struct midge_settings *running);

/* Gives them up; connections that use them keep them until they end. */
void midge_certificates_release(struct midge_certificates *certificates);

#endif
