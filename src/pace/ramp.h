/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A rate that changes linearly with time: the exact inverse of its integral, in whole nanoseconds.
 *
 * With rates a0/den → a1/den over T, the work done at t is  (2T·a0·t + (a1 − a0)·t²) / (2T·1e9·den) units. A
 * step adds its units to what is owed and takes the longest time that the ramp needs no more than that for.
 */
#ifndef PACE_RAMP_H
#define PACE_RAMP_H

#include "pace/beat.h"

struct ramp {
    uint64_t from, to; /* a0, a1 */
    uint64_t over_ns;  /* T */
    uint64_t at_ns;    /* t since the ramp's beginning */
    uint128 cost;      /* of one unit: 2T·1e9·den */
    uint128 owed;      /* less than one more nanosecond would take */
};

/* Rates of one unit; at_ns stays. */
void ramp_load(struct ramp *ramp, struct ratio from, struct ratio to, uint64_t over_ns);
/* Moves at_ns on by the time for so many units; DEADLINE_NEVER when the ramp ends at nothing before. */
void ramp_step(struct ramp *ramp, uint64_t units);
/* The rate at at_ns. */
struct ratio ramp_rate(const struct ramp *ramp);

#endif
