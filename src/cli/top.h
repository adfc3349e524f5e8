/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What top knows (top_model.c), shows (top_draw.c) and does (top.c). One thread. */
#ifndef CLI_TOP_H
#define CLI_TOP_H

#include <jansson.h>
#include <stdbool.h>

#include "cli/session.h"

enum top_view { TOP_PORTS, TOP_STREAMS, TOP_VIEWS };
enum top_order { ORDER_NAME, ORDER_RATE, ORDER_SENT, ORDER_MISSED, ORDER_STATE, ORDERS };
enum top_prompt { PROMPT_NONE, PROMPT_FILTER, PROMPT_RATE };
enum { TOP_TEXT = 64, TOP_STORY = 512, TOP_HISTORY = 120 };

extern const char *const top_view_names[], *const top_order_names[];

struct top {
    struct session *session;
    json_t *counters;           /* owned; the last that came */
    json_t *history[TOP_VIEWS]; /* owned; name → the last TOP_HISTORY rates, oldest first */
    enum top_view view;
    enum top_order order;
    char filter[TOP_TEXT];       /* a part of the name */
    char chosen[TOP_VIEWS][256]; /* name under the cursor */
    const json_t **rows;         /* owned array of what the view shows, borrowed from counters */
    size_t row_count, cursor, first;
    char story[TOP_STORY]; /* what the last call had to tell */
    enum top_prompt prompt;
    char typed[TOP_TEXT];
    bool help, over;
};

/* Takes over fresh counters; adds to the history; forgets names that are gone. 0 or -ENOMEM. */
int top_take(struct top *top, json_t *counters);
/* Makes rows anew from counters, view, filter and order, and finds the cursor's row again. 0 or -ENOMEM. */
int top_arrange(struct top *top);
void top_move(struct top *top, long by);         /* the cursor, within the rows */
const json_t *top_chosen(const struct top *top); /* NULL when there are no rows */
void top_fini(struct top *top);

void top_draw(struct top *top); /* between initscr() and endwin() */
void top_draw_init(void);       /* colours; after initscr() */

#endif
