#include "internal.h"

#include "mbedtls/net_sockets.h"

#include <string.h>

/* ---- The transport below ---------------------------------------------------------------------------------------------- */

static int send_bytes(void *context, const unsigned char *bytes, size_t size)
{
    struct midge_tls *tls = context;
    int sent = tls->transport->send(tls->connection, bytes, size);
    return sent >= 0 ? sent : sent == MIDGE_TLS_BLOCKED ? MBEDTLS_ERR_SSL_WANT_WRITE : MBEDTLS_ERR_NET_CONN_RESET;
}

static int receive_bytes(void *context, unsigned char *bytes, size_t size)
{
    struct midge_tls *tls = context;
    int got = tls->transport->receive(tls->connection, bytes, size);
    return got >= 0 ? got : got == MIDGE_TLS_BLOCKED ? MBEDTLS_ERR_SSL_WANT_READ : MBEDTLS_ERR_SSL_CONN_EOF;
}

/* ---- Beginning and end ------------------------------------------------------------------------------------------------ */

#ifdef MBEDTLS_X509_CRT_PARSE_C
/* Keeps the name in the client's certificate, which is not kept itself. It counts only if the handshake succeeds. */
static int note_name(void *parameter, mbedtls_x509_crt *certificate, int depth, uint32_t *flags)
{
    struct midge_tls *tls = parameter;
    (void)flags;
    if (depth == 0 && tls->context->named) {
        mbedtls_free(tls->identity);
        tls->identity = midge_tls_certificate_name(certificate, tls->context->subject);
    }
    return 0;
}
#endif

/* The session itself lies outside of the gap that the last handshake's buffers have left, so that the next ones fit into it:
 * the allocator takes the first gap that is large enough, and would cut this one in pieces. */
static struct midge_tls *take_session(void)
{
    void *in = mbedtls_calloc(1, MBEDTLS_SSL_IN_CONTENT_LEN);
    void *out = mbedtls_calloc(1, MBEDTLS_SSL_OUT_CONTENT_LEN);
    struct midge_tls *tls = mbedtls_calloc(1, sizeof(*tls));
    mbedtls_free(in);
    mbedtls_free(out);
    return tls;
}

struct midge_tls *midge_tls_open(struct midge_tls_context *context, const struct midge_tls_transport *transport,
                                 void *connection)
{
    struct midge_tls *tls = midge_tls_has_room() ? take_session() : NULL;
    if (tls == NULL) {
        return NULL;
    }
    mbedtls_ssl_init(&tls->ssl);
    if (mbedtls_ssl_setup(&tls->ssl, &context->config) != 0) {
        mbedtls_ssl_free(&tls->ssl);
        mbedtls_free(tls);
        return NULL;
    }
    tls->context = context;
    context->users++;
    tls->transport = transport;
    tls->connection = connection;
    mbedtls_ssl_set_bio(&tls->ssl, tls, send_bytes, receive_bytes, NULL);
#ifdef MBEDTLS_X509_CRT_PARSE_C
    mbedtls_ssl_set_verify(&tls->ssl, note_name, tls);
#endif
    midge_tls_count_session(1);
    return tls;
}

void midge_tls_free(struct midge_tls *tls)
{
    mbedtls_ssl_free(&tls->ssl);
    midge_tls_context_release(tls->context);
    mbedtls_free(tls->identity);
    mbedtls_free(tls);
    midge_tls_count_session(-1);
}

void midge_tls_close_notify(struct midge_tls *tls)
{
    (void)mbedtls_ssl_close_notify(&tls->ssl);
}

/* ---- Reading and writing ---------------------------------------------------------------------------------------------- */

static int result_of(struct midge_tls *tls, int status)
{
    switch (status) {
    case MBEDTLS_ERR_SSL_WANT_READ:
    case MBEDTLS_ERR_SSL_WANT_WRITE:
        return MIDGE_TLS_BLOCKED;
    case 0:
    case MBEDTLS_ERR_SSL_CONN_EOF:
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
        return MIDGE_TLS_CLOSED;
    default:
        tls->error = status;
        return MIDGE_TLS_FAILED;
    }
}

/* One step, since each may cost milliseconds. */
static int handshake(struct midge_tls *tls)
{
    int status = mbedtls_ssl_handshake_step(&tls->ssl);
#ifdef MBEDTLS_X509_CRT_PARSE_C
    if (!midge_tls_shaking(tls)) {
        midge_tls_forget_certificate(&tls->ssl);
    }
#endif
    return status == 0 ? MIDGE_TLS_BUSY : result_of(tls, status);
}

int midge_tls_read(struct midge_tls *tls, uint8_t *bytes, size_t size)
{
    if (tls->error != 0) {
        return MIDGE_TLS_FAILED;
    }
    if (midge_tls_shaking(tls)) {
        return handshake(tls);
    }
    int status = mbedtls_ssl_read(&tls->ssl, bytes, size);
    return status > 0 ? status : result_of(tls, status);
}

int midge_tls_peek(struct midge_tls *tls, const uint8_t **bytes)
{
    uint8_t none;
    int result = midge_tls_shaking(tls) || tls->error != 0 || mbedtls_ssl_get_bytes_avail(&tls->ssl) == 0
                     ? midge_tls_read(tls, &none, 0) /* the next record, and nothing of it */
                     : MIDGE_TLS_CLOSED;
    size_t size = mbedtls_ssl_get_bytes_avail(&tls->ssl);
    *bytes = midge_tls_decrypted(&tls->ssl);
    return result == MIDGE_TLS_CLOSED && size > 0 ? (int)size : result;
}

void midge_tls_skip(struct midge_tls *tls, size_t size)
{
    uint8_t nowhere[64];
    while (size > 0) {
        int got = mbedtls_ssl_read(&tls->ssl, nowhere, size < sizeof(nowhere) ? size : sizeof(nowhere));
        size = got > 0 ? size - (size_t)got : 0;
    }
}

bool midge_tls_shaking(const struct midge_tls *tls)
{
    return !midge_tls_handshake_over(&tls->ssl);
}

bool midge_tls_unsent(const struct midge_tls *tls)
{
    return midge_tls_output_left(&tls->ssl) > 0;
}

int midge_tls_flush(struct midge_tls *tls)
{
    if (tls->error != 0) {
        return MIDGE_TLS_FAILED;
    }
    if (!midge_tls_unsent(tls)) {
        return MIDGE_TLS_BUSY;
    }
    if (midge_tls_shaking(tls)) {
        return handshake(tls);
    }
    /* Of no bytes, so that whatever waits (a record, an alert) is sent and nothing is added. */
    int status = mbedtls_ssl_write(&tls->ssl, (const unsigned char *)"", 0);
    return status == 0 ? MIDGE_TLS_BUSY : result_of(tls, status);
}

int midge_tls_write(struct midge_tls *tls, const uint8_t *bytes, size_t size)
{
    size_t taken = 0;
    int result = midge_tls_shaking(tls) ? MIDGE_TLS_BLOCKED : midge_tls_flush(tls);
    while (result == MIDGE_TLS_BUSY && taken < size) {
        int status = mbedtls_ssl_write(&tls->ssl, bytes + taken, size - taken);
        if (status == MBEDTLS_ERR_SSL_WANT_WRITE) {
            /* The record is made, and waits in mbedTLS: midge_tls_flush sends it. */
            size_t record = (size_t)mbedtls_ssl_get_max_out_record_payload(&tls->ssl);
            taken += size - taken < record ? size - taken : record;
            result = MIDGE_TLS_BLOCKED;
        } else if (status > 0) {
            taken += (size_t)status;
        } else {
            result = result_of(tls, status);
        }
    }
    return taken > 0 ? (int)taken : result;
}

const char *midge_tls_identity(const struct midge_tls *tls)
{
    return midge_tls_shaking(tls) ? NULL : tls->identity;
}
