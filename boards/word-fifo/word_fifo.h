/* For Ethernet controllers that give and take frames word by word, through one register. */
#ifndef MIDGE_WORD_FIFO_H
#define MIDGE_WORD_FIFO_H

#include <stdint.h>

struct pbuf;

/* Reads a frame into a chain of buffers that is as long as it. `word` holds the frame's first `count` bytes (0 .. 3) in its
 * lowest ones: what came with the controller's own header. Returns how many words were read. */
uint32_t midge_word_fifo_read(volatile uint32_t *fifo, struct pbuf *frame, uint32_t word, uint32_t count);

/* Writes a frame. The lowest `count` bytes (0 .. 3) of `word` go before it; the last word is filled up with zeros. */
void midge_word_fifo_write(volatile uint32_t *fifo, const struct pbuf *frame, uint32_t word, uint32_t count);

#endif
