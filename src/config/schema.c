// SPDX-License-Identifier: GPL-2.0-or-later
/* One table of keys a section, and the walk that reads a tree with it.
 *
 *   section ─► keys[] ─► type: how text or number becomes the field at `offset`
 *                └─► group: the key may be a group with keys of its own, which land in the same struct
 *
 * Defaults are written as a person would write them and read by the same functions, once; each entry starts
 * as a copy of them. A new key is one row: the reader, the manual and the completion come from it. What two
 * keys of one entry say together is judged by the section's `check`. Main thread. */
#include "config/schema.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

enum { KEYS_MAX = 64 }; /* of one section */

struct reader {
    struct complaints *complaints;
    bool out_of_memory;
};

struct key;

struct type {
    const char *expects; /* completes "is a list; write …" and stands in the manual */
    /* The node's value into the field; false when there was a complaint. */
    bool (*read)(struct reader *reader, const struct key *key, const struct node *node, void *field);
};

struct choice {
    const char *name;
    unsigned value;
};

struct section;

struct key {
    const char *name;
    const struct type *type;     /* NULL: only a group will do */
    const struct section *group; /* NULL: never a group */
    size_t offset;               /* of the field in the section's struct */
    size_t given;                /* of a bool that becomes true when the key is there; or NONE */
    size_t length;               /* of the size_t beside an owned array */
    const char *fallback;        /* the default as one would write it; NULL: see shown */
    const char *shown;           /* the default in the manual when there is no such text */
    bool required;
    uint64_t least, most; /* of whole numbers and times; most 0: no limit. Of rates: least 1 refuses 0 */
    const struct choice *choices; /* ends with a NULL name */
    const char *doc;
};

struct section {
    const char *name; /* in the manual: "port.ring" */
    const struct key *keys;
    size_t count;
    void (*check)(struct reader *reader, const struct node *node, void *entry);
};

#define NONE            SIZE_MAX
#define AT(kind, field) .offset = offsetof(struct kind, field)

/* ---- values ---- */

/* "a, b or c" */
static void list_names(const char *(*name)(const void *table, size_t index), const void *table, size_t count,
                       char *out, size_t size)
{
    size_t used = 0;
    *out = '\0';
    for (size_t i = 0; i < count && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s",
                                 i == 0           ? ""
                                 : i + 1 == count ? " or "
                                                  : ", ",
                                 name(table, i));
}

static const char *choice_name(const void *table, size_t index)
{
    return ((const struct choice *)table)[index].name;
}

static void list_choices(const struct choice *choices, char *out, size_t size)
{
    size_t count = 0;
    while (choices[count].name != NULL)
        count++;
    list_names(choice_name, choices, count, out, size);
}

static bool refuse_kind(struct reader *reader, const struct key *key, const struct node *node)
{
    char all[160] = "";
    if (key->choices != NULL)
        list_choices(key->choices, all, sizeof all);
    complain(reader->complaints, node, "is %s; write %s%s", node_kind_name(node->kind),
             key->choices != NULL ? all : key->type->expects, key->group != NULL ? ", or a group { … }" : "");
    return false;
}

/* The shortest decimal that reads back as the same number: 0.1 stays 0.1. */
static void print_real(double real, char *out, size_t size)
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, size, "%.*g", digits, real);
        if (strtod(out, NULL) == real)
            return;
    }
}

/* Text or a number as text, for the parsers of base/units; NULL after a complaint. */
static const char *scalar(struct reader *reader, const struct key *key, const struct node *node,
                          char buffer[40])
{
    switch (node->kind) {
    case NODE_TEXT:
        return node->text;
    case NODE_INT:
        snprintf(buffer, 40, "%" PRId64, node->integer);
        return buffer;
    case NODE_FLOAT:
        print_real(node->real, buffer, 40);
        return buffer;
    default:
        refuse_kind(reader, key, node);
        return NULL;
    }
}

/* The story of a failed parse becomes a complaint. */
static bool told(struct reader *reader, const struct node *node, int rc, const struct err *err)
{
    if (rc != 0)
        complain(reader->complaints, node, "%s", err->text);
    return rc == 0;
}

static bool in_range(struct reader *reader, const struct key *key, const struct node *node, uint64_t value)
{
    if (value >= key->least && (key->most == 0 || value <= key->most))
        return true;
    if (key->most == 0)
        complain(reader->complaints, node, "%" PRIu64 " is too small; it must be at least %" PRIu64, value,
                 key->least);
    else
        complain(reader->complaints, node, "%" PRIu64 " is out of range; it must be %" PRIu64 " … %" PRIu64,
                 value, key->least, key->most);
    return false;
}

typedef int units_whole(const char *text, uint64_t *out, struct err *err);

static bool read_whole(struct reader *reader, const struct key *key, const struct node *node,
                       units_whole *parse, uint64_t *out)
{
    struct err err;
    char buffer[40];
    const char *text = scalar(reader, key, node, buffer);
    return text != NULL && told(reader, node, parse(text, out, &err), &err) &&
           in_range(reader, key, node, *out);
}

static bool read_u64(struct reader *reader, const struct key *key, const struct node *node, void *field)
{
    uint64_t value;
    if (!read_whole(reader, key, node, units_count, &value))
        return false;
    *(uint64_t *)field = value;
    return true;
}

/* "forever" is without end. */
static bool read_count_or_forever(struct reader *reader, const struct key *key, const struct node *node,
                                  void *field)
{
    if (node->kind != NODE_TEXT || strcmp(node->text, "forever") != 0)
        return read_u64(reader, key, node, field);
    *(uint64_t *)field = UINT64_MAX;
    return true;
}

static bool read_u32(struct reader *reader, const struct key *key, const struct node *node, void *field)
{
    uint64_t value;
    if (!read_whole(reader, key, node, units_count, &value))
        return false;
    *(uint32_t *)field = (uint32_t)value;
    return true;
}

static bool read_u16(struct reader *reader, const struct key *key, const struct node *node, void *field)
{
    uint64_t value;
    if (!read_whole(reader, key, node, units_count, &value))
        return false;
    *(uint16_t *)field = (uint16_t)value;
    return true;
}

static bool read_bytes(struct reader *reader, const struct key *key, const struct node *node, void *field)
{
    uint64_t value;
    if (!read_whole(reader, key, node, units_bytes, &value))
        return false;
    *(uint32_t *)field = (uint32_t)value;
    return true;
}

static bool read_bool(struct reader *reader, const struct key *key, const struct node *node, void *field)
{
    if (node->kind != NODE_BOOL)
        return refuse_kind(reader, key, node);
    *(bool *)field = node->truth;
    return true;
}

static bool read_text(struct reader *reader, const struct key *key, const struct node *node, void *field)
{
    if (node->kind != NODE_TEXT)
        return refuse_kind(reader, key, node);
    if (*node->text == '\0') {
        complain(reader->complaints, node, "is empty; write %s", key->type->expects);
        return false;
    }
    *(const char **)field = node->text;
    return true;
}

/* What stands in a name is safe on every command line and in every file name. */
static bool is_name(const char *text)
{
    if (!isalnum((unsigned char)*text) || strlen(text) > NAME_MAX_BYTES)
        return false;
    for (; *text != '\0'; text++)
        if (!isalnum((unsigned char)*text) && strchr("._-", *text) == NULL)
            return false;
    return true;
}

static bool read_name(struct reader *reader, const struct key *key, const struct node *node, void *field)
{
    if (node->kind != NODE_TEXT)
        return refuse_kind(reader, key, node);
    if (!is_name(node->text)) {
        complain(reader->complaints, node,
                 "`%.80s` is no name; write up to %d letters, digits, dots, dashes and underscores, a letter "
                 "or digit first",
                 node->text, NAME_MAX_BYTES);
        return false;
    }
    *(const char **)field = node->text;
    return true;
}

static bool read_interface(struct reader *reader, const struct key *key, const struct node *node, void *field)
{
    enum { KERNEL_MAX_BYTES = 15 };
    if (node->kind != NODE_TEXT)
        return refuse_kind(reader, key, node);
    const char *text = node->text;
    bool right = *text != '\0' && strlen(text) <= KERNEL_MAX_BYTES && strcmp(text, ".") != 0 &&
                 strcmp(text, "..") != 0;
    for (; *text != '\0' && right; text++)
        right = !isspace((unsigned char)*text) && *text != '/' && *text != ':';
    if (!right) {
        complain(reader->complaints, node,
                 "`%.80s` cannot be an interface; write its name as `ip link` shows it, at most %d bytes",
                 node->text, KERNEL_MAX_BYTES);
        return false;
    }
    *(const char **)field = node->text;
    return true;
}

static bool read_ratio(struct reader *reader, const struct key *key, const struct node *node, void *field)
{
    struct err err;
    struct ratio value;
    char buffer[40];
    const char *text = scalar(reader, key, node, buffer);
    if (text == NULL || !told(reader, node, units_ratio(text, &value, &err), &err))
        return false;
    if (value.num > value.den) {
        complain(reader->complaints, node, "%s is more than the whole; write 0 … 1, or 0%% … 100%%", text);
        return false;
    }
    *(struct ratio *)field = value;
    return true;
}

static bool read_rate(struct reader *reader, const struct key *key, const struct node *node, void *field)
{
    struct err err;
    struct rate value;
    char buffer[40];
    const char *text = scalar(reader, key, node, buffer);
    if (text == NULL || !told(reader, node, units_rate(text, &value, &err), &err))
        return false;
    if (value.kind == RATE_PERCENT && value.value.num / 100 >= value.value.den &&
        value.value.num != 100 * value.value.den) {
        complain(reader->complaints, node, "%s is more than the link carries; write at most 100%%, or max",
                 text);
        return false;
    }
    if (value.kind != RATE_MAX && value.value.num == 0 && key->least > 0) {
        complain(reader->complaints, node, "a rate of %s never sends; write a rate like 50kpps", text);
        return false;
    }
    *(struct rate *)field = value;
    return true;
}

static bool read_time(struct reader *reader, const struct key *key, const struct node *node, void *field)
{
    struct err err;
    uint64_t value;
    char buffer[40], limit[32];
    const char *text = scalar(reader, key, node, buffer);
    if (text == NULL || !told(reader, node, units_time_ns(text, &value, &err), &err))
        return false;
    if (value < key->least) {
        complain(reader->complaints, node, "%s is no time at all; write a time like 10us or 1.5s", text);
        return false;
    }
    if (key->most != 0 && value > key->most) {
        complain(reader->complaints, node, "%s is too long; it must be at most %s", text,
                 units_format_time(key->most, limit, sizeof limit));
        return false;
    }
    *(uint64_t *)field = value;
    return true;
}

/* The speed of a link is an L1 rate by itself: "10Gbit". */
static bool read_speed(struct reader *reader, const struct key *key, const struct node *node, void *field)
{
    struct rate value;
    char layered[48];
    if (node->kind != NODE_TEXT)
        return refuse_kind(reader, key, node);
    size_t length = strlen(node->text);
    bool plain = length >= 3 && strcmp(node->text + length - 3, "bit") == 0;
    int used = snprintf(layered, sizeof layered, "%s%s", node->text, plain ? "/L1" : "");
    if (used >= (int)sizeof layered || units_rate(layered, &value, NULL) != 0 || value.kind != RATE_BIT_L1 ||
        value.value.den != 1 || value.value.num == 0) {
        complain(reader->complaints, node, "`%.40s` is not a link's speed; write %s", node->text,
                 key->type->expects);
        return false;
    }
    *(uint64_t *)field = value.value.num;
    return true;
}

static bool read_mac(struct reader *reader, const struct key *key, const struct node *node, void *field)
{
    struct err err;
    if (node->kind != NODE_TEXT)
        return refuse_kind(reader, key, node);
    return told(reader, node, units_mac(node->text, field, &err), &err);
}

/* Octal digits, as chmod has them; libconfig reads 0660 as the number 660. */
static bool read_mode(struct reader *reader, const struct key *key, const struct node *node, void *field)
{
    char buffer[40], *end;
    const char *text = scalar(reader, key, node, buffer);
    if (text == NULL)
        return false;
    unsigned long mode = strtoul(text, &end, 8);
    if (!isdigit((unsigned char)*text) || *end != '\0' || mode > 0777) {
        complain(reader->complaints, node, "`%.40s` is not a file mode; write %s", text, key->type->expects);
        return false;
    }
    *(unsigned *)field = (unsigned)mode;
    return true;
}

static bool find_choice(struct reader *reader, const struct key *key, const struct node *node, unsigned *out)
{
    char all[160];
    if (node->kind != NODE_TEXT)
        return refuse_kind(reader, key, node);
    for (const struct choice *choice = key->choices; choice->name != NULL; choice++)
        if (strcmp(choice->name, node->text) == 0) {
            *out = choice->value;
            return true;
        }
    list_choices(key->choices, all, sizeof all);
    complain(reader->complaints, node, "there is no `%.40s` here; write %s", node->text, all);
    return false;
}

static bool read_choice(struct reader *reader, const struct key *key, const struct node *node, void *field)
{
    unsigned value;
    if (!find_choice(reader, key, node, &value))
        return false;
    *(unsigned *)field = value;
    return true;
}

static bool read_choice_bool(struct reader *reader, const struct key *key, const struct node *node,
                             void *field)
{
    unsigned value;
    if (!find_choice(reader, key, node, &value))
        return false;
    *(bool *)field = value != 0;
    return true;
}

/* Calls take for each member of a list, or for the node itself. */
static bool each_member(struct reader *reader, const struct key *key, const struct node *node, void *field,
                        bool (*take)(struct reader *, const struct key *, const struct node *, void *))
{
    bool right = true;
    if (node->kind != NODE_LIST)
        return take(reader, key, node, field);
    NODE_EACH(member, node)
    right &= take(reader, key, member, field);
    return right;
}

static bool read_flag(struct reader *reader, const struct key *key, const struct node *node, void *field)
{
    unsigned value;
    if (!find_choice(reader, key, node, &value))
        return false;
    *(unsigned *)field |= value;
    return true;
}

static bool read_flags(struct reader *reader, const struct key *key, const struct node *node, void *field)
{
    return each_member(reader, key, node, field, read_flag);
}

/* ---- lists: an owned array at offset, its length at key->length ---- */

static size_t *length_of(const struct key *key, void *field)
{
    return (size_t *)(void *)((char *)field - key->offset + key->length);
}

static void *new_array(struct reader *reader, const struct node *node, size_t member_size)
{
    size_t count = node->kind == NODE_LIST ? node->children : 1;
    void *array = calloc(count > 0 ? count : 1, member_size);
    reader->out_of_memory |= array == NULL;
    return array;
}

static bool add_text(struct reader *reader, const struct key *key, const struct node *node, void *field)
{
    return read_text(reader, key, node, *(const char ***)field + (*length_of(key, field))++);
}

static bool read_texts(struct reader *reader, const struct key *key, const struct node *node, void *field)
{
    *(const char ***)field = new_array(reader, node, sizeof(char *));
    return *(const char ***)field != NULL && each_member(reader, key, node, field, add_text);
}

static bool add_rate(struct reader *reader, const struct key *key, const struct node *node, void *field)
{
    return read_rate(reader, key, node, *(struct rate **)field + (*length_of(key, field))++);
}

static bool read_rates(struct reader *reader, const struct key *key, const struct node *node, void *field)
{
    if (node->kind != NODE_LIST || node->children == 0) {
        complain(reader->complaints, node, "is %s; write %s",
                 node->kind == NODE_LIST ? "an empty list" : node_kind_name(node->kind), key->type->expects);
        return false;
    }
    *(struct rate **)field = new_array(reader, node, sizeof(struct rate));
    return *(struct rate **)field != NULL && each_member(reader, key, node, field, add_rate);
}

static bool read_cpu(struct reader *reader, const struct key *key, const struct node *node, int *out)
{
    uint64_t value;
    if (!read_whole(reader, key, node, units_count, &value))
        return false;
    *out = (int)value;
    return true;
}

static bool read_cpus(struct reader *reader, const struct key *key, const struct node *node, void *field)
{
    int cpus[QUEUES_MAX];
    size_t count = 0;
    bool right = true;
    bool any = node->kind == NODE_TEXT && strcmp(node->text, "any") == 0;
    for (size_t i = 0; i < QUEUES_MAX; i++)
        cpus[i] = any ? CPU_ANY : CPU_AUTO;
    if (node->kind == NODE_LIST && node->children > QUEUES_MAX) {
        complain(reader->complaints, node, "names %zu CPUs; at most %d queues can be pinned", node->children,
                 QUEUES_MAX);
        return false;
    }
    if (node->kind == NODE_LIST) {
        NODE_EACH(member, node)
        right &= read_cpu(reader, key, member, &cpus[count++]);
    } else if (!any && (node->kind != NODE_TEXT || strcmp(node->text, "auto") != 0)) {
        right = read_cpu(reader, key, node, &cpus[0]);
    }
    if (right)
        memcpy(field, cpus, sizeof cpus);
    return right;
}

/* Read by the packet compiler and the plan, which know more. */
static bool read_elsewhere(struct reader *reader, const struct key *key, const struct node *node, void *field)
{
    (void)reader, (void)key, (void)node, (void)field;
    return true;
}

static bool read_template(struct reader *reader, const struct key *key, const struct node *node, void *field)
{
    return node->kind == NODE_LIST || read_name(reader, key, node, field);
}

static const struct type a_u64 = {"a whole number such as 1000 or \"1M\"", read_u64};
static const struct type count_or_forever = {"a whole number such as 10, or \"forever\"",
                                             read_count_or_forever};
static const struct type a_u32 = {"a whole number such as 4 or \"1k\"", read_u32};
static const struct type a_u16 = {"a number such as 0x0800", read_u16};
static const struct type bytes = {"a number of bytes such as 4096 or \"4KiB\"", read_bytes};
static const struct type a_bool = {"true or false", read_bool};
static const struct type a_path = {"a path in quotes", read_text};
static const struct type a_word = {"a name in quotes", read_text};
static const struct type a_name = {"a name in quotes", read_name};
static const struct type an_interface = {"an interface's name such as \"enp3s0f0\"", read_interface};
static const struct type a_share = {"a share such as 0.5 or \"0.1%\"", read_ratio};
static const struct type a_rate = {"a rate such as \"50kpps\", \"1.5Gbit/L1\", \"30%\" or \"max\"",
                                   read_rate};
static const struct type a_time = {"a time such as \"10us\" or \"1.5s\"", read_time};
static const struct type a_speed = {"a speed such as \"10Gbit\"", read_speed};
static const struct type a_mac = {"a MAC address such as \"02:00:00:00:00:01\"", read_mac};
static const struct type a_mode = {"octal digits such as \"0660\"", read_mode};
static const struct type a_choice = {"one of the words in quotes", read_choice};
static const struct type a_choice_bool = {"one of the words in quotes", read_choice_bool};
static const struct type flags = {"words in quotes, in a list", read_flags};
static const struct type texts = {"texts in quotes, in a list", read_texts};
static const struct type rates = {"a list of rates such as ( \"10%\", \"20%\" )", read_rates};
static const struct type some_cpus = {"a list of CPU numbers such as [ 2, 3 ], \"auto\" or \"any\"",
                                      read_cpus};
static const struct type a_template = {"a template's name in quotes, or a list of layers", read_template};
static const struct type elsewhere = {"see there", read_elsewhere};

/* ---- control and safety ---- */

static const struct key control_keys[] = {
    {"socket", &a_path, AT(control_spec, socket), .given = NONE, .fallback = "/run/volleyd/control.sock",
     .doc = "Where the control socket is made; who may write to it may send packets."},
    {"status_socket", &a_path, AT(control_spec, status_socket), .given = NONE,
     .fallback = "/run/volleyd/status.sock", .doc = "A second socket that only answers questions."},
    {"group", &a_word, AT(control_spec, group), .given = NONE, .shown = "the daemon's",
     .doc = "The group that the control socket belongs to."},
    {"mode", &a_mode, AT(control_spec, mode), .given = NONE, .fallback = "0660",
     .doc = "The control socket's file mode."},
};

static const struct key safety_keys[] = {
    {"allow", &texts, AT(safety_spec, allow), .given = NONE, .length = offsetof(struct safety_spec, allowed),
     .shown = "none",
     .doc = "Interfaces that may be sent on, as names or shell patterns; every other one is refused."},
    {"max_rate", &a_rate, AT(safety_spec, max_rate), .given = NONE, .fallback = "max", .shown = "none",
     .least = 1,
     .doc = "The most that all streams of a port may send together; a stream at max is paced to it."},
    {"max_duration", &a_time, AT(safety_spec, max_duration_ns), .given = NONE, .fallback = "1h", .least = 1,
     .doc = "The longest that a stream may run, whatever it asks for."},
};

/* ---- port ---- */

static const struct choice pacings[] = {
    {"balanced", PACING_BALANCED}, {"precise", PACING_PRECISE}, {"economy", PACING_ECONOMY}, {NULL, 0}};
static const struct choice link_losses[] = {
    {"stop", LINK_LOSS_STOP}, {"resume", LINK_LOSS_RESUME}, {NULL, 0}};
static const struct choice fanouts[] = {{"stream", FANOUT_STREAM},
                                        {"cpu", FANOUT_CPU},
                                        {"hash", FANOUT_HASH},
                                        {"lb", FANOUT_LB},
                                        {"qm", FANOUT_QM},
                                        {"rollover", FANOUT_ROLLOVER},
                                        {NULL, 0}};

static const struct key ring_keys[] = {
    {"version", &a_u32, AT(port_spec, ring_version), .given = NONE, .fallback = "2", .least = 1, .most = 3,
     .doc = "The ring's layout: TPACKET_V1, V2 or V3."},
    {"frames", &a_u32, AT(port_spec, ring_frames), .given = NONE, .shown = "chosen by the frames' size",
     .least = 2, .most = 1 << 20, .doc = "How many slots the ring has."},
    {"frame_size", &bytes, AT(port_spec, ring_frame_size), .given = NONE,
     .shown = "chosen by the frames' size", .least = 48, .most = 1 << 20,
     .doc = "Bytes of a slot with its header; a multiple of 16."},
    {"block_size", &bytes, AT(port_spec, ring_block_size), .given = NONE,
     .shown = "chosen by the frames' size", .least = 4096, .most = 1 << 26,
     .doc = "Bytes of a block of slots; a multiple of the page size."},
    {"offset", &bytes, AT(port_spec, ring_offset), .given = NONE, .fallback = "0", .most = 65535,
     .doc = "Where a frame begins in its slot (PACKET_TX_HAS_OFF); 0 leaves it to the kernel."},
    {"loss", &a_bool, AT(port_spec, loss), .given = NONE, .shown = "false",
     .doc = "PACKET_LOSS: the kernel skips frames that it cannot send instead of stopping at them."},
};

static const struct key receive_keys[] = {
    {"version", &a_u32, AT(port_spec, receive_version), .given = NONE, .fallback = "3", .least = 1, .most = 3,
     .doc = "The receive ring's layout: TPACKET_V1, V2 or V3."},
    {"blocks", &a_u32, AT(port_spec, receive_blocks), .given = NONE, .shown = "chosen", .least = 2,
     .most = 65536, .doc = "Blocks of the receive ring."},
    {"block_size", &bytes, AT(port_spec, receive_block_size), .given = NONE, .shown = "chosen", .least = 4096,
     .most = 1 << 26, .doc = "Bytes of a receive block; a multiple of the page size."},
    {"threads", &a_u32, AT(port_spec, receive_threads), .given = NONE, .fallback = "1", .least = 1,
     .most = QUEUES_MAX, .doc = "Threads that receive, each with a ring of its own."},
    {"fanout", &a_choice, AT(port_spec, receive_fanout), .given = NONE, .fallback = "stream",
     .choices = fanouts, .doc = "How frames are spread over the threads."},
    {"promiscuous", &a_bool, AT(port_spec, receive_promiscuous), .given = NONE, .shown = "false",
     .doc = "Also takes frames for other addresses."},
    {"snap", &bytes, AT(port_spec, receive_snap), .given = NONE, .shown = "chosen", .least = 64,
     .most = 65535, .doc = "Bytes kept of each frame."},
};

static const struct key cooked_keys[] = {
    {"dst", &a_mac, AT(port_spec, cooked_dst), .given = NONE, .required = true,
     .doc = "The address that the kernel writes the link header for."},
    {"type", &a_u16, AT(port_spec, cooked_type), .given = NONE, .fallback = "0x0800", .least = 0x0600,
     .most = 0xffff, .doc = "The frame's ethertype."},
};

#define SECTION(name, keys, check)     \
    {                                  \
        name, keys, COUNT(keys), check \
    }
static const struct section ring_section = SECTION("port.ring", ring_keys, NULL);
static const struct section receive_section = SECTION("port.receive", receive_keys, NULL);
static const struct section cooked_section = SECTION("port.cooked", cooked_keys, NULL);

static const struct key port_keys[] = {
    {"name", &a_name, AT(port_spec, name), .given = NONE, .required = true,
     .doc = "What the port is called; unique among ports and streams."},
    {"interface", &an_interface, AT(port_spec, interface), .given = NONE, .required = true,
     .doc = "The network interface it sends on."},
    {"engine", &a_word, AT(port_spec, engine), .given = NONE, .fallback = "txring",
     .doc = "How frames are handed to the kernel."},
    {"queues", &a_u32, AT(port_spec, queues), .given = NONE, .fallback = "1", .least = 1, .most = QUEUES_MAX,
     .doc = "Rings, each with a worker thread."},
    {"cpus", &some_cpus, AT(port_spec, cpus), .given = NONE, .fallback = "auto", .most = 4095,
     .doc =
         "The CPU of each queue's thread, in order. auto: those allowed with the fewest such threads, on the "
         "card's node. any: threads may be moved, and then overtake their own frames."},
    {"pacing", &a_choice, AT(port_spec, pacing), .given = NONE, .fallback = "balanced", .choices = pacings,
     .doc = "What is spent to be on time: precise spins, balanced spins shortly, economy sleeps."},
    {"max_burst", &a_u32, AT(port_spec, max_burst), .given = NONE, .fallback = "32", .least = 1,
     .most = 65536, .doc = "The most frames that are sent back to back to make up for lateness."},
    {"late", &a_time, AT(port_spec, late_ns), .given = NONE, .fallback = "10ms",
     .most = UINT64_C(10000000000),
     .doc = "How late a frame may be and still be sent; later ones are missed."},
    {"drain", &a_time, AT(port_spec, drain_ns), .given = NONE, .fallback = "1s",
     .most = UINT64_C(60000000000), .doc = "How long a stop waits for frames that the kernel has begun."},
    {"qdisc", &a_bool, AT(port_spec, qdisc), .given = NONE, .shown = "false",
     .doc = "Sends through the interface's queueing discipline instead of past it."},
    {"ring", NULL, &ring_section, .given = NONE, .doc = "The TX ring's geometry."},
    {"speed", &a_speed, AT(port_spec, speed_bit), .given = NONE, .shown = "from the link",
     .doc = "What 100% is, for links that do not know."},
    {"on_link_loss", &a_choice, AT(port_spec, on_link_loss), .given = NONE, .fallback = "stop",
     .choices = link_losses, .doc = "Whether streams go on when a lost link is back."},
    {"link_delay", &a_time, AT(port_spec, link_delay_ns), .given = NONE, .fallback = "0s",
     .most = UINT64_C(3600000000000), .doc = "How long the link must be up before sending."},
    {"force", &a_bool, AT(port_spec, force), .given = NONE, .shown = "false",
     .doc = "Allows an interface with an address, the default route, or a bridge or bond above it."},
    {"cooked", NULL, &cooked_section, .given = offsetof(struct port_spec, cooked), .shown = "no",
     .doc = "Lets the kernel write the link header (SOCK_DGRAM); templates begin at layer 3."},
    {"receive", &a_bool, &receive_section, AT(port_spec, receive),
     .given = offsetof(struct port_spec, receive), .shown = "false",
     .doc = "Receives and accounts for the frames of streams that expect to arrive here."},
};

/* ---- stream ---- */

static const struct choice specials[] = {{"broadcast", SPECIAL_BROADCAST},
                                         {"multicast", SPECIAL_MULTICAST},
                                         {"pause", SPECIAL_PAUSE},
                                         {"bpdu", SPECIAL_BPDU},
                                         {NULL, 0}};
static const struct choice offloads[] = {{"none", 0}, {"udp-segment", 1}, {NULL, 0}};
static const struct choice arrivals[] = {{"even", 0}, {"poisson", 1}, {NULL, 0}};

static const struct key burst_keys[] = {
    {"frames", &a_u64, AT(stream_spec, shape.burst_frames), .given = NONE, .required = true, .least = 1,
     .most = UINT32_MAX, .doc = "Frames of one train."},
    {"bursts", &a_u64, AT(stream_spec, shape.bursts), .given = NONE, .shown = "no limit", .least = 1,
     .doc = "Trains in all."},
    {"gap", &a_time, AT(stream_spec, shape.burst_gap_ns), .given = NONE,
     .shown = "what keeps the stream's rate as the mean", .least = 1, .most = UINT64_C(86400000000000),
     .doc = "From the end of a train to the start of the next."},
    {"rate", &a_rate, AT(stream_spec, shape.burst_rate), .given = NONE, .fallback = "max", .least = 1,
     .doc = "The rate inside a train; max is back to back."},
};

static const struct key on_off_keys[] = {
    {"on", &a_time, AT(stream_spec, shape.on_ns), .given = NONE, .required = true, .least = 1,
     .most = UINT64_C(86400000000000), .doc = "How long the stream sends at its rate."},
    {"off", &a_time, AT(stream_spec, shape.off_ns), .given = NONE, .required = true, .least = 1,
     .most = UINT64_C(86400000000000), .doc = "How long it is silent before it sends again."},
};

static const struct key ramp_keys[] = {
    {"from", &a_rate, AT(stream_spec, shape.ramp_from), .given = NONE, .required = true,
     .doc = "The rate at the start."},
    {"to", &a_rate, AT(stream_spec, shape.ramp_to), .given = NONE, .required = true,
     .doc = "The rate at the end, which then stays."},
    {"over", &a_time, AT(stream_spec, shape.ramp_over_ns), .given = NONE, .required = true, .least = 1,
     .most = UINT64_C(86400000000000), .doc = "The time between the two."},
};

static const struct key stairs_keys[] = {
    {"steps", &rates, AT(stream_spec, shape.stairs), .given = NONE,
     .length = offsetof(struct stream_spec, shape.steps), .required = true,
     .doc = "The rates, one after the other; the last one stays."},
    {"each", &a_time, AT(stream_spec, shape.stair_ns), .given = NONE, .required = true, .least = 1,
     .most = UINT64_C(86400000000000), .doc = "How long each is held."},
};

static const struct key arrivals_keys[] = {
    {"poisson", &a_bool, AT(stream_spec, shape.poisson), .given = NONE, .shown = "true",
     .doc = "Gaps of random length, exponentially spread around the rate's."},
    {"seed", &a_u64, AT(stream_spec, shape.seed), .given = NONE, .fallback = "1",
     .doc = "The same seed makes the same gaps."},
};

static void check_ramp(struct reader *reader, const struct node *node, void *entry);

static const struct section burst_section = SECTION("stream.burst", burst_keys, NULL);
static const struct section on_off_section = SECTION("stream.on_off", on_off_keys, NULL);
static const struct section ramp_section = SECTION("stream.ramp", ramp_keys, check_ramp);
static const struct section stairs_section = SECTION("stream.stairs", stairs_keys, NULL);
static const struct section arrivals_section = SECTION("stream.arrivals", arrivals_keys, NULL);

#define GIVEN(field) .given = offsetof(struct stream_spec, field)
static const struct key stream_keys[] = {
    {"name", &a_name, AT(stream_spec, name), .given = NONE, .required = true,
     .doc = "What the stream is called; unique among ports and streams."},
    {"port", &a_name, AT(stream_spec, port), .given = NONE, .required = true,
     .doc = "The port it leaves by."},
    {"template", &a_template, AT(stream_spec, template_name), .given = NONE, .required = true,
     .doc = "The packet: the name of one of the templates, or its layers in place."},
    {"set", &elsewhere, .given = NONE, .shown = "none",
     .doc = "A list of { field, value }: what this stream has different from its template."},
    {"size", &elsewhere, .given = NONE, .shown = "64",
     .doc = "The frame's size with FCS: a number, the name of a mix, a genome, or a group."},
    {"mix", &elsewhere, .given = NONE, .shown = "none", .doc = "A list of { size, weight }."},
    {"payload", &elsewhere, .given = NONE, .shown = "zeros", .doc = "What follows the headers."},
    {"vary", &elsewhere, .given = NONE, .shown = "none",
     .doc = "A list of { field, op, … }: what changes from frame to frame."},
    {"copies", &a_u64, AT(stream_spec, copies), .given = NONE, .fallback = "1", .least = 1,
     .most = STREAMS_MAX, .doc = "Makes so many streams of this entry, NAME.1, NAME.2 …"},
    {"each", &elsewhere, .given = NONE, .shown = "none",
     .doc = "A list like vary, applied once a copy instead of once a frame."},
    {"rate", &a_rate, AT(stream_spec, rate), GIVEN(has_rate), .fallback = "1kpps", .least = 1,
     .doc = "How much it sends; a plain number is frames a second."},
    {"gap", &a_time, AT(stream_spec, gap_ns), GIVEN(has_gap), .shown = "by the rate", .least = 1,
     .most = UINT64_C(86400000000000), .doc = "The time from one frame's start to the next one's."},
    {"burst", NULL, &burst_section, GIVEN(shape.has_burst), .shown = "none",
     .doc = "Sends in trains of frames."},
    {"on_off", NULL, &on_off_section, GIVEN(shape.has_onoff), .shown = "always on",
     .doc = "Sends and is silent by turns."},
    {"ramp", NULL, &ramp_section, GIVEN(shape.has_ramp), .shown = "none",
     .doc = "Goes from one rate to another evenly."},
    {"stairs", NULL, &stairs_section, GIVEN(shape.has_stairs), .shown = "none",
     .doc = "Goes through a list of rates."},
    {"arrivals", &a_choice_bool, &arrivals_section, AT(stream_spec, shape.poisson), .given = NONE,
     .fallback = "even", .choices = arrivals,
     .doc = "How frames are spread around the rate; a group with a seed for poisson."},
    {"phase", &a_share, AT(stream_spec, phase), GIVEN(has_phase), .shown = "spread over equal streams",
     .doc = "Where in its first gap the first frame stands."},
    {"count", &a_u64, AT(stream_spec, count), GIVEN(has_count), .shown = "no limit", .least = 1,
     .doc = "Ends after so many completed frames."},
    {"duration", &a_time, AT(stream_spec, duration_ns), GIVEN(has_duration),
     .shown = "10s when there is no count", .least = 1, .doc = "Ends after so much time; or forever."},
    {"delay", &a_time, AT(stream_spec, delay_ns), .given = NONE, .fallback = "0s",
     .most = UINT64_C(86400000000000), .doc = "Waits after the start."},
    {"next", &a_name, AT(stream_spec, next), .given = NONE, .shown = "none",
     .doc = "The stream that starts when this one is done."},
    {"loops", &count_or_forever, AT(stream_spec, loops), .given = NONE, .fallback = "1", .least = 1,
     .doc = "How often a chain of next streams that comes back here runs."},
    {"split", &a_bool, AT(stream_spec, split), .given = NONE, .shown = "false",
     .doc = "Spreads the stream over all queues of its port and gives up the order of frames."},
    {"offload", &a_choice_bool, AT(stream_spec, udp_segment), .given = NONE, .fallback = "none",
     .choices = offloads,
     .doc = "udp-segment lets the kernel or the device cut runs into frames; one is tried on lo first."},
    {"special", &flags, AT(stream_spec, special), .given = NONE, .choices = specials, .shown = "none",
     .doc = "Kinds of destination that must be asked for: broadcast, multicast, pause, bpdu."},
    {"autostart", &a_bool, AT(stream_spec, autostart), .given = NONE, .shown = "false",
     .doc = "Starts with the daemon."},
    {"expect", &texts, AT(stream_spec, expect), .given = NONE,
     .length = offsetof(struct stream_spec, expected), .shown = "none",
     .doc = "The ports where its frames should arrive; gives them a signature."},
    {"learn", &a_bool, AT(stream_spec, learn), .given = NONE, .shown = "true with expect",
     .doc = "Lets switches learn where the destination is before a run."},
    {"check_payload", &a_bool, AT(stream_spec, check_payload), .given = NONE, .shown = "false",
     .doc = "Judges each received frame by its IPv4, UDP and TCP checksums: corrupted."},
    {"require", &texts, AT(stream_spec, require), .given = NONE,
     .length = offsetof(struct stream_spec, required), .shown = "none",
     .doc = "What must hold for the run to pass, such as \"loss == 0\"."},
    {"tolerance", &a_share, AT(stream_spec, tolerance), .given = NONE, .fallback = "0",
     .doc = "The share of scheduled frames that may be missed."},
};

/* ---- the walk ---- */

static void read_section(struct reader *reader, const struct section *section, const struct node *group,
                         void *entry);

static const struct key *find_key(const struct section *section, const char *name)
{
    for (size_t i = 0; i < section->count; i++)
        if (strcmp(section->keys[i].name, name) == 0)
            return &section->keys[i];
    return NULL;
}

static const char *plain_name(const void *table, size_t index)
{
    return ((const char *const *)table)[index];
}

static void complain_unknown(struct reader *reader, const struct node *at, const char *const names[],
                             size_t count)
{
    enum { LISTED_MAX = 8 };
    char all[200];
    const char *near = nearest_name(at->name, names, count);
    if (near != NULL) {
        complain(reader->complaints, at, "unknown key; `%s`?", near);
    } else if (count <= LISTED_MAX) {
        list_names(plain_name, names, count, all, sizeof all);
        complain(reader->complaints, at, "unknown key; write %s", all);
    } else {
        complain(reader->complaints, at, "unknown key; volleyd.conf(5) lists those that there are");
    }
}

static void complain_unknown_in(struct reader *reader, const struct section *section, const struct node *at)
{
    const char *names[KEYS_MAX];
    size_t count = 0;
    for (; count < section->count && count < KEYS_MAX; count++)
        names[count] = section->keys[count].name;
    complain_unknown(reader, at, names, count);
}

static void read_key(struct reader *reader, const struct key *key, const struct node *node, void *entry)
{
    char *base = entry;
    if (node->kind == NODE_GROUP && key->group != NULL) {
        if (key->given != NONE)
            *(bool *)(base + key->given) = true;
        read_section(reader, key->group, node, entry);
    } else if (key->type == NULL) {
        complain(reader->complaints, node, "is %s; write a group { … } with `%s`", node_kind_name(node->kind),
                 key->group->keys[0].name);
    } else if (key->type->read(reader, key, node, base + key->offset) && key->given != NONE &&
               key->given != key->offset) {
        *(bool *)(base + key->given) = true;
    }
}

static void read_section(struct reader *reader, const struct section *section, const struct node *group,
                         void *entry)
{
    NODE_EACH(member, group)
    {
        const struct key *key = find_key(section, member->name);
        if (key != NULL)
            read_key(reader, key, member, entry);
        else
            complain_unknown_in(reader, section, member);
    }
    for (size_t i = 0; i < section->count; i++)
        if (section->keys[i].required && node_find(group, section->keys[i].name) == NULL)
            complain(reader->complaints, group, "has no `%s`; write %s", section->keys[i].name,
                     section->keys[i].type->expects);
    if (section->check != NULL)
        section->check(reader, group, entry);
}

/* Our own table's texts, so that what is documented is what happens. */
static void set_defaults(struct reader *reader, const struct section *section, void *entry)
{
    for (size_t i = 0; i < section->count; i++) {
        const struct key *key = &section->keys[i];
        const struct node node = {.kind = NODE_TEXT, .text = key->fallback, .where = section->name};
        if (key->group != NULL)
            set_defaults(reader, key->group, entry);
        if (key->fallback != NULL)
            key->type->read(reader, key, &node, (char *)entry + key->offset);
    }
}

/* ---- what keys of one entry say together ---- */

static void complain_pair(struct reader *reader, const struct node *one, const struct node *other,
                          const char *why)
{
    complain(reader->complaints, one, "contradicts `%s` (%s): %s", other->name, other->where, why);
}

/* Whether mean is at least as fast as inside, where both say it in one unit. */
static bool rate_reaches(const struct rate *mean, const struct rate *inside)
{
    return mean->kind == inside->kind && mean->kind != RATE_MAX &&
           (unsigned __int128)mean->value.num * inside->value.den >=
               (unsigned __int128)inside->value.num * mean->value.den;
}

static void check_ramp(struct reader *reader, const struct node *node, void *entry)
{
    struct shape_spec *shape = &((struct stream_spec *)entry)->shape;
    struct rate *a = &shape->ramp_from, *b = &shape->ramp_to;
    const struct node *from = node_find(node, "from"), *to = node_find(node, "to");
    if (from == NULL || to == NULL)
        return;
    if (a->kind == RATE_MAX || b->kind == RATE_MAX)
        complain(reader->complaints, node, "a ramp needs two rates with numbers; `max` has none");
    else if (a->value.num == 0 && b->value.num == 0)
        complain_pair(reader, from, to, "a ramp from nothing to nothing never sends");
    else if (a->value.num == 0) /* nothing is nothing in every unit */
        a->kind = b->kind;
    else if (b->value.num == 0)
        b->kind = a->kind;
    else if (a->kind != b->kind)
        complain_pair(reader, from, to, "write both in one unit");
}

static void check_exclusive(struct reader *reader, const struct node *stream)
{
    static const struct {
        const char *one, *other, *why;
    } rows[] = {
        {"gap", "rate", "both say how much is sent; leave one out"},
        {"ramp", "rate", "a ramp has its own rates; leave one out"},
        {"ramp", "gap", "a ramp has its own rates; leave one out"},
        {"stairs", "rate", "stairs have their own rates; leave one out"},
        {"stairs", "gap", "stairs have their own rates; leave one out"},
        {"stairs", "ramp", "a stream follows one of them; chain two streams with next"},
        {"burst", "ramp", "trains keep one rate; leave one out"},
        {"burst", "stairs", "trains keep one rate; leave one out"},
        {"burst", "arrivals", "trains are not random; leave one out"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct node *one = node_find(stream, rows[i].one), *other = node_find(stream, rows[i].other);
        if (one != NULL && other != NULL)
            complain_pair(reader, one, other, rows[i].why);
    }
}

/* What a rate without deadlines cannot have. */
static void check_rate_max(struct reader *reader, const struct node *node, const struct stream_spec *stream)
{
    static const char *const paced[] = {"burst", "arrivals", "phase"};
    const struct node *rate = node_find(node, "rate");
    if (rate == NULL || stream->rate.kind != RATE_MAX)
        return;
    for (size_t i = 0; i < COUNT(paced); i++) {
        const struct node *other = node_find(node, paced[i]);
        if (other != NULL)
            complain_pair(reader, other, rate, "`max` has no gaps to shape; write a rate with a number");
    }
}

static void check_burst(struct reader *reader, const struct node *node, const struct stream_spec *stream)
{
    const struct node *burst = node_find(node, "burst");
    if (burst == NULL || burst->kind != NODE_GROUP)
        return;
    const struct node *gap = node_find(burst, "gap"), *inside = node_find(burst, "rate");
    const struct node *rate = node_find(node, "rate"), *frame_gap = node_find(node, "gap");
    const struct node *mean = rate != NULL ? rate : frame_gap;
    if (gap != NULL && mean != NULL)
        complain_pair(reader, gap, mean, "both say how often trains come; leave one out");
    else if (inside != NULL && rate != NULL && rate_reaches(&stream->rate, &stream->shape.burst_rate))
        complain_pair(reader, inside, rate,
                      "a burst at this rate is longer than its period; write a higher one, or max");
}

static void check_stream(struct reader *reader, const struct node *node, void *entry)
{
    struct stream_spec *stream = entry;
    check_exclusive(reader, node);
    check_rate_max(reader, node, stream);
    check_burst(reader, node, stream);
    if (node_find(node, "arrivals") != NULL && node_find(node, "arrivals")->kind == NODE_GROUP &&
        node_find(node_find(node, "arrivals"), "poisson") == NULL)
        stream->shape.poisson = true;
    if (node_find(node, "copies") == NULL && node_find(node, "each") != NULL)
        complain(reader->complaints, node_find(node, "each"), "needs `copies`; write copies = 8;");
    if (node_find(node, "expect") == NULL) {
        static const char *const needy[] = {"require", "learn", "check_payload"};
        for (size_t i = 0; i < COUNT(needy); i++)
            if (node_find(node, needy[i]) != NULL)
                complain(reader->complaints, node_find(node, needy[i]),
                         "needs `expect`, the ports where frames should arrive");
    }
    if (node_find(node, "learn") == NULL)
        stream->learn = stream->expected > 0;
    if (!stream->has_duration)
        stream->duration_ns = stream->has_count ? UINT64_MAX : UINT64_C(10000000000);
}

static void check_port(struct reader *reader, const struct node *node, void *entry)
{
    const struct port_spec *port = entry;
    const struct node *cpus = node_find(node, "cpus");
    if (cpus != NULL && cpus->kind == NODE_LIST && cpus->children > port->queues)
        complain(reader->complaints, cpus, "names %zu CPUs for %u queue%s; write queues = %zu, or fewer CPUs",
                 cpus->children, port->queues, port->queues == 1 ? "" : "s", cpus->children);
}

static const struct section control_section = SECTION("control", control_keys, NULL);
static const struct section safety_section = SECTION("safety", safety_keys, NULL);
static const struct section port_section = SECTION("port", port_keys, check_port);
static const struct section stream_section = SECTION("stream", stream_keys, check_stream);

/* ---- the whole ---- */

static bool is_kind(struct reader *reader, const struct node *node, enum node_kind kind, const char *example)
{
    if (node->kind == kind)
        return true;
    complain(reader->complaints, node, "is %s; write %s", node_kind_name(node->kind), example);
    return false;
}

/* An owned array with one entry for each member of a list; 0 entries when that cannot be. */
static size_t new_entries(struct reader *reader, const struct node *list, size_t most, size_t size,
                          void **out)
{
    if (!is_kind(reader, list, NODE_LIST, "a list of groups: ( { name = \"east\"; … }, … )"))
        return 0;
    if (list->children > most) {
        complain(reader->complaints, list, "has %zu entries; at most %zu can be", list->children, most);
        return 0;
    }
    *out = calloc(list->children > 0 ? list->children : 1, size);
    reader->out_of_memory |= *out == NULL;
    return *out != NULL ? list->children : 0;
}

static void read_control(struct reader *reader, const struct node *node, struct spec *spec)
{
    if (is_kind(reader, node, NODE_GROUP, "a group: { socket = … }"))
        read_section(reader, &control_section, node, &spec->control);
}

static void read_safety(struct reader *reader, const struct node *node, struct spec *spec)
{
    if (is_kind(reader, node, NODE_GROUP, "a group: { allow = [ … ]; }"))
        read_section(reader, &safety_section, node, &spec->safety);
}

static void read_ports(struct reader *reader, const struct node *node, struct spec *spec)
{
    struct port_spec defaults = {0}, *port;
    size_t count = new_entries(reader, node, PORTS_MAX, sizeof *port, (void **)&spec->ports);
    set_defaults(reader, &port_section, &defaults);
    spec->port_count = count;
    if (count == 0)
        return;
    port = spec->ports;
    NODE_EACH(member, node)
    {
        *port = defaults;
        port->at = member;
        if (is_kind(reader, member, NODE_GROUP, "a group: { name = \"east\"; interface = … }"))
            read_section(reader, &port_section, member, port);
        port++;
    }
}

static void read_templates(struct reader *reader, const struct node *node, struct spec *spec)
{
    if (!is_kind(reader, node, NODE_GROUP, "a group of lists: { voice = ( { ethernet = … }, … ); }"))
        return;
    spec->templates = node;
    NODE_EACH(member, node)
    {
        if (!is_name(member->name))
            complain(reader->complaints, member,
                     "is no name; write letters, digits, dots, dashes and underscores");
        is_kind(reader, member, NODE_LIST, "a list of layers: ( { ethernet = … }, { ipv4 = … } )");
    }
}

static void read_streams(struct reader *reader, const struct node *node, struct spec *spec)
{
    struct stream_spec defaults = {0}, *stream;
    size_t count = new_entries(reader, node, STREAMS_MAX, sizeof *stream, (void **)&spec->streams);
    set_defaults(reader, &stream_section, &defaults);
    spec->stream_count = count;
    if (count == 0)
        return;
    stream = spec->streams;
    NODE_EACH(member, node)
    {
        *stream = defaults;
        stream->at = member;
        if (is_kind(reader, member, NODE_GROUP, "a group: { name = \"voice\"; port = … }"))
            read_section(reader, &stream_section, member, stream);
        stream++;
    }
}

static const struct part {
    const char *name;
    void (*read)(struct reader *reader, const struct node *node, struct spec *spec);
    bool file_only;
} parts[] = {
    {"control", read_control, true},      {"safety", read_safety, true},    {"ports", read_ports, true},
    {"templates", read_templates, false}, {"streams", read_streams, false},
};

static const struct part *find_part(const char *name)
{
    for (size_t i = 0; i < COUNT(parts); i++)
        if (strcmp(parts[i].name, name) == 0)
            return &parts[i];
    return NULL;
}

static void read_part(struct reader *reader, const struct node *node, enum spec_scope scope,
                      struct spec *spec)
{
    const char *names[COUNT(parts)];
    const struct part *part = find_part(node->name);
    for (size_t i = 0; i < COUNT(parts); i++)
        names[i] = parts[i].name;
    if (part == NULL)
        complain_unknown(reader, node, names, COUNT(names));
    else if (part->file_only && scope == SPEC_APPLY)
        complain(reader->complaints, node,
                 "belongs to the configuration file; only templates and streams can be applied");
    else
        part->read(reader, node, spec);
}

/* A client must not make the daemon read files, wherever a payload stands. The tree's depth is bounded. */
static void refuse_files(struct reader *reader, const struct node *node)
{
    NODE_EACH(member, node)
    {
        bool payload = node->name != NULL && strcmp(node->name, "payload") == 0;
        if (payload && member->name != NULL && strcmp(member->name, "file") == 0)
            complain(reader->complaints, member,
                     "files are read for the configuration file only; write the bytes as hex or text");
        if (member->kind == NODE_GROUP || member->kind == NODE_LIST)
            refuse_files(reader, member);
    }
}

int spec_read(const struct tree *tree, enum spec_scope scope, struct spec *out, struct complaints *complaints)
{
    struct reader reader = {.complaints = complaints};
    const struct node *root = tree_root(tree);
    size_t errors = complaints_errors(complaints);
    set_defaults(&reader, &control_section, &out->control);
    set_defaults(&reader, &safety_section, &out->safety);
    NODE_EACH(member, root)
    read_part(&reader, member, scope, out);
    if (scope == SPEC_APPLY)
        refuse_files(&reader, root);
    if (reader.out_of_memory)
        return -ENOMEM;
    return complaints_errors(complaints) > errors ? -EINVAL : 0;
}

void spec_fini(struct spec *spec)
{
    for (size_t i = 0; i < spec->stream_count; i++) {
        free(spec->streams[i].shape.stairs);
        free(spec->streams[i].expect);
        free(spec->streams[i].require);
    }
    free(spec->streams);
    free(spec->ports);
    free(spec->safety.allow);
    *spec = (struct spec){0};
}

/* ---- the manual and completion ---- */

typedef void print_row(FILE *out, const struct section *section, const struct key *key);

static void print_section(FILE *out, const struct section *section, print_row *row,
                          void (*head)(FILE *, const struct section *))
{
    if (head != NULL)
        head(out, section);
    for (size_t i = 0; i < section->count; i++)
        row(out, section, &section->keys[i]);
    for (size_t i = 0; i < section->count; i++)
        if (section->keys[i].group != NULL)
            print_section(out, section->keys[i].group, row, head);
}

static const struct section *const all_sections[] = {&control_section, &safety_section, &port_section,
                                                     &stream_section};

/* In roff a dash is a hyphen and a leading dot a command, unless escaped. */
static void print_escaped(FILE *out, const char *text)
{
    for (bool first = true; *text != '\0'; text++, first = false) {
        if (strchr("-\\", *text) != NULL || (first && strchr(".'", *text) != NULL))
            fputs(*text == '\\' ? "\\(rs" : *text == '-' ? "\\-" : *text == '.' ? "\\&." : "\\&'", out);
        else
            fputc(*text, out);
    }
}

static void print_roff_head(FILE *out, const struct section *section)
{
    fprintf(out, ".SS %s\n", section->name);
}

static void print_roff_row(FILE *out, const struct section *section, const struct key *key)
{
    char all[160] = "";
    (void)section;
    fprintf(out, ".TP\n.B %s\n", key->name);
    print_escaped(out, key->doc);
    if (key->choices != NULL) {
        list_choices(key->choices, all, sizeof all);
        fputs("\nOne of ", out);
        print_escaped(out, all);
        fputc('.', out);
    } else if (key->type != NULL && key->type != &elsewhere) {
        fputs("\nWritten as ", out);
        print_escaped(out, key->type->expects);
        fputc('.', out);
    }
    if (key->group != NULL)
        fprintf(out, "\nA group%s: see %s below.", key->type != NULL ? " can be written as well" : "",
                key->group->name);
    if (key->required)
        fputs("\nRequired.\n", out);
    else
        fputs("\nDefault: ", out);
    if (!key->required) {
        const char *shown = key->fallback != NULL ? key->fallback
                            : key->shown != NULL  ? key->shown
                                                  : "as below";
        print_escaped(out, shown);
        fputs(".\n", out);
    }
}

static void print_key_row(FILE *out, const struct section *section, const struct key *key)
{
    fprintf(out, "%s.%s\n", section->name, key->name);
}

void schema_print_roff(FILE *out)
{
    for (size_t i = 0; i < COUNT(all_sections); i++)
        print_section(out, all_sections[i], print_roff_row, print_roff_head);
}

void schema_print_keys(FILE *out)
{
    for (size_t i = 0; i < COUNT(all_sections); i++)
        print_section(out, all_sections[i], print_key_row, NULL);
}
