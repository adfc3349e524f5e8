/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From argv to a row of the table and its values. getopt_long does the splitting; its tables are made from
 * ours. Global options are read twice: before the verb alone, and among the command's own behind it. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "config/tree.h"

enum { GLOBAL_CODE = 0x1000, OWN_CODE = 0x2000, ROW_MASK = 0xFFF };

struct grammar {
    struct option longs[2 * OPTIONS_MAX + 1];
    char shorts[4 * OPTIONS_MAX + 3];
    size_t options;
};

static void grammar_add(struct grammar *grammar, const struct option_row *rows, int code)
{
    char *shorts = strchr(grammar->shorts, '\0');
    for (int i = 0; rows != NULL && rows[i].name != NULL; i++) {
        bool takes = rows[i].value != NULL;
        grammar->longs[grammar->options++] =
            (struct option){rows[i].name, takes ? required_argument : no_argument, NULL, code | i};
        if (rows[i].letter == 0)
            continue;
        *shorts++ = rows[i].letter;
        if (takes)
            *shorts++ = ':';
    }
    *shorts = '\0';
}

static int row_of_letter(const struct command *command, int letter)
{
    const struct option_row *lists[] = {global_options, command == NULL ? NULL : command->options};
    for (int l = 0; l < 2; l++)
        for (int i = 0; lists[l] != NULL && lists[l][i].name != NULL; i++)
            if (lists[l][i].letter == letter)
                return (l == 0 ? GLOBAL_CODE : OWN_CODE) | i;
    return 0;
}

static const char *nearest_option(const struct grammar *grammar, const char *wrong)
{
    const char *names[2 * OPTIONS_MAX];
    for (size_t i = 0; i < grammar->options; i++)
        names[i] = grammar->longs[i].name;
    return nearest_name(wrong + strspn(wrong, "-"), names, grammar->options);
}

static int refuse_option(const struct grammar *grammar, const struct command *command, int what,
                         const char *text, struct err *err)
{
    const char *verb = command == NULL ? "" : command->verb, *space = command == NULL ? "" : " ";
    if (what == ':')
        return err_set(err, -EINVAL, "%s needs a value: volleyctl%s%s --help shows which", text, space, verb);
    const char *nearest = nearest_option(grammar, text);
    return err_set(err, -EINVAL, "no option %s%s%s%s; volleyctl%s%s --help lists them", text,
                   nearest == NULL ? "" : " (--", nearest == NULL ? "" : nearest, nearest == NULL ? "" : "?)",
                   space, verb);
}

/* Reads options (and, permuted behind them, arguments) of argv; optind tells where the arguments begin. */
static int read_options(int argc, char **argv, const char *mode, struct invocation *with, struct err *err)
{
    struct grammar grammar = {.options = 0};
    strcpy(grammar.shorts, mode);
    grammar_add(&grammar, global_options, GLOBAL_CODE);
    grammar_add(&grammar, with->command == NULL ? NULL : with->command->options, OWN_CODE);
    opterr = 0;
    optind = 0; /* glibc: start over */
    for (int code; (code = getopt_long(argc, argv, grammar.shorts, grammar.longs, NULL)) != -1;) {
        if (code == '?' || code == ':')
            return refuse_option(&grammar, with->command, code, argv[optind - 1], err);
        if (code < GLOBAL_CODE)
            code = row_of_letter(with->command, code);
        const char **values = (code & OWN_CODE) != 0 ? with->own : with->global;
        values[code & ROW_MASK] = optarg == NULL ? "" : optarg;
    }
    return 0;
}

static int find_verb(const char *verb, struct invocation *with, struct err *err)
{
    const char *nearest = NULL;
    with->command = command_find(verb, &nearest);
    if (with->command != NULL)
        return 0;
    return err_set(err, -EINVAL, "no command %s%s%s%s; volleyctl --help lists them", verb,
                   nearest == NULL ? "" : " (", nearest == NULL ? "" : nearest, nearest == NULL ? "" : "?)");
}

static int check_arguments(const struct invocation *with, struct err *err)
{
    const struct command *command = with->command;
    if (with->argument_count >= command->least && with->argument_count <= command->most)
        return 0;
    const char *gap = *command->arguments == '\0' ? "" : " ";
    return err_set(err, -EINVAL, "%s arguments: volleyctl %s%s%s; volleyctl %s --help shows examples",
                   with->argument_count < command->least ? "missing" : "too many", command->verb, gap,
                   command->arguments, command->verb);
}

int invocation_read(int argc, char **argv, struct invocation *out, struct err *err)
{
    struct invocation with = {.command = NULL};
    int failed = read_options(argc, argv, "+:", &with, err);
    if (failed != 0)
        return failed;
    if (optind < argc) {
        int verb = optind;
        failed = find_verb(argv[verb], &with, err);
        if (failed == 0)
            failed = read_options(argc - verb, argv + verb, ":", &with, err);
        if (failed != 0)
            return failed;
        with.arguments = calloc((size_t)argc + 1, sizeof *with.arguments);
        if (with.arguments == NULL)
            return err_set(err, -ENOMEM, "memory is out");
        for (int i = verb + optind; i < argc; i++)
            with.arguments[with.argument_count++] = argv[i];
    }
    *out = with;
    if (with.command == NULL || option_given(&with, "help"))
        return 0;
    failed = check_arguments(&with, err);
    if (failed != 0)
        invocation_fini(out);
    return failed;
}

void invocation_fini(struct invocation *with)
{
    free(with->arguments);
    with->arguments = NULL;
}

static const char *value_in(const struct option_row *rows, const char *const *values, const char *name)
{
    for (size_t i = 0; rows != NULL && rows[i].name != NULL; i++)
        if (strcmp(rows[i].name, name) == 0)
            return values[i];
    return NULL;
}

const char *option_value(const struct invocation *with, const char *name)
{
    const char *own = with->command == NULL ? NULL : value_in(with->command->options, with->own, name);
    return own != NULL ? own : value_in(global_options, with->global, name);
}

bool option_given(const struct invocation *with, const char *name)
{
    return option_value(with, name) != NULL;
}
