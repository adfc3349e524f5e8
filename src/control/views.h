/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows as JSON, with the keys of DESIGN §9: the one place that names them. Every key is always there and
 * never changes its type. New references, or NULL when memory is out (json_pack's way: the whole then is
 * NULL). Main thread. */
#ifndef CONTROL_VIEWS_H
#define CONTROL_VIEWS_H

#include <jansson.h>

#include "run/run.h"

json_t *view_run(const struct run_row *row);
json_t *view_port_counters(const struct port_row *row);
/* clocks: of each port of plan, what its time stamps are made by (port_row.receive_clock). */
typedef const char view_clock[40];
json_t *view_stream_counters(const struct stream_row *row, const struct plan *plan, view_clock *clocks);
json_t *view_port_status(const struct port_row *row);
json_t *view_stream_status(const struct stream_row *row, const struct plan *plan);
json_t *view_history(const struct history_point *point, const struct plan *plan);

/* The types above in Varlink's language. */
extern const char view_types[];

#endif
