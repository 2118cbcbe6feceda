#include "internal.h"

#include "mbedtls/ssl_ciphersuites.h"

#include <string.h>

struct cipher {
    int id;
    const char *name; /* OpenSSL's */
};

/* In the order of preference: first those that keep what was said secret even if a key is stolen later. */
static const struct cipher ciphers[] = {
    {MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "ECDHE-ECDSA-AES128-GCM-SHA256"},
    {MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "ECDHE-RSA-AES128-GCM-SHA256"},
    {MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "ECDHE-ECDSA-AES256-GCM-SHA384"},
    {MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "ECDHE-RSA-AES256-GCM-SHA384"},
    {MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-ECDSA-CHACHA20-POLY1305"},
    {MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-RSA-CHACHA20-POLY1305"},
    {MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CCM, "ECDHE-ECDSA-AES128-CCM"},
    {MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_CCM, "ECDHE-ECDSA-AES256-CCM"},
    {MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8, "ECDHE-ECDSA-AES128-CCM8"},
    {MBEDTLS_TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-PSK-CHACHA20-POLY1305"},
    {MBEDTLS_TLS_PSK_WITH_AES_128_GCM_SHA256, "PSK-AES128-GCM-SHA256"},
    {MBEDTLS_TLS_PSK_WITH_AES_256_GCM_SHA384, "PSK-AES256-GCM-SHA384"},
    {MBEDTLS_TLS_PSK_WITH_CHACHA20_POLY1305_SHA256, "PSK-CHACHA20-POLY1305"},
    {MBEDTLS_TLS_PSK_WITH_AES_128_CCM, "PSK-AES128-CCM"},
    {MBEDTLS_TLS_PSK_WITH_AES_256_CCM, "PSK-AES256-CCM"},
    {MBEDTLS_TLS_PSK_WITH_AES_128_CCM_8, "PSK-AES128-CCM8"},
    {MBEDTLS_TLS_PSK_WITH_AES_256_CCM_8, "PSK-AES256-CCM8"},
};

#define COUNT (sizeof(ciphers) / sizeof(ciphers[0]))
_Static_assert(COUNT <= MIDGE_TLS_CIPHERS_MAX, "a list holds all of them");

/* Whether this build has it. */
static bool exists(const struct cipher *cipher)
{
    return mbedtls_ssl_ciphersuite_from_id(cipher->id) != NULL;
}

void midge_tls_default_ciphers(int list[MIDGE_TLS_CIPHERS_MAX + 1])
{
    size_t count = 0;
    for (size_t i = 0; i < COUNT; i++) {
        if (exists(&ciphers[i])) {
            list[count++] = ciphers[i].id;
        }
    }
    list[count] = 0;
}

const char *midge_tls_cipher_name(size_t number)
{
    for (size_t i = 0; i < COUNT; i++) {
        if (exists(&ciphers[i]) && number-- == 0) {
            return ciphers[i].name;
        }
    }
    return NULL;
}

/* Whether `name` is a name of the suite as the standard has it, which mbedTLS writes with hyphens. */
static bool is_standard_name(const char *name, size_t size, const char *hyphenated)
{
    if (strlen(hyphenated) != size) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (name[i] != hyphenated[i] && !(name[i] == '_' && hyphenated[i] == '-')) {
            return false;
        }
    }
    return true;
}

static int find(const char *name, size_t size)
{
    for (size_t i = 0; i < COUNT; i++) {
        const char *known = ciphers[i].name;
        if (exists(&ciphers[i]) && ((strlen(known) == size && memcmp(known, name, size) == 0) ||
                                    is_standard_name(name, size, mbedtls_ssl_get_ciphersuite_name(ciphers[i].id)))) {
            return ciphers[i].id;
        }
    }
    return 0;
}

const char *midge_tls_ciphers(int list[MIDGE_TLS_CIPHERS_MAX + 1], const char *text)
{
    size_t count = 0;
    for (;;) {
        size_t size = strcspn(text, ":");
        int id = find(text, size);
        if (id == 0 || count == MIDGE_TLS_CIPHERS_MAX) {
            return text;
        }
        list[count++] = id;
        list[count] = 0;
        if (text[size] == '\0') {
            return NULL;
        }
        text += size + 1;
    }
}
