/*
 * Where mbedTLS 3.6 differs from 2.28: all of it is here.
 */
#ifndef MIDGE_TLS_COMPAT_H
#define MIDGE_TLS_COMPAT_H

#include "mbedtls/version.h"

#include "mbedtls/ssl.h"

#if MBEDTLS_VERSION_MAJOR >= 3
#define MIDGE_TLS_FIELD(name) MBEDTLS_PRIVATE(name)
#else
#define MIDGE_TLS_FIELD(name) name
#endif

static inline bool midge_tls_handshake_over(const mbedtls_ssl_context *ssl)
{
    return ssl->MIDGE_TLS_FIELD(state) == MBEDTLS_SSL_HANDSHAKE_OVER;
}

static inline size_t midge_tls_output_left(const mbedtls_ssl_context *ssl)
{
    return ssl->MIDGE_TLS_FIELD(out_left);
}

/* Where those of mbedtls_ssl_get_bytes_avail are. */
static inline const uint8_t *midge_tls_decrypted(const mbedtls_ssl_context *ssl)
{
    return ssl->MIDGE_TLS_FIELD(in_offt);
}

/* The number of the alert that the peer has just ended the session with. */
static inline unsigned midge_tls_alert(const mbedtls_ssl_context *ssl)
{
    return ssl->MIDGE_TLS_FIELD(in_msg) == NULL ? 0u : ssl->MIDGE_TLS_FIELD(in_msg)[1];
}

#ifdef MBEDTLS_X509_CRT_PARSE_C
/* Gives back the digest of the peer's certificate, which is for renegotiation and for tickets: neither is there. */
static inline void midge_tls_forget_certificate(mbedtls_ssl_context *ssl)
{
    mbedtls_ssl_session *session = ssl->MIDGE_TLS_FIELD(session);
    mbedtls_free(session->MIDGE_TLS_FIELD(peer_cert_digest));
    session->MIDGE_TLS_FIELD(peer_cert_digest) = NULL;
    session->MIDGE_TLS_FIELD(peer_cert_digest_len) = 0;
}
#endif

#ifdef MBEDTLS_PK_PARSE_C
static inline int midge_tls_parse_key(mbedtls_pk_context *key, const uint8_t *bytes, size_t size, midge_tls_random *random)
{
#if MBEDTLS_VERSION_MAJOR >= 3
    return mbedtls_pk_parse_key(key, bytes, size, NULL, 0, random, NULL);
#else
    (void)random;
    return mbedtls_pk_parse_key(key, bytes, size, NULL, 0);
#endif
}

static inline int midge_tls_check_pair(const mbedtls_x509_crt *certificate, const mbedtls_pk_context *key,
                                       midge_tls_random *random)
{
#if MBEDTLS_VERSION_MAJOR >= 3
    return mbedtls_pk_check_pair(&certificate->pk, key, random, NULL);
#else
    (void)random;
    return mbedtls_pk_check_pair(&certificate->pk, key);
#endif
}
#endif

#ifdef MBEDTLS_ECP_C
/* P-256 comes first: it is the fastest here. Left to itself, 2.28 would begin with the largest. */
static inline void midge_tls_set_curves(mbedtls_ssl_config *config)
{
#if MBEDTLS_VERSION_MAJOR >= 3
    static const uint16_t groups[] = {MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1, MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
                                      MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1, MBEDTLS_SSL_IANA_TLS_GROUP_NONE};
    mbedtls_ssl_conf_groups(config, groups);
#else
    static const mbedtls_ecp_group_id groups[] = {MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_CURVE25519, MBEDTLS_ECP_DP_SECP384R1,
                                                  MBEDTLS_ECP_DP_NONE};
    mbedtls_ssl_conf_curves(config, groups);
#endif
}
#endif

#endif
