/* SPDX-License-Identifier: GPL-2.0-or-later */
/* volleyd's command line: one table gives parsing, --help and the manual's section. */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define DEFAULT_CONFIGURATION "/etc/volleyd/volleyd.conf"

enum mode { MODE_RUN, MODE_CHECK, MODE_DRY_RUN, MODE_EXPLAIN, MODE_MANUAL, MODE_VERSION, MODE_HELP };

struct options { /* text is borrowed from argv */
    enum mode mode;
    const char *configuration;
    const char *subject; /* of the mode: OUT.pcap, STREAM, or which manual */
    uint64_t frames;     /* --frames; 0: not given */
    const char *user;    /* NULL: stay who we are */
    bool confine;
};

/* 0, or -EINVAL after saying on standard error what is wrong. */
int options_read(int argc, char *argv[], struct options *out);
void options_help(FILE *out);
void options_print_roff(FILE *out);

#endif
