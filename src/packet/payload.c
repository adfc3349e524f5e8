/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Payload bytes. One row of kinds[] is one kind: its key, how it is read and how it fills. A payload is made
 * again for every length by payload_fill(), which runs when a variant is stamped, never per frame, so nothing
 * longer than the user's own text is kept.
 *
 *   payload = { byte = 0x55; };                        one byte again and again
 *   payload = { word = 0xcafe; };                      16 bits, big-endian
 *   payload = { increment = "bytes"; from = 1; };      or decrement, or "words"; wraps; step = 1
 *   payload = { random = 7; };                         the seed
 *   payload = { prbs = 23; };                          2^23 - 1 of ITU-T O.150, not inverted
 *   payload = { text = "hello"; repeat = true; };      without repeat zeros follow; also hex, file
 *   payload = "incrementing bytes";                    the name of one that needs no more words */
#include "packet/value.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "packet/nodes.h"
#include "packet/packet.h"
#include "packet/random.h"

typedef void fill_bytes(const struct payload *payload, uint8_t *out, size_t bytes);

struct payload {
    fill_bytes *fill;
    uint64_t from, step; /* of counting; from is also the byte, the word, the seed */
    uint8_t *data;       /* owned; text, hex, file */
    size_t length;
    bool repeat;
    char description[80];
};

struct reader {
    const struct node *group, *node; /* node: the member that names the kind */
    bool may_read_files;
    struct complaints *complaints;
};

/* ---- filling ---- */

static void fill_byte(const struct payload *payload, uint8_t *out, size_t bytes)
{
    memset(out, (int)payload->from, bytes);
}

static void fill_counting_bytes(const struct payload *payload, uint8_t *out, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(payload->from + i * payload->step);
}

/* Also a fixed word: step 0. An odd last byte is the word's first half. */
static void fill_words(const struct payload *payload, uint8_t *out, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        uint16_t word = (uint16_t)(payload->from + i / 2 * payload->step);
        out[i] = i % 2 == 0 ? (uint8_t)(word >> 8) : (uint8_t)word;
    }
}

static void fill_random(const struct payload *payload, uint8_t *out, size_t bytes)
{
    uint8_t drawn[8];
    for (size_t i = 0; i < bytes; i++) {
        if (i % sizeof drawn == 0)
            store_be64(drawn, random_mix(random_state(payload->from, i / sizeof drawn)));
        out[i] = drawn[i % sizeof drawn];
    }
}

/* x^23 + x^18 + 1, all ones at the start, the first bit in the highest place. */
static void fill_prbs(const struct payload *payload, uint8_t *out, size_t bytes)
{
    uint32_t shift = 0x7fffff;
    (void)payload;
    for (size_t i = 0; i < bytes; i++) {
        unsigned byte = 0;
        for (int bit = 0; bit < 8; bit++) {
            uint32_t next = (shift >> 22 ^ shift >> 17) & 1;
            byte = byte << 1 | shift >> 22;
            shift = (shift << 1 | next) & 0x7fffff;
        }
        out[i] = (uint8_t)byte;
    }
}

static void fill_data(const struct payload *payload, uint8_t *out, size_t bytes)
{
    size_t done = 0;
    do {
        size_t piece = bytes - done < payload->length ? bytes - done : payload->length;
        memcpy(out + done, payload->data, piece);
        done += piece;
    } while (payload->repeat && done < bytes);
    memset(out + done, 0, bytes - done);
}

/* ---- reading ---- */

__attribute__((format(printf, 2, 3))) static void describe(struct payload *payload, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(payload->description, sizeof payload->description, format, args);
    va_end(args);
}

static bool read_byte(const struct reader *reader, struct payload *out)
{
    out->fill = fill_byte;
    if (!nodes_count(reader->node, "byte", 0, UINT8_MAX, &out->from, reader->complaints))
        return false;
    if (out->from == 0)
        describe(out, "zeros");
    else
        describe(out, "byte 0x%02x", (unsigned)out->from);
    return true;
}

static bool read_word(const struct reader *reader, struct payload *out)
{
    out->fill = fill_words;
    if (!nodes_count(reader->node, "word", 0, UINT16_MAX, &out->from, reader->complaints))
        return false;
    describe(out, "word 0x%04x", (unsigned)out->from);
    return true;
}

static bool read_counting(const struct reader *reader, struct payload *out)
{
    static const char *const units[] = {"bytes", "words"};
    bool down = strcmp(reader->node->name, "decrement") == 0;
    size_t unit;
    if (!nodes_choice(reader->node, reader->node->name, units, NODES_COUNT_OF(units), &unit,
                      reader->complaints))
        return false;
    uint64_t most = unit == 0 ? UINT8_MAX : UINT16_MAX;
    if (!nodes_member_count(reader->group, "from", 0, most, down ? most : 0, &out->from,
                            reader->complaints) ||
        !nodes_member_count(reader->group, "step", 1, most, 1, &out->step, reader->complaints))
        return false;
    describe(out, "%sing %s from %" PRIu64 ", step %" PRIu64, reader->node->name, units[unit], out->from,
             out->step);
    if (down)
        out->step = 0 - out->step;
    out->fill = unit == 0 ? fill_counting_bytes : fill_words;
    return true;
}

static bool read_random(const struct reader *reader, struct payload *out)
{
    out->fill = fill_random;
    if (!nodes_count(reader->node, "random (a seed)", 0, UINT64_MAX, &out->from, reader->complaints))
        return false;
    describe(out, "random bytes, seed %" PRIu64, out->from);
    return true;
}

static bool read_prbs(const struct reader *reader, struct payload *out)
{
    uint64_t order;
    out->fill = fill_prbs;
    describe(out, "PRBS-23");
    return nodes_count(reader->node, "prbs", 23, 23, &order, reader->complaints);
}

/* text, hex and file: data is there; the rest is common. */
static bool take_data(const struct reader *reader, struct payload *out, const char *what)
{
    const struct node *repeat = node_find(reader->group, "repeat");
    out->fill = fill_data;
    if (repeat != NULL && repeat->kind != NODE_BOOL) {
        complain(reader->complaints, repeat, "repeat is %s; it must be true or false",
                 node_kind_name(repeat->kind));
        return false;
    }
    if (out->length == 0 || out->length > FRAME_MAX_BYTES) {
        complain(reader->complaints, reader->node, "%s has %zu bytes; it must have 1 … %d", what, out->length,
                 FRAME_MAX_BYTES);
        return false;
    }
    out->repeat = repeat != NULL && repeat->truth;
    describe(out, "%s, %zu bytes%s", what, out->length, out->repeat ? ", repeated" : "");
    return true;
}

static bool read_text(const struct reader *reader, struct payload *out)
{
    if (reader->node->kind != NODE_TEXT) {
        complain(reader->complaints, reader->node, "text is %s; it must be text",
                 node_kind_name(reader->node->kind));
        return false;
    }
    out->length = strlen(reader->node->text);
    out->data = (uint8_t *)strdup(reader->node->text);
    return out->data != NULL && take_data(reader, out, "text");
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *found = c != '\0' ? strchr(digits, c) : NULL;
    return found != NULL ? (int)((found - digits) % 16) : -1;
}

/* Pairs of digits; blanks, colons and dashes may stand between pairs. False at the first thing else. */
static bool hex_bytes(const char *text, uint8_t *out, size_t *length)
{
    size_t count = 0;
    for (; *text != '\0'; text++) {
        if (strchr(" \t\n:-", *text) != NULL)
            continue;
        int high = hex_digit(text[0]), low = high >= 0 ? hex_digit(text[1]) : -1;
        if (low < 0)
            return false;
        out[count++] = (uint8_t)(high << 4 | low);
        text++;
    }
    *length = count;
    return true;
}

static bool read_hex(const struct reader *reader, struct payload *out)
{
    if (reader->node->kind == NODE_TEXT) {
        out->data = malloc(strlen(reader->node->text) / 2 + 1);
        if (out->data == NULL)
            return false;
        if (hex_bytes(reader->node->text, out->data, &out->length))
            return take_data(reader, out, "hex");
    }
    complain(reader->complaints, reader->node,
             "hex must be pairs of hexadecimal digits, such as \"de ad be ef\"");
    return false;
}

/* Only regular files: a FIFO or a device would hold the daemon up. */
static int load_file(const char *path, struct payload *out)
{
    struct stat facts;
    int result = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode)) {
        result = -ENOTSUP;
        goto done;
    }
    out->data = malloc(FRAME_MAX_BYTES + 1);
    if (out->data == NULL) {
        result = -ENOMEM;
        goto done;
    }
    while (out->length <= FRAME_MAX_BYTES) { /* one byte more than allowed tells that it is too long */
        ssize_t got = read(fd, out->data + out->length, FRAME_MAX_BYTES + 1 - out->length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            result = -errno;
        if (got <= 0)
            break;
        out->length += (size_t)got;
    }
done:
    close(fd);
    return result;
}

static bool read_file_kind(const struct reader *reader, struct payload *out)
{
    if (!reader->may_read_files) {
        complain(reader->complaints, reader->node,
                 "file is allowed only in the configuration file; use hex or text here");
        return false;
    }
    if (reader->node->kind != NODE_TEXT) {
        complain(reader->complaints, reader->node, "file is %s; it must be a path",
                 node_kind_name(reader->node->kind));
        return false;
    }
    int result = load_file(reader->node->text, out);
    if (result == -ENOTSUP) {
        complain(reader->complaints, reader->node, "%s is not a regular file", reader->node->text);
        return false;
    }
    if (result != 0) {
        complain(reader->complaints, reader->node, "cannot read %s: %s", reader->node->text,
                 strerror(-result));
        return false;
    }
    if (!take_data(reader, out, "file"))
        return false;
    uint8_t *fitting = realloc(out->data, out->length);
    if (fitting != NULL)
        out->data = fitting;
    return true;
}

static const struct payload_kind {
    const char *key;
    bool (*read)(const struct reader *reader, struct payload *out);
    const char *options[3]; /* keys that may stand beside it; the rest are NULL */
} kinds[] = {
    {"byte", read_byte, {NULL}},
    {"word", read_word, {NULL}},
    {"increment", read_counting, {"from", "step"}},
    {"decrement", read_counting, {"from", "step"}},
    {"random", read_random, {NULL}},
    {"prbs", read_prbs, {NULL}},
    {"text", read_text, {"repeat"}},
    {"hex", read_hex, {"repeat"}},
    {"file", read_file_kind, {"repeat"}},
};

/* Payloads that a name says. */
static const char *const plain_names[] = {
    "zeros",  "ones",  "incrementing bytes", "decrementing bytes", "incrementing words", "decrementing words",
    "random", "prbs23"};
static const struct payload plain[NODES_COUNT_OF(plain_names)] = {
    {.fill = fill_byte},
    {.fill = fill_byte, .from = 0xff},
    {.fill = fill_counting_bytes, .step = 1},
    {.fill = fill_counting_bytes, .from = UINT8_MAX, .step = UINT64_MAX},
    {.fill = fill_words, .step = 1},
    {.fill = fill_words, .from = UINT16_MAX, .step = UINT64_MAX},
    {.fill = fill_random, .from = 1},
    {.fill = fill_prbs},
};

static bool read_plain(size_t which, struct payload *out)
{
    *out = plain[which];
    describe(out, "%s", plain_names[which]);
    return true;
}

static bool read_group(const struct reader *within, struct payload *out)
{
    struct reader reader = *within;
    const struct payload_kind *kind = NULL;
    for (size_t i = 0; i < NODES_COUNT_OF(kinds); i++) {
        const struct node *node = node_find(reader.group, kinds[i].key);
        if (node != NULL && kind != NULL) {
            complain(reader.complaints, node, "%s and %s exclude each other; leave one out", kind->key,
                     kinds[i].key);
            return false;
        }
        if (node != NULL) {
            kind = &kinds[i];
            reader.node = node;
        }
    }
    if (kind == NULL) {
        complain(reader.complaints, reader.group,
                 "a payload needs one of byte, word, increment, decrement, random, prbs, text, hex or file");
        return false;
    }
    const char *keys[1 + NODES_COUNT_OF(kind->options)] = {kind->key};
    size_t count = 1;
    while (count <= NODES_COUNT_OF(kind->options) && kind->options[count - 1] != NULL) {
        keys[count] = kind->options[count - 1];
        count++;
    }
    return nodes_know_keys(reader.group, keys, count, reader.complaints) && kind->read(&reader, out);
}

static bool read_payload(const struct reader *reader, struct payload *out)
{
    size_t which = 0;
    if (reader->group == NULL)
        return read_plain(which, out);
    if (reader->group->kind == NODE_GROUP)
        return read_group(reader, out);
    for (; reader->group->kind == NODE_TEXT && which < NODES_COUNT_OF(plain_names); which++)
        if (strcmp(reader->group->text, plain_names[which]) == 0)
            return read_plain(which, out);
    complain(
        reader->complaints, reader->group,
        "a payload is a group such as { text = \"…\"; }, or one of the names zeros, ones, incrementing or "
        "decrementing bytes or words, random, prbs23");
    return false;
}

int payload_compile(const struct node *payload, bool may_read_files, struct payload **out,
                    struct complaints *complaints)
{
    struct reader reader = {.group = payload, .may_read_files = may_read_files, .complaints = complaints};
    struct payload *made = calloc(1, sizeof *made);
    if (made == NULL)
        return -ENOMEM;
    if (!read_payload(&reader, made)) {
        payload_free(made);
        return -EINVAL;
    }
    *out = made;
    return 0;
}

void payload_free(struct payload *payload)
{
    if (payload == NULL)
        return;
    free(payload->data);
    free(payload);
}

void payload_fill(const struct payload *payload, uint8_t *out, size_t bytes)
{
    payload->fill(payload, out, bytes);
}

const char *payload_describe(const struct payload *payload)
{
    return payload->description;
}
