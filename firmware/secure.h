/* TLS of an image that was built with keys: its memory, its random numbers, and what it offers to clients. */
#ifndef MIDGE_SECURE_H
#define MIDGE_SECURE_H

#include <stddef.h>
#include <stdint.h>

struct midge_tls_context;

/* What the build made of the folder of keys (boards/keys.py). The key is NULL, and there are no certificates, where the folder
 * has none; likewise for shared keys. */
struct midge_key_bytes {
    const uint8_t *bytes;
    size_t size;
};
struct midge_key_shared {
    const char *identity;
    struct midge_key_bytes key;
};
extern const struct midge_key_bytes midge_keys_private, midge_keys_certificates[];
extern const struct midge_key_shared midge_keys_shared[];
extern const size_t midge_keys_certificate_count, midge_keys_shared_count;

/* Returns what is to be offered, for good. NULL, and the console says why, where the keys cannot be used. */
struct midge_tls_context *midge_secure_start(void);

#endif
