/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Allocations that fail on purpose. A program linked with WRAP_ALLOC (Makefile.am) has its own calls
 * of malloc and its kin counted; after fail_alloc_arm() the N-th of them fails. What shared libraries
 * allocate for themselves is left alone, but for jansson, which is asked to allocate through us. Any thread
 * counts. */
#ifndef TESTS_UNIT_FAIL_ALLOC_H
#define TESTS_UNIT_FAIL_ALLOC_H

#include <stdbool.h>
#include <stdint.h>

void fail_alloc_arm(uint64_t nth, bool onwards); /* onwards: and all that follow it */
bool fail_alloc_rest(void);                      /* no more of it; whether one has failed since arming */
void fail_alloc_use_jansson(void);               /* json_set_alloc_funcs */

/* Runs the scenario with its first, second, … allocation failing, alone and with all that follow it, until
 * one runs through. The scenario calls fail_alloc_rest() before it judges. How many allocations it makes. */
uint64_t fail_alloc_each(void (*scenario)(void *context), void *context);

#endif
