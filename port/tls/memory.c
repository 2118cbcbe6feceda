#include "internal.h"

#include "mbedtls/memory_buffer_alloc.h"

#include <string.h>

/* What the allocator keeps before each block: eight words. */
#define BLOCK_HEADER (8u * sizeof(void *))

/* What a session takes at most while its handshake lasts: both buffers at their full size, the keys that are agreed on, and the
 * certificates of the peer. */
#ifdef MBEDTLS_X509_CRT_PARSE_C
#define HANDSHAKE_WORK (sizeof(void *) > 4 ? 16384u : 4096u)
#else
#define HANDSHAKE_WORK 1536u
#endif
#define SESSION_PEAK (MBEDTLS_SSL_IN_CONTENT_LEN + MBEDTLS_SSL_OUT_CONTENT_LEN + HANDSHAKE_WORK)

static size_t arena_size;
static uint32_t sessions;

midge_tls_random *midge_tls_random_function;

void midge_tls_start(void *memory, size_t size, midge_tls_random *random)
{
    mbedtls_memory_buffer_alloc_init(memory, size);
    arena_size = size;
    midge_tls_random_function = random;
}

void midge_tls_memory(struct midge_tls_use *use)
{
    size_t bytes = 0, blocks = 0;
    memset(use, 0, sizeof(*use));
    if (arena_size > 0) {
        mbedtls_memory_buffer_alloc_cur_get(&bytes, &blocks);
        use->bytes = bytes + blocks * BLOCK_HEADER;
        mbedtls_memory_buffer_alloc_max_get(&bytes, &blocks);
        use->peak = bytes + blocks * BLOCK_HEADER;
    }
    use->size = arena_size;
    use->sessions = sessions;
}

bool midge_tls_has_room(void)
{
    struct midge_tls_use use;
    midge_tls_memory(&use);
    return use.bytes + SESSION_PEAK <= use.size;
}

void midge_tls_count_session(int change)
{
    sessions += (uint32_t)change;
}

char *midge_tls_copy(const void *bytes, size_t size)
{
    char *copy = mbedtls_calloc(1, size + 1);
    if (copy != NULL) {
        memcpy(copy, bytes, size);
    }
    return copy;
}
