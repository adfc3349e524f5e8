/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Help, the manual's sections and both completions, all printed from the table of commands. */
#include <ctype.h>
#include <string.h>

#include "cli/command.h"

enum { SUMMARY_COLUMN = 28 };

#define EACH_COMMAND(row) for (const struct command *row = commands; row->verb != NULL; row++)
#define EACH_OPTION(row, rows) \
    for (const struct option_row *row = (rows); row != NULL && row->name != NULL; row++)

static void print_option(const struct option_row *row, FILE *to)
{
    char head[80];
    char letter[8] = "    ";
    if (row->letter != 0)
        snprintf(letter, sizeof letter, "-%c, ", row->letter);
    snprintf(head, sizeof head, "%s--%s%s%s", letter, row->name, row->value == NULL ? "" : " ",
             row->value == NULL ? "" : row->value);
    fprintf(to, "  %-*s  %s\n", SUMMARY_COLUMN - 4, head, row->help);
}

void describe_all(FILE *to)
{
    fputs("volleyctl steers volleyd, the packet generator daemon.\n\n"
          "Usage: volleyctl [OPTION]... COMMAND [ARGUMENT]...\n\nCommands:\n",
          to);
    EACH_COMMAND(row)
    if (row->summary != NULL)
        fprintf(to, "  %-10s  %s\n", row->verb, row->summary);
    fputs("\nOptions for every command:\n", to);
    EACH_OPTION(row, global_options)
    print_option(row, to);
    fputs("\nBare names are streams, --port names a port, neither means all.\n"
          "volleyctl COMMAND --help shows a command's own options, with examples.\n\n"
          "First steps:\n"
          "  volleyctl status                              which ports are there, and why one is refused\n"
          "  volleyctl send east --count 1000              1,000 frames out of port east\n"
          "  volleyctl counters                            what was sent\n"
          "  volleyctl rate --all 500pps                   change a running rate\n"
          "  volleyctl stop                                stop everything\n",
          to);
}

static void print_examples(const char *examples, FILE *to)
{
    while (*examples != '\0') {
        size_t line = strcspn(examples, "\n"), command = strcspn(examples, "\t");
        fprintf(to, "  volleyctl %.*s\n      %.*s\n", (int)command, examples, (int)(line - command - 1),
                examples + command + 1);
        examples += line + 1;
    }
}

void describe_command(const struct command *command, FILE *to)
{
    fprintf(to, "Usage: volleyctl %s%s%s%s\n\n%s\n", command->verb,
            command->options == NULL ? "" : " [OPTION]...", *command->arguments == '\0' ? "" : " ",
            command->arguments, command->detail);
    if (command->options != NULL)
        fputs("\nOptions:\n", to);
    EACH_OPTION(row, command->options)
    print_option(row, to);
    fputs("\nExamples:\n", to);
    print_examples(command->examples, to);
    fputs("\nvolleyctl --help lists the options for every command.\n", to);
}

/* Roff: a backslash, a leading dot or quote, and a hyphen that must stay one are written so. */
static void roff_text(const char *text, FILE *to)
{
    bool line_start = true;
    for (; *text != '\0'; text++) {
        if (line_start && (*text == '.' || *text == '\''))
            fputs("\\&", to);
        line_start = *text == '\n';
        if (*text == '\\')
            fputs("\\e", to);
        else if (*text == '-')
            fputs("\\-", to);
        else if (*text == '\n' && text[1] == '\n')
            fputs("\n.PP", to);
        else
            fputc(*text, to);
    }
}

static void roff_options(const struct option_row *rows, FILE *to)
{
    EACH_OPTION(row, rows)
    {
        fputs(".TP\n.BR ", to);
        if (row->letter != 0)
            fprintf(to, "\\-%c \", \" ", row->letter);
        fputs("\\-\\-", to);
        roff_text(row->name, to);
        if (row->value != NULL)
            fprintf(to, " \" \\fI%s\\fR\"", row->value);
        fputc('\n', to);
        roff_text(row->help, to);
        fputc('\n', to);
    }
}

static void roff_examples(const char *examples, FILE *to)
{
    while (*examples != '\0') {
        char text[400];
        size_t line = strcspn(examples, "\n"), command = strcspn(examples, "\t");
        snprintf(text, sizeof text, "%.*s", (int)command, examples);
        fputs(".TP\n.B volleyctl ", to);
        roff_text(text, to);
        snprintf(text, sizeof text, "%.*s", (int)(line - command - 1), examples + command + 1);
        fputc('\n', to);
        roff_text(text, to);
        fputc('\n', to);
        examples += line + 1;
    }
}

void describe_roff(FILE *to)
{
    fputs(".SH OPTIONS\nThey may stand before or behind the command.\n", to);
    roff_options(global_options, to);
    fputs(".SH COMMANDS\n", to);
    EACH_COMMAND(row)
    {
        if (row->summary == NULL)
            continue;
        fprintf(to, ".SS \"%s", row->verb);
        fprintf(to, "%s%s\"\n", *row->arguments == '\0' ? "" : " ", row->arguments);
        roff_text(row->detail, to);
        fputc('\n', to);
        roff_options(row->options, to);
        roff_examples(row->examples, to);
    }
}

static const char *completion_word(enum completion complete)
{
    static const char *const words[] = {
        [COMPLETE_NOTHING] = "nothing",     [COMPLETE_STREAMS] = "streams", [COMPLETE_PORTS] = "ports",
        [COMPLETE_TEMPLATES] = "templates", [COMPLETE_FILES] = "files",     [COMPLETE_NAMES] = "names",
        [COMPLETE_CLOCKS] = "clocks"};
    return words[complete];
}

static void bash_options(const char *verb, const struct option_row *rows, FILE *to)
{
    fprintf(to, "    [%s]=\"", verb);
    EACH_OPTION(row, rows)
    fprintf(to, "%s--%s", row == rows ? "" : " ", row->name);
    fputs("\"\n", to);
}

static void bash_values(const char *verb, const struct option_row *rows, FILE *to)
{
    EACH_OPTION(row, rows)
    {
        if (row->value == NULL)
            continue;
        fprintf(to, "    [%s--%s]=%s\n", verb, row->name, completion_word(row->complete));
        if (row->letter != 0)
            fprintf(to, "    [%s-%c]=%s\n", verb, row->letter, completion_word(row->complete));
    }
}

void describe_bash(FILE *to)
{
    fputs("declare -gA _volleyctl_options=(\n", to);
    bash_options("_", global_options, to);
    EACH_COMMAND(row)
    bash_options(row->verb, row->options, to);
    fputs(")\ndeclare -gA _volleyctl_values=(\n", to);
    bash_values("", global_options, to);
    EACH_COMMAND(row)
    bash_values(row->verb, row->options, to);
    fputs(")\ndeclare -gA _volleyctl_arguments=(\n", to);
    EACH_COMMAND(row)
    if (row->summary != NULL)
        fprintf(to, "    [%s]=%s\n", row->verb, completion_word(row->complete));
    fputs(")\n", to);
}

/* Text inside single quotes of a zsh _arguments specification. */
static void zsh_text(const char *text, FILE *to)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            fputs("'\\'", to);
        else if (strchr("[]:\\", *text) != NULL)
            fputc('\\', to);
        fputc(*text, to);
    }
}

static void zsh_options(const char *verb, const struct option_row *rows, FILE *to)
{
    fprintf(to, "typeset -ga _volleyctl_options_%s=(\n", verb);
    EACH_OPTION(row, rows)
    {
        fprintf(to, "    '--%s[", row->name);
        zsh_text(row->help, to);
        fputc(']', to);
        if (row->value != NULL)
            fprintf(to, ":%s: _volleyctl_offer %s", row->value, completion_word(row->complete));
        fputs("'\n", to);
    }
    fputs(")\n", to);
}

void describe_zsh(FILE *to)
{
    zsh_options("", global_options, to);
    EACH_COMMAND(row)
    if (row->summary != NULL)
        zsh_options(row->verb, row->options, to);
    fputs("typeset -gA _volleyctl_arguments=(\n", to);
    EACH_COMMAND(row)
    if (row->summary != NULL)
        fprintf(to, "    %s %s\n", row->verb, completion_word(row->complete));
    fputs(")\ntypeset -ga _volleyctl_verbs=(\n", to);
    EACH_COMMAND(row)
    {
        if (row->summary == NULL)
            continue;
        fprintf(to, "    '%s:", row->verb);
        zsh_text(row->summary, to);
        fputs("'\n", to);
    }
    fputs(")\n", to);
}
