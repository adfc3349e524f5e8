/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One field: what was written becomes a number of so many bits, or bytes; and back. A table of kinds says
 * how. */
#include "packet/field.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

enum { NAMES_MAX = 64, LONG_MAX_BYTES = 16384 };

/* ---- bits ---- */

wide bits_mask(unsigned width_bits)
{
    return width_bits >= 128 ? ~(wide)0 : ((wide)1 << width_bits) - 1;
}

wide bits_load(const uint8_t *frame, size_t offset_bits, unsigned width_bits)
{
    wide value = 0;
    for (unsigned done = 0; done < width_bits;) {
        size_t bit = offset_bits + done;
        unsigned room = 8 - (unsigned)(bit % 8), take = width_bits - done < room ? width_bits - done : room;
        unsigned piece = (unsigned)frame[bit / 8] >> (room - take) & ((1u << take) - 1);
        value = value << take | piece;
        done += take;
    }
    return value;
}

void bits_store(uint8_t *frame, size_t offset_bits, unsigned width_bits, wide value)
{
    for (unsigned left = width_bits; left > 0;) {
        size_t bit = offset_bits + width_bits - left;
        unsigned room = 8 - (unsigned)(bit % 8), take = left < room ? left : room;
        unsigned mask = ((1u << take) - 1) << (room - take);
        unsigned piece = (unsigned)(value >> (left - take)) << (room - take) & mask;
        frame[bit / 8] = (uint8_t)((frame[bit / 8] & ~mask) | piece);
        left -= take;
    }
}

static wide wide_of(const uint8_t *bytes, size_t count)
{
    return bits_load(bytes, 0, (unsigned)count * 8);
}

/* ---- reading ---- */

bool field_is_long(const struct field *field)
{
    return field->repeats || (field->width == 0 && field->kind != FIELD_MARK);
}

/* "a, b or c" of the names, for messages. */
static const char *nearest_value(const struct field *field, const char *wrong)
{
    const char *names[NAMES_MAX];
    size_t count = 0;
    for (const struct value_name *at = field->names; at != NULL && at->name != NULL && count < NAMES_MAX;
         at++)
        names[count++] = at->name;
    return count > 0 ? nearest_name(wrong, names, count) : NULL;
}

static bool named_value(const struct field *field, const char *text, size_t length, uint64_t *out)
{
    for (const struct value_name *at = field->names; at != NULL && at->name != NULL; at++)
        if (strlen(at->name) == length && strncmp(at->name, text, length) == 0) {
            *out = at->value;
            return true;
        }
    return false;
}

static int not_right(const struct field *field, const char *text, struct err *err)
{
    char range[160];
    const char *nearest = nearest_value(field, text);
    field_range(field, range, sizeof range);
    if (nearest != NULL)
        return err_set(err, -EINVAL, "`%.80s` is not a value of %s; `%s`, or %s would be right", text,
                       field->name, nearest, range);
    return err_set(err, -EINVAL, "`%.80s` is not a value of %s; %s would be right", text, field->name, range);
}

static int read_number(const struct field *field, const char *text, wide *out, struct err *err)
{
    uint64_t number;
    if (!named_value(field, text, strlen(text), &number) && units_count(text, &number, NULL) != 0)
        return not_right(field, text, err);
    if (number > bits_mask(field->width))
        return not_right(field, text, err);
    *out = number;
    return 0;
}

static int read_flags(const struct field *field, const char *text, wide *out, struct err *err)
{
    uint64_t all = 0, one;
    if (units_count(text, &one, NULL) == 0)
        return read_number(field, text, out, err);
    for (const char *at = text; *at != '\0';) {
        size_t length = strcspn(at, ", |");
        if (length > 0 && !named_value(field, at, length, &one))
            return not_right(field, at, err);
        if (length > 0)
            all |= one;
        at += length;
        at += strspn(at, ", |");
    }
    *out = all;
    return 0;
}

static int read_mac(const struct field *field, const char *text, wide *out, struct err *err)
{
    uint8_t bytes[6];
    if (units_mac(text, bytes, NULL) != 0)
        return not_right(field, text, err);
    *out = wide_of(bytes, sizeof bytes);
    return 0;
}

static int read_ipv4(const struct field *field, const char *text, wide *out, struct err *err)
{
    uint8_t bytes[4];
    if (units_ipv4(text, bytes, NULL) != 0)
        return not_right(field, text, err);
    *out = wide_of(bytes, sizeof bytes);
    return 0;
}

static int read_ipv6(const struct field *field, const char *text, wide *out, struct err *err)
{
    uint8_t bytes[16];
    if (units_ipv6(text, bytes, NULL) != 0)
        return not_right(field, text, err);
    *out = wide_of(bytes, sizeof bytes);
    return 0;
}

/* Pairs of hex digits; spaces, colons and dots may part them. Count of bytes, or -EINVAL. */
static int hex_bytes(const char *text, uint8_t *out, size_t room)
{
    size_t count = 0;
    if (strncmp(text, "0x", 2) == 0)
        text += 2;
    while (*text != '\0') {
        unsigned byte;
        if (strchr(" :.-", *text) != NULL) {
            text++;
            continue;
        }
        if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]) || count == room)
            return -EINVAL;
        sscanf(text, "%2x", &byte);
        out[count++] = (uint8_t)byte;
        text += 2;
    }
    return (int)count;
}

static int read_fixed_bytes(const struct field *field, const char *text, wide *out, struct err *err)
{
    uint8_t bytes[16];
    if (hex_bytes(text, bytes, sizeof bytes) * 8 != field->width)
        return not_right(field, text, err);
    *out = wide_of(bytes, field->width / 8);
    return 0;
}

static const struct kind_row {
    int (*read)(const struct field *field, const char *text, wide *out, struct err *err);
    const char *wanted; /* NULL: a range of numbers */
} kinds[] = {
    [FIELD_NUMBER] = {read_number, NULL},
    [FIELD_FLAGS] = {read_flags, NULL},
    [FIELD_MAC] = {read_mac, "a MAC address such as 02:00:00:00:00:01"},
    [FIELD_IPV4] = {read_ipv4, "an IPv4 address such as 198.18.0.1"},
    [FIELD_IPV6] = {read_ipv6, "an IPv6 address such as 2001:2::1"},
    [FIELD_BYTES] = {read_fixed_bytes, "bytes in hex"},
    [FIELD_TEXT] = {NULL, "text"},
    [FIELD_MARK] = {NULL, "true"},
};

char *field_range(const struct field *field, char *out, size_t size)
{
    if (field->kind == FIELD_BYTES && field->width != 0)
        snprintf(out, size, "%u bytes in hex", field->width / 8u);
    else if (kinds[field->kind].wanted != NULL)
        snprintf(out, size, "%s", kinds[field->kind].wanted);
    else
        snprintf(out, size, "0 … %" PRIu64, (uint64_t)bits_mask(field->width));
    return out;
}

static int keep_bytes(struct field_value *out, const uint8_t *bytes, size_t length)
{
    out->bytes = malloc(length + 1);
    if (out->bytes == NULL)
        return -ENOMEM;
    memcpy(out->bytes, bytes, length);
    out->length = length;
    out->given = GIVEN_VALUE;
    return 0;
}

static int read_long_text(const struct field *field, const char *text, struct field_value *out,
                          struct err *err)
{
    if (field->kind == FIELD_TEXT)
        return keep_bytes(out, (const uint8_t *)text, strnlen(text, LONG_MAX_BYTES));
    uint8_t bytes[LONG_MAX_BYTES];
    int count = hex_bytes(text, bytes, sizeof bytes);
    if (count < 0)
        return err_set(err, -EINVAL,
                       "`%.40s` is not %s; pairs of hex digits, at most %d bytes, would be right", text,
                       field->name, LONG_MAX_BYTES);
    return keep_bytes(out, bytes, (size_t)count);
}

static int read_text(const struct field *field, const char *text, struct field_value *out, struct err *err)
{
    wide number = 0;
    if (field->automatic != AUTO_NONE && strcmp(text, "auto") == 0) {
        out->given = GIVEN_AUTO;
        return 0;
    }
    if (field->automatic != AUTO_NONE && strcmp(text, "bad") == 0) {
        out->given = GIVEN_BAD;
        return 0;
    }
    if (field_is_long(field) && !field->repeats)
        return read_long_text(field, text, out, err);
    if (kinds[field->kind].read == NULL)
        return not_right(field, text, err);
    int result = kinds[field->kind].read(field, text, &number, err);
    if (result == 0) {
        out->given = GIVEN_VALUE;
        out->number = number;
    }
    return result;
}

static int read_integer(const struct field *field, int64_t integer, struct field_value *out, struct err *err)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, integer);
    if (field->kind != FIELD_NUMBER && field->kind != FIELD_FLAGS)
        return not_right(field, text, err);
    if (integer < 0)
        return not_right(field, text, err);
    return read_text(field, text, out, err);
}

static int read_truth(const struct field *field, bool truth, struct field_value *out, struct err *err)
{
    if (field->kind == FIELD_MARK)
        out->given = truth ? GIVEN_VALUE : GIVEN_NOT;
    else if (field->kind == FIELD_NUMBER && field->width == 1)
        *out = (struct field_value){.given = GIVEN_VALUE, .number = truth};
    else
        return not_right(field, truth ? "true" : "false", err);
    return 0;
}

static int read_single(const struct field *field, const struct node *node, struct field_value *out,
                       struct err *err)
{
    switch (node->kind) {
    case NODE_TEXT:
        return read_text(field, node->text, out, err);
    case NODE_INT:
        return read_integer(field, node->integer, out, err);
    case NODE_BOOL:
        return read_truth(field, node->truth, out, err);
    default:
        return not_right(field, node_kind_name(node->kind), err);
    }
}

/* A list of members, each as wide as the field. */
static int read_repeated(const struct field *field, const struct node *node, struct field_value *out,
                         struct err *err)
{
    const struct field member_field = {.name = field->name, .kind = field->kind, .width = field->width};
    size_t width = field->width / 8u, count = 0;
    if (node->kind != NODE_LIST)
        return err_set(err, -EINVAL, "%s must be a list", field->name);
    if (node->children * width > LONG_MAX_BYTES)
        return err_set(err, -EINVAL, "%s has too many members; at most %zu would be right", field->name,
                       LONG_MAX_BYTES / width);
    uint8_t *bytes = calloc(node->children + 1, width);
    if (bytes == NULL)
        return err_set(err, -ENOMEM, "out of memory");
    NODE_EACH(member, node)
    {
        struct field_value one = {0};
        int result = read_single(&member_field, member, &one, err);
        if (result != 0) {
            free(bytes);
            return result;
        }
        bits_store(bytes + width * count++, 0, field->width, one.number);
    }
    *out = (struct field_value){.given = GIVEN_VALUE, .bytes = bytes, .length = width * count};
    return 0;
}

int field_read(const struct field *field, const struct node *node, struct field_value *out, struct err *err)
{
    struct field_value value = {.number = out->number};
    int result =
        field->repeats ? read_repeated(field, node, &value, err) : read_single(field, node, &value, err);
    if (result != 0)
        return result;
    if (value.given == GIVEN_AUTO || value.given == GIVEN_BAD)
        value.number = out->number; /* the preset, for when nothing follows that says better */
    value.at = node;
    field_value_fini(out);
    *out = value;
    return 0;
}

int field_preset(const struct field *field, struct field_value *out)
{
    struct field_value value = {0};
    if (field->preset == NULL)
        return 0;
    int result = read_text(field, field->preset, &value, NULL);
    value.given = GIVEN_NOT;
    *out = value;
    return result;
}

void field_value_fini(struct field_value *value)
{
    free(value->bytes);
    value->bytes = NULL;
}

/* ---- formatting ---- */

static void format_flags(const struct field *field, uint64_t value, char *out, size_t size)
{
    size_t used = 0;
    for (const struct value_name *at = field->names; at != NULL && at->name != NULL; at++)
        if ((value & at->value) == at->value && used < size)
            used += (size_t)snprintf(out + used, size - used, "%s%s", used > 0 ? "," : "", at->name);
    if (used == 0)
        snprintf(out, size, "%" PRIu64, value);
}

static void format_number(const struct field *field, uint64_t value, char *out, size_t size)
{
    int used = snprintf(out, size, value > 0xff && field->names != NULL ? "0x%04" PRIx64 : "%" PRIu64, value);
    for (const struct value_name *at = field->names; at != NULL && at->name != NULL; at++)
        if (at->value == value && used > 0 && (size_t)used < size) {
            snprintf(out + used, size - (size_t)used, " (%s)", at->name);
            return;
        }
}

static void format_bytes(const uint8_t *bytes, size_t count, char *out, size_t size)
{
    *out = '\0';
    for (size_t i = 0; i < count && 2 * i + 2 < size; i++)
        snprintf(out + 2 * i, size - 2 * i, "%02x", bytes[i]);
}

char *field_format(const struct field *field, wide value, char *out, size_t size)
{
    uint8_t bytes[16] = {0};
    bits_store(bytes, 0, field->width, value);
    switch ((enum field_kind)field->kind) {
    case FIELD_MAC:
        return units_format_mac(bytes, out, size);
    case FIELD_IPV4:
        inet_ntop(AF_INET, bytes, out, (socklen_t)size);
        break;
    case FIELD_IPV6:
        inet_ntop(AF_INET6, bytes, out, (socklen_t)size);
        break;
    case FIELD_FLAGS:
        format_flags(field, (uint64_t)value, out, size);
        break;
    case FIELD_BYTES:
        format_bytes(bytes, field->width / 8u, out, size);
        break;
    default:
        format_number(field, (uint64_t)value, out, size);
    }
    return out;
}
