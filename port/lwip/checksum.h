/* The Internet checksum (RFC 1071), which every header and every byte of TCP passes. lwIP's own in C takes half as long again.
 */
#ifndef MIDGE_CHECKSUM_H
#define MIDGE_CHECKSUM_H

#include <stdint.h>

/* The ones' complement sum of `size` bytes taken as 16-bit numbers in the memory's order, an odd last one filled up with zero.
 * The bytes need not be aligned. */
uint16_t midge_checksum(const void *bytes, int size);

#endif
