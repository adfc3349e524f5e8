/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tables keep their cells as text with a tone; widths are counted in code points when printing. Colour is put
 * around a cell after it was padded, so that it never shifts a column. */
#include "cli/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"

enum { CELL_BYTES = 64, COLUMN_GAP = 2 };

bool output_wants_colour(FILE *to)
{
    const char *refused = getenv("NO_COLOR"), *term = getenv("TERM");
    return (refused == NULL || *refused == '\0') && term != NULL && strcmp(term, "dumb") != 0 &&
           isatty(fileno(to));
}

const char *tone_on(enum tone tone, bool colour)
{
    static const char *const sequences[] = {
        [TONE_PLAIN] = "",       [TONE_GOOD] = "\033[32m", [TONE_WARN] = "\033[33m",
        [TONE_BAD] = "\033[31m", [TONE_DIM] = "\033[2m",   [TONE_BOLD] = "\033[1m"};
    return colour ? sequences[tone] : "";
}

const char *tone_off(enum tone tone, bool colour)
{
    return colour && tone != TONE_PLAIN ? "\033[0m" : "";
}

struct tone_row {
    const char *word;
    enum tone tone;
};

static enum tone tone_find(const struct tone_row *rows, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(rows[i].word, word) == 0)
            return rows[i].tone;
    return TONE_PLAIN;
}

enum tone tone_of_state(const char *state)
{
    static const struct tone_row rows[] = {
        {"running", TONE_GOOD},   {"ready", TONE_PLAIN}, {"armed", TONE_WARN}, {"paused", TONE_WARN},
        {"draining", TONE_WARN},  {"down", TONE_WARN},   {"absent", TONE_BAD}, {"refused", TONE_BAD},
        {"no-carrier", TONE_BAD}, {"failed", TONE_BAD},  {"idle", TONE_DIM},
    };
    return tone_find(rows, sizeof rows / sizeof *rows, state);
}

enum tone tone_of_verdict(const char *verdict)
{
    static const struct tone_row rows[] = {{"passed", TONE_GOOD}, {"unmet", TONE_BAD}, {"invalid", TONE_BAD}};
    return tone_find(rows, sizeof rows / sizeof *rows, verdict);
}

struct cell {
    char text[CELL_BYTES * 4]; /* reasons are sentences */
    enum tone tone;
};

struct table {
    const struct column *columns; /* borrowed */
    size_t width, used, room;
    struct cell *cells; /* owned */
    bool failed;        /* a cell could not be stored */
};

struct table *table_new(const struct column *columns, size_t count)
{
    struct table *table = calloc(1, sizeof *table);
    if (table != NULL) {
        table->columns = columns;
        table->width = count;
    }
    return table;
}

void table_free(struct table *table)
{
    if (table == NULL)
        return;
    free(table->cells);
    free(table);
}

static bool table_grow(struct table *table)
{
    size_t room = table->room == 0 ? 64 : table->room * 2;
    struct cell *cells = reallocarray(table->cells, room, sizeof *cells);
    if (cells == NULL)
        return false;
    table->cells = cells;
    table->room = room;
    return true;
}

void table_text(struct table *table, enum tone tone, const char *text)
{
    if (table == NULL)
        return;
    if (table->used == table->room && !table_grow(table)) {
        table->failed = true;
        return;
    }
    struct cell *cell = &table->cells[table->used++];
    output_clean(text == NULL ? "" : text, cell->text, sizeof cell->text);
    cell->tone = tone;
}

void table_count(struct table *table, enum tone tone, uint64_t value)
{
    char text[CELL_BYTES];
    table_text(table, tone, units_format_count(value, text, sizeof text));
}

void table_si(struct table *table, double value, const char *unit)
{
    char text[CELL_BYTES];
    table_text(table, TONE_PLAIN, units_format_si(value, unit, text, sizeof text));
}

void table_time(struct table *table, uint64_t ns)
{
    char text[CELL_BYTES];
    table_text(table, TONE_PLAIN, units_format_time(ns, text, sizeof text));
}

size_t table_rows(const struct table *table)
{
    return table == NULL ? 0 : table->used / table->width;
}

static size_t code_points(const char *text)
{
    size_t n = 0;
    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xC0) != 0x80;
    return n;
}

/* 0 for a column with nothing in it: it is not printed. */
static size_t column_width(const struct table *table, size_t column)
{
    size_t widest = 0;
    for (size_t at = column; at < table->used; at += table->width) {
        size_t n = code_points(table->cells[at].text);
        widest = n > widest ? n : widest;
    }
    size_t heading = strlen(table->columns[column].heading);
    return widest == 0 ? 0 : widest < heading ? heading : widest;
}

/* pad: spaces owed by the cells before; returns those owed after this one, so that no line ends in spaces. */
static size_t print_cell(FILE *to, const char *text, enum align align, size_t width, size_t pad,
                         const char *on, const char *off)
{
    if (*text == '\0')
        return pad + width + COLUMN_GAP;
    size_t slack = width - code_points(text);
    fprintf(to, "%*s%s%s%s", (int)(align == RIGHT ? pad + slack : pad), "", on, text, off);
    return COLUMN_GAP + (align == RIGHT ? 0 : slack);
}

static void print_row(const struct table *table, const size_t *widths, const struct cell *cells, FILE *to,
                      bool colour)
{
    size_t pad = 0;
    for (size_t c = 0; c < table->width; c++) {
        if (widths[c] == 0)
            continue;
        enum tone tone = cells == NULL ? TONE_BOLD : cells[c].tone;
        pad =
            print_cell(to, cells == NULL ? table->columns[c].heading : cells[c].text, table->columns[c].align,
                       widths[c], pad, tone_on(tone, colour), tone_off(tone, colour));
    }
    fputc('\n', to);
}

int table_print(const struct table *table, FILE *to, bool colour)
{
    if (table == NULL || table->failed)
        return -ENOMEM;
    size_t *widths = calloc(table->width, sizeof *widths);
    if (widths == NULL)
        return -ENOMEM;
    for (size_t c = 0; c < table->width; c++)
        widths[c] = column_width(table, c);
    print_row(table, widths, NULL, to, colour);
    for (size_t at = 0; at + table->width <= table->used; at += table->width)
        print_row(table, widths, &table->cells[at], to, colour);
    free(widths);
    return 0;
}

char *output_clean(const char *text, char *out, size_t size)
{
    size_t n = 0;
    for (; *text != '\0' && n + 1 < size; text++) {
        unsigned char c = (unsigned char)*text;
        out[n++] = c < 0x20 || c == 0x7F ? '?' : *text;
    }
    while (*text != '\0' && n > 0 && ((unsigned char)*text & 0xC0) == 0x80) { /* never half a character */
        text--;
        n--;
    }
    out[n] = '\0';
    return out;
}

int output_json(const json_t *value, FILE *to, bool compact)
{
    size_t how = JSON_ENCODE_ANY | (compact ? JSON_COMPACT : JSON_INDENT(2));
    if (json_dumpf(value, to, how) != 0)
        return -ENOMEM;
    fputc('\n', to);
    return fflush(to) == 0 ? 0 : -errno;
}

uint64_t field_u64(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_real(value))
        return json_real_value(value) > 0 ? (uint64_t)json_real_value(value) : 0;
    return (uint64_t)json_integer_value(value);
}

double field_real(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

const char *field_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "" : text;
}

bool field_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}
