#include "secure.h"

#include "board.h"
#include "console.h"
#include "random.h"
#include "tls.h"

#include "mbedtls/ctr_drbg.h"

#include <string.h>

static uint64_t tls_memory[BOARD_TLS_MEMORY / sizeof(uint64_t)];
static mbedtls_ctr_drbg_context generator;

/* What seeds the generator: all that the board has. */
static int gather(void *nothing, unsigned char *bytes, size_t size)
{
    uint64_t some;
    size_t count;

    (void)nothing;
    for (; size > 0; size -= count, bytes += count) {
        some = midge_board_entropy() ^ midge_random_u64();
        count = size < sizeof some ? size : sizeof some;
        memcpy(bytes, &some, count);
    }
    return 0;
}

/* Each draw also takes in when frames have arrived until now. */
static int draw(void *nothing, unsigned char *bytes, size_t size)
{
    uint64_t arrivals = midge_random_u64() ^ midge_board_entropy_tick();

    (void)nothing;
    return mbedtls_ctr_drbg_random_with_add(&generator, bytes, size, (const unsigned char *)&arrivals, sizeof arrivals);
}

static int add_keys(struct midge_tls_context *context)
{
    int error = 0;
    size_t i;

#ifdef MIDGE_TLS_CERTIFICATES
    for (i = 0; i < midge_keys_certificate_count && error == 0; i++) {
        error = midge_tls_context_certificate(context, midge_keys_certificates[i].bytes, midge_keys_certificates[i].size);
    }
    if (midge_keys_private.bytes && error == 0) {
        error = midge_tls_context_key(context, midge_keys_private.bytes, midge_keys_private.size);
    }
#endif
    for (i = 0; i < midge_keys_shared_count && error == 0; i++) {
        const struct midge_key_shared *shared = &midge_keys_shared[i];

        error = midge_tls_context_psk(context, shared->identity, shared->key.bytes, shared->key.size);
    }
    return error;
}

struct midge_tls_context *midge_secure_start(void)
{
    static const struct midge_tls_options options;
    struct midge_tls_context *context;
    char why[80] = "there is no memory for them";
    struct midge_text text;
    char line[120];
    int error;

    midge_tls_start(tls_memory, sizeof tls_memory, draw);
    mbedtls_ctr_drbg_init(&generator);
    error = mbedtls_ctr_drbg_seed(&generator, gather, NULL, (const unsigned char *)midge_board_name, strlen(midge_board_name));
    context = error == 0 ? midge_tls_context_new() : NULL;
    if (context) {
        error = add_keys(context);
        error = error != 0 ? error : midge_tls_context_finish(context, &options);
    }
    if (!context || error != 0) {
        if (error != 0) {
            midge_tls_error_text(error, why, sizeof why);
        }
        midge_text_start(&text, line, sizeof line);
        midge_text_add(&text, "the keys cannot be used: ");
        midge_text_add(&text, why);
        midge_console_line(&text);
        return NULL;
    }
    return context;
}
