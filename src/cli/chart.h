/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Clean SVG charts for the report page: lines over time, bars of a distribution. Colours come from the page's
 * style sheet (classes c0 … c7), so that they fit both of its colour schemes. */
#ifndef CLI_CHART_H
#define CLI_CHART_H

#include <stddef.h>
#include <stdio.h>

struct series {
    const char *name; /* borrowed */
    double *x, *y;    /* owned by the caller; x rises */
    size_t count;
};

/* Text for HTML and SVG: & < > " and control characters made harmless. */
void chart_escape(const char *text, FILE *to);

/* x in seconds, y in unit ("pps"). Prints nothing for series without points. */
void chart_lines(const struct series *series, size_t count, const char *unit, FILE *to);

/* A bar from x[i] to x[i + 1] with height y[i]: x has one entry more than y; x in ns. */
void chart_bars(const struct series *series, FILE *to);

#endif
