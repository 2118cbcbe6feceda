/* What lwIP asks of a compiler and a platform. */
#ifndef MIDGE_LWIP_CC_H
#define MIDGE_LWIP_CC_H

#include "checksum.h"

#include <stdint.h>

#define LWIP_NO_UNISTD_H 1
#define LWIP_NO_CTYPE_H 1

uint32_t midge_random(void);
#define LWIP_RAND() midge_random()

#define LWIP_CHKSUM midge_checksum

/* An assertion of lwIP that failed: the place is all that is said about it, by a trap. */
#define LWIP_PLATFORM_ASSERT(text) __builtin_trap()
#define LWIP_PLATFORM_DIAG(text)

/* One instruction each. */
#define LWIP_DONT_PROVIDE_BYTEORDER_FUNCTIONS
#define lwip_htons(x) ((u16_t)__builtin_bswap16(x))
#define lwip_htonl(x) ((u32_t)__builtin_bswap32(x))
#define lwip_ntohs(x) lwip_htons(x)
#define lwip_ntohl(x) lwip_htonl(x)

/* Words that need not be aligned: the frames' headers lie at 14 bytes. */
#define PACK_STRUCT_FIELD(field) field
#define PACK_STRUCT_STRUCT __attribute__((packed))
#define PACK_STRUCT_BEGIN
#define PACK_STRUCT_END

#endif
