/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The protocol table as the manual's section. Main thread. */
#include <stdio.h>

#include "packet/packet.h"
#include "packet/proto.h"

static const char *const rule_words[AUTO_COUNT_RULES] = {
    [AUTO_NEXT] = "follows",        [AUTO_TYPE] = "follows",      [AUTO_LENGTH] = "length",
    [AUTO_HEADER] = "length",       [AUTO_CHECKSUM] = "checksum", [AUTO_LAST] = "position",
    [AUTO_COUNT] = "count",         [AUTO_PRESENT] = "presence",  [AUTO_SOURCE] = "interface",
    [AUTO_DESTINATION] = "follows",
};

/* Roff takes a leading dot or quote, and backslashes anywhere, as its own. */
static void print_escaped(FILE *out, const char *text)
{
    for (; *text != '\0'; text++)
        if (*text == '\\' || *text == '-')
            fprintf(out, "\\%c", *text == '\\' ? 'e' : '-');
        else if ((unsigned char)*text >= ' ')
            fputc(*text, out);
}

static void print_kind(FILE *out, const struct field *field)
{
    static const char *const kinds[] = {
        [FIELD_MAC] = "MAC address", [FIELD_IPV4] = "IPv4 address", [FIELD_IPV6] = "IPv6 address",
        [FIELD_BYTES] = "hex",       [FIELD_TEXT] = "text",         [FIELD_MARK] = "true"};
    if (field->kind == FIELD_NUMBER || field->kind == FIELD_FLAGS)
        fprintf(out, "%u bit%s", field->width, field->width == 1 ? "" : "s");
    else
        fputs(kinds[field->kind], out);
    if (field->repeats)
        fputs(", a list", out);
}

static void print_names(FILE *out, const struct value_name *names)
{
    for (const struct value_name *at = names; at->name != NULL; at++) {
        fputs(at == names ? " Names: " : ", ", out);
        print_escaped(out, at->name);
    }
    fputs(".", out);
}

static void print_field(FILE *out, const struct field *field)
{
    fprintf(out, ".TP\n.B ");
    print_escaped(out, field->name);
    fputs("\n", out);
    print_escaped(out, field->doc);
    fputs(" (", out);
    print_kind(out, field);
    if (rule_words[field->automatic] != NULL)
        fprintf(out, "; automatic: %s", rule_words[field->automatic]);
    else if (field->preset != NULL) {
        fputs("; ", out);
        print_escaped(out, field->preset);
    }
    fputs(").", out);
    if (field->names != NULL)
        print_names(out, field->names);
    fputs("\n", out);
}

void packet_print_roff(FILE *out)
{
    for (size_t i = 0; protos[i] != NULL; i++) {
        fprintf(out, ".SS ");
        print_escaped(out, protos[i]->name);
        fputs("\n", out);
        print_escaped(out, protos[i]->title);
        fputs(" (", out);
        print_escaped(out, protos[i]->reference);
        fputs(").\n", out);
        for (unsigned f = 0; f < protos[i]->field_count; f++)
            print_field(out, &protos[i]->fields[f]);
    }
}
