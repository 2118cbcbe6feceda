/*
 * Passwords as they stand in a password file, in the formats of Mosquitto:
 *
 *     $7$ITERATIONS$SALT$HASH   PBKDF2 with HMAC-SHA-512, of Mosquitto 2
 *     $6$SALT$HASH              SHA-512 of the password and the salt, of Mosquitto 1.6
 *
 * with salt and hash in base64. Nothing here allocates.
 */
#ifndef MIDGE_PASSWORD_H
#define MIDGE_PASSWORD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MIDGE_SALT_MAX 64u
#define MIDGE_HASH_SIZE 64u
#define MIDGE_ITERATIONS_MAX 100000000u

/* What midge passwd writes unless it is told otherwise; Mosquitto 2's own 101 is a hundredth of a millisecond's work. */
#define MIDGE_ITERATIONS_DEFAULT 100000u

/* The longest text of midge_password_print, with its terminator. */
#define MIDGE_PASSWORD_TEXT_SIZE 224u

struct midge_password {
    uint32_t iterations; /* 0: the format $6$ */
    uint8_t salt_size;
    uint8_t salt[MIDGE_SALT_MAX];
    uint8_t hash[MIDGE_HASH_SIZE];
};

/* A password on its way to be hashed. What is longer than a block of the hash is replaced by its own hash, as HMAC does, so
 * that a password of any length can wait in little memory. */
struct midge_password_key {
    uint8_t bytes[128];
};

/* Reads what stands behind the colon of a line. Returns NULL, or what is wrong with it. */
const char *midge_password_parse(struct midge_password *password, const char *text);

/* Makes the hash of a password with the salt and the iterations that are set. */
void midge_password_hash(struct midge_password *password, const uint8_t *bytes, size_t size);

/* Writes the format that midge_password_parse reads. */
void midge_password_print(const struct midge_password *password, char text[MIDGE_PASSWORD_TEXT_SIZE]);

void midge_password_prepare(struct midge_password_key *key, const uint8_t *bytes, size_t size);

/* Whether the password of format $7$ is this. Takes 1.3 microseconds for an iteration or so, unless *stop becomes true, and as
 * long for a wrong password as for the right one. */
bool midge_password_matches_key(const struct midge_password *password, const struct midge_password_key *key,
                                const atomic_bool *stop);

/* Likewise for format $6$, at once. */
bool midge_password_matches(const struct midge_password *password, const uint8_t *bytes, size_t size);

#endif
