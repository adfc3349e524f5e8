/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows are pointers into the counters object, filtered and sorted for the view. History is kept by name, so
 * that it survives reloads and sorting. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/top.h"

const char *const top_view_names[] = {[TOP_PORTS] = "ports", [TOP_STREAMS] = "streams"};
const char *const top_order_names[] = {[ORDER_NAME] = "name",
                                       [ORDER_RATE] = "rate",
                                       [ORDER_SENT] = "sent",
                                       [ORDER_MISSED] = "missed",
                                       [ORDER_STATE] = "state"};

static json_t *history_of(json_t *old, const json_t *row)
{
    json_t *rates = json_object_get(old, field_text(row, "name"));
    rates = rates == NULL ? json_array() : json_incref(rates);
    json_array_append_new(rates, json_real(field_real(json_object_get(row, "achieved"), "pps")));
    if (json_array_size(rates) > TOP_HISTORY)
        json_array_remove(rates, 0);
    return rates;
}

static int remember(struct top *top, enum top_view view)
{
    json_t *fresh = json_object();
    size_t index;
    const json_t *row;
    FIELD_EACH(top->counters, top_view_names[view], index, row)
    json_object_set_new(fresh, field_text(row, "name"), history_of(top->history[view], row));
    json_decref(top->history[view]);
    top->history[view] = fresh;
    return fresh == NULL ? -ENOMEM : 0;
}

int top_take(struct top *top, json_t *counters)
{
    json_decref(top->counters);
    top->counters = counters;
    int failed = 0;
    for (enum top_view view = 0; view < TOP_VIEWS && failed == 0; view++)
        failed = remember(top, view);
    return failed != 0 ? failed : top_arrange(top);
}

static int compare_figures(double a, double b) /* the largest first */
{
    return a < b ? 1 : a > b ? -1 : 0;
}

static int compare_rows(const void *a, const void *b, void *order)
{
    const json_t *left = *(const json_t *const *)a, *right = *(const json_t *const *)b;
    int by = 0;
    switch (*(const enum top_order *)order) {
    case ORDER_RATE:
        by = compare_figures(field_real(json_object_get(left, "achieved"), "pps"),
                             field_real(json_object_get(right, "achieved"), "pps"));
        break;
    case ORDER_SENT:
        by = compare_figures(field_real(left, "completed"), field_real(right, "completed"));
        break;
    case ORDER_MISSED:
        by = compare_figures(field_real(left, "missed"), field_real(right, "missed"));
        break;
    case ORDER_STATE:
        by = strcmp(field_text(left, "state"), field_text(right, "state"));
        break;
    case ORDER_NAME:
    case ORDERS:
        break;
    }
    return by != 0 ? by : strverscmp(field_text(left, "name"), field_text(right, "name"));
}

static void find_cursor(struct top *top)
{
    for (size_t i = 0; i < top->row_count; i++) {
        if (strcmp(field_text(top->rows[i], "name"), top->chosen[top->view]) == 0) {
            top->cursor = i;
            return;
        }
    }
    top_move(top, 0);
}

int top_arrange(struct top *top)
{
    const json_t *list = json_object_get(top->counters, top_view_names[top->view]), *row;
    const json_t **rows = reallocarray(top->rows, json_array_size(list) + 1, sizeof *rows);
    if (rows == NULL)
        return -ENOMEM;
    top->rows = rows;
    top->row_count = 0;
    size_t index;
    json_array_foreach(list, index, row) if (strstr(field_text(row, "name"), top->filter) != NULL)
        rows[top->row_count++] = row;
    qsort_r(rows, top->row_count, sizeof *rows, compare_rows, &top->order);
    find_cursor(top);
    return 0;
}

const json_t *top_chosen(const struct top *top)
{
    return top->cursor < top->row_count ? top->rows[top->cursor] : NULL;
}

void top_move(struct top *top, long by)
{
    long to = (long)top->cursor + by, last = (long)top->row_count - 1;
    to = to > last ? last : to;
    top->cursor = to < 0 ? 0 : (size_t)to;
    const json_t *row = top_chosen(top);
    if (row != NULL)
        snprintf(top->chosen[top->view], sizeof top->chosen[top->view], "%s", field_text(row, "name"));
}

void top_fini(struct top *top)
{
    for (enum top_view view = 0; view < TOP_VIEWS; view++)
        json_decref(top->history[view]);
    json_decref(top->counters);
    free(top->rows);
}
