/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What people see: aligned tables, scaled units, colour where it helps; and JSON for programs. Text that came
 * over the socket is cleaned of control characters before it reaches a terminal. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum tone { TONE_PLAIN, TONE_GOOD, TONE_WARN, TONE_BAD, TONE_DIM, TONE_BOLD };

/* Colour is for a terminal, and not for one whose user has set NO_COLOR or has TERM=dumb. */
bool output_wants_colour(FILE *to);
const char *tone_on(enum tone tone, bool colour); /* the escape sequence, or "" */
const char *tone_off(enum tone tone, bool colour);
enum tone tone_of_state(const char *state);     /* a port's or a stream's */
enum tone tone_of_verdict(const char *verdict); /* of a run */

/* A table: cells are added in reading order, a row wraps after the last column. Columns whose cells are all
 * empty are left out. A cell takes the next free place; what cannot be stored is told by table_print(). */
enum align { LEFT, RIGHT };
struct column {
    const char *heading;
    enum align align;
};
struct table;
struct table *table_new(const struct column *columns, size_t count); /* NULL when memory is out: fine below */
void table_free(struct table *table);
void table_text(struct table *table, enum tone tone, const char *text); /* NULL is an empty cell */
void table_count(struct table *table, enum tone tone, uint64_t value);  /* 1,000,003 */
void table_si(struct table *table, double value, const char *unit);     /* 1.49 Mpps */
void table_time(struct table *table, uint64_t ns);                      /* 12.5 us */
size_t table_rows(const struct table *table);
int table_print(const struct table *table, FILE *to, bool colour); /* 0 or -ENOMEM */

/* Writes text with control characters as '?'; never more than size bytes with the NUL. */
char *output_clean(const char *text, char *out, size_t size);

/* One JSON value and a newline; indented for people (a terminal), compact for programs and in streams. */
int output_json(const json_t *value, FILE *to, bool compact);

/* Reading replies: absent or of another type reads as 0, "" or NULL, so that an older daemon's reply still
 * prints. */
uint64_t field_u64(const json_t *object, const char *key);
double field_real(const json_t *object, const char *key);
const char *field_text(const json_t *object, const char *key);
bool field_true(const json_t *object, const char *key);
#define FIELD_EACH(object, key, index, member) json_array_foreach(json_object_get(object, key), index, member)

#endif
