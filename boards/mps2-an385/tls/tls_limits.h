/* TLS on this board: ECDSA certificates and shared keys, records of any size. The arena has room for all 64 clients and a
 * handshake. */
#define BOARD_TLS_MEMORY (1536u * 1024u)

#define MIDGE_TLS_CERTIFICATES 1
#define MIDGE_TLS_PSK 1
#define MIDGE_TLS_DRBG 1
#define MBEDTLS_SSL_IN_CONTENT_LEN 16384
#define MBEDTLS_SSL_OUT_CONTENT_LEN 16384
