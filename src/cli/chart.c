/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A chart is a viewBox of fixed size that the page scales. Ticks stand on round numbers: 1, 2 or 5 times a
 * power of ten; for time also those of a clock. */
#include "cli/chart.h"

#include <math.h>
#include <stdbool.h>

#include "base/units.h"

enum {
    WIDTH = 900,
    HEIGHT = 260,
    LEFT_EDGE = 76,
    RIGHT_EDGE = 30,
    TOP_EDGE = 14,
    BOTTOM_EDGE = 30,
    COLOURS = 8,
    TICKS = 5
};

struct frame { /* what the axes span */
    double x0, x1, y1;
};

void chart_escape(const char *text, FILE *to)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", to);
            break;
        case '<':
            fputs("&lt;", to);
            break;
        case '>':
            fputs("&gt;", to);
            break;
        case '"':
            fputs("&quot;", to);
            break;
        default:
            fputc((unsigned char)*text < 0x20 ? ' ' : *text, to);
        }
    }
}

static double at_x(const struct frame *frame, double x)
{
    return LEFT_EDGE + (x - frame->x0) / (frame->x1 - frame->x0) * (WIDTH - LEFT_EDGE - RIGHT_EDGE);
}

static double at_y(const struct frame *frame, double y)
{
    return HEIGHT - BOTTOM_EDGE - y / frame->y1 * (HEIGHT - TOP_EDGE - BOTTOM_EDGE);
}

/* The smallest round step that makes at most TICKS of span. */
static double round_step(double span)
{
    double power = pow(10, floor(log10(span / TICKS)));
    static const double multiples[] = {1, 2, 5, 10};
    for (size_t i = 0; i < sizeof multiples / sizeof *multiples; i++)
        if (span / (power * multiples[i]) <= TICKS)
            return power * multiples[i];
    return power * 10;
}

static double clock_step(double span_s)
{
    static const double steps[] = {1,   2,    5,    10,   15,    30,    60,    120,   300,
                                   600, 1200, 1800, 3600, 10800, 21600, 43200, 86400, 172800};
    if (span_s < 5)
        return round_step(span_s);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (span_s / steps[i] <= 2 * TICKS)
            return steps[i];
    return round_step(span_s / 86400) * 86400;
}

static char *clock_label(double s, double step, char *out, size_t size)
{
    long whole = lround(s);
    if (step < 1)
        snprintf(out, size, "%.3g s", s);
    else if (step < 60 && whole < 60)
        snprintf(out, size, "%ld s", whole);
    else if (whole < 3600)
        snprintf(out, size, "%ld:%02ld", whole / 60, whole % 60);
    else
        snprintf(out, size, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
    return out;
}

static void print_y_ticks(const struct frame *frame, const char *unit, FILE *to)
{
    char label[40];
    double step = round_step(frame->y1);
    for (double y = 0; y <= frame->y1 * 1.0001; y += step) {
        double at = at_y(frame, y);
        fprintf(to, "<line class=grid x1=%d x2=%d y1=%.1f y2=%.1f />", LEFT_EDGE, WIDTH - RIGHT_EDGE, at, at);
        fprintf(to, "<text class=y x=%d y=%.1f>%s</text>\n", LEFT_EDGE - 8, at + 4,
                units_format_si(y, unit, label, sizeof label));
    }
}

static void print_x_tick(const struct frame *frame, double x, const char *label, FILE *to)
{
    fprintf(to, "<line class=grid x1=%.1f x2=%.1f y1=%d y2=%d />", at_x(frame, x), at_x(frame, x),
            HEIGHT - BOTTOM_EDGE, HEIGHT - BOTTOM_EDGE + 4);
    fprintf(to, "<text class=x x=%.1f y=%d>%s</text>\n", at_x(frame, x), HEIGHT - 8, label);
}

static void print_open(const char *what, FILE *to)
{
    fprintf(to, "<svg viewBox=\"0 0 %d %d\" role=img aria-label=\"%s\">\n", WIDTH, HEIGHT, what);
}

/* A little room above the highest point, up to the next half tick. */
static double top_of(double highest)
{
    if (highest <= 0)
        return 1;
    double half = round_step(highest) / 2;
    return ceil(highest * 1.02 / half) * half;
}

static struct frame frame_of(const struct series *series, size_t count)
{
    struct frame frame = {0, 0, 0};
    double highest = 0;
    for (size_t s = 0; s < count; s++) {
        for (size_t i = 0; i < series[s].count; i++) {
            frame.x1 = fmax(frame.x1, series[s].x[i]);
            highest = fmax(highest, series[s].y[i]);
        }
    }
    frame.y1 = top_of(highest);
    return frame;
}

static void print_legend(const struct series *series, size_t count, FILE *to)
{
    fputs("<p class=legend>", to);
    for (size_t s = 0; s < count; s++) {
        fprintf(to, "<span class=c%zu><i></i>", s % COLOURS);
        chart_escape(series[s].name, to);
        fputs("</span> ", to);
    }
    fputs("</p>\n", to);
}

void chart_lines(const struct series *series, size_t count, const char *unit, FILE *to)
{
    struct frame frame = frame_of(series, count);
    char label[40];
    if (frame.x1 <= 0)
        return;
    print_legend(series, count, to);
    print_open("rates over time", to);
    print_y_ticks(&frame, unit, to);
    double step = clock_step(frame.x1);
    for (double x = 0; x <= frame.x1 * 1.0001; x += step)
        print_x_tick(&frame, x, clock_label(x, step, label, sizeof label), to);
    for (size_t s = 0; s < count; s++) {
        fprintf(to, "<polyline class=c%zu points=\"", s % COLOURS);
        for (size_t i = 0; i < series[s].count; i++)
            fprintf(to, "%.1f,%.1f ", at_x(&frame, series[s].x[i]), at_y(&frame, series[s].y[i]));
        fputs("\"><title>", to);
        chart_escape(series[s].name, to);
        fputs("</title></polyline>\n", to);
    }
    fputs("</svg>\n", to);
}

void chart_bars(const struct series *series, FILE *to)
{
    char label[40], until[40], count[40];
    if (series->count == 0)
        return;
    struct frame frame = frame_of(series, 1);
    frame.x0 = series->x[0];
    frame.x1 = series->x[series->count];
    print_open("distribution of gaps", to);
    print_y_ticks(&frame, "", to);
    double step = round_step(frame.x1 - frame.x0);
    for (double x = ceil(frame.x0 / step) * step; x <= frame.x1 * 1.0001; x += step)
        print_x_tick(&frame, x, units_format_time((uint64_t)x, label, sizeof label), to);
    for (size_t i = 0; i < series->count; i++) {
        double left = at_x(&frame, series->x[i]), right = at_x(&frame, series->x[i + 1]);
        double top = at_y(&frame, series->y[i]);
        fprintf(to,
                "<rect class=c0 x=%.1f y=%.1f width=%.1f height=%.1f><title>%s to %s: %s</title></rect>\n",
                left, top, fmax(1, right - left - 1), HEIGHT - BOTTOM_EDGE - top,
                units_format_time((uint64_t)series->x[i], label, sizeof label),
                units_format_time((uint64_t)series->x[i + 1], until, sizeof until),
                units_format_count((uint64_t)series->y[i], count, sizeof count));
    }
    fputs("</svg>\n", to);
}
