/* A whole simulation: its steps, and what must be true at the end. */
#ifndef SIM_SIMULATION_H
#define SIM_SIMULATION_H

#include "world.h"

/* Runs the simulation that the options name. `skipped` tells which steps are left out; NULL: none. Returns true if the broker
 * and the oracle agreed to the end, else false, with w->failure. Always followed by simulation_free. */
bool simulation_run(struct world *w, const struct options *options, const uint8_t *skipped);

void simulation_free(struct world *w);

#endif
