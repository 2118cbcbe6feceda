#include "word_fifo.h"

#include "lwip/pbuf.h"

#include <string.h>

/* Each message passes here twice: the inner loops are what counts. The words of a buffer need not be aligned. */
uint32_t midge_word_fifo_read(volatile uint32_t *fifo, struct pbuf *frame, uint32_t word, uint32_t count)
{
    uint32_t words_read = 0;
    struct pbuf *part;
    uint8_t *to, *end;

    for (part = frame; part; part = part->next) {
        to = part->payload;
        end = to + part->len;
        while (to < end) {
            if (count == 0) {
                for (; end - to >= 4; to += 4) {
                    word = *fifo;
                    memcpy(to, &word, 4);
                    words_read++;
                }
                if (to == end) {
                    break;
                }
                word = *fifo;
                words_read++;
                count = 4;
            }
            *to++ = (uint8_t)word;
            word >>= 8;
            count--;
        }
    }
    return words_read;
}

void midge_word_fifo_write(volatile uint32_t *fifo, const struct pbuf *frame, uint32_t word, uint32_t count)
{
    const struct pbuf *part;
    const uint8_t *from, *end;

    for (part = frame; part; part = part->next) {
        from = part->payload;
        end = from + part->len;
        while (from < end) {
            if (count == 0) {
                for (; end - from >= 4; from += 4) {
                    memcpy(&word, from, 4);
                    *fifo = word;
                }
                word = 0;
                if (from == end) {
                    break;
                }
            }
            word |= (uint32_t)*from++ << (8u * count);
            if (++count == 4) {
                *fifo = word;
                word = 0;
                count = 0;
            }
        }
    }
    if (count > 0) {
        *fifo = word;
    }
}
