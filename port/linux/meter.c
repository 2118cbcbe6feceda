#include "meter.h"

#define PACKET_PUBLISH 3u
#define MILLI 1000u

void midge_meter_start(struct midge_meter *meter, bool follows)
{
    /* A meter that nobody has used, and nobody will, keeps its page unused. */
    if (follows || meter->follows || meter->filled_ms != 0) {
        *meter = (struct midge_meter){.follows = follows, .listed = meter->listed, .next = meter->next};
    }
}

static uint64_t fill(uint64_t content_m, uint32_t rate, uint64_t passed_ms)
{
    uint64_t full_m = (uint64_t)rate * MILLI;
    return passed_ms >= MILLI || content_m + rate * passed_ms > full_m ? full_m : content_m + rate * passed_ms;
}

/* Moves on by one byte. Returns whether it is the first of a PUBLISH. */
static bool step(struct midge_meter *meter, uint8_t byte)
{
    if (meter->in_length) {
        meter->body |= (uint32_t)(byte & 0x7F) << meter->shift;
        meter->shift = (uint8_t)(meter->shift + 7);
        /* A length that is longer than allowed ends the connection; what it says does not matter. */
        meter->in_length = (byte & 0x80) != 0 && meter->shift < 28;
        return false;
    }
    if (meter->body > 0) {
        meter->body--;
        return false;
    }
    meter->in_length = true;
    meter->shift = 0;
    return byte >> 4 == PACKET_PUBLISH;
}

/* Moves on through these bytes, until `messages` packets have begun and another one would. Returns how far it came. */
static size_t walk(struct midge_meter *meter, const uint8_t *bytes, size_t size, uint64_t messages, uint64_t *begun)
{
    size_t i = 0;
    *begun = 0;
    while (i < size) {
        if (meter->body > 0 && !meter->in_length) {
            size_t skipped = meter->body < size - i ? meter->body : size - i;
            meter->body -= (uint32_t)skipped;
            i += skipped;
            continue;
        }
        struct midge_meter before = *meter;
        if (step(meter, bytes[i])) {
            if (*begun == messages) {
                *meter = before;
                break;
            }
            ++*begun;
        }
        i++;
    }
    return i;
}

size_t midge_meter_allow(struct midge_meter *meter, const struct midge_rates *rates, uint64_t now_ms, const uint8_t *bytes,
                         size_t size)
{
    uint64_t passed_ms = meter->filled_ms == 0 ? MILLI : now_ms - meter->filled_ms;
    meter->filled_ms = now_ms;
    meter->messages_m = fill(meter->messages_m, rates->messages, passed_ms);
    meter->bytes_m = fill(meter->bytes_m, rates->bytes, passed_ms);
    if (rates->bytes > 0 && size > meter->bytes_m / MILLI) {
        size = (size_t)(meter->bytes_m / MILLI);
    }
    if (rates->messages == 0 || !meter->follows) {
        return size;
    }
    struct midge_meter ahead = *meter;
    uint64_t begun;
    return walk(&ahead, bytes, size, meter->messages_m / MILLI, &begun);
}

void midge_meter_count(struct midge_meter *meter, const struct midge_rates *rates, const uint8_t *bytes, size_t size)
{
    uint64_t begun = 0;
    if (meter->follows) {
        (void)walk(meter, bytes, size, UINT64_MAX, &begun);
    }
    meter->messages_m -= rates->messages > 0 ? begun * MILLI : 0;
    meter->bytes_m -= rates->bytes > 0 ? size * MILLI : 0;
}
