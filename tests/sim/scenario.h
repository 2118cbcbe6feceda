/* What a seed decides before the first step: limits, policies, clients, faults. */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include "world.h"

/* Draws the scenario and the topics. */
void scenario_draw(struct world *w);

/* Draws policies that fit the scenario's limits. */
void scenario_draw_policy(struct world *w, struct midge_policy *policy);

/* The answer of the authorize callback: the same for the broker and for the oracle. */
bool scenario_allows(const struct world *w, uint32_t session, enum midge_action action, const char *topic, size_t size);

#endif
