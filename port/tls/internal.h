/* What the files of port/tls share. */
#ifndef MIDGE_TLS_INTERNAL_H
#define MIDGE_TLS_INTERNAL_H

#include "tls.h"

#include "mbedtls/platform.h"
#include "mbedtls/ssl.h"

#include "compat.h"

#ifdef MBEDTLS_SSL_TICKET_C
#include "mbedtls/ssl_ticket.h"
#endif

struct midge_tls_psk {
    struct midge_tls_psk *next;
    size_t identity_size, key_size;
    uint8_t bytes[]; /* the identity, then the key */
};

struct midge_tls_context {
    mbedtls_ssl_config config;
    uint32_t users;      /* sessions, and the listener */
    bool named, subject; /* what is kept of who a client is */
    int ciphers[MIDGE_TLS_CIPHERS_MAX + 1];
#ifdef MBEDTLS_X509_CRT_PARSE_C
    mbedtls_x509_crt certificate, authorities;
    mbedtls_pk_context key;
#endif
#ifdef MBEDTLS_X509_CRL_PARSE_C
    mbedtls_x509_crl revoked;
#endif
#ifdef MBEDTLS_SSL_TICKET_C
    mbedtls_ssl_ticket_context tickets;
#endif
    struct midge_tls_psk *psks;
};

struct midge_tls {
    mbedtls_ssl_context ssl; /* first: what mbedTLS calls us back with */
    struct midge_tls_context *context;
    const struct midge_tls_transport *transport;
    void *connection;
    char *identity; /* NULL: none */
    int error;
};

extern midge_tls_random *midge_tls_random_function;

/* Whether a session and its handshake still fit into the arena. */
bool midge_tls_has_room(void);
void midge_tls_count_session(int change);

/* A copy in the arena; NULL where it has no room. */
char *midge_tls_copy(const void *bytes, size_t size);

#ifdef MBEDTLS_X509_CRT_PARSE_C
/* The common name, or the whole subject as OpenSSL writes it (RFC 2253), in the arena; NULL where there is none, it is not fit
 * to be a name, or there is no memory. */
char *midge_tls_certificate_name(const mbedtls_x509_crt *certificate, bool subject);
#endif

/* Ciphers without certificate or key exchange that this build has, in the order of preference; ended by 0. */
void midge_tls_default_ciphers(int list[MIDGE_TLS_CIPHERS_MAX + 1]);

#endif
