/*
 * TLS for both ports, with mbedTLS: what a listener offers (a context) and what is said on one connection (a session).
 *
 * All memory is one arena given at the start. What finds no room in it fails by itself and harms nothing else: a new session is
 * refused, a handshake ends, new certificates are not taken over. Nothing here blocks: bytes come and go through two functions
 * of the port, and a function that cannot go on says what it waits for.
 */
#ifndef MIDGE_TLS_H
#define MIDGE_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct midge_tls_context;
struct midge_tls;

/* Fills `size` bytes with random numbers that nobody can guess. Returns 0; anything else ends what needed them. */
typedef int midge_tls_random(void *nothing, unsigned char *bytes, size_t size);

/* ---- Memory ---------------------------------------------------------------------------------------------------------- */

struct midge_tls_use {
    size_t bytes; /* in use, with what the allocator adds to each block */
    size_t peak;  /* likewise, the most there has been, a little too high */
    size_t size;  /* of the arena */
    uint32_t sessions;
};

/* Hands over the arena, aligned to 8 bytes, for good. It is not walked: pages never used cost nothing. To be called first, and
 * once. */
void midge_tls_start(void *memory, size_t size, midge_tls_random *random);

void midge_tls_memory(struct midge_tls_use *use);

/* ---- Contexts -------------------------------------------------------------------------------------------------------- */

struct midge_tls_options {
    bool require_certificate; /* a client must show a certificate that one of the authorities has signed */
    bool named;               /* who a client is, is kept: the common name in its certificate, or the identity of its key */
    bool subject;             /* likewise, but the whole subject of the certificate rather than the common name */
    const int *ciphers;       /* what midge_tls_ciphers made of a list; NULL: the default */
};

/* A context is made, is given what it needs, and is finished. Every function returns 0, or an error that
 * midge_tls_error_text explains; PEM text comes with its terminating 0, which counts in `size`, and DER is taken too. */
struct midge_tls_context *midge_tls_context_new(void); /* NULL: no memory */

/* The server's certificate, those that lead to the authority behind it, and its private key, without a passphrase. */
int midge_tls_context_certificate(struct midge_tls_context *context, const uint8_t *bytes, size_t size);
int midge_tls_context_key(struct midge_tls_context *context, const uint8_t *bytes, size_t size);

/* Certificates of authorities that sign clients' certificates, and what they have revoked. May be called several times. */
int midge_tls_context_authorities(struct midge_tls_context *context, const uint8_t *bytes, size_t size);
int midge_tls_context_revoked(struct midge_tls_context *context, const uint8_t *bytes, size_t size);

/* A key that a client and the server share, 1 .. 32 bytes; `identity` has 1 .. 128 bytes. Both are copied. */
int midge_tls_context_psk(struct midge_tls_context *context, const char *identity, const uint8_t *key, size_t size);

/* The context can be used, if this returns 0. */
int midge_tls_context_finish(struct midge_tls_context *context, const struct midge_tls_options *options);

/* Gives the context up, also where it was not finished. Sessions that use it keep it until they end. */
void midge_tls_context_release(struct midge_tls_context *context);

/* Reads a text of ciphers, separated by ':', into `list`, ended by 0: at most MIDGE_TLS_CIPHERS_MAX of them. The names are
 * OpenSSL's or the standard's. Returns NULL, or the name that is not known, which ends at ':' or 0. */
#define MIDGE_TLS_CIPHERS_MAX 24u
const char *midge_tls_ciphers(int list[MIDGE_TLS_CIPHERS_MAX + 1], const char *text);

/* OpenSSL's name of the cipher `number` of those there are, from 0 on; NULL after the last. */
const char *midge_tls_cipher_name(size_t number);

/* ---- Sessions -------------------------------------------------------------------------------------------------------- */

enum midge_tls_result {
    MIDGE_TLS_CLOSED = 0,   /* the peer has closed its side */
    MIDGE_TLS_BLOCKED = -1, /* the transport has nothing more to read, or where midge_tls_unsent, no room to write */
    MIDGE_TLS_BUSY = -2,    /* a step of the handshake is done: call again, at once or when others had their turn */
    MIDGE_TLS_FAILED = -3   /* the connection is of no use any more */
};

/* How a session reaches its transport: each returns the number of bytes (`receive` 0: the peer has closed), or one of
 * MIDGE_TLS_BLOCKED and MIDGE_TLS_FAILED. */
struct midge_tls_transport {
    int (*send)(void *connection, const uint8_t *bytes, size_t size);
    int (*receive)(void *connection, uint8_t *bytes, size_t size);
};

/* Begins a session. Returns NULL where the arena has no room for it and its handshake. */
struct midge_tls *midge_tls_open(struct midge_tls_context *context, const struct midge_tls_transport *transport,
                                 void *connection);

/* Reads what the peer says, after the handshake: returns the number of bytes or an enum midge_tls_result. To be called until it
 * is not more than 0 before sleeping: what is decrypted already, the transport does not announce. */
int midge_tls_read(struct midge_tls *tls, uint8_t *bytes, size_t size);

/* The same without taking them: sets `bytes` to what the peer says, in the session's own memory, and returns how many those
 * are, or an enum midge_tls_result. midge_tls_skip takes some of them. */
int midge_tls_peek(struct midge_tls *tls, const uint8_t **bytes);
void midge_tls_skip(struct midge_tls *tls, size_t size);

/* Takes up to `size` bytes to be sent, and returns how many, or an enum midge_tls_result. Those taken need not be given again,
 * even where the transport had no room: midge_tls_unsent then holds, and midge_tls_flush goes on. Nothing is taken before the
 * handshake is over. */
int midge_tls_write(struct midge_tls *tls, const uint8_t *bytes, size_t size);

/* What a record adds to the bytes in it, at most. */
#define MIDGE_TLS_OVERHEAD 29u

/* Whether the handshake is not over: its steps may take milliseconds each. */
bool midge_tls_shaking(const struct midge_tls *tls);

/* Whether something waits for room in the transport. */
bool midge_tls_unsent(const struct midge_tls *tls);

/* Goes on with what waits. Returns MIDGE_TLS_BUSY where there is no more of it, else MIDGE_TLS_BLOCKED or MIDGE_TLS_FAILED. */
int midge_tls_flush(struct midge_tls *tls);

/* Tells the peer that nothing more will come, as far as the transport has room. */
void midge_tls_close_notify(struct midge_tls *tls);

/* Ends the session and gives its memory back. */
void midge_tls_free(struct midge_tls *tls);

/* Who the client has shown to be, by its certificate or its shared key; NULL where by neither, or where it is not kept. */
const char *midge_tls_identity(const struct midge_tls *tls);

/* Writes why the session has failed, in words that fit after "failed: ". Returns false where it has not. */
bool midge_tls_why(const struct midge_tls *tls, char *text, size_t size);

/* Writes version and cipher, once the handshake is over. */
void midge_tls_describe(const struct midge_tls *tls, char *text, size_t size);

/* Writes what an error of the functions above means. */
void midge_tls_error_text(int error, char *text, size_t size);

#endif
