/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For the packet tests: reads one JSON object a line, compiles it as a packet, answers with one a line.
 *
 *   { "layers": [ … ], "set", "vary", "size", "mix", "payload": …, "count": N, "signature": bool, "segments":
 * N, "special": bits, "cooked": bool, "source": "02:…", "explain": bool, "part", "parts" } { "frames": [
 * "hex", … ], "errors": [ "…" ], "warnings": [ "…" ], "explain": "…" } */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "config/read.h"
#include "packet/packet.h"
#include "packet/signature.h"

static uint64_t number(const json_t *object, const char *key, uint64_t fallback)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? (uint64_t)json_integer_value(value) : fallback;
}

static json_t *hex(const uint8_t *bytes, size_t count)
{
    char *text = malloc(2 * count + 1);
    for (size_t i = 0; i < count; i++)
        sprintf(text + 2 * i, "%02x", bytes[i]);
    json_t *string = json_stringn(text, 2 * count);
    free(text);
    return string;
}

static void run(const json_t *object, const struct packet *packet, bool is_signed, json_t *answer)
{
    json_t *frames = json_array();
    uint8_t *frame = malloc(packet_largest(packet));
    uint32_t held = UINT32_MAX;
    struct packet_cursor *cursor =
        packet_cursor_new(packet, (uint32_t)number(object, "part", 0), (uint32_t)number(object, "parts", 1));
    struct signature_stamp stamp = {.nonce = 0x5eed, .stream = 7};
    for (uint64_t i = 0; i < number(object, "count", 1); i++) {
        uint32_t length = packet_next_length(cursor);
        if (packet_next_variant(cursor) != held) { /* as a slot would be */
            held = packet_next_variant(cursor);
            memset(frame, 0xdb, packet_largest(packet));
            packet_stamp(cursor, frame);
        }
        stamp.time_ns = i * 1000;
        packet_patch(cursor, frame, is_signed ? &stamp : NULL);
        stamp.sequence++;
        json_array_append_new(frames, hex(frame, length));
    }
    packet_cursor_free(cursor);
    free(frame);
    json_object_set_new(answer, "frames", frames);
}

static void explain(const struct packet *packet, json_t *answer)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    packet_explain(packet, out, false);
    fclose(out);
    json_object_set_new(answer, "explain", json_string(text));
    free(text);
}

static void tell(const struct complaints *complaints, json_t *answer)
{
    json_t *errors = json_array(), *warnings = json_array();
    for (size_t i = 0; i < complaints_count(complaints); i++) {
        const struct complaint *complaint = complaints_get(complaints, i);
        json_array_append_new(complaint->error ? errors : warnings,
                              json_sprintf("%s: %s", complaint->where, complaint->text));
    }
    json_object_set_new(answer, "errors", errors);
    json_object_set_new(answer, "warnings", warnings);
}

static void answer_one(const json_t *object, json_t *answer)
{
    struct complaints *complaints = complaints_new();
    struct tree *tree = NULL;
    struct packet *packet = NULL;
    if (tree_read_json(object, &tree, complaints) == 0) {
        const struct node *root = tree_root(tree);
        struct packet_request request = {
            .at = root,
            .layers = node_find(root, "layers"),
            .set = node_find(root, "set"),
            .vary = node_find(root, "vary"),
            .size = node_find(root, "size"),
            .mix = node_find(root, "mix"),
            .payload = node_find(root, "payload"),
            .signature = json_is_true(json_object_get(object, "signature")),
            .segments = (uint16_t)number(object, "segments", 1),
            .special = (unsigned)number(object, "special", 0),
            .cooked = json_is_true(json_object_get(object, "cooked")),
        };
        uint8_t mac[6];
        const char *source = json_string_value(json_object_get(object, "source"));
        if (packet_compile(&request, &packet, complaints) == 0) {
            if (source != NULL && units_mac(source, mac, NULL) == 0)
                packet_set_source(packet, mac);
            run(object, packet, request.signature, answer);
            if (json_is_true(json_object_get(object, "explain")))
                explain(packet, answer);
        }
    }
    tell(complaints, answer);
    packet_free(packet);
    tree_free(tree);
    complaints_free(complaints);
}

int main(void)
{
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0) {
        json_t *object = json_loads(line, 0, NULL), *answer = json_object();
        if (object != NULL)
            answer_one(object, answer);
        json_dumpf(answer, stdout, JSON_COMPACT);
        putchar('\n');
        fflush(stdout);
        json_decref(object);
        json_decref(answer);
    }
    free(line);
    return 0;
}
