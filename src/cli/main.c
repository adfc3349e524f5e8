/* SPDX-License-Identifier: GPL-2.0-or-later */
/* volleyctl: reads the command line, finds the row of the table, runs its handler. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/handlers.h"
#include "config.h"

/* With standard output gone (a full disk) success would be a lie. */
static int finish(int code)
{
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == EXIT_DONE) {
        perror("volleyctl: standard output");
        return EXIT_FAILED;
    }
    return code;
}

static int dispatch(struct invocation *with)
{
    if (option_given(with, "help") && with->command != NULL)
        describe_command(with->command, stdout);
    else if (option_given(with, "help"))
        describe_all(stdout);
    else if (option_given(with, "version"))
        printf("volleyctl %s\n", PACKAGE_VERSION);
    else if (with->command == NULL) {
        describe_all(stderr);
        return EXIT_USAGE;
    } else {
        struct session session;
        int code = session_init(&session, with);
        if (code == EXIT_DONE)
            code = with->command->run(&session, with);
        session_fini(&session);
        return code;
    }
    return EXIT_DONE;
}

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "");
    struct invocation with = {.command = NULL};
    struct err err = {.code = 0};
    if (invocation_read(argc, argv, &with, &err) != 0) {
        fprintf(stderr, "volleyctl: %s\n", err.text);
        return EXIT_USAGE;
    }
    int code = dispatch(&with);
    invocation_fini(&with);
    return finish(code);
}
