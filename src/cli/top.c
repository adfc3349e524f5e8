/* SPDX-License-Identifier: GPL-2.0-or-later */
/* top: asks for the counters once an interval, listens to keys in between. What a call has to tell stands on
 * the screen; a daemon that goes away is waited for. Without a terminal it prints tables. */
#include <curses.h>
#include <locale.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/accounts.h"
#include "cli/handlers.h"
#include "cli/top.h"

enum { KEY_SLICE_MS = 50, ESCAPE = 27, PLAIN_STREAMS = 40 };

/* Calls a method on what is chosen: a stream by name, or the streams of a port. Takes over more. */
static void steer(struct top *top, const char *method, json_t *more)
{
    const json_t *row = top_chosen(top);
    json_t *parameters = more == NULL ? json_object() : more;
    if (row != NULL && top->view == TOP_PORTS)
        json_object_set(parameters, "port", json_object_get(row, "name"));
    else if (row != NULL)
        json_object_set_new(parameters, "streams", json_pack("[O]", json_object_get(row, "name")));
    if (row == NULL)
        json_decref(parameters);
    else
        session_call(top->session, method, parameters, NULL);
}

static void act_start(struct top *top)
{
    steer(top, "Start", NULL);
}

static void act_stop(struct top *top)
{
    steer(top, "Stop", NULL);
}

static void act_stop_all(struct top *top)
{
    session_call(top->session, "Stop", NULL, NULL);
}

/* Of a port: resumes when any of its streams is paused. */
static bool has_paused(const struct top *top, const json_t *row)
{
    size_t index;
    const json_t *stream;
    if (top->view == TOP_STREAMS)
        return strcmp(field_text(row, "state"), "paused") == 0;
    FIELD_EACH(top->counters, "streams", index, stream)
    if (strcmp(field_text(stream, "port"), field_text(row, "name")) == 0 &&
        strcmp(field_text(stream, "state"), "paused") == 0)
        return true;
    return false;
}

static void act_pause(struct top *top)
{
    const json_t *row = top_chosen(top);
    if (row != NULL)
        steer(top, has_paused(top, row) ? "Resume" : "Pause", NULL);
}

static void act_rate(struct top *top)
{
    top->prompt = PROMPT_RATE;
    top->typed[0] = '\0';
}

static void act_filter(struct top *top)
{
    top->prompt = PROMPT_FILTER;
    snprintf(top->typed, sizeof top->typed, "%s", top->filter);
}

static void act_all(struct top *top)
{
    top->filter[0] = '\0';
    top_arrange(top);
}

static void act_order(struct top *top)
{
    top->order = (top->order + 1) % ORDERS;
    top->chosen[top->view][0] = '\0'; /* to see what comes first now */
    top->cursor = 0;
    top_arrange(top);
}

static void act_view(struct top *top)
{
    top->view = top->view == TOP_PORTS ? TOP_STREAMS : TOP_PORTS;
    top->cursor = top->first = 0;
    top_arrange(top);
}

static void act_help(struct top *top)
{
    top->help = true;
}

static void act_quit(struct top *top)
{
    top->over = true;
}

static void act_up(struct top *top)
{
    top_move(top, -1);
}

static void act_down(struct top *top)
{
    top_move(top, 1);
}

static void act_page_up(struct top *top)
{
    top_move(top, -(LINES - 6));
}

static void act_page_down(struct top *top)
{
    top_move(top, LINES - 6);
}

static void act_home(struct top *top)
{
    top_move(top, -(long)top->row_count);
}

static void act_end(struct top *top)
{
    top_move(top, (long)top->row_count);
}

static const struct key_row {
    int key;
    void (*act)(struct top *top);
} keys[] = {
    {'s', act_start},         {'x', act_stop},
    {'X', act_stop_all},      {'p', act_pause},
    {'r', act_rate},          {'o', act_order},
    {'/', act_filter},        {ESCAPE, act_all},
    {'\t', act_view},         {'?', act_help},
    {'h', act_help},          {'q', act_quit},
    {KEY_UP, act_up},         {'k', act_up},
    {KEY_DOWN, act_down},     {'j', act_down},
    {KEY_PPAGE, act_page_up}, {KEY_NPAGE, act_page_down},
    {KEY_HOME, act_home},     {KEY_END, act_end},
};

static void finish_prompt(struct top *top)
{
    enum top_prompt prompt = top->prompt;
    top->prompt = PROMPT_NONE;
    if (prompt != PROMPT_RATE || top->typed[0] == '\0')
        return;
    bool multiple = top->typed[0] == 'x';
    steer(top, "SetRate", json_pack("{s:s}", multiple ? "multiplier" : "rate", top->typed + multiple));
}

/* The filter is in force while it is typed. */
static void type_key(struct top *top, int key)
{
    size_t length = strlen(top->typed);
    if (key == '\n' || key == KEY_ENTER) {
        finish_prompt(top);
        return;
    }
    if (key == ESCAPE) {
        top->prompt = PROMPT_NONE;
        return;
    }
    if ((key == KEY_BACKSPACE || key == 127 || key == '\b') && length > 0)
        top->typed[length - 1] = '\0';
    else if (key > ' ' && key < 127 && length + 1 < sizeof top->typed) {
        top->typed[length] = (char)key;
        top->typed[length + 1] = '\0';
    }
    if (top->prompt == PROMPT_FILTER) {
        strcpy(top->filter, top->typed);
        top_arrange(top);
    }
}

static void press(struct top *top, int key)
{
    if (top->help && key != KEY_RESIZE) {
        top->help = false;
        return;
    }
    if (top->prompt != PROMPT_NONE) {
        type_key(top, key);
        return;
    }
    if (key != KEY_RESIZE)
        top->story[0] = '\0';
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (keys[i].key == key)
            keys[i].act(top);
}

/* Keys until it is time to ask again; in slices, so that a resized terminal is drawn soon. */
static void listen_until(struct top *top, uint64_t deadline_ns)
{
    while (!top->over && clock_monotonic_ns() < deadline_ns) {
        uint64_t left_ms = (deadline_ns - clock_monotonic_ns()) / NS_PER_MS + 1;
        if (session_wait(STDIN_FILENO, left_ms < KEY_SLICE_MS ? left_ms : KEY_SLICE_MS) < 0)
            top->over = true;
        int key = getch();
        if (key == ERR)
            continue;
        press(top, key);
        top_draw(top);
    }
}

static int ask(struct top *top)
{
    json_t *counters = NULL;
    int code = session_all_pages(top->session, "Counters", NULL, &counters);
    if (code != EXIT_DONE)
        return code;
    return top_take(top, counters) == 0 ? EXIT_DONE : EXIT_FAILED;
}

static void run_screen(struct top *top, uint64_t interval_ms, uint64_t updates)
{
    initscr();
    cbreak();
    noecho();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    set_escdelay(50);
    curs_set(0);
    top_draw_init();
    top->session->story = top->story;
    top->session->story_size = sizeof top->story;
    uint64_t deadline_ns = clock_monotonic_ns();
    for (uint64_t update = 1; !top->over; update++) {
        top_draw(top);
        deadline_ns += interval_ms * NS_PER_MS;
        if (deadline_ns < clock_monotonic_ns()) /* asking takes longer than the interval */
            deadline_ns = clock_monotonic_ns() + interval_ms * NS_PER_MS;
        listen_until(top, deadline_ns);
        if (updates != 0 && update >= updates)
            break;
        if (!top->over)
            ask(top);
    }
    endwin();
    top->session->story = NULL;
}

static int run_plain(struct top *top, uint64_t interval_ms, uint64_t updates)
{
    for (uint64_t update = 1;; update++) {
        if (!session_prints_json(top->session, top->counters) &&
            accounts_print(top->counters, stdout, false, ACCOUNTS_ALL, PLAIN_STREAMS) != 0)
            return EXIT_FAILED;
        if (fflush(stdout) != 0)
            return EXIT_FAILED;
        if ((updates != 0 && update >= updates) || !session_sleep(interval_ms))
            return EXIT_DONE;
        int code = ask(top);
        if (code != EXIT_DONE)
            return code;
        if (!top->session->json)
            putchar('\n');
    }
}

int top_run(struct session *session, const struct invocation *with)
{
    uint64_t interval_ms = 1000, updates = 0;
    int code = option_ms(session, with, "interval", 50, 60000, &interval_ms);
    if (code == EXIT_DONE)
        code = option_count(session, with, "count", &updates);
    if (code != EXIT_DONE)
        return code;
    struct top top = {.session = session};
    session_catch_interrupt();
    code = ask(&top); /* the first failure is told as any other: no screen yet */
    if (code == EXIT_DONE && !session->json && isatty(STDOUT_FILENO) && isatty(STDIN_FILENO))
        run_screen(&top, interval_ms, updates);
    else if (code == EXIT_DONE)
        code = run_plain(&top, interval_ms, updates);
    top_fini(&top);
    return code;
}
