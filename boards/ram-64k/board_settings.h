/* What a board with 64 KB of RAM can bear, however many clients it has room for. */
#ifndef MIDGE_BOARD_SETTINGS_H
#define MIDGE_BOARD_SETTINGS_H

#define BOARD_PACKET_SIZE_MAX 1536u
#define BOARD_INFLIGHT_MAX 4u

/* The ring of the console's lines, and the longest line. */
#define BOARD_CONSOLE_SIZE 512u
#define BOARD_LINE_SIZE 160u

#endif
