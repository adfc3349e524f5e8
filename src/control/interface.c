/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is made from the table of interface.h: look-up, checks, and the two texts. */
#include "control/interface.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *word; /* in the interface language */
    const char *kind; /* for people */
} types[] = {
    [PARAMETER_INT] = {"int", "a whole number"},  [PARAMETER_BOOL] = {"bool", "true or false"},
    [PARAMETER_TEXT] = {"string", "text"},        [PARAMETER_TEXTS] = {"[]string", "a list of texts"},
    [PARAMETER_OBJECT] = {"object", "an object"}, [PARAMETER_OBJECTS] = {"[]object", "a list of objects"},
};

const struct method *interface_find(const struct interface *interface, const char *full)
{
    size_t length = strlen(interface->name);
    if (strncmp(full, interface->name, length) != 0 || full[length] != '.')
        return NULL;
    for (const struct method *method = interface->methods; method->name != NULL; method++)
        if (strcmp(method->name, full + length + 1) == 0)
            return method;
    return NULL;
}

static bool all_members(const json_t *list, bool (*fits)(const json_t *))
{
    size_t i;
    json_t *member;
    if (!json_is_array(list))
        return false;
    json_array_foreach(list, i, member)
    {
        if (!fits(member))
            return false;
    }
    return true;
}

static bool is_text(const json_t *value)
{
    return json_is_string(value);
}

static bool is_object(const json_t *value)
{
    return json_is_object(value);
}

static bool type_fits(enum parameter_type type, const json_t *value)
{
    switch (type) {
    case PARAMETER_INT:
        return json_is_integer(value);
    case PARAMETER_BOOL:
        return json_is_boolean(value);
    case PARAMETER_TEXT:
        return json_is_string(value);
    case PARAMETER_TEXTS:
        return all_members(value, is_text);
    case PARAMETER_OBJECT:
        return json_is_object(value);
    case PARAMETER_OBJECTS:
        return all_members(value, is_object);
    }
    return false;
}

static const struct parameter none[] = {{0}};

static const struct parameter *parameters_of(const struct method *method)
{
    return method->in == NULL ? none : method->in;
}

static const struct parameter *find_parameter(const struct method *method, const char *name)
{
    for (const struct parameter *in = parameters_of(method); in->name != NULL; in++)
        if (strcmp(in->name, name) == 0)
            return in;
    return NULL;
}

/* null stands for absent, as Varlink has it. */
static int check_one(const struct parameter *in, json_t *value, const char **wrong, struct err *err)
{
    *wrong = in->name;
    if (value == NULL || json_is_null(value))
        return in->required ? err_set(err, -EINVAL, "%s is missing", in->name) : 0;
    if (!type_fits(in->type, value))
        return err_set(err, -EINVAL, "%s must be %s", in->name, types[in->type].kind);
    if (in->type != PARAMETER_INT || (in->min == 0 && in->max == 0))
        return 0;
    json_int_t number = json_integer_value(value);
    if (number < in->min || number > in->max)
        return err_set(err, -ERANGE, "%" PRId64 " is out of range: %" PRId64 " to %" PRId64, (int64_t)number,
                       in->min, in->max);
    return 0;
}

int interface_check(const struct method *method, json_t *parameters, const char **wrong, struct err *err)
{
    const char *name;
    json_t *value;
    json_object_foreach(parameters, name, value)
    {
        if (find_parameter(method, name) != NULL)
            continue;
        *wrong = name;
        return err_set(err, -ENOENT, "%s takes no parameter %s", method->name, name);
    }
    for (const struct parameter *in = parameters_of(method); in->name != NULL; in++) {
        int r = check_one(in, json_object_get(parameters, in->name), wrong, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- Varlink's language ---- */

static void print_comment(const char *text, FILE *out)
{
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        fprintf(out, "# %.*s\n", (int)length, text);
        text += length + (text[length] == '\n');
    }
}

static void print_signature(const struct method *method, FILE *out)
{
    fprintf(out, "%s(", method->name);
    for (const struct parameter *in = parameters_of(method); in->name != NULL; in++)
        fprintf(out, "%s%s: %s%s", in == method->in ? "" : ", ", in->name, in->required ? "" : "?",
                types[in->type].word);
    fprintf(out, ") -> (%s)", method->out);
}

void interface_print(const struct interface *interface, FILE *out)
{
    print_comment(interface->text, out);
    fprintf(out, "interface %s\n", interface->name);
    if (interface->types[0] != '\0')
        fprintf(out, "\n%s", interface->types);
    for (const struct method *method = interface->methods; method->name != NULL; method++) {
        fputc('\n', out);
        print_comment(method->text, out);
        fputs("method ", out);
        print_signature(method, out);
        fputc('\n', out);
    }
    for (const struct interface_error *error = interface->errors; error->name != NULL; error++) {
        fputc('\n', out);
        print_comment(error->text, out);
        fprintf(out, "error %s (%s)\n", error->name, error->fields);
    }
}

char *interface_describe(const struct interface *interface)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL)
        return NULL;
    interface_print(interface, out);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

/* ---- the manual ---- */

/* Text as roff: backslashes and hyphens are themselves, and no line begins with a request. */
static void print_escaped(const char *text, FILE *out)
{
    bool line_begins = true;
    for (; *text != '\0'; text++) {
        if (line_begins && (*text == '.' || *text == '\''))
            fputs("\\&", out);
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else
            fputc(*text, out);
        line_begins = *text == '\n';
    }
}

static void print_parameter(const struct parameter *in, FILE *out)
{
    fprintf(out, ".TP\n.BR %s \" (%s%s)\"\n", in->name, types[in->type].kind,
            in->required ? "" : "; may be left out");
    print_escaped(in->text, out);
    if (in->type == PARAMETER_INT && (in->min != 0 || in->max != 0))
        fprintf(out, " From %" PRId64 " to %" PRId64 ".", in->min, in->max);
    fputc('\n', out);
}

static void print_method(const struct interface *interface, const struct method *method, FILE *out)
{
    fprintf(out, ".SS %s\n", method->name);
    print_escaped(method->text, out);
    if (method->role == ROLE_CHANGE)
        fputs("Refused on the status socket.\n", out);
    if (method->streams)
        fprintf(out, "With\n.B more\nthere are many replies.\n");
    for (const struct parameter *in = parameters_of(method); in->name != NULL; in++)
        print_parameter(in, out);
    fputs(".PP\nReply:\n.PP\n.RS 4\n", out);
    print_escaped(method->out[0] == '\0' ? "nothing" : method->out, out);
    fprintf(out, "\n.RE\n.PP\n.EX\n{\"method\":\"%s.%s\",\"parameters\":", interface->name, method->name);
    print_escaped(method->example == NULL ? "{}" : method->example, out);
    fprintf(out, "%s}\n.EE\n", method->streams ? ",\"more\":true" : "");
}

void interface_print_roff(const struct interface *interface, FILE *out)
{
    fputs(".SH METHODS\n", out);
    for (const struct method *method = interface->methods; method->name != NULL; method++)
        print_method(interface, method, out);
    fputs(".SH ERRORS\n", out);
    for (const struct interface_error *error = interface->errors; error->name != NULL; error++) {
        fprintf(out, ".TP\n.BR %s.%s \" (", interface->name, error->name);
        print_escaped(error->fields[0] == '\0' ? "no parameters" : error->fields, out);
        fputs(")\"\n", out);
        print_escaped(error->text, out);
    }
    fputs(".SH TYPES\n.EX\n", out);
    print_escaped(interface->types, out);
    fputs(".EE\n", out);
}
