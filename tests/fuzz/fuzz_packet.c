// SPDX-License-Identifier: GPL-2.0-or-later
/* Any JSON as a template with sizes, payload and varying values: refused with a complaint, or frames that
 * stay inside their bytes, are the same when their slot is patched as when it is stamped anew, and whose IPv4
 * and UDP checksums are what a plain sum over all bytes says. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "config/read.h"
#include "packet/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FRAMES = 24, ETHERNET_BYTES = 14, IPV4_BYTES = 20 };

static void must(int holds)
{
    if (!holds)
        abort();
}

/* ---- the reference: RFC 1071, two bytes at a time ---- */

static uint32_t plain_sum(const uint8_t *at, size_t bytes, uint32_t sum)
{
    for (size_t i = 0; i < bytes; i++)
        sum += i % 2 == 0 ? (uint32_t)at[i] << 8 : at[i];
    return sum;
}

static uint16_t plain_fold(uint32_t sum)
{
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

static void check_ipv4(const uint8_t *frame, uint32_t bytes)
{
    const uint8_t *ip = frame + ETHERNET_BYTES, *udp = ip + IPV4_BYTES;
    uint32_t total = load_be16(ip + 2), length = total - IPV4_BYTES;
    must(ip[0] == 0x45 && total >= IPV4_BYTES && total + ETHERNET_BYTES <= bytes);
    must(plain_fold(plain_sum(ip, IPV4_BYTES, 0)) == 0xffff);
    if (ip[9] != 17 || load_be16(udp + 6) == 0)
        return;
    must(load_be16(udp + 4) == length);
    must(plain_fold(plain_sum(udp, length, plain_sum(ip + 12, 8, 17 + length))) == 0xffff);
}

static const char *layer_name(const struct node *layers, size_t index)
{
    const struct node *layer = layers->child;
    while (layer != NULL && index-- > 0)
        layer = layer->next;
    return layer != NULL && layer->child != NULL && layer->child->name != NULL ? layer->child->name : "";
}

/* Whether the frame's checksums are ours to make: nobody wrote into them, nor into what they are found by. */
static bool is_plain(const struct node *root, const struct node *layers, const char *text)
{
    static const char *const meddling[] = {"checksum", "offset",   "length", "options", "ihl",
                                           "version",  "protocol", "type",   "flags",   "fragment",
                                           "set",      "hdr",      "\\u"};
    for (size_t i = 0; i < sizeof meddling / sizeof *meddling; i++)
        if (strstr(text, meddling[i]) != NULL)
            return false;
    return root->kind == NODE_GROUP && strcmp(layer_name(layers, 0), "ethernet") == 0 &&
           strcmp(layer_name(layers, 1), "ipv4") == 0 && strcmp(layer_name(layers, 2), "udp") == 0 &&
           layers->children == 3;
}

/* ---- frames ---- */

static void take_frames(const struct packet *packet, bool plain)
{
    struct packet_cursor *patched = packet_cursor_new(packet, 0, 1),
                         *stamped = packet_cursor_new(packet, 0, 1);
    uint32_t largest = packet_largest(packet), held = UINT32_MAX;
    uint8_t *slot = malloc(largest);
    must(patched != NULL && stamped != NULL && slot != NULL);
    for (unsigned i = 0; i < FRAMES; i++) {
        uint32_t bytes = packet_next_length(stamped);
        must(bytes >= packet_smallest(packet) && bytes <= largest);
        must(bytes == packet_next_length(patched) && packet_next_variant(patched) < packet_variants(packet));
        uint8_t *frame = malloc(bytes);
        must(frame != NULL);
        if (packet_next_variant(patched) != held)
            packet_stamp(patched, slot);
        held = packet_next_variant(patched);
        packet_patch(patched, slot, NULL);
        packet_stamp(stamped, frame);
        packet_patch(stamped, frame, NULL);
        must(memcmp(slot, frame, bytes) == 0);
        if (plain)
            check_ipv4(frame, bytes);
        free(frame);
    }
    free(slot);
    packet_cursor_free(patched);
    packet_cursor_free(stamped);
}

static void take_template(const json_t *object, const char *text, struct complaints *complaints)
{
    struct tree *tree = NULL;
    struct packet *packet = NULL;
    if (tree_read_json(object, &tree, complaints) != 0)
        return;
    const struct node *root = tree_root(tree);
    const struct packet_request request = {.at = root,
                                           .layers = node_find(root, "layers"),
                                           .set = node_find(root, "set"),
                                           .vary = node_find(root, "vary"),
                                           .size = node_find(root, "size"),
                                           .mix = node_find(root, "mix"),
                                           .payload = node_find(root, "payload"),
                                           .special = 15,
                                           .cooked = node_find(root, "cooked") != NULL,
                                           .segments = node_find(root, "segments") != NULL ? 3 : 1};
    if (request.layers != NULL) {
        int rc = packet_compile(&request, &packet, complaints);
        must((rc == 0) == (complaints_errors(complaints) == 0));
        if (rc == 0 && packet_segmentation(packet) == NULL)
            take_frames(packet, !request.cooked && is_plain(root, request.layers, text));
        packet_free(packet);
    }
    tree_free(tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct complaints *complaints = complaints_new();
    json_t *object = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    char *text = strndup((const char *)data, size);
    must(complaints != NULL && text != NULL);
    if (json_is_object(object))
        take_template(object, text, complaints);
    json_decref(object);
    complaints_free(complaints);
    free(text);
    return 0;
}
