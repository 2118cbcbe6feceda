/*
 * How mbedTLS is built, with the sources of 2.28 or 3.6. A board may cut it down in a file that MIDGE_TLS_LIMITS_FILE names.
 *
 * What is not named here is off: renegotiation, compression, DTLS, TLS 1.0 and 1.1, CBC and RC4, key exchange without forward
 * secrecy (but for PSK), files, threads, and everything of a client.
 */
#ifndef MIDGE_TLS_CONFIG_H
#define MIDGE_TLS_CONFIG_H

#ifdef MIDGE_TLS_LIMITS_FILE
#include MIDGE_TLS_LIMITS_FILE
#else
/* A gateway: any certificate, and a clock that says whether it has expired. */
#define MIDGE_TLS_CERTIFICATES 1
#define MIDGE_TLS_RSA 1
#define MIDGE_TLS_PEM 1
#define MIDGE_TLS_PSK 1
#define MIDGE_TLS_TICKETS 1
#define MIDGE_TLS_CLOCK 1
#define MIDGE_TLS_ERROR_TEXTS 1
#define MIDGE_TLS_PASSWORDS 1 /* SHA-512 and PBKDF2, for password files */
#define MIDGE_TLS_FAST 1      /* tables and processor instructions rather than little flash */
/* The largest record that a peer may send is 16 KB; clients that can, negotiate less. Ours are 512 bytes at most, once the
 * handshake is over: until then they hold our certificates. */
#define MBEDTLS_SSL_IN_CONTENT_LEN 16384
#define MBEDTLS_SSL_OUT_CONTENT_LEN 16384
#endif

/* ---- Platform: memory is our arena and nothing else -------------------------------------------------------------------- */
#define MBEDTLS_PLATFORM_C
#define MBEDTLS_PLATFORM_MEMORY
#define MBEDTLS_PLATFORM_NO_STD_FUNCTIONS /* without an arena there is no memory, rather than that of the C library */
#ifdef MIDGE_TLS_ERROR_TEXTS
#define MBEDTLS_PLATFORM_SNPRINTF_MACRO snprintf
#else
#define MBEDTLS_PLATFORM_SNPRINTF_MACRO(...) (-1)            /* only for texts, of which there are none */
#define MBEDTLS_PLATFORM_EXIT_MACRO(status) __builtin_trap() /* the allocator finds its memory damaged */
#endif
#define MBEDTLS_MEMORY_BUFFER_ALLOC_C
#define MBEDTLS_MEMORY_ALIGN_MULTIPLE 8 /* not 4, which is too little for pointers of 64 bits */
#define MBEDTLS_MEMORY_DEBUG            /* counts what is in use */
#define MBEDTLS_PLATFORM_FPRINTF_MACRO(...) ((void)0)
#define MBEDTLS_NO_PLATFORM_ENTROPY
#ifdef MIDGE_TLS_ERROR_TEXTS
#define MBEDTLS_ERROR_C
#endif
#ifdef MIDGE_TLS_CLOCK
#define MBEDTLS_HAVE_TIME
#define MBEDTLS_HAVE_TIME_DATE
#endif

/* ---- Ciphers and hashes ------------------------------------------------------------------------------------------------ */
#define MBEDTLS_AES_C
#define MBEDTLS_CIPHER_C
#define MBEDTLS_CCM_C
#define MBEDTLS_MD_C
#define MBEDTLS_SHA256_C
#define MBEDTLS_SHA224_C /* 2.28 does not know it, and has it always */
#ifdef MIDGE_TLS_FAST
#define MBEDTLS_HAVE_ASM
#define MBEDTLS_HAVE_SSE2
#define MBEDTLS_AESNI_C
#define MBEDTLS_CHACHA20_C
#define MBEDTLS_POLY1305_C
#define MBEDTLS_CHACHAPOLY_C
#define MBEDTLS_SHA384_C
#define MBEDTLS_SHA512_C
#else
#define MBEDTLS_HAVE_ASM
#define MBEDTLS_AES_ROM_TABLES
#define MBEDTLS_AES_FEWER_TABLES
#define MBEDTLS_SHA256_SMALLER
#endif
#ifdef MIDGE_TLS_DRBG /* no operating system that has random numbers: a signature rests on none */
#define MBEDTLS_CTR_DRBG_C
#define MBEDTLS_HMAC_DRBG_C
#ifdef MIDGE_TLS_CERTIFICATES
#define MBEDTLS_ECDSA_DETERMINISTIC
#endif
#endif
#ifdef MIDGE_TLS_PASSWORDS
#define MBEDTLS_PKCS5_C
#endif

/* ---- TLS 1.2, the server's side ----------------------------------------------------------------------------------------- */
#define MBEDTLS_SSL_TLS_C
#define MBEDTLS_SSL_SRV_C
#define MBEDTLS_SSL_PROTO_TLS1_2
#define MBEDTLS_SSL_EXTENDED_MASTER_SECRET
#define MBEDTLS_SSL_MAX_FRAGMENT_LENGTH
#if MBEDTLS_SSL_IN_CONTENT_LEN == MBEDTLS_SSL_OUT_CONTENT_LEN /* else mbedTLS would shrink the first to the second */
#define MBEDTLS_SSL_VARIABLE_BUFFER_LENGTH
#endif
#ifdef MIDGE_TLS_TICKETS
#define MBEDTLS_SSL_SESSION_TICKETS
#define MBEDTLS_SSL_TICKET_C
#endif
#ifdef MIDGE_TLS_PSK
#define MBEDTLS_KEY_EXCHANGE_PSK_ENABLED
#endif

/* ---- Certificates ------------------------------------------------------------------------------------------------------ */
#ifdef MIDGE_TLS_CERTIFICATES
#define MBEDTLS_GCM_C
#define MBEDTLS_BIGNUM_C
#define MBEDTLS_ECP_C
#define MBEDTLS_ECP_DP_SECP256R1_ENABLED
#define MBEDTLS_ECP_NIST_OPTIM
#define MBEDTLS_ECDH_C
#define MBEDTLS_ECDSA_C
#define MBEDTLS_ECP_NO_INTERNAL_RNG /* every call brings its own */
#define MBEDTLS_ASN1_PARSE_C
#define MBEDTLS_ASN1_WRITE_C
#define MBEDTLS_OID_C
#define MBEDTLS_PK_C
#define MBEDTLS_PK_PARSE_C
#define MBEDTLS_X509_USE_C
#define MBEDTLS_X509_CRT_PARSE_C
#define MBEDTLS_X509_CHECK_KEY_USAGE
#define MBEDTLS_X509_CHECK_EXTENDED_KEY_USAGE
#define MBEDTLS_KEY_EXCHANGE_ECDHE_ECDSA_ENABLED
#ifdef MIDGE_TLS_RSA
#define MBEDTLS_RSA_C
#define MBEDTLS_PKCS1_V15
#define MBEDTLS_PKCS1_V21
#define MBEDTLS_X509_RSASSA_PSS_SUPPORT
#define MBEDTLS_KEY_EXCHANGE_ECDHE_RSA_ENABLED
#endif
#ifdef MIDGE_TLS_PEM
#define MBEDTLS_BASE64_C
#define MBEDTLS_PEM_PARSE_C
#define MBEDTLS_X509_CRL_PARSE_C
#endif
#ifdef MIDGE_TLS_FAST
#define MBEDTLS_ECP_DP_SECP384R1_ENABLED
#define MBEDTLS_ECP_DP_SECP521R1_ENABLED
#define MBEDTLS_ECP_DP_CURVE25519_ENABLED
#define MBEDTLS_SHA1_C /* only to read the identifiers of certificates; no signature with it is accepted */
#endif
#ifdef MIDGE_TLS_PSK
#define MBEDTLS_KEY_EXCHANGE_ECDHE_PSK_ENABLED
#endif
#endif

#if !defined(MBEDTLS_VERSION_MAJOR) /* 3.6 checks this file by itself */
#include "mbedtls/check_config.h"
#endif

#endif
