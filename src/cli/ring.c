/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ring: what a ring of these sizes is like, by the arithmetic that the daemon uses itself. Sizes that are not
 * given are chosen; when all are given they are only checked, against the conditions of the kernel. */
#include <inttypes.h>
#include <unistd.h>

#include "base/geometry.h"
#include "base/units.h"
#include "cli/handlers.h"

enum { ETHERNET_BYTES = 14, VLAN_BYTES = 4, MTU_STANDARD = 1500, VERSION_STANDARD = 2 };

struct ring {
    uint32_t version, page_bytes, mtu;
    bool virtio;
    struct geometry geometry;
};

/* An option of 32 bits: "4KiB", "1024". Untouched when it is not given. */
static int option_u32(const struct session *session, const struct invocation *with, const char *name,
                      bool bytes, uint32_t *out)
{
    const char *text = option_value(with, name);
    struct err err = {.code = 0};
    uint64_t value;
    if (text == NULL)
        return EXIT_DONE;
    if ((bytes ? units_bytes(text, &value, &err) : units_count(text, &value, &err)) != 0)
        return session_fail(session, EXIT_USAGE, "--%s %s: %s", name, text, err.text);
    if (value == 0 || value > UINT32_MAX)
        return session_fail(session, EXIT_USAGE, "--%s %s: it must be between 1 and 4294967295", name, text);
    *out = (uint32_t)value;
    return EXIT_DONE;
}

static int read_wishes(const struct session *session, const struct invocation *with, struct ring *ring,
                       struct geometry_wishes *wishes)
{
    const struct {
        const char *name;
        bool bytes;
        uint32_t *out;
    } rows[] = {{"mtu", true, &ring->mtu},
                {"ring-version", false, &ring->version},
                {"frames", false, &wishes->frames},
                {"frame-size", true, &wishes->frame_size},
                {"block-size", true, &wishes->block_size}};
    int code = EXIT_DONE;
    for (size_t i = 0; code == EXIT_DONE && i < sizeof rows / sizeof *rows; i++)
        code = option_u32(session, with, rows[i].name, rows[i].bytes, rows[i].out);
    wishes->version = ring->version;
    wishes->page_bytes = ring->page_bytes;
    wishes->largest_bytes = ring->mtu + ETHERNET_BYTES + VLAN_BYTES;
    wishes->virtio = ring->virtio;
    return code;
}

/* All sizes by hand: the kernel's conditions alone judge them, not whether the frames of an MTU fit. */
static int check_by_hand(const struct geometry_wishes *wishes, struct geometry *out, struct err *err)
{
    uint32_t slots = wishes->frame_size == 0 ? 0 : wishes->block_size / wishes->frame_size;
    struct geometry by_hand = {.frame_size = wishes->frame_size,
                               .frames = wishes->frames,
                               .block_size = wishes->block_size,
                               .blocks = slots == 0 ? 0 : wishes->frames / slots};
    int failed = geometry_check(wishes->version, wishes->page_bytes, &by_hand, err);
    if (failed == 0)
        *out = by_hand;
    return failed;
}

static uint32_t slots_a_block(const struct geometry *geometry)
{
    return geometry->frames / geometry->blocks;
}

/* The longest frame in memory that a slot holds. */
static uint32_t room_bytes(const struct ring *ring)
{
    uint32_t head =
        geometry_header_bytes(ring->version) + (ring->virtio ? (uint32_t)GEOMETRY_VIRTIO_BYTES : 0);
    return ring->geometry.frame_size > head ? ring->geometry.frame_size - head : 0;
}

static void print_text(const struct ring *ring)
{
    const struct geometry *geometry = &ring->geometry;
    char count[32], bytes[32];
    printf("version      TPACKET_V%" PRIu32 "\n", ring->version);
    printf("frame size   %" PRIu32 " bytes: %" PRIu32 " of header, %" PRIu32 " for the frame (size %" PRIu32
           " with the FCS)\n",
           geometry->frame_size, geometry->frame_size - room_bytes(ring), room_bytes(ring),
           room_bytes(ring) + FCS_BYTES);
    printf("frames       %s\n", units_format_count(geometry->frames, count, sizeof count));
    printf("block size   %s: %" PRIu32 " frames, %" PRIu32 " bytes of hole\n",
           units_format_bytes(geometry->block_size, bytes, sizeof bytes), slots_a_block(geometry),
           geometry->block_size - slots_a_block(geometry) * geometry->frame_size);
    printf("blocks       %s\n", units_format_count(geometry->blocks, count, sizeof count));
    printf("memory       %s", units_format_bytes(geometry_memory_bytes(geometry), bytes, sizeof bytes));
    printf(
        ", of which %s in holes\n",
        units_format_bytes((uint64_t)geometry_hole_bytes(geometry) * geometry->blocks, bytes, sizeof bytes));
}

static void print(const struct session *session, const struct ring *ring)
{
    const struct geometry *geometry = &ring->geometry;
    json_t *object = json_pack(
        "{s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "version", (int)ring->version, "frame_size",
        (json_int_t)geometry->frame_size, "frames", (json_int_t)geometry->frames, "block_size",
        (json_int_t)geometry->block_size, "blocks", (json_int_t)geometry->blocks, "frames_per_block",
        (json_int_t)slots_a_block(geometry), "largest_bytes", (json_int_t)room_bytes(ring), "hole_bytes",
        (json_int_t)(geometry_hole_bytes(geometry) * (json_int_t)geometry->blocks), "memory_bytes",
        (json_int_t)geometry_memory_bytes(geometry));
    if (!session_prints_json(session, object))
        print_text(ring);
    json_decref(object);
}

int ring_run(struct session *session, const struct invocation *with)
{
    struct ring ring = {.version = VERSION_STANDARD,
                        .page_bytes = (uint32_t)sysconf(_SC_PAGESIZE),
                        .mtu = MTU_STANDARD,
                        .virtio = option_given(with, "virtio")};
    struct geometry_wishes wishes = {.version = 0};
    struct err err = {.code = 0};
    int code = read_wishes(session, with, &ring, &wishes);
    if (code != EXIT_DONE)
        return code;
    bool by_hand = wishes.frames != 0 && wishes.frame_size != 0 && wishes.block_size != 0;
    int failed = by_hand && !option_given(with, "mtu") ? check_by_hand(&wishes, &ring.geometry, &err)
                                                       : geometry_choose(&wishes, &ring.geometry, &err);
    if (failed != 0)
        return session_fail(session, EXIT_USAGE, "%s", err.text);
    print(session, &ring);
    return EXIT_DONE;
}
