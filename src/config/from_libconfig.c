// SPDX-License-Identifier: GPL-2.0-or-later
/* libconfig files to a tree, in three steps:
 *
 *   files ──scan──► one flat text + line map ──libconfig──► settings ──convert──► tree
 *
 * The scan exists because libconfig 1.5 (Debian 12) takes things silently that must not pass: integers that
 * wrap, a NUL that ends the text, a comment that never ends; it nests without limit, looks names up linearly
 * in a group, and knows neither patterns nor places relative to the file in @include. So the scan reads the
 * included files itself and remembers for each line of the flat text which file and line it was. Trailing
 * commas are taken out (libconfig 1.7 allows them), so that files of a pattern can each bring list members.
 * Main thread. */
#include "config/read.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    FLAT_MAX_BYTES = 10 << 20,
    DEPTH_MAX = 32,
    INCLUDE_DEPTH_MAX = 8,
    GROUP_MEMBERS_MAX = 16384 /* libconfig compares each new name with all others of its group */
};

struct line_mark { /* from this line of the flat text on, lines are those of file */
    unsigned flat_line;
    const char *file; /* borrowed from the tree */
    unsigned file_line;
};

struct bracket {
    char opened;
    const char *file;
    unsigned line, members;
};

struct scan {
    struct tree *tree; /* owns file names */
    struct complaints *complaints;
    bool from_memory;
    char *flat; /* owned */
    size_t used, room;
    unsigned flat_line;
    struct line_mark *marks; /* owned */
    size_t mark_count, mark_room;
    struct bracket brackets[DEPTH_MAX + 1]; /* [0] is the file's own level */
    unsigned depth;
    size_t significant; /* offset + 1 of the last byte that is neither blank nor comment; 0: none */
    int rc;             /* what ends the scan; complaints alone do not */
};

struct source { /* one file while it is scanned */
    const char *name;
    const char *at, *end;
    unsigned line, include_depth;
    bool line_start;
};

/* ---- complaints at a line ---- */

#define AT_LINE 4096
static struct node line_node(char where[AT_LINE], const char *file, unsigned line)
{
    snprintf(where, AT_LINE, "%s:%u", file, line);
    return (struct node){.kind = NODE_GROUP, .where = where};
}

#define COMPLAIN_AT(scan, file, line, ...)                 \
    do {                                                   \
        char where_[AT_LINE];                              \
        struct node node_ = line_node(where_, file, line); \
        complain((scan)->complaints, &node_, __VA_ARGS__); \
    } while (0)

/* ---- the flat text ---- */

static void *grow(void *array, size_t *room, size_t needed, size_t size)
{
    size_t wanted = *room > 0 ? *room : 64;
    while (wanted < needed)
        wanted *= 2;
    void *grown = realloc(array, wanted * size);
    if (grown != NULL)
        *room = wanted;
    return grown;
}

static void put(struct scan *scan, const char *text, size_t bytes)
{
    if (scan->used + bytes >= scan->room) { /* with room for the NUL at the end */
        char *flat = grow(scan->flat, &scan->room, scan->used + bytes + 1, 1);
        if (flat == NULL) {
            scan->rc = -ENOMEM;
            return;
        }
        scan->flat = flat;
    }
    memcpy(scan->flat + scan->used, text, bytes);
    scan->used += bytes;
    for (size_t i = 0; i < bytes; i++)
        scan->flat_line += text[i] == '\n';
}

static void mark_line(struct scan *scan, const struct source *source)
{
    if (scan->mark_count == scan->mark_room) {
        struct line_mark *marks =
            grow(scan->marks, &scan->mark_room, scan->mark_count + 1, sizeof *scan->marks);
        if (marks == NULL) {
            scan->rc = -ENOMEM;
            return;
        }
        scan->marks = marks;
    }
    scan->marks[scan->mark_count++] = (struct line_mark){scan->flat_line, source->name, source->line};
}

/* Where a line of the flat text came from. */
static const char *origin(const struct scan *scan, unsigned flat_line, unsigned *line)
{
    size_t low = 0, high = scan->mark_count; /* the mark is in [low, high) */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (scan->marks[middle].flat_line <= flat_line)
            low = middle;
        else
            high = middle;
    }
    *line = scan->marks[low].file_line + flat_line - scan->marks[low].flat_line;
    return scan->marks[low].file;
}

/* ---- tokens of a source ---- */

/* Takes bytes over as they are. */
static void take(struct scan *scan, struct source *source, size_t bytes)
{
    put(scan, source->at, bytes);
    for (size_t i = 0; i < bytes; i++)
        source->line += source->at[i] == '\n';
    source->at += bytes;
    source->line_start = source->at[-1] == '\n';
}

static void take_significant(struct scan *scan, struct source *source, size_t bytes)
{
    take(scan, source, bytes);
    scan->significant = scan->used;
}

static bool looking_at(const struct source *source, const char *word)
{
    size_t length = strlen(word);
    return (size_t)(source->end - source->at) >= length && memcmp(source->at, word, length) == 0;
}

static void scan_line_comment(struct scan *scan, struct source *source)
{
    const char *end = memchr(source->at, '\n', (size_t)(source->end - source->at));
    take(scan, source, (size_t)((end != NULL ? end : source->end) - source->at));
}

static void scan_block_comment(struct scan *scan, struct source *source)
{
    size_t left = (size_t)(source->end - source->at);
    const char *end = memmem(source->at + 2, left - 2, "*/", 2);
    if (end == NULL) {
        COMPLAIN_AT(scan, source->name, source->line,
                    "the comment that begins here never ends; close it with */");
        scan->rc = -EINVAL;
        return;
    }
    take(scan, source, (size_t)(end + 2 - source->at));
}

/* The length of a string with both quotes, or 0 when it never ends. */
static size_t string_length(const char *at, const char *end)
{
    for (const char *byte = at + 1; byte < end; byte++) {
        if (*byte == '"')
            return (size_t)(byte + 1 - at);
        byte += *byte == '\\';
    }
    return 0;
}

static void scan_string(struct scan *scan, struct source *source)
{
    size_t length = string_length(source->at, source->end);
    if (length == 0) {
        COMPLAIN_AT(scan, source->name, source->line,
                    "the text that begins here never ends; close it with \"");
        scan->rc = -EINVAL;
        return;
    }
    for (size_t i = 1; i + 3 < length; i++) {
        if (source->at[i] != '\\')
            continue;
        if (memcmp(source->at + i, "\\x00", 4) == 0)
            COMPLAIN_AT(scan, source->name, source->line, "text with a NUL inside (\\x00); leave it out");
        i++;
    }
    take_significant(scan, source, length);
}

static size_t span(const struct source *source, size_t from, int (*belongs)(int))
{
    size_t i = from;
    while (source->at + i < source->end && belongs((unsigned char)source->at[i]))
        i++;
    return i - from;
}

/* digits are those of an integer; what libconfig's types cannot hold it would wrap without a word. */
static void check_integer(struct scan *scan, const struct source *source, size_t bytes, size_t digits,
                          int base, bool is_long)
{
    char text[48];
    snprintf(text, sizeof text, "%.*s", (int)(bytes < 40 ? bytes : 40), source->at);
    bool negative = *text == '-';
    size_t start = bytes - digits;
    while (digits > 1 && source->at[start] == '0')
        start++, digits--;
    if (digits > 20) {
        COMPLAIN_AT(scan, source->name, source->line, "%s does not fit into 64 bits", text);
        return;
    }
    char number[24];
    snprintf(number, sizeof number, "%.*s", (int)digits, source->at + start);
    errno = 0;
    unsigned long long value = strtoull(number, NULL, base);
    unsigned long long limit = (is_long ? INT64_MAX : INT32_MAX) + (unsigned long long)negative;
    if (errno == 0 && value <= limit)
        return;
    if (errno == 0 && value <= (unsigned long long)INT64_MAX + negative)
        COMPLAIN_AT(scan, source->name, source->line,
                    "%s does not fit into 32 bits; write %sL, or \"%s\" as text", text, text, text);
    else
        COMPLAIN_AT(scan, source->name, source->line, "%s does not fit into 64 bits", text);
}

/* A number as libconfig's lexer would see it. */
static void scan_number(struct scan *scan, struct source *source)
{
    size_t sign = *source->at == '-' || *source->at == '+', at = sign;
    bool hex = sign == 0 && (looking_at(source, "0x") || looking_at(source, "0X"));
    if (hex)
        at = 2;
    size_t digits = span(source, at, hex ? isxdigit : isdigit);
    at += digits;
    char next = source->at + at < source->end ? source->at[at] : '\0';
    if (!hex && next == '.') {
        size_t fraction = span(source, at + 1, isdigit);
        if (digits + fraction == 0)
            COMPLAIN_AT(scan, source->name, source->line, "a point without digits is not a number");
        at += 1 + fraction;
    } else if (digits > 0 && (hex || (next != 'e' && next != 'E'))) {
        check_integer(scan, source, at, digits, hex ? 16 : 10, next == 'L');
    }
    take_significant(scan, source, at > 0 ? at : 1);
}

static int is_name_byte(int c)
{
    return isalnum(c) || c == '-' || c == '_' || c == '*';
}

static void open_bracket(struct scan *scan, struct source *source)
{
    if (scan->depth == DEPTH_MAX) {
        COMPLAIN_AT(scan, source->name, source->line, "nested deeper than %d levels", DEPTH_MAX);
        scan->rc = -EINVAL;
        return;
    }
    scan->brackets[++scan->depth] = (struct bracket){*source->at, source->name, source->line, 0};
    take_significant(scan, source, 1);
}

static void close_bracket(struct scan *scan, struct source *source)
{
    static const char pairs[] = "(){}[]";
    const struct bracket *open = &scan->brackets[scan->depth];
    char opened = strchr(pairs, *source->at)[-1];
    if (scan->depth == 0 || open->opened != opened) {
        if (scan->depth == 0)
            COMPLAIN_AT(scan, source->name, source->line, "`%c` closes nothing", *source->at);
        else
            COMPLAIN_AT(scan, source->name, source->line, "`%c` cannot close the `%c` of %s:%u", *source->at,
                        open->opened, open->file, open->line);
        scan->rc = -EINVAL;
        return;
    }
    if (scan->significant > 0 && scan->flat[scan->significant - 1] == ',' && *source->at != '}')
        scan->flat[scan->significant - 1] = ' ';
    scan->depth--;
    take_significant(scan, source, 1);
}

static void count_member(struct scan *scan, struct source *source)
{
    struct bracket *open = &scan->brackets[scan->depth];
    if (++open->members == GROUP_MEMBERS_MAX + 1) {
        COMPLAIN_AT(scan, source->name, source->line, "more than %d settings in one group",
                    GROUP_MEMBERS_MAX);
        scan->rc = -EINVAL;
        return;
    }
    take_significant(scan, source, 1);
}

/* ---- @include ---- */

static void scan_file(struct scan *scan, const char *path, const struct source *from);

static void include_path(struct scan *scan, struct source *source, const char *path)
{
    glob_t found = {0};
    char *directory = strdup(source->name), *full = NULL;
    char *slash = directory != NULL ? strrchr(directory, '/') : NULL;
    if (slash != NULL)
        slash[1] = '\0';
    if (directory == NULL ||
        asprintf(&full, "%s%s", *path == '/' || slash == NULL ? "" : directory, path) < 0) {
        scan->rc = -ENOMEM;
        full = NULL;
        goto out;
    }
    bool pattern = strpbrk(path, "*?[") != NULL;
    int rc = pattern ? glob(full, 0, NULL, &found) : 0; /* sorted; none is fine, as in conf.d folders */
    if (rc != 0 && rc != GLOB_NOMATCH)
        COMPLAIN_AT(scan, source->name, source->line, "@include \"%s\": cannot be listed", path);
    for (size_t i = 0; i < (pattern ? found.gl_pathc : 1) && scan->rc == 0; i++)
        scan_file(scan, pattern ? found.gl_pathv[i] : full, source);
out:
    globfree(&found);
    free(full);
    free(directory);
}

static void include(struct scan *scan, struct source *source, const char *text, size_t bytes)
{
    char *path = strndup(text, bytes);
    if (path == NULL)
        scan->rc = -ENOMEM;
    else if (scan->from_memory)
        COMPLAIN_AT(scan, source->name, source->line, "@include works in files only");
    else if (source->include_depth == INCLUDE_DEPTH_MAX)
        COMPLAIN_AT(scan, source->name, source->line, "@include nested deeper than %d files",
                    INCLUDE_DEPTH_MAX);
    else
        include_path(scan, source, path);
    free(path);
}

/* `@include "path"` at the start of a line, as libconfig has it. False: not one, nothing was taken. */
static bool scan_include(struct scan *scan, struct source *source)
{
    if (!source->line_start || !looking_at(source, "@include"))
        return false;
    const char *at = source->at + strlen("@include");
    while (at < source->end && (*at == ' ' || *at == '\t'))
        at++;
    size_t length = at < source->end && *at == '"' ? string_length(at, source->end) : 0;
    if (length == 0) {
        COMPLAIN_AT(scan, source->name, source->line,
                    "@include needs a file; write @include \"streams.conf\"");
        scan->rc = -EINVAL;
        return true;
    }
    include(scan, source, at + 1, length - 2);
    put(scan, "\n", 1); /* the file's last line may not have ended */
    source->at = at + length;
    mark_line(scan, source);
    return true;
}

/* ---- scanning ---- */

static void scan_blank(struct scan *scan, struct source *source)
{
    bool line_start = source->line_start || *source->at == '\n';
    take(scan, source, 1);
    source->line_start = line_start;
}

/* Not ours to judge: libconfig will. */
static void scan_other(struct scan *scan, struct source *source)
{
    size_t length = span(source, 0, is_name_byte);
    take_significant(scan, source, length > 0 ? length : 1);
}

typedef void scanner(struct scan *scan, struct source *source);

static scanner *scanner_for(const struct source *source)
{
    static scanner *const by_first_byte[256] = {
        [' '] = scan_blank,    ['\t'] = scan_blank,       ['\n'] = scan_blank,         ['\r'] = scan_blank,
        ['\f'] = scan_blank,   ['#'] = scan_line_comment, ['"'] = scan_string,         ['('] = open_bracket,
        ['['] = open_bracket,  ['{'] = open_bracket,      [')'] = close_bracket,       [']'] = close_bracket,
        ['}'] = close_bracket, ['='] = count_member,      [':'] = count_member,        ['-'] = scan_number,
        ['+'] = scan_number,   ['.'] = scan_number,       ['0' ... '9'] = scan_number,
    };
    if (looking_at(source, "//"))
        return scan_line_comment;
    if (looking_at(source, "/*"))
        return scan_block_comment;
    scanner *known = by_first_byte[(unsigned char)*source->at];
    return known != NULL ? known : scan_other;
}

/* The length of the well-formed UTF-8 sequence at the start of left bytes (RFC 3629), or 0. */
static size_t utf8_sequence(const unsigned char *at, size_t left)
{
    static const struct {
        unsigned char first, last, second_low, second_high, length;
    } rows[] = {
        {0x01, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t length = rows[i].length;
        if (*at < rows[i].first || *at > rows[i].last)
            continue;
        if (length > left || (length > 1 && (at[1] < rows[i].second_low || at[1] > rows[i].second_high)))
            return 0;
        for (size_t j = 2; j < length; j++)
            if ((at[j] & 0xc0) != 0x80)
                return 0;
        return length;
    }
    return 0;
}

/* The first byte that is not text, or NULL. */
static const char *find_not_text(const char *at, const char *end)
{
    while (at < end) {
        size_t length = utf8_sequence((const unsigned char *)at, (size_t)(end - at));
        if (length == 0)
            return at;
        at += length;
    }
    return NULL;
}

static bool is_text(struct scan *scan, const struct source *source)
{
    const char *bad = find_not_text(source->at, source->end);
    if (bad == NULL)
        return true;
    unsigned line = 1;
    for (const char *at = source->at; at < bad; at++)
        line += *at == '\n';
    if (*bad == '\0')
        COMPLAIN_AT(scan, source->name, line, "a NUL byte; write plain text in UTF-8");
    else
        COMPLAIN_AT(scan, source->name, line, "byte 0x%02x is not UTF-8; write the file in UTF-8",
                    (unsigned)(unsigned char)*bad);
    scan->rc = -EINVAL;
    return false;
}

static void scan_source(struct scan *scan, struct source *source)
{
    if (!is_text(scan, source))
        return;
    if (looking_at(source, "\xef\xbb\xbf")) /* a byte order mark */
        source->at += 3;
    mark_line(scan, source);
    while (source->at < source->end && scan->rc == 0)
        if (!scan_include(scan, source))
            scanner_for(source)(scan, source);
}

static void scan_text(struct scan *scan, const char *name, const char *text, size_t bytes,
                      unsigned include_depth)
{
    if (scan->used + bytes > FLAT_MAX_BYTES) {
        COMPLAIN_AT(scan, name, 1, "more than %d MiB of configuration", FLAT_MAX_BYTES >> 20);
        scan->rc = -EINVAL;
        return;
    }
    struct source source = {.name = tree_text(scan->tree, name),
                            .at = text,
                            .end = text + bytes,
                            .line = 1,
                            .include_depth = include_depth,
                            .line_start = true};
    if (source.name == NULL)
        scan->rc = -ENOMEM;
    else
        scan_source(scan, &source);
}

/* Reads at most a little more than what is allowed; scan_text refuses the rest. -errno or 0. */
static int read_whole(const char *path, char **text, size_t *bytes)
{
    size_t room = 1 << 16, used = 0;
    char *buffer = malloc(room);
    int rc = buffer == NULL ? -ENOMEM : 0;
    int fd = rc == 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (rc == 0 && fd < 0)
        rc = -errno;
    while (rc == 0 && used <= FLAT_MAX_BYTES) {
        if (used == room) {
            char *grown = realloc(buffer, room *= 2);
            if (grown == NULL) {
                rc = -ENOMEM;
                break;
            }
            buffer = grown;
        }
        ssize_t got = read(fd, buffer + used, room - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            rc = -errno;
        if (got <= 0)
            break;
        used += (size_t)got;
    }
    if (fd >= 0)
        close(fd);
    if (rc != 0) {
        free(buffer);
        return rc;
    }
    *text = buffer;
    *bytes = used;
    return 0;
}

/* from: the source whose @include this is; NULL for the first file. */
static void scan_file(struct scan *scan, const char *path, const struct source *from)
{
    char *text;
    size_t bytes;
    int rc = read_whole(path, &text, &bytes);
    if (rc != 0) {
        if (from != NULL)
            COMPLAIN_AT(scan, from->name, from->line, "@include: cannot read %s: %s", path, strerror(-rc));
        else
            complain(scan->complaints, &(struct node){.where = path}, "cannot be read: %s", strerror(-rc));
        scan->rc = rc;
        return;
    }
    scan_text(scan, path, text, bytes, from != NULL ? from->include_depth + 1 : 0);
    free(text);
}

static void finish_scan(struct scan *scan)
{
    for (; scan->depth > 0 && scan->rc == 0; scan->depth--) {
        const struct bracket *open = &scan->brackets[scan->depth];
        COMPLAIN_AT(scan, open->file, open->line, "the `%c` that opens here is never closed", open->opened);
    }
    if (scan->rc == 0)
        put(scan, "", 1); /* the NUL: libconfig reads a C string */
}

/* ---- settings to nodes ---- */

struct converter {
    const struct scan *scan;
    struct complaints *complaints;
    struct tree *tree;
};

static const enum node_kind kind_of[] = {
    [CONFIG_TYPE_GROUP] = NODE_GROUP, [CONFIG_TYPE_INT] = NODE_INT,     [CONFIG_TYPE_INT64] = NODE_INT,
    [CONFIG_TYPE_FLOAT] = NODE_FLOAT, [CONFIG_TYPE_STRING] = NODE_TEXT, [CONFIG_TYPE_BOOL] = NODE_BOOL,
    [CONFIG_TYPE_ARRAY] = NODE_LIST,  [CONFIG_TYPE_LIST] = NODE_LIST,
};

static int convert_members(struct converter *converter, struct node *to, const config_setting_t *from);

static int convert_text(struct converter *converter, struct node *node, const char *text)
{
    /* \x escapes can make what the scan did not see. */
    if (find_not_text(text, text + strlen(text)) != NULL)
        complain(converter->complaints, node,
                 "its \\x escapes make no UTF-8; write the characters themselves");
    node->text = tree_text(converter->tree, text);
    return node->text != NULL ? 0 : -ENOMEM;
}

static int convert(struct converter *converter, struct node *parent, const config_setting_t *setting)
{
    char where[AT_LINE];
    unsigned line;
    const char *file = origin(converter->scan, config_setting_source_line(setting), &line);
    snprintf(where, sizeof where, "%s:%u", file, line);
    struct node *node =
        tree_add(converter->tree, parent, kind_of[setting->type], config_setting_name(setting), where);
    if (node == NULL)
        return -ENOMEM;
    switch (setting->type) {
    case CONFIG_TYPE_STRING: {
        const char *text = config_setting_get_string(setting);
        return convert_text(converter, node, text != NULL ? text : "");
    }
    case CONFIG_TYPE_INT:
        node->integer = config_setting_get_int(setting);
        return 0;
    case CONFIG_TYPE_INT64:
        node->integer = config_setting_get_int64(setting);
        return 0;
    case CONFIG_TYPE_FLOAT:
        node->real = config_setting_get_float(setting);
        return 0;
    case CONFIG_TYPE_BOOL:
        node->truth = config_setting_get_bool(setting) == CONFIG_TRUE;
        return 0;
    default:
        return convert_members(converter, node, setting);
    }
}

static int convert_members(struct converter *converter, struct node *to, const config_setting_t *from)
{
    unsigned count = (unsigned)config_setting_length(from);
    for (unsigned i = 0; i < count; i++) {
        int rc = convert(converter, to, config_setting_get_elem(from, i));
        if (rc != 0)
            return rc;
    }
    return 0;
}

static void complain_syntax(struct scan *scan, const config_t *config)
{
    static const struct {
        const char *theirs, *ours;
    } rows[] = {
        {"syntax error", "syntax error here or just before; a setting reads name = value;"},
        {"duplicate setting name", "this name is in its group already; leave one out"},
        {"mismatched element type in array",
         "members of [ ] must be of one type; write a list ( ) for different ones"},
    };
    const char *text = config_error_text(config);
    unsigned line;
    const char *file = origin(scan, (unsigned)config_error_line(config), &line);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (text != NULL && strcmp(text, rows[i].theirs) == 0)
            text = rows[i].ours;
    COMPLAIN_AT(scan, file, line, "%s", text != NULL ? text : "cannot be understood");
}

static int parse(struct scan *scan)
{
    config_t config;
    struct converter converter = {scan, scan->complaints, scan->tree};
    config_init(&config);
    int rc = 0;
    if (config_read_string(&config, scan->flat) == CONFIG_TRUE) {
        rc = convert_members(&converter, (struct node *)tree_root(scan->tree), config_root_setting(&config));
    } else {
        complain_syntax(scan, &config);
        rc = -EINVAL;
    }
    config_destroy(&config);
    return rc;
}

/* The second half of both readers: takes over what the scan owns. */
static int finish(struct scan *scan, size_t errors_before, struct tree **out)
{
    finish_scan(scan);
    int rc = scan->rc;
    if (rc == 0 && complaints_errors(scan->complaints) == errors_before)
        rc = parse(scan);
    if (rc == 0 && complaints_errors(scan->complaints) > errors_before)
        rc = -EINVAL;
    free(scan->flat);
    free(scan->marks);
    if (rc == 0)
        *out = scan->tree;
    else
        tree_free(scan->tree);
    return rc;
}

/* The root's place is the file. */
static bool begin(struct scan *scan, const char *name, struct complaints *complaints)
{
    *scan = (struct scan){.tree = tree_new(), .complaints = complaints, .flat_line = 1};
    const char *where = scan->tree != NULL ? tree_text(scan->tree, name) : NULL;
    if (where == NULL) {
        tree_free(scan->tree);
        return false;
    }
    ((struct node *)tree_root(scan->tree))->where = where;
    return true;
}

int tree_read_file(const char *path, struct tree **out, struct complaints *complaints)
{
    struct scan scan;
    size_t errors = complaints_errors(complaints);
    if (!begin(&scan, path, complaints))
        return -ENOMEM;
    scan_file(&scan, path, NULL);
    return finish(&scan, errors, out);
}

int tree_read_text(const char *text, size_t length, const char *name, struct tree **out,
                   struct complaints *complaints)
{
    struct scan scan;
    size_t errors = complaints_errors(complaints);
    if (!begin(&scan, name, complaints))
        return -ENOMEM;
    scan.from_memory = true;
    scan_text(&scan, name, text, length, 0);
    return finish(&scan, errors, out);
}
