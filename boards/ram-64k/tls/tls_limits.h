/* TLS on a board with 64 KB of RAM: shared keys only. A client may send records of 1,536 bytes, as large as a packet, and gets
 * such of 512.
 *
 * The arena: 3.6 KB for each of 6 clients, as much again for a handshake, 0.4 KB for what is offered, and gaps. */
#define BOARD_TLS_MEMORY 26624u

#define MIDGE_TLS_PSK 1
#define MIDGE_TLS_DRBG 1
#define MBEDTLS_SSL_IN_CONTENT_LEN 1536
#define MBEDTLS_SSL_OUT_CONTENT_LEN 512
