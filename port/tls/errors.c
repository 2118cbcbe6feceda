/* What went wrong, in words. */
#include "internal.h"

#include "text.h"

#include "mbedtls/net_sockets.h"

#ifdef MBEDTLS_ERROR_C
#include "mbedtls/error.h"
#endif

#include <string.h>

struct reason {
    int code;
    const char *text;
};

/* The alerts that an operator can do something about. */
static const struct reason alerts[] = {
    {MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE, "handshake failure"},
    {MBEDTLS_SSL_ALERT_MSG_BAD_CERT, "it does not accept our certificate"},
    {MBEDTLS_SSL_ALERT_MSG_UNSUPPORTED_CERT, "it does not support our certificate"},
    {MBEDTLS_SSL_ALERT_MSG_CERT_EXPIRED, "our certificate has expired"},
    {MBEDTLS_SSL_ALERT_MSG_CERT_UNKNOWN, "it does not accept our certificate"},
    {MBEDTLS_SSL_ALERT_MSG_UNKNOWN_CA, "it does not know the authority of our certificate"},
    {MBEDTLS_SSL_ALERT_MSG_DECRYPT_ERROR, "decrypt error"},
    {MBEDTLS_SSL_ALERT_MSG_PROTOCOL_VERSION, "protocol version"},
    {MBEDTLS_SSL_ALERT_MSG_USER_CANCELED, "user canceled"},
};

static const struct reason errors[] = {
    {MBEDTLS_ERR_NET_CONN_RESET, "the connection was lost"},
    {MBEDTLS_ERR_SSL_UNKNOWN_IDENTITY, "its PSK identity is not in the list of shared keys"},
    {MBEDTLS_ERR_SSL_ALLOC_FAILED, "no memory is left for it"},
    {MBEDTLS_ERR_SSL_INVALID_MAC, "a record was changed on its way, or the shared keys differ"},
    {MBEDTLS_ERR_SSL_INVALID_RECORD, "what it sent is not TLS"},
    {MBEDTLS_ERR_SSL_BAD_INPUT_DATA, "it sent a record that is too large for us"},
#if MBEDTLS_VERSION_MAJOR >= 3
    {MBEDTLS_ERR_SSL_DECODE_ERROR, "what it sent is not TLS"},
    {MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION, "it does not offer TLS 1.2"},
    {MBEDTLS_ERR_SSL_HANDSHAKE_FAILURE, "it offers no cipher that we have"},
    {MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE, "it has no certificate"},
#else
    {MBEDTLS_ERR_SSL_BAD_HS_CLIENT_HELLO, "what it sent is not TLS"},
    {MBEDTLS_ERR_SSL_BAD_HS_PROTOCOL_VERSION, "it does not offer TLS 1.2"},
    {MBEDTLS_ERR_SSL_NO_CIPHER_CHOSEN, "it offers no cipher that we have"},
    {MBEDTLS_ERR_SSL_NO_USABLE_CIPHERSUITE, "it offers no cipher that we have"},
    {MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE, "it has no certificate"},
#endif
};

static const char *text_of(const struct reason *reasons, size_t count, int code)
{
    for (size_t i = 0; i < count; i++) {
        if (reasons[i].code == code) {
            return reasons[i].text;
        }
    }
    return NULL;
}

/* As mbedTLS's headers write it. */
static void add_number_of(struct midge_text *line, int error)
{
    char hexadecimal[] = "mbedTLS -0x0000";
    for (size_t i = 0; i < 4; i++) {
        hexadecimal[sizeof(hexadecimal) - 2 - i] = "0123456789ABCDEF"[(unsigned)-error >> (4 * i) & 15u];
    }
    midge_text_add(line, hexadecimal);
}

void midge_tls_error_text(int error, char *text, size_t size)
{
    const char *known = text_of(errors, sizeof(errors) / sizeof(errors[0]), error);
    struct midge_text line;
    midge_text_start(&line, text, size);
    if (known != NULL) {
        midge_text_add(&line, known);
        return;
    }
#ifdef MBEDTLS_ERROR_C
    char words[128];
    mbedtls_strerror(error, words, sizeof(words));
    midge_text_add(&line, words);
    midge_text_add(&line, " (");
    add_number_of(&line, error);
    midge_text_add(&line, ")");
#else
    add_number_of(&line, error);
#endif
}

#ifdef MIDGE_TLS_ERROR_TEXTS
/* mbedTLS gives a line for each flaw. */
static void describe_certificate(const struct midge_tls *tls, char *text, size_t size)
{
    struct midge_text line;
    midge_text_start(&line, text, size);
    midge_text_add(&line, "its certificate is not accepted: ");
    (void)mbedtls_x509_crt_verify_info(text + line.used, size - line.used, "", mbedtls_ssl_get_verify_result(&tls->ssl));
    for (char *end; (end = strchr(text, '\n')) != NULL;) {
        *end = end[1] == '\0' ? '\0' : ' ';
    }
}
#endif

bool midge_tls_why(const struct midge_tls *tls, char *text, size_t size)
{
    if (tls->error == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE) {
        unsigned alert = midge_tls_alert(&tls->ssl);
        const char *known = text_of(alerts, sizeof(alerts) / sizeof(alerts[0]), (int)alert);
        struct midge_text line;
        midge_text_start(&line, text, size);
        midge_text_add(&line, "it sent the alert ");
        midge_text_add_number(&line, alert);
        midge_text_add(&line, known != NULL ? ", " : "");
        midge_text_add(&line, known != NULL ? known : "");
#ifdef MIDGE_TLS_ERROR_TEXTS
    } else if (tls->error == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED) {
        describe_certificate(tls, text, size);
#endif
    } else {
        midge_tls_error_text(tls->error, text, size);
    }
    return tls->error != 0;
}

void midge_tls_describe(const struct midge_tls *tls, char *text, size_t size)
{
    struct midge_text line;
    midge_text_start(&line, text, size);
    midge_text_add(&line, mbedtls_ssl_get_version(&tls->ssl));
    midge_text_add(&line, ", ");
    midge_text_add(&line, mbedtls_ssl_get_ciphersuite(&tls->ssl));
}
