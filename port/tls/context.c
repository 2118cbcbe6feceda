#include "internal.h"

#include <string.h>

/* Session tickets are good for an hour. */
#define TICKET_LIFETIME_S 3600u

struct midge_tls_context *midge_tls_context_new(void)
{
    struct midge_tls_context *context = mbedtls_calloc(1, sizeof(*context));
    if (context == NULL) {
        return NULL;
    }
    context->users = 1;
    mbedtls_ssl_config_init(&context->config);
#ifdef MBEDTLS_X509_CRT_PARSE_C
    mbedtls_x509_crt_init(&context->certificate);
    mbedtls_x509_crt_init(&context->authorities);
    mbedtls_pk_init(&context->key);
#endif
#ifdef MBEDTLS_X509_CRL_PARSE_C
    mbedtls_x509_crl_init(&context->revoked);
#endif
#ifdef MBEDTLS_SSL_TICKET_C
    mbedtls_ssl_ticket_init(&context->tickets);
#endif
    return context;
}

void midge_tls_context_release(struct midge_tls_context *context)
{
    if (context == NULL || --context->users > 0) {
        return;
    }
    mbedtls_ssl_config_free(&context->config);
#ifdef MBEDTLS_X509_CRT_PARSE_C
    mbedtls_x509_crt_free(&context->certificate);
    mbedtls_x509_crt_free(&context->authorities);
    mbedtls_pk_free(&context->key);
#endif
#ifdef MBEDTLS_X509_CRL_PARSE_C
    mbedtls_x509_crl_free(&context->revoked);
#endif
#ifdef MBEDTLS_SSL_TICKET_C
    mbedtls_ssl_ticket_free(&context->tickets);
#endif
    for (struct midge_tls_psk *psk = context->psks, *next; psk != NULL; psk = next) {
        next = psk->next;
        mbedtls_platform_zeroize(psk->bytes, psk->identity_size + psk->key_size);
        mbedtls_free(psk);
    }
    mbedtls_free(context);
}

/* ---- Certificates ----------------------------------------------------------------------------------------------------- */

#ifdef MBEDTLS_X509_CRT_PARSE_C
/* Of several certificates in one file, each has to be understood: a half-read list of authorities would be a surprise. */
static int parse_certificates(mbedtls_x509_crt *chain, const uint8_t *bytes, size_t size)
{
    int error = mbedtls_x509_crt_parse(chain, bytes, size);
    return error > 0 ? MBEDTLS_ERR_X509_INVALID_FORMAT : error;
}

int midge_tls_context_certificate(struct midge_tls_context *context, const uint8_t *bytes, size_t size)
{
    return parse_certificates(&context->certificate, bytes, size);
}

int midge_tls_context_authorities(struct midge_tls_context *context, const uint8_t *bytes, size_t size)
{
    return parse_certificates(&context->authorities, bytes, size);
}

int midge_tls_context_key(struct midge_tls_context *context, const uint8_t *bytes, size_t size)
{
    return midge_tls_parse_key(&context->key, bytes, size, midge_tls_random_function);
}
#endif

#ifdef MBEDTLS_X509_CRL_PARSE_C
int midge_tls_context_revoked(struct midge_tls_context *context, const uint8_t *bytes, size_t size)
{
    return mbedtls_x509_crl_parse(&context->revoked, bytes, size);
}
#endif

/* ---- Shared keys ------------------------------------------------------------------------------------------------------ */

int midge_tls_context_psk(struct midge_tls_context *context, const char *identity, const uint8_t *key, size_t size)
{
    size_t identity_size = strlen(identity);
    struct midge_tls_psk *psk = mbedtls_calloc(1, sizeof(*psk) + identity_size + size);
    if (psk == NULL) {
        return MBEDTLS_ERR_SSL_ALLOC_FAILED;
    }
    psk->identity_size = identity_size;
    psk->key_size = size;
    memcpy(psk->bytes, identity, identity_size);
    memcpy(psk->bytes + identity_size, key, size);
    psk->next = context->psks;
    context->psks = psk;
    return 0;
}

#ifdef MIDGE_TLS_PSK
static int find_psk(void *parameter, mbedtls_ssl_context *ssl, const unsigned char *identity, size_t size)
{
    const struct midge_tls_context *context = parameter;
    struct midge_tls *tls = (struct midge_tls *)(void *)ssl;
    const struct midge_tls_psk *psk = context->psks;
    while (psk != NULL && !(psk->identity_size == size && memcmp(psk->bytes, identity, size) == 0)) {
        psk = psk->next;
    }
    if (psk == NULL) {
        return MBEDTLS_ERR_SSL_UNKNOWN_IDENTITY;
    }
    if (context->named) {
        mbedtls_free(tls->identity);
        tls->identity = midge_tls_copy(identity, size);
        if (tls->identity == NULL) {
            return MBEDTLS_ERR_SSL_ALLOC_FAILED;
        }
    }
    return mbedtls_ssl_set_hs_psk(ssl, psk->bytes + psk->identity_size, psk->key_size);
}
#endif

/* ---- Finishing -------------------------------------------------------------------------------------------------------- */

#ifdef MBEDTLS_X509_CRT_PARSE_C
static int finish_certificates(struct midge_tls_context *context, bool required)
{
    mbedtls_x509_crl *revoked = NULL;
    int error = 0;
#ifdef MBEDTLS_X509_CRL_PARSE_C
    revoked = context->revoked.version != 0 ? &context->revoked : NULL;
#endif
    mbedtls_ssl_conf_authmode(&context->config, required ? MBEDTLS_SSL_VERIFY_REQUIRED : MBEDTLS_SSL_VERIFY_NONE);
    if (required) {
        mbedtls_ssl_conf_ca_chain(&context->config, &context->authorities, revoked);
    }
    if (context->certificate.version != 0) {
        error = midge_tls_check_pair(&context->certificate, &context->key, midge_tls_random_function);
        error = error != 0 ? error : mbedtls_ssl_conf_own_cert(&context->config, &context->certificate, &context->key);
    }
    return error;
}
#endif

/* Who a client is, is not in a ticket, nor is a certificate that was revoked since: so where that counts, there are none. */
static int finish_tickets(struct midge_tls_context *context, bool required)
{
#ifdef MBEDTLS_SSL_TICKET_C
    int error;
    if (required || context->psks != NULL) {
        return 0;
    }
    error = mbedtls_ssl_ticket_setup(&context->tickets, midge_tls_random_function, NULL, MBEDTLS_CIPHER_AES_256_GCM,
                                     TICKET_LIFETIME_S);
    mbedtls_ssl_conf_session_tickets_cb(&context->config, mbedtls_ssl_ticket_write, mbedtls_ssl_ticket_parse,
                                        &context->tickets);
    return error;
#else
    (void)context;
    (void)required;
    return 0;
#endif
}

int midge_tls_context_finish(struct midge_tls_context *context, const struct midge_tls_options *options)
{
    int error = mbedtls_ssl_config_defaults(&context->config, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
                                            MBEDTLS_SSL_PRESET_DEFAULT);
    context->named = options->named;
    context->subject = options->subject;
    if (options->ciphers != NULL) {
        memcpy(context->ciphers, options->ciphers, sizeof(context->ciphers));
    } else {
        midge_tls_default_ciphers(context->ciphers);
    }
    mbedtls_ssl_conf_ciphersuites(&context->config, context->ciphers);
    mbedtls_ssl_conf_rng(&context->config, midge_tls_random_function, NULL);
#ifdef MBEDTLS_ECP_C
    midge_tls_set_curves(&context->config);
#endif
#ifdef MIDGE_TLS_PSK
    if (context->psks != NULL) {
        mbedtls_ssl_conf_psk_cb(&context->config, find_psk, context);
    }
#endif
    error = error != 0 ? error : mbedtls_ssl_conf_max_frag_len(&context->config, MBEDTLS_SSL_MAX_FRAG_LEN_512);
#ifdef MBEDTLS_X509_CRT_PARSE_C
    error = error != 0 ? error : finish_certificates(context, options->require_certificate);
#endif
    return error != 0 ? error : finish_tickets(context, options->require_certificate);
}
