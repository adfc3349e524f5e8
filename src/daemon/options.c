/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemon/options.h"

#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <string.h>

#include "base/units.h"

static int set_mode(struct options *options, enum mode mode, const char *subject);
static int set_configuration(struct options *options, enum mode mode, const char *value);
static int set_frames(struct options *options, enum mode mode, const char *value);
static int set_user(struct options *options, enum mode mode, const char *value);
static int set_no_confine(struct options *options, enum mode mode, const char *value);

static const struct row {
    int letter; /* or a number over 255 for those without one */
    const char *name, *value;
    int (*set)(struct options *options, enum mode mode, const char *value);
    enum mode mode;
    const char *text;
} rows[] = {
    {'c', "config", "FILE", set_configuration, MODE_RUN,
     "the configuration (" DEFAULT_CONFIGURATION "); see volleyd.conf(5)"},
    {256, "check", NULL, set_mode, MODE_CHECK,
     "say all that is wrong with the configuration, and exit: 0, or 2 when something is"},
    {257, "dry-run", "OUT.pcap", set_mode, MODE_DRY_RUN,
     "write what would be sent into a file, with the deadlines as time stamps, and exit"},
    {258, "frames", "N", set_frames, MODE_RUN, "with --dry-run: so many frames (1000)"},
    {259, "explain", "STREAM", set_mode, MODE_EXPLAIN,
     "show a stream's packet layer by layer, what varies, and its bytes, and exit"},
    {260, "user", "USER", set_user, MODE_RUN,
     "become this user after the start, with CAP_NET_RAW alone (and CAP_NET_ADMIN, if given)"},
    {261, "no-confine", NULL, set_no_confine, MODE_RUN,
     "leave out the workers' system call filter, for debuggers and tracers"},
    {262, "print-manual", "PART", set_mode, MODE_MANUAL,
     "print a part of the manual that is made from the program's tables (control, conf, protocols, options, "
     "events), and exit"},
    {'V', "version", NULL, set_mode, MODE_VERSION, "print the version, and exit"},
    {'h', "help", NULL, set_mode, MODE_HELP, "print this, and exit"},
};
enum { ROWS = sizeof rows / sizeof *rows };

static int set_mode(struct options *options, enum mode mode, const char *subject)
{
    if (options->mode != MODE_RUN && options->mode != mode) {
        fputs("volleyd: --check, --dry-run, --explain and their kind exclude each other\n", stderr);
        return -EINVAL;
    }
    options->mode = mode;
    options->subject = subject;
    return 0;
}

static int set_configuration(struct options *options, enum mode mode, const char *value)
{
    (void)mode;
    options->configuration = value;
    return 0;
}

static int set_frames(struct options *options, enum mode mode, const char *value)
{
    (void)mode;
    struct err err;
    int r = units_count(value, &options->frames, &err);
    if (r == 0 && options->frames > 0)
        return 0;
    fprintf(stderr, "volleyd: --frames %s: %s\n", value, r < 0 ? err.text : "must be 1 or more");
    return -EINVAL;
}

static int set_user(struct options *options, enum mode mode, const char *value)
{
    (void)mode;
    options->user = value;
    return 0;
}

static int set_no_confine(struct options *options, enum mode mode, const char *value)
{
    (void)mode;
    (void)value;
    options->confine = false;
    return 0;
}

static const struct row *find_row(int letter)
{
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].letter == letter)
            return &rows[i];
    return NULL;
}

int options_read(int argc, char *argv[], struct options *out)
{
    struct options options = {.configuration = DEFAULT_CONFIGURATION, .confine = true};
    struct option table[ROWS + 1] = {0};
    for (size_t i = 0; i < ROWS; i++)
        table[i] = (struct option){.name = rows[i].name,
                                   .has_arg = rows[i].value != NULL ? required_argument : no_argument,
                                   .val = rows[i].letter};
    int letter;
    while ((letter = getopt_long(argc, argv, "c:Vh", table, NULL)) != -1) {
        const struct row *row = find_row(letter);
        if (row == NULL || row->set(&options, row->mode, optarg) < 0)
            return -EINVAL; /* getopt has said why, or set() has */
    }
    if (optind < argc) {
        fprintf(stderr, "volleyd: `%s` is no option; volleyd --help lists them\n", argv[optind]);
        return -EINVAL;
    }
    if (options.frames != 0 && options.mode != MODE_DRY_RUN) {
        fputs("volleyd: --frames goes with --dry-run\n", stderr);
        return -EINVAL;
    }
    *out = options;
    return 0;
}

void options_help(FILE *out)
{
    fputs("Usage: volleyd [OPTION]...\n\nThe packet generator daemon. Stays in the foreground; steered by "
          "volleyctl(1).\n\n",
          out);
    for (size_t i = 0; i < ROWS; i++) {
        char head[64];
        char letter[8] = "    ";
        if (rows[i].letter < 256)
            snprintf(letter, sizeof letter, "-%c, ", rows[i].letter);
        snprintf(head, sizeof head, "%s--%s %s", letter, rows[i].name,
                 rows[i].value == NULL ? "" : rows[i].value);
        fprintf(out, "  %-26s %s\n", head, rows[i].text);
    }
    fputs("\nExit: 0 done, 1 failed, 2 wrong usage or configuration.\n", out);
}

void options_print_roff(FILE *out)
{
    for (size_t i = 0; i < ROWS; i++) {
        fputs(".TP\n", out);
        if (rows[i].letter < 256)
            fprintf(out, ".BR \\-%c \", \" ", rows[i].letter);
        else
            fputs(".BR ", out);
        fputs("\\-\\-", out);
        for (const char *at = rows[i].name; *at != '\0'; at++)
            fprintf(out, "%s%c", *at == '-' ? "\\" : "", *at);
        if (rows[i].value != NULL)
            fprintf(out, " \" \\fI%s\\fR\"", rows[i].value);
        fputc('\n', out);
        for (const char *at = rows[i].text; *at != '\0'; at++)
            fprintf(out, "%s%c", *at == '-' ? "\\" : "", *at);
        fputs(".\n", out);
    }
}
