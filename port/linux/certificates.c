#define _GNU_SOURCE
#include "certificates.h"

#include "directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_SIZE_MAX 1048576u
#define PSK_IDENTITY_MAX 128u
#define PSK_KEY_MAX 32u

/* The listener that is being read, for messages. */
struct reader {
    struct midge_configuration *config;
    size_t number;
    const struct midge_listener_settings *listener;
    struct midge_tls_context *context;
};

/* The text of the file that is being read, and a 0. */
static uint8_t text[FILE_SIZE_MAX + 1];

bool midge_listener_has_tls(const struct midge_listener_settings *listener)
{
    const struct midge_tls_settings *tls = &listener->tls;
    return tls->certificate_path[0] != '\0' || tls->key_path[0] != '\0' || tls->authority_path[0] != '\0' ||
           tls->authority_directory[0] != '\0' || tls->psk_hint[0] != '\0';
}

bool midge_settings_have_tls(const struct midge_settings *settings)
{
    bool any = false;
    for (size_t i = 0; i < settings->listener_count; i++) {
        any = any || midge_listener_has_tls(&settings->listeners[i]);
    }
    return any;
}

/* ---- Files ------------------------------------------------------------------------------------------------------------ */

/* Reads a whole file into `text`. Returns its size with the 0 after it, 0 where that fails: errno says why. */
static size_t read_file(int directory, const char *path)
{
    size_t used = 0;
    ssize_t got = -1;
    int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    do {
        got = read(fd, text + used, FILE_SIZE_MAX - used);
        used += got > 0 ? (size_t)got : 0;
    } while (got > 0 && used < FILE_SIZE_MAX);
    int error = used == FILE_SIZE_MAX ? EFBIG : errno;
    close(fd);
    errno = error;
    text[used] = '\0';
    return got < 0 || used == FILE_SIZE_MAX ? 0 : used + 1;
}

/* mbedTLS wants the 0 after a text, and none after DER, which begins with 0x30. */
static size_t size_for_parser(size_t size)
{
    return text[0] == 0x30 ? size - 1 : size;
}

typedef int take(struct midge_tls_context *context, const uint8_t *bytes, size_t size);

/* Gives a file to one of the functions above. `what` says what it should hold. */
static bool load_file(const struct reader *reader, const char *option, const char *path, take *function, const char *what)
{
    char reason[256];
    size_t size = read_file(AT_FDCWD, path);
    if (size == 0) {
        midge_config_wrong(reader->config, reader->number, option, "cannot read %s: %s; check the path and its permissions",
                           path, strerror(errno));
        return false;
    }
    int error = function(reader->context, text, size_for_parser(size));
    if (error != 0) {
        midge_tls_error_text(error, reason, sizeof(reason));
        midge_config_wrong(reader->config, reader->number, option, "%s is not %s that can be used: %s", path, what, reason);
    }
    memset(text, 0, size);
    return error == 0;
}

/* ---- capath ----------------------------------------------------------------------------------------------------------- */

/* The names that "openssl rehash" gives: eight hexadecimal digits, a dot and a number. Other files in it are left alone. */
static bool is_hash_name(const char *name)
{
    return strspn(name, "0123456789abcdef") == 8 && name[8] == '.' && name[9] != '\0' &&
           strspn(name + 9, "0123456789") == strlen(name + 9);
}

static bool load_entry(const struct reader *reader, const struct midge_directory *directory, const char *name)
{
    char reason[256];
    size_t size = read_file(directory->fd, name);
    int error = size == 0 ? 0 : midge_tls_context_authorities(reader->context, text, size_for_parser(size));
    if (size == 0 || error != 0) {
        midge_tls_error_text(error, reason, sizeof(reason));
        midge_config_wrong(reader->config, reader->number, "capath", "%s in it cannot be used: %s", name,
                           size == 0 ? strerror(errno) : reason);
        return false;
    }
    return true;
}

static bool load_directory(const struct reader *reader, const char *path)
{
    static struct midge_directory directory;
    const char *name;
    unsigned count = 0;
    bool good = midge_directory_open(&directory, path);
    if (!good) {
        midge_config_wrong(reader->config, reader->number, "capath", "cannot read the directory %s: %s", path, strerror(errno));
        return false;
    }
    while (good && (name = midge_directory_next(&directory)) != NULL) {
        if (is_hash_name(name)) {
            good = load_entry(reader, &directory, name);
            count++;
        }
    }
    midge_directory_close(&directory);
    if (good && count == 0) {
        midge_config_wrong(reader->config, reader->number, "capath", "no certificate is found in %s; run: openssl rehash %s",
                           path, path);
    }
    return good && count > 0;
}

/* ---- psk_file --------------------------------------------------------------------------------------------------------- */

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Reads "identity:key in hexadecimal digits". Returns what is wrong with the line, NULL where it is good. */
static const char *load_psk(const struct reader *reader, char *line)
{
    uint8_t key[PSK_KEY_MAX];
    char *colon = strchr(line, ':');
    if (colon == NULL || colon == line || colon - line > (long)PSK_IDENTITY_MAX) {
        return "an identity of 1 .. 128 bytes and a colon are wanted before the key";
    }
    size_t digits = strlen(colon + 1);
    if (digits == 0 || digits % 2 != 0 || digits > 2 * sizeof(key)) {
        return "the key has an even number of hexadecimal digits, 2 .. 64";
    }
    *colon = '\0';
    for (size_t i = 0; i < digits; i += 2) {
        int high = digit(colon[1 + i]);
        int low = digit(colon[2 + i]);
        if (high < 0 || low < 0) {
            return "the key consists of hexadecimal digits";
        }
        key[i / 2] = (uint8_t)(high * 16 + low);
    }
    return midge_tls_context_psk(reader->context, line, key, digits / 2) == 0 ? NULL
                                                                              : "no memory is left; raise limit_tls_memory";
}

static bool load_psks(const struct reader *reader, const char *path)
{
    size_t size = read_file(AT_FDCWD, path);
    unsigned number = 0;
    const char *wrong = NULL;
    if (size == 0) {
        midge_config_wrong(reader->config, reader->number, "psk_file", "cannot read %s: %s; check the path and its permissions",
                           path, strerror(errno));
        return false;
    }
    for (char *line = (char *)text, *end; line != NULL && wrong == NULL; line = end) {
        end = strchr(line, '\n');
        if (end != NULL) {
            *end++ = '\0';
        }
        line[strcspn(line, "\r")] = '\0';
        number++;
        if (line[0] != '\0' && line[0] != '#') {
            wrong = load_psk(reader, line);
        }
    }
    memset(text, 0, size);
    if (wrong != NULL) {
        midge_config_wrong(reader->config, reader->number, "psk_file", "%s:%u: %s", path, number, wrong);
    }
    return wrong == NULL;
}

/* ---- One listener ----------------------------------------------------------------------------------------------------- */

/* Options that need another one. */
static bool check(const struct reader *reader)
{
    const struct midge_tls_settings *tls = &reader->listener->tls;
    bool certificate = tls->certificate_path[0] != '\0';
    bool authorities = tls->authority_path[0] != '\0' || tls->authority_directory[0] != '\0';
    bool psk = tls->psk_hint[0] != '\0';
    const struct {
        bool wrong;
        const char *option;
        const char *advice;
    } rules[] = {
        {certificate && tls->key_path[0] == '\0', "certfile", "the listener needs a keyfile too"},
        {!certificate && tls->key_path[0] != '\0', "keyfile", "the listener needs a certfile too"},
        {!certificate && tls->authority_path[0] != '\0', "cafile", "the listener needs a certfile and a keyfile too"},
        {!certificate && tls->authority_directory[0] != '\0', "capath", "the listener needs a certfile and a keyfile too"},
        {tls->require_certificate && !(certificate && authorities), "require_certificate",
         "the listener needs certfile, keyfile, and cafile or capath for the authorities of its clients"},
        {tls->crl_path[0] != '\0' && !tls->require_certificate, "crlfile", "the listener needs require_certificate true"},
        {psk && reader->listener->security.psk_path[0] == '\0', "psk_hint", "the keys are missing: psk_file names the file"},
        {tls->identity_as_username && !tls->require_certificate && !psk, "use_identity_as_username",
         "the listener needs require_certificate true, or psk_hint"},
        {tls->subject_as_username && !tls->require_certificate, "use_subject_as_username",
         "the listener needs require_certificate true"},
        {tls->ciphers[0] != '\0' && !certificate && !psk, "ciphers",
         "the listener has no TLS: it needs a certfile or a psk_hint"},
        {reader->listener->domain == MIDGE_DOMAIN_UNIX && (certificate || psk), certificate ? "certfile" : "psk_hint",
         "a Unix socket has no TLS: remove the line"},
    };
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (rules[i].wrong) {
            midge_config_wrong(reader->config, reader->number, rules[i].option, "%s", rules[i].advice);
            return false;
        }
    }
    return true;
}

static bool read_ciphers(const struct reader *reader, int ciphers[MIDGE_TLS_CIPHERS_MAX + 1])
{
    char names[1024];
    size_t used = 0;
    const char *name;
    const char *unknown = midge_tls_ciphers(ciphers, reader->listener->tls.ciphers);
    if (unknown == NULL) {
        return true;
    }
    for (size_t i = 0; (name = midge_tls_cipher_name(i)) != NULL && used < sizeof(names); i++) {
        used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", i > 0 ? ":" : "", name);
    }
    midge_config_wrong(reader->config, reader->number, "ciphers", "\"%.*s\" is not a cipher that Midge has; valid: names of %s",
                       (int)strcspn(unknown, ":"), unknown, names);
    return false;
}

static bool read_files(const struct reader *reader)
{
    const struct midge_tls_settings *tls = &reader->listener->tls;
    return (tls->certificate_path[0] == '\0' ||
            (load_file(reader, "certfile", tls->certificate_path, midge_tls_context_certificate, "a certificate") &&
             load_file(reader, "keyfile", tls->key_path, midge_tls_context_key, "a key without passphrase"))) &&
           (tls->authority_path[0] == '\0' ||
            load_file(reader, "cafile", tls->authority_path, midge_tls_context_authorities, "a list of certificates")) &&
           (tls->authority_directory[0] == '\0' || load_directory(reader, tls->authority_directory)) &&
           (tls->crl_path[0] == '\0' ||
            load_file(reader, "crlfile", tls->crl_path, midge_tls_context_revoked, "a list of revoked certificates")) &&
           (tls->psk_hint[0] == '\0' || load_psks(reader, reader->listener->security.psk_path));
}

static bool finish(const struct reader *reader)
{
    int ciphers[MIDGE_TLS_CIPHERS_MAX + 1];
    char reason[256];
    const struct midge_tls_settings *tls = &reader->listener->tls;
    struct midge_tls_options options = {
        .require_certificate = tls->require_certificate,
        .named = tls->identity_as_username || tls->subject_as_username,
        .subject = tls->subject_as_username,
    };
    if (tls->ciphers[0] != '\0') {
        if (!read_ciphers(reader, ciphers)) {
            return false;
        }
        options.ciphers = ciphers;
    }
    int error = midge_tls_context_finish(reader->context, &options);
    if (error != 0) {
        midge_tls_error_text(error, reason, sizeof(reason));
        midge_config_wrong(reader->config, reader->number, tls->certificate_path[0] != '\0' ? "keyfile" : "psk_hint",
                           "it does not fit the other options of the listener: %s", reason);
    }
    return error == 0;
}

bool midge_certificates_load(struct midge_certificates *certificates, struct midge_configuration *config)
{
    const struct midge_settings *settings = &config->settings;
    memset(certificates, 0, sizeof(*certificates));
    for (size_t i = 0; i < settings->listener_count; i++) {
        struct reader reader = {.config = config, .number = i, .listener = &settings->listeners[i]};
        if (!check(&reader)) {
            midge_certificates_release(certificates);
            return false;
        }
        if (!midge_listener_has_tls(reader.listener)) {
            continue;
        }
        reader.context = midge_tls_context_new();
        certificates->contexts[i] = reader.context;
        if (reader.context == NULL) {
            midge_config_wrong(config, SIZE_MAX, "limit_tls_memory", "it leaves no memory for the certificates; raise it");
        }
        if (reader.context == NULL || !read_files(&reader) || !finish(&reader)) {
            midge_certificates_release(certificates);
            return false;
        }
    }
    return true;
}

bool midge_certificates_fixed(struct midge_configuration *config, const struct midge_settings *running)
{
    for (size_t i = 0; i < running->listener_count; i++) {
        if (midge_listener_has_tls(&config->settings.listeners[i]) != midge_listener_has_tls(&running->listeners[i])) {
            midge_config_wrong(config, SIZE_MAX, "listener",
                               "the one on port %u begins or ends to use TLS at the next start only",
                               config->settings.listeners[i].port);
            return false;
        }
    }
    return true;
}

void midge_certificates_release(struct midge_certificates *certificates)
{
    for (size_t i = 0; i <= MIDGE_LISTENERS_MAX; i++) {
        midge_tls_context_release(certificates->contexts[i]);
        certificates->contexts[i] = NULL;
    }
}
