/* What this board can bear, however many clients it has room for. */
#ifndef MIDGE_BOARD_SETTINGS_H
#define MIDGE_BOARD_SETTINGS_H

#define BOARD_PACKET_SIZE_MAX 65536u
#define BOARD_INFLIGHT_MAX 16u

/* The ring of the console's lines, and the longest line. */
#define BOARD_CONSOLE_SIZE 4096u
#define BOARD_LINE_SIZE 512u

#endif
