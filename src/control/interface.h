/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A Varlink interface as one table. From its rows come the dispatch, the check of parameters, the read-only
 * refusal, the text that introspection answers with, and volleyd-control(7). Constant data and pure
 * functions. */
#ifndef CONTROL_INTERFACE_H
#define CONTROL_INTERFACE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

struct call;

/* What the socket that a client came by lets it do; and what a method asks for. */
enum role { ROLE_READ, ROLE_CHANGE };

enum parameter_type {
    PARAMETER_INT,
    PARAMETER_BOOL,
    PARAMETER_TEXT,
    PARAMETER_TEXTS,
    PARAMETER_OBJECT,
    PARAMETER_OBJECTS
};

struct parameter {
    const char *name; /* NULL ends a list */
    enum parameter_type type;
    bool required;
    int64_t min, max; /* PARAMETER_INT; both 0: any */
    const char *text; /* for the manual: one sentence */
};

struct method {
    const char *name; /* NULL ends the table */
    void (*handle)(struct call *call, void *context);
    enum role role;
    bool streams;               /* `more` gives many replies */
    bool large;                 /* a request may be VARLINK_APPLY_BYTES long */
    const struct parameter *in; /* NULL: none */
    const char *out;            /* the fields of the reply, in the interface language; "" for none */
    const char *text;           /* what it does; lines end in \n */
    const char *example;        /* parameters as JSON, for the manual; the tests run it. NULL: {} */
};

struct interface_error {
    const char *name; /* NULL ends the list */
    const char *fields, *text;
};

struct interface {
    const char *name, *text;
    const char *types; /* type definitions in the interface language */
    const struct method *methods;
    const struct interface_error *errors;
};

/* The method that full ("io.volleyd.Start") names, or NULL. */
const struct method *interface_find(const struct interface *interface, const char *full);

/* -ENOENT and *wrong when a parameter is unknown, -EINVAL and *wrong when it is missing or has the wrong
 * type; -ERANGE, *wrong and a story when its value is out of range. parameters may be NULL. */
int interface_check(const struct method *method, json_t *parameters, const char **wrong, struct err *err);

/* The interface in Varlink's language. */
void interface_print(const struct interface *interface, FILE *out);
/* The same; the caller frees. NULL when memory is out. */
char *interface_describe(const struct interface *interface);
/* The methods, errors and types as sections of a manual page. */
void interface_print_roff(const struct interface *interface, FILE *out);

#endif
