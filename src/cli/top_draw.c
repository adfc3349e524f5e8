/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One screen, from 40×10 up:
 *
 *   run 3 open 12.0 s   1.49 Mpps   1.00 Gbit/s   sent 17,880,000   missed 0     the sums
 *   PORTS  streams      by name     /filter                                      what is shown
 *   NAME   STATE   RATE  HISTORY  SENT …                                         columns, as the width allows
 *   rows
 *   reason of the chosen row, or what the last key led to
 *   keys, or the line being typed
 */
#include <curses.h>
#include <langinfo.h>
#include <string.h>

#include "base/units.h"
#include "cli/accounts.h"
#include "cli/top.h"

enum { HEAD_LINES = 3, FOOT_LINES = 2, BAR_LEVELS = 8, BAR_MOST = 60 };

static const short pair_of_tone[] = {
    [TONE_PLAIN] = 0, [TONE_GOOD] = 1, [TONE_WARN] = 2, [TONE_BAD] = 3, [TONE_DIM] = 0, [TONE_BOLD] = 0};

void top_draw_init(void)
{
    const char *refused = getenv("NO_COLOR");
    if (!has_colors() || (refused != NULL && *refused != '\0'))
        return;
    start_color();
    use_default_colors();
    init_pair(1, COLOR_GREEN, -1);
    init_pair(2, COLOR_YELLOW, -1);
    init_pair(3, COLOR_RED, -1);
}

static attr_t attribute_of(enum tone tone)
{
    attr_t extra = tone == TONE_DIM ? A_DIM : tone == TONE_BOLD ? A_BOLD : A_NORMAL;
    return extra | (attr_t)COLOR_PAIR(pair_of_tone[tone]);
}

/* Writes at most width columns; returns nothing, moves nowhere: every cell says where it stands. */
static void put(int y, int x, int width, enum align align, enum tone tone, const char *text)
{
    char clean[256];
    output_clean(text, clean, sizeof clean);
    int length = (int)strlen(clean);
    if (width <= 0)
        return;
    if (align == RIGHT && length < width)
        x += width - length;
    attron(attribute_of(tone));
    mvaddnstr(y, x, clean, width);
    attroff(attribute_of(tone));
}

/* --- columns ------------------------------------------------------------------------------------------ */

static enum tone text_of_name(const struct top *top, const json_t *row, char *out, size_t size)
{
    (void)top;
    snprintf(out, size, "%s", field_text(row, "name"));
    return TONE_PLAIN;
}

static enum tone text_of_state(const struct top *top, const json_t *row, char *out, size_t size)
{
    (void)top;
    snprintf(out, size, "%s", field_text(row, "state"));
    return tone_of_state(out);
}

static enum tone text_of_rate(const struct top *top, const json_t *row, char *out, size_t size)
{
    (void)top;
    units_format_si(field_real(json_object_get(row, "achieved"), "pps"), "pps", out, size);
    return TONE_PLAIN;
}

static enum tone text_of_wire(const struct top *top, const json_t *row, char *out, size_t size)
{
    (void)top;
    units_format_si(field_real(json_object_get(row, "achieved"), "bit_l1"), "bit/s", out, size);
    return TONE_PLAIN;
}

static enum tone text_of_sent(const struct top *top, const json_t *row, char *out, size_t size)
{
    (void)top;
    units_format_count(field_u64(row, "completed"), out, size);
    return TONE_PLAIN;
}

static enum tone text_of_missed(const struct top *top, const json_t *row, char *out, size_t size)
{
    (void)top;
    uint64_t missed = field_u64(row, "missed");
    units_format_count(missed, out, size);
    return missed == 0 ? TONE_DIM : TONE_BAD;
}

static enum tone text_of_flight(const struct top *top, const json_t *row, char *out, size_t size)
{
    (void)top;
    units_format_count(field_u64(row, "in_flight"), out, size);
    return TONE_PLAIN;
}

static enum tone text_of_where(const struct top *top, const json_t *row, char *out, size_t size)
{
    snprintf(out, size, "%s", field_text(row, top->view == TOP_PORTS ? "interface" : "port"));
    return TONE_PLAIN;
}

static enum tone text_of_reason(const struct top *top, const json_t *row, char *out, size_t size)
{
    (void)top;
    snprintf(out, size, "%s", field_text(row, "reason"));
    return TONE_DIM;
}

/* The last rates as bars, scaled to the largest of them; the newest stands right. */
static enum tone text_of_history(const struct top *top, const json_t *row, char *out, size_t size)
{
    static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const plain[] = {" ", ".", ".", ":", ":", "+", "+", "#", "#"};
    bool unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    const json_t *rates = json_object_get(top->history[top->view], field_text(row, "name"));
    size_t count = json_array_size(rates), cells = size / 4 < BAR_MOST ? size / 4 : BAR_MOST, used = 0;
    double most = 0;
    size_t first = count > cells ? count - cells : 0;
    for (size_t i = first; i < count; i++)
        most = json_real_value(json_array_get(rates, i)) > most ? json_real_value(json_array_get(rates, i))
                                                                : most;
    out[0] = '\0';
    for (size_t i = first; i < count && most > 0; i++) {
        double share = json_real_value(json_array_get(rates, i)) / most;
        size_t level = share <= 0 ? 0 : 1 + (size_t)(share * (BAR_LEVELS - 1) + 0.5);
        used += (size_t)snprintf(out + used, size - used, "%s", (unicode ? blocks : plain)[level]);
    }
    return TONE_GOOD;
}

/* In the order they stand; a column is there when the screen is at least as wide as it asks. */
static const struct top_column {
    const char *heading;
    int width, screen;
    enum align align;
    enum tone (*text)(const struct top *top, const json_t *row, char *out, size_t size);
    bool bars;
} columns[] = {
    {"NAME", 14, 0, LEFT, text_of_name, false},       {"STATE", 10, 0, LEFT, text_of_state, false},
    {"RATE", 10, 0, RIGHT, text_of_rate, false},      {"HISTORY", 12, 52, LEFT, text_of_history, true},
    {"SENT", 15, 70, RIGHT, text_of_sent, false},     {"MISSED", 9, 78, RIGHT, text_of_missed, false},
    {"L1", 12, 96, RIGHT, text_of_wire, false},       {"IN FLIGHT", 9, 108, RIGHT, text_of_flight, false},
    {"ON", 12, 122, LEFT, text_of_where, false},      {"HISTORY", 40, 180, LEFT, text_of_history, true},
    {"REASON", 60, 140, LEFT, text_of_reason, false},
};

/* The last column takes what is left; wide bars take the place of narrow ones. */
static bool is_shown(const struct top_column *column)
{
    bool narrow_bars = column->bars && column->width < 20;
    return COLS >= column->screen && !(narrow_bars && COLS >= 180);
}

static int name_width(void)
{
    return COLS < 100 ? columns[0].width : COLS < 170 ? 24 : 32;
}

/* Bars have one column a character whatever its bytes: they are cut by characters, not by put(). */
static void put_bars(int y, int x, int width, const struct top *top, const json_t *row)
{
    char text[4 * BAR_MOST + 4];
    enum tone tone =
        text_of_history(top, row, text, (size_t)width * 4 < sizeof text ? (size_t)width * 4 : sizeof text);
    attron(attribute_of(tone));
    mvaddstr(y, x, text);
    attroff(attribute_of(tone));
}

static void draw_row(const struct top *top, int y, const json_t *row, bool chosen)
{
    char text[256];
    int x = 0;
    for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
        const struct top_column *column = &columns[c];
        if (!is_shown(column))
            continue;
        int full = c == 0 ? name_width() : column->width;
        int width = x + full < COLS ? full : COLS - x;
        enum tone tone = TONE_BOLD;
        if (row == NULL)
            snprintf(text, sizeof text, "%s", column->heading);
        else if (!column->bars)
            tone = column->text(top, row, text, sizeof text);
        if (row != NULL && column->bars)
            put_bars(y, x, width, top, row);
        else
            put(y, x, width, column->align, tone, text);
        x += full + 1;
    }
    if (chosen)
        mvchgat(y, 0, -1, A_REVERSE, 0, NULL);
}

/* --- the lines around the rows ------------------------------------------------------------------------- */

static void draw_sums(const struct top *top)
{
    json_t *sum = accounts_sum(top->counters, "ports", NULL, NULL);
    const json_t *run = json_object_get(top->counters, "run"), *rates = json_object_get(sum, "achieved");
    char text[200], rate[32], wire[32], sent[32], missed[32];
    if (run_is(run, "none"))
        snprintf(text, sizeof text, "nothing was started yet");
    else
        snprintf(text, sizeof text, "run %llu %s %.0f s  %s  %s  sent %s  missed %s",
                 (unsigned long long)field_u64(run, "id"), field_text(run, "state"),
                 field_real(run, "elapsed_ns") / 1e9,
                 units_format_si(field_real(rates, "pps"), "pps", rate, sizeof rate),
                 units_format_si(field_real(rates, "bit_l1"), "bit/s", wire, sizeof wire),
                 units_format_count(field_u64(sum, "completed"), sent, sizeof sent),
                 units_format_count(field_u64(sum, "missed"), missed, sizeof missed));
    put(0, 0, COLS, LEFT, field_u64(sum, "missed") == 0 ? TONE_BOLD : TONE_WARN, text);
    json_decref(sum);
}

static void draw_what(const struct top *top)
{
    char text[200], count[32];
    snprintf(text, sizeof text, "%s %s, by %s%s%s", units_format_count(top->row_count, count, sizeof count),
             top_view_names[top->view], top_order_names[top->order],
             *top->filter == '\0' ? "" : ", name has ", top->filter);
    put(1, 0, COLS, LEFT, TONE_DIM, text);
}

static void draw_foot(const struct top *top)
{
    const json_t *row = top_chosen(top);
    char text[300];
    if (*top->story != '\0')
        put(LINES - 2, 0, COLS, LEFT, TONE_BAD, top->story);
    else if (row != NULL && *field_text(row, "reason") != '\0') {
        snprintf(text, sizeof text, "%s: %s", field_text(row, "name"), field_text(row, "reason"));
        put(LINES - 2, 0, COLS, LEFT, TONE_WARN, text);
    }
    static const char *const prompts[] = {[PROMPT_FILTER] = "name has: ", [PROMPT_RATE] = "rate: "};
    if (top->prompt != PROMPT_NONE) {
        snprintf(text, sizeof text, "%s%s_", prompts[top->prompt], top->typed);
        put(LINES - 1, 0, COLS, LEFT, TONE_BOLD, text);
    } else
        put(LINES - 1, 0, COLS, LEFT, TONE_DIM,
            COLS < 76 ? "s start x stop p pause r rate ? help q"
                      : "s start  x stop  p pause  r rate  o order  / filter  Tab view  ? help  q quit");
}

static void draw_help(void)
{
    static const char *const lines[] = {
        "up down j k PgUp PgDn Home End   choose", "Tab  ports or streams   o  order",
        "/    filter by name     Esc  all",        "s    start              x  stop",
        "p    pause or resume    r  rate",         "X    stop everything    q  quit",
        "Numbers are of the last second.",         "any key goes back"};
    for (int i = 0; i < (int)(sizeof lines / sizeof *lines); i++)
        put(i + 1, 1, COLS - 1, LEFT, TONE_PLAIN, lines[i]);
}

/* Scrolls so that the cursor stays in sight. */
static void draw_rows(struct top *top)
{
    size_t room = LINES > HEAD_LINES + FOOT_LINES ? (size_t)(LINES - HEAD_LINES - FOOT_LINES) : 0;
    if (top->cursor < top->first)
        top->first = top->cursor;
    if (room > 0 && top->cursor >= top->first + room)
        top->first = top->cursor - room + 1;
    if (top->first + room > top->row_count)
        top->first = top->row_count > room ? top->row_count - room : 0;
    draw_row(top, HEAD_LINES - 1, NULL, false);
    for (size_t i = 0; i < room && top->first + i < top->row_count; i++)
        draw_row(top, HEAD_LINES + (int)i, top->rows[top->first + i], top->first + i == top->cursor);
}

void top_draw(struct top *top)
{
    erase();
    if (top->help)
        draw_help();
    else {
        draw_sums(top);
        draw_what(top);
        draw_rows(top);
        draw_foot(top);
    }
    refresh();
}
