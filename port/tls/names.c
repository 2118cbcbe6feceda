/* The names in certificates. */
#include "internal.h"

#ifdef MBEDTLS_X509_CRT_PARSE_C

#include "mbedtls/oid.h"

#include <string.h>

/* Longer subjects are refused. */
#define NAME_SIZE 512u

struct name {
    char bytes[NAME_SIZE];
    size_t used;
    bool full;
};

static void add(struct name *name, const void *bytes, size_t size)
{
    if (size > sizeof(name->bytes) - name->used) {
        name->full = true;
        return;
    }
    memcpy(name->bytes + name->used, bytes, size);
    name->used += size;
}

/* A value with what RFC 2253 wants escaped. */
static void add_value(struct name *name, const uint8_t *value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        bool end = (i == 0 && (value[i] == ' ' || value[i] == '#')) || (i + 1 == size && value[i] == ' ');
        if (end || memchr(",+\"\\<>;", value[i], 7) != NULL) {
            add(name, "\\", 1);
        }
        add(name, value + i, 1);
    }
}

static const mbedtls_x509_name *part_at(const mbedtls_x509_name *parts, size_t index)
{
    while (index-- > 0) {
        parts = parts->next;
    }
    return parts;
}

/* The parts from the last to the first, as "CN=device,O=us". */
static void add_subject(struct name *name, const mbedtls_x509_name *parts)
{
    size_t count = 0;
    for (const mbedtls_x509_name *part = parts; part != NULL; part = part->next) {
        count++;
    }
    while (count-- > 0) {
        const mbedtls_x509_name *part = part_at(parts, count);
        const char *type = NULL;
        if (mbedtls_oid_get_attr_short_name(&part->oid, &type) != 0) {
            name->full = true;
            return;
        }
        add(name, type, strlen(type));
        add(name, "=", 1);
        add_value(name, part->val.p, part->val.len);
        if (count > 0) {
            add(name, ",", 1);
        }
    }
}

static void add_common_name(struct name *name, const mbedtls_x509_name *parts)
{
    for (const mbedtls_x509_name *part = parts; part != NULL && name->used == 0; part = part->next) {
        if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &part->oid) == 0) {
            add(name, part->val.p, part->val.len);
        }
    }
}

char *midge_tls_certificate_name(const mbedtls_x509_crt *certificate, bool subject)
{
    struct name name = {.used = 0};
    if (subject) {
        add_subject(&name, &certificate->subject);
    } else {
        add_common_name(&name, &certificate->subject);
    }
    /* A 0 inside would make one name look like another. */
    if (name.full || name.used == 0 || memchr(name.bytes, '\0', name.used) != NULL) {
        return NULL;
    }
    return midge_tls_copy(name.bytes, name.used);
}

#endif
