/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A command is one row: dispatch, option parsing, help, the manual and both completions are made from it. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"

/* What the shell offers for a value. */
enum completion {
    COMPLETE_NOTHING,
    COMPLETE_STREAMS,
    COMPLETE_PORTS,
    COMPLETE_TEMPLATES,
    COMPLETE_FILES,
    COMPLETE_NAMES,
    COMPLETE_CLOCKS
};

struct option_row {
    const char *name;  /* long name without dashes; NULL ends a list */
    char letter;       /* 0: none */
    const char *value; /* what it takes, for help ("SECONDS"); NULL: a switch */
    enum completion complete;
    const char *help;
};

struct session;
struct invocation;

struct command {
    const char *verb, *arguments;     /* arguments as help shows them, "" for none */
    const char *summary;              /* one line, in the list */
    const char *detail;               /* paragraphs for its own help and the manual */
    const char *examples;             /* "command\tmeaning\n" lines */
    const struct option_row *options; /* NULL: none of its own */
    size_t least, most;               /* arguments */
    enum completion complete;         /* of the arguments */
    bool reads; /* only reads: the status socket will do where the control socket is closed to the user */
    int (*run)(struct session *session, const struct invocation *with); /* an exit code */
};

extern const struct command commands[]; /* ends with verb NULL; hidden ones have summary NULL */
extern const struct option_row global_options[];
const struct command *command_find(const char *verb, const char **nearest); /* nearest: NULL or a guess */

enum { OPTIONS_MAX = 32, ALL_ARGUMENTS = 1 << 20 };

struct invocation {
    const struct command *command;
    const char *own[OPTIONS_MAX], *global[OPTIONS_MAX]; /* by row; NULL: not given; "" for a switch */
    const char **arguments;                             /* owned array, NULL-terminated; strings of argv */
    size_t argument_count;
};

/* argv[0] is skipped. Options stand anywhere, global ones also after the verb; "--" ends them. 0, or -EINVAL
 * with what is wrong and what would be right. */
int invocation_read(int argc, char **argv, struct invocation *out, struct err *err);
void invocation_fini(struct invocation *with);
const char *option_value(const struct invocation *with, const char *name); /* NULL: not given */
bool option_given(const struct invocation *with, const char *name);

/* Made from the table. */
void describe_all(FILE *to);
void describe_command(const struct command *command, FILE *to);
void describe_roff(FILE *to);
void describe_bash(FILE *to);
void describe_zsh(FILE *to);

#endif
