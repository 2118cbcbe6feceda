#include "console.h"

#include "board.h"
#include "board_settings.h"

#include <string.h>

#define RING_SIZE BOARD_CONSOLE_SIZE

/* Filled at (start + used) % RING_SIZE, emptied at start; used <= RING_SIZE. */
static char ring[RING_SIZE];
static uint32_t start, used;
static uint32_t lines_lost;

static void append(const char *bytes, size_t size)
{
    size_t i;

    for (i = 0; i < size; i++) {
        ring[(start + used) % RING_SIZE] = bytes[i];
        used++;
    }
}

static bool add_line(const char *bytes, size_t size)
{
    (void)midge_console_turn();
    if (size + 2 > RING_SIZE - used) {
        return false;
    }
    append(bytes, size);
    append("\r\n", 2);
    return true;
}

void midge_console_line(const struct midge_text *text)
{
    char bytes[40];
    struct midge_text note;

    if (lines_lost > 0) {
        midge_text_start(&note, bytes, sizeof bytes);
        midge_text_add(&note, "console: lines lost: ");
        midge_text_add_number(&note, lines_lost);
        if (add_line(bytes, note.used)) {
            lines_lost = 0;
        }
    }
    if (lines_lost > 0 || !add_line(text->bytes, text->used)) {
        lines_lost++;
    }
}

void midge_console_say(const char *words)
{
    char bytes[100];
    struct midge_text text;

    midge_text_start(&text, bytes, sizeof bytes);
    midge_text_add(&text, words);
    midge_console_line(&text);
}

bool midge_console_turn(void)
{
    while (used > 0 && midge_board_console_put(ring[start])) {
        start = (start + 1) % RING_SIZE;
        used--;
    }
    return used > 0;
}

void midge_console_flush(void)
{
    while (midge_console_turn()) {
        midge_board_watchdog_feed();
    }
}
