/* What the console shows of the memory: the table at the start, the pools on request. */
#ifndef MIDGE_REPORT_H
#define MIDGE_REPORT_H

#include "server.h"

/* Version, board and the table of the broker's memory. */
void midge_report_start(const struct midge_limits *limits);

/* What the pools of the broker and of lwIP hold, and what of the stack was never touched. */
void midge_report_pools(const struct midge_server *server);

#endif
