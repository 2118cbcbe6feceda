#define _GNU_SOURCE
#include "password.h"

#include <mbedtls/base64.h>
#include <mbedtls/sha512.h>
#include <mbedtls/version.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

/* mbedTLS 3 has dropped a suffix. These functions fail only where hardware does. */
#if MBEDTLS_VERSION_NUMBER < 0x03000000
#define sha512_starts(context) (void)mbedtls_sha512_starts_ret(context, 0)
#define sha512_update(context, bytes, size) (void)mbedtls_sha512_update_ret(context, bytes, size)
#define sha512_finish(context, hash) (void)mbedtls_sha512_finish_ret(context, hash)
#else
#define sha512_starts(context) (void)mbedtls_sha512_starts(context, 0)
#define sha512_update(context, bytes, size) (void)mbedtls_sha512_update(context, bytes, size)
#define sha512_finish(context, hash) (void)mbedtls_sha512_finish(context, hash)
#endif

#define BLOCK_SIZE 128u

/* How often a hash in progress looks whether it is still wanted, and lets others run who want the same processor: a thread that
 * is merely nicer keeps it for milliseconds before the kernel looks. These are about 0.1 ms. */
#define STOP_INTERVAL 64u

/* Overwrites what nobody may find in memory later. */
static void forget(void *memory, size_t size)
{
    explicit_bzero(memory, size);
}

static bool equal(const uint8_t *a, const uint8_t *b, size_t size)
{
    uint8_t difference = 0;
    for (size_t i = 0; i < size; i++) {
        difference = (uint8_t)(difference | (a[i] ^ b[i]));
    }
    return difference == 0;
}

/* ---- PBKDF2 with HMAC-SHA-512: RFC 8018, section 5.2, for a key of one block ------------------------------------------- */

/* The states of the hash after the two padded keys of HMAC; each HMAC continues from copies of them. */
struct hmac {
    mbedtls_sha512_context inner;
    mbedtls_sha512_context outer;
};

static void hmac_start(struct hmac *hmac, const struct midge_password_key *key)
{
    uint8_t padded[BLOCK_SIZE];
    for (size_t i = 0; i < BLOCK_SIZE; i++) {
        padded[i] = key->bytes[i] ^ 0x36;
    }
    mbedtls_sha512_init(&hmac->inner);
    sha512_starts(&hmac->inner);
    sha512_update(&hmac->inner, padded, BLOCK_SIZE);
    for (size_t i = 0; i < BLOCK_SIZE; i++) {
        padded[i] = key->bytes[i] ^ 0x5C;
    }
    mbedtls_sha512_init(&hmac->outer);
    sha512_starts(&hmac->outer);
    sha512_update(&hmac->outer, padded, BLOCK_SIZE);
    forget(padded, sizeof(padded));
}

/* The HMAC of `bytes` followed by `more`. */
static void hmac_of(const struct hmac *hmac, const uint8_t *bytes, size_t size, const uint8_t *more, size_t more_size,
                    uint8_t result[MIDGE_HASH_SIZE])
{
    mbedtls_sha512_context context;
    mbedtls_sha512_clone(&context, &hmac->inner);
    sha512_update(&context, bytes, size);
    sha512_update(&context, more, more_size);
    sha512_finish(&context, result);
    mbedtls_sha512_clone(&context, &hmac->outer);
    sha512_update(&context, result, MIDGE_HASH_SIZE);
    sha512_finish(&context, result);
}

/* Returns false where it was stopped. */
static bool pbkdf2(const struct midge_password *password, const struct midge_password_key *key, const atomic_bool *stop,
                   uint8_t result[MIDGE_HASH_SIZE])
{
    static const uint8_t first_block[4] = {0, 0, 0, 1};
    struct hmac hmac;
    uint8_t last[MIDGE_HASH_SIZE];
    bool stopped = false;
    hmac_start(&hmac, key);
    hmac_of(&hmac, password->salt, password->salt_size, first_block, sizeof(first_block), last);
    memcpy(result, last, sizeof(last));
    for (uint32_t i = 1; i < password->iterations && !stopped; i++) {
        hmac_of(&hmac, last, sizeof(last), NULL, 0, last);
        for (size_t j = 0; j < MIDGE_HASH_SIZE; j++) {
            result[j] ^= last[j];
        }
        if (stop != NULL && i % STOP_INTERVAL == 0) {
            stopped = atomic_load_explicit(stop, memory_order_relaxed);
            sched_yield();
        }
    }
    forget(&hmac, sizeof(hmac));
    return !stopped;
}

void midge_password_prepare(struct midge_password_key *key, const uint8_t *bytes, size_t size)
{
    memset(key, 0, sizeof(*key));
    if (size <= BLOCK_SIZE) {
        if (size > 0) {
            memcpy(key->bytes, bytes, size);
        }
        return;
    }
    mbedtls_sha512_context context;
    mbedtls_sha512_init(&context);
    sha512_starts(&context);
    sha512_update(&context, bytes, size);
    sha512_finish(&context, key->bytes);
    forget(&context, sizeof(context));
}

bool midge_password_matches_key(const struct midge_password *password, const struct midge_password_key *key,
                                const atomic_bool *stop)
{
    uint8_t hash[MIDGE_HASH_SIZE];
    return pbkdf2(password, key, stop, hash) && equal(hash, password->hash, sizeof(hash));
}

/* ---- SHA-512 of password and salt --------------------------------------------------------------------------------------- */

static void salted(const struct midge_password *password, const uint8_t *bytes, size_t size, uint8_t hash[MIDGE_HASH_SIZE])
{
    mbedtls_sha512_context context;
    mbedtls_sha512_init(&context);
    sha512_starts(&context);
    sha512_update(&context, bytes, size);
    sha512_update(&context, password->salt, password->salt_size);
    sha512_finish(&context, hash);
    forget(&context, sizeof(context));
}

bool midge_password_matches(const struct midge_password *password, const uint8_t *bytes, size_t size)
{
    uint8_t hash[MIDGE_HASH_SIZE];
    salted(password, bytes, size, hash);
    return equal(hash, password->hash, sizeof(hash));
}

void midge_password_hash(struct midge_password *password, const uint8_t *bytes, size_t size)
{
    struct midge_password_key key;
    if (password->iterations == 0) {
        salted(password, bytes, size, password->hash);
        return;
    }
    midge_password_prepare(&key, bytes, size);
    (void)pbkdf2(password, &key, NULL, password->hash);
    forget(&key, sizeof(key));
}

/* ---- The text ----------------------------------------------------------------------------------------------------------- */

static bool decode(uint8_t *to, size_t max, size_t *size, const char *text, size_t text_size)
{
    return text_size > 0 && mbedtls_base64_decode(to, max, size, (const uint8_t *)text, text_size) == 0;
}

/* The number before the next $, which *text then follows. 0: there is none in the range. */
static uint32_t parse_iterations(const char **text)
{
    uint64_t number = 0;
    const char *at = *text;
    while (*at >= '0' && *at <= '9' && number <= MIDGE_ITERATIONS_MAX) {
        number = number * 10 + (uint64_t)(*at++ - '0');
    }
    if (*at != '$' || number > MIDGE_ITERATIONS_MAX) {
        return 0;
    }
    *text = at + 1;
    return (uint32_t)number;
}

const char *midge_password_parse(struct midge_password *password, const char *text)
{
    size_t salt_size = 0;
    size_t hash_size = 0;
    memset(password, 0, sizeof(*password));
    if (strncmp(text, "$argon2id$", 10) == 0) {
        return "its password is hashed with argon2id, which Midge does not have: make a new line with midge passwd FILE USER, "
               "or "
               "with mosquitto_passwd -H sha512-pbkdf2 FILE USER";
    }
    if (text[0] != '$') {
        return "its password is not hashed: midge passwd -U FILE hashes all of them";
    }
    if (strncmp(text, "$6$", 3) != 0 && strncmp(text, "$7$", 3) != 0) {
        return "its password has a format that Midge does not know, only $6$ and $7$: make a new line with midge passwd FILE "
               "USER";
    }
    const char *at = text + 3;
    if (text[1] == '7') {
        password->iterations = parse_iterations(&at);
        if (password->iterations == 0) {
            return "the iterations of its hash are not 1 .. 100000000: make a new line with midge passwd FILE USER";
        }
    }
    const char *end = strchr(at, '$');
    if (end == NULL || !decode(password->salt, sizeof(password->salt), &salt_size, at, (size_t)(end - at)) ||
        !decode(password->hash, sizeof(password->hash), &hash_size, end + 1, strlen(end + 1)) || hash_size != MIDGE_HASH_SIZE) {
        return "its hash is damaged: make a new line with midge passwd FILE USER";
    }
    password->salt_size = (uint8_t)salt_size;
    return NULL;
}

void midge_password_print(const struct midge_password *password, char text[MIDGE_PASSWORD_TEXT_SIZE])
{
    uint8_t salt[4 * MIDGE_SALT_MAX / 3 + 5];
    uint8_t hash[4 * MIDGE_HASH_SIZE / 3 + 5];
    size_t size;
    (void)mbedtls_base64_encode(salt, sizeof(salt), &size, password->salt, password->salt_size);
    (void)mbedtls_base64_encode(hash, sizeof(hash), &size, password->hash, MIDGE_HASH_SIZE);
    if (password->iterations == 0) {
        snprintf(text, MIDGE_PASSWORD_TEXT_SIZE, "$6$%s$%s", (const char *)salt, (const char *)hash);
    } else {
        snprintf(text, MIDGE_PASSWORD_TEXT_SIZE, "$7$%u$%s$%s", password->iterations, (const char *)salt, (const char *)hash);
    }
}
