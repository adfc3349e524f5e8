// SPDX-License-Identifier: GPL-2.0-or-later
/* The neutral tree: both readers make the same of the same, places are right through includes, and what
 * libconfig would take in silence is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/read.h"

static int read_text(const char *text, struct tree **tree, struct complaints **complaints)
{
    *tree = NULL;
    *complaints = complaints_new();
    return tree_read_text(text, strlen(text), "t.conf", tree, *complaints);
}

static struct tree *good(const char *text)
{
    struct tree *tree;
    struct complaints *complaints;
    if (read_text(text, &tree, &complaints) != 0)
        fail_msg("%s", complaints_get(complaints, 0)->text);
    assert_int_equal(complaints_count(complaints), 0);
    complaints_free(complaints);
    return tree;
}

static void bad_bytes(const char *text, size_t bytes, const char *where, const char *words)
{
    struct tree *tree = NULL;
    struct complaints *complaints = complaints_new();
    int rc = tree_read_text(text, bytes, "t.conf", &tree, complaints);
    if (rc != -EINVAL || tree != NULL || complaints_errors(complaints) == 0)
        fail_msg("%.60s: taken (rc %d)", text, rc);
    const struct complaint *first = complaints_get(complaints, 0);
    if (strcmp(first->where, where) != 0 || strstr(first->text, words) == NULL)
        fail_msg("%.60s: %s: %s, not %s: %s", text, first->where, first->text, where, words);
    complaints_free(complaints);
}

static void bad(const char *text, const char *where, const char *words)
{
    bad_bytes(text, strlen(text), where, words);
}

static void kinds_values_and_places(void **state)
{
    (void)state;
    struct tree *tree = good("# comment { [ (\n"
                             "text = \"a\\\"b\" \"c\"; // }\n"
                             "number = -12; big = 5000000000L; hex = 0x10;\n"
                             "real = 1.5e3; flag = TRUE;\n"
                             "/* } */ group = { inner : 1; };\n"
                             "list = ( 1, \"two\",\n  { three = 3; },\n );\n"
                             "array = [ 1, 2, 3, ]; empty = (); nothing = \"\";\n");
    const struct node *root = tree_root(tree);
    assert_int_equal(root->kind, NODE_GROUP);
    assert_int_equal(root->children, 11);
    assert_string_equal(root->where, "t.conf");
    const struct node *text = node_find(root, "text");
    assert_int_equal(text->kind, NODE_TEXT);
    assert_string_equal(text->text, "a\"bc");
    assert_string_equal(text->where, "t.conf:2");
    assert_int_equal(node_find(root, "number")->integer, -12);
    assert_true(node_find(root, "big")->integer == INT64_C(5000000000));
    assert_int_equal(node_find(root, "hex")->integer, 16);
    assert_true(node_find(root, "real")->real == 1500);
    assert_true(node_find(root, "flag")->truth);
    const struct node *list = node_find(root, "list");
    assert_int_equal(list->kind, NODE_LIST);
    assert_int_equal(list->children, 3);
    const struct node *third = list->child->next->next;
    assert_string_equal(third->where, "t.conf:7");
    assert_int_equal(node_find(third, "three")->integer, 3);
    assert_ptr_equal(third->parent, list);
    assert_int_equal(node_find(root, "array")->children, 3);
    assert_int_equal(node_find(root, "empty")->children, 0);
    assert_string_equal(node_find(root, "nothing")->text, "");
    assert_null(node_find(root, "absent"));
    tree_free(tree);
    tree_free(good(""));
    tree_free(good("\xef\xbb\xbf# with a byte order mark\n"));
    tree_free(good("name = \"r\xc3\xa9seau \xe2\x82\xac \xf0\x9f\x90\x8e\";\r\n"));
    tree_free(NULL);
}

static void integers_that_libconfig_would_wrap_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *number, *words; /* NULL: is right */
        int64_t value;
    } rows[] = {
        {"2147483647", NULL, 2147483647},
        {"-2147483648", NULL, -INT64_C(2147483648)},
        {"2147483648", "does not fit into 32 bits; write 2147483648L, or \"2147483648\" as text", 0},
        {"-2147483649", "32 bits", 0},
        {"4294967297", "32 bits", 0},
        {"5000000000L", NULL, INT64_C(5000000000)},
        {"9223372036854775807L", NULL, INT64_MAX},
        {"9223372036854775808L", "64 bits", 0},
        {"9223372036854775808", "64 bits", 0},
        {"-9223372036854775808L", NULL, INT64_MIN},
        {"18446744073709551617", "64 bits", 0},
        {"99999999999999999999999999999999999999999999", "64 bits", 0},
        {"0x7fffffff", NULL, 0x7fffffff},
        {"0xffffffff", "32 bits", 0},
        {"0xffffffffL", NULL, 0xffffffff},
        {"0x10000000000000000L", "64 bits", 0},
        {"00000000000000000000000000000000000000012", NULL, 12},
        {".", "a point without digits", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[100];
        snprintf(text, sizeof text, "g = {\n  b = ( 1, %s );\n};\n", rows[i].number);
        if (rows[i].words != NULL) {
            bad(text, "t.conf:2", rows[i].words);
            continue;
        }
        struct tree *tree = good(text);
        const struct node *number = node_find(node_find(tree_root(tree), "g"), "b")->child->next;
        assert_int_equal(number->kind, NODE_INT);
        assert_true(number->integer == rows[i].value);
        tree_free(tree);
    }
    /* Not numbers: names, comments and texts may hold any digits. */
    tree_free(good("a5000000000 = 1; # 5000000000\nb = \"5000000000\"; /* 5000000000 */ c = 5000000000.0;"));
}

static void what_is_not_text_is_refused(void **state)
{
    (void)state;
    bad_bytes("a = 1;\nb = \0;\n", 14, "t.conf:2", "a NUL byte");
    bad("\n\na = \"\xff\";\n", "t.conf:3", "byte 0xff is not UTF-8");
    bad("a = \"\xc0\x80\";", "t.conf:1", "byte 0xc0 is not UTF-8");
    bad("a = \"\xed\xa0\x80\";", "t.conf:1", "byte 0xed is not UTF-8"); /* a surrogate */
    bad("a = \"\xe2\x82", "t.conf:1", "byte 0xe2 is not UTF-8");
    bad("# caf\xe9\n", "t.conf:1", "byte 0xe9 is not UTF-8");
    bad("a = \"x\\x00y\";", "t.conf:1", "NUL inside");
    bad("a = \"x\\xffy\";", "t.conf:1", "make no UTF-8");
    tree_free(good("a = \"\\xc3\\xa9 \\\\x00\";"));
}

static void syntax_errors_name_their_line(void **state)
{
    (void)state;
    bad("a = 1;\nb = ;\n", "t.conf:2", "a setting reads name = value;");
    bad("a = 1;\n\na = 2;\n", "t.conf:3", "in its group already");
    bad("a = [ 1, \"x\" ];", "t.conf:1", "of one type");
    bad("a = {\n b = (\n 1;\n };\n", "t.conf:4", "`}` cannot close the `(` of t.conf:2");
    bad("a = {\n b = 1;\n", "t.conf:1", "`{` that opens here is never closed");
    bad("a = 1; }\n", "t.conf:1", "`}` closes nothing");
    bad("a = 1;\n/* no end\n", "t.conf:2", "comment that begins here never ends");
    bad("a = \"no end;\n\n", "t.conf:1", "text that begins here never ends");
    bad("@include \"x.conf\"\n", "t.conf:1", "in files only");
    bad("@include x.conf\n", "t.conf:1", "@include needs a file");
}

static void long_and_deep_inputs_are_bounded(void **state)
{
    (void)state;
    enum { HUGE_BYTES = (10 << 20) + 100 };
    char *text = malloc(HUGE_BYTES + 1);
    assert_non_null(text);
    memset(text, ' ', HUGE_BYTES);
    bad_bytes(text, HUGE_BYTES, "t.conf:1", "more than 10 MiB");
    /* Ten MB that are allowed: one long text. */
    size_t allowed = 10 * 1000 * 1000;
    memset(text, 'x', allowed);
    memcpy(text, "a = \"", 5);
    memcpy(text + allowed - 2, "\";", 3);
    struct tree *tree = good(text);
    assert_int_equal(strlen(node_find(tree_root(tree), "a")->text), allowed - 7);
    tree_free(tree);
    /* A thousand groups in each other. */
    size_t used = 0;
    for (int i = 0; i < 1000; i++)
        used += (size_t)sprintf(text + used, "g = {\n");
    for (int i = 0; i < 1000; i++)
        used += (size_t)sprintf(text + used, "};");
    bad(text, "t.conf:33", "nested deeper than 32");
    /* 32 are fine. */
    for (used = 0; used < 32;)
        text[used++] = '(';
    char deep[80];
    snprintf(deep, sizeof deep, "a = %.32s%.32s;", text, "))))))))))))))))))))))))))))))))");
    tree_free(good(deep));
    /* Names of one group are compared with each other by libconfig. */
    used = 0;
    for (int i = 0; i < 20000; i++)
        used += (size_t)sprintf(text + used, "a%d=1;\n", i);
    bad(text, "t.conf:16385", "more than 16384 settings in one group");
    free(text);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static char folder[] = "/tmp/volley-tree-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) != NULL && chdir(folder) == 0 && mkdir("streams.d", 0700) == 0 ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"main.conf",         "loop.conf",          "streams.d/20.conf",
                                        "streams.d/10.conf", "streams.d/one.conf", "streams.d"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        remove(names[i]);
    return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

static void includes_are_relative_sorted_and_keep_their_lines(void **state)
{
    (void)state;
    char path[100];
    write_file("main.conf",
               "before = 1;\nstreams = (\n  @include \"streams.d/[0-9]*.conf\"\n  { n = 9; }\n);\n"
               "@include \"streams.d/one.conf\" after = 2;\nlast = 3;\n"
               "@include \"none.d/*.conf\"\n");
    write_file("streams.d/20.conf", "{ n = 20; },");
    write_file("streams.d/10.conf", "# ten\n{\n  n = 10;\n},\n");
    write_file("streams.d/one.conf", "one = 1;");
    struct tree *tree = NULL;
    struct complaints *complaints = complaints_new();
    snprintf(path, sizeof path, "%s/main.conf", folder);
    assert_int_equal(chdir("/"), 0); /* relative to the file, not to where we are */
    int rc = tree_read_file(path, &tree, complaints);
    assert_int_equal(chdir(folder), 0);
    if (rc != 0)
        fail_msg("%s: %s", complaints_get(complaints, 0)->where, complaints_get(complaints, 0)->text);
    const struct node *streams = node_find(tree_root(tree), "streams");
    static const struct {
        int64_t n;
        const char *where;
    } wanted[] = {{10, "/streams.d/10.conf:3"}, {20, "/streams.d/20.conf:1"}, {9, "/main.conf:4"}};
    const struct node *member = streams->child;
    for (size_t i = 0; i < 3; i++, member = member->next) {
        assert_int_equal(member->child->integer, wanted[i].n);
        assert_string_equal(member->child->where + strlen(folder), wanted[i].where);
    }
    assert_null(member);
    assert_string_equal(node_find(tree_root(tree), "one")->where + strlen(folder), "/streams.d/one.conf:1");
    assert_string_equal(node_find(tree_root(tree), "after")->where + strlen(folder), "/main.conf:6");
    assert_string_equal(node_find(tree_root(tree), "last")->where + strlen(folder), "/main.conf:7");
    tree_free(tree);
    complaints_free(complaints);
}

static void bad_file(const char *path, const char *where, const char *words)
{
    struct tree *tree = NULL;
    struct complaints *complaints = complaints_new();
    int rc = tree_read_file(path, &tree, complaints);
    assert_true(rc < 0);
    assert_null(tree);
    assert_true(complaints_errors(complaints) > 0);
    assert_string_equal(complaints_get(complaints, 0)->where, where);
    if (strstr(complaints_get(complaints, 0)->text, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", complaints_get(complaints, 0)->text, words);
    complaints_free(complaints);
}

static void files_that_cannot_be_read(void **state)
{
    (void)state;
    bad_file("absent.conf", "absent.conf", "cannot be read: No such file or directory");
    bad_file("streams.d", "streams.d", "cannot be read: Is a directory");
    write_file("main.conf", "\n@include \"absent.conf\"\n");
    bad_file("main.conf", "main.conf:2", "@include: cannot read absent.conf");
    write_file("loop.conf", "@include \"loop.conf\"\n");
    bad_file("loop.conf", "loop.conf:1", "nested deeper than 8 files");
    write_file("main.conf", "\na = 1;\n@include \"streams.d/one.conf\"\n");
    write_file("streams.d/one.conf", "\n\nb = 4294967297;\n");
    bad_file("main.conf", "streams.d/one.conf:3", "does not fit into 32 bits");
    write_file("streams.d/one.conf", "b = 1;\nc c\n");
    bad_file("main.conf", "streams.d/one.conf:2", "syntax error");
    bad_file("/dev/zero", "/dev/zero:1", "more than 10 MiB");
}

static void json_and_libconfig_make_the_same_tree(void **state)
{
    (void)state;
    struct tree *tree =
        good("a = 1; b = \"x\"; c = 1.5; d = true; e = ( 1, ( ), { f = -5000000000L; } ); g = {};");
    json_t *there = tree_to_json(tree_root(tree));
    json_t *want = json_loads(
        "{\"a\":1,\"b\":\"x\",\"c\":1.5,\"d\":true,\"e\":[1,[],{\"f\":-5000000000}],\"g\":{}}", 0, NULL);
    assert_true(json_equal(there, want));
    struct tree *back = NULL;
    struct complaints *complaints = complaints_new();
    assert_int_equal(tree_read_json(there, &back, complaints), 0);
    json_t *again = tree_to_json(tree_root(back));
    assert_true(json_equal(again, want));
    const struct node *e = node_find(tree_root(back), "e");
    assert_string_equal(e->child->where, "e[0]");
    assert_string_equal(e->child->next->next->child->where, "e[2].f");
    json_decref(there);
    json_decref(again);
    json_decref(want);
    tree_free(tree);
    tree_free(back);
    complaints_free(complaints);
}

static void bad_json(json_t *value, const char *where, const char *words)
{
    struct tree *tree = NULL;
    struct complaints *complaints = complaints_new();
    assert_int_equal(tree_read_json(value, &tree, complaints), -EINVAL);
    assert_null(tree);
    assert_string_equal(complaints_get(complaints, 0)->where, where);
    assert_non_null(strstr(complaints_get(complaints, 0)->text, words));
    complaints_free(complaints);
    json_decref(value);
}

static void json_that_is_no_configuration(void **state)
{
    (void)state;
    bad_json(json_loads("[]", 0, NULL), "configuration", "not a JSON object");
    bad_json(json_loads("{\"a\":[1,null]}", 0, NULL), "a[1]", "null says nothing");
    bad_json(json_loads("{\"a\":{\"b\":\"x\\u0000y\"}}", JSON_ALLOW_NUL, NULL), "a.b", "NUL inside");
    json_t *deep = json_integer(1);
    for (int i = 0; i < 1000; i++) {
        json_t *outer = json_array();
        json_array_append_new(outer, deep);
        deep = outer;
    }
    json_t *object = json_object();
    json_object_set_new(object, "a", deep);
    struct tree *tree = NULL;
    struct complaints *complaints = complaints_new();
    assert_int_equal(tree_read_json(object, &tree, complaints), -EINVAL);
    assert_non_null(strstr(complaints_get(complaints, 0)->text, "nested deeper than 32"));
    complaints_free(complaints);
    json_decref(object);
}

static void complaints_carry_place_path_and_kind(void **state)
{
    (void)state;
    struct tree *tree = good("streams = (\n { a = 1; },\n { b = { c = 1; }; }\n);");
    const struct node *second = node_find(tree_root(tree), "streams")->child->next;
    const struct node *c = node_find(node_find(second, "b"), "c");
    struct complaints *list = complaints_new();
    complain(list, c, "is %d%s", 5, "\x1b[2J\n");
    complain_warn(list, tree_root(tree), "odd");
    complain(list, NULL, "no place");
    assert_int_equal(complaints_errors(list), 2);
    assert_int_equal(complaints_warnings(list), 1);
    assert_int_equal(complaints_count(list), 3);
    assert_string_equal(complaints_get(list, 0)->where, "t.conf:3");
    assert_string_equal(complaints_get(list, 0)->text, "streams[1].b.c: is 5?[2J?");
    assert_true(complaints_get(list, 0)->error);
    assert_string_equal(complaints_get(list, 1)->text, "odd");
    assert_false(complaints_get(list, 1)->error);
    for (int i = 0; i < 5000; i++)
        complain(list, c, "again");
    assert_int_equal(complaints_errors(list), 5002);
    assert_int_equal(complaints_count(list), 1000);
    complaints_free(list);
    complaints_free(NULL);
    tree_free(tree);
}

static void the_nearest_name_is_found_or_none(void **state)
{
    (void)state;
    static const char *const names[] = {"rate", "gap", "duration", "interface", "on_link_loss"};
    static const struct {
        const char *wrong, *near;
    } rows[] = {
        {"raet", "rate"},
        {"rat", "rate"},
        {"RATE", "rate"},
        {"durration", "duration"},
        {"intreface", "interface"},
        {"on_link_los", "on_link_loss"},
        {"gpa", "gap"},
        {"xyz", NULL},
        {"inter", "interface"},
        {"duration_ns", "duration"},
        {"", NULL},
        {"interval", NULL},
        {"averyverylongnamethatisnotanykeyofanysection", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *near = nearest_name(rows[i].wrong, names, 5);
        if ((near == NULL) != (rows[i].near == NULL) || (near != NULL && strcmp(near, rows[i].near) != 0))
            fail_msg("%s: %s, not %s", rows[i].wrong, near, rows[i].near);
    }
    assert_null(nearest_name("a", names, 0));
}

/* A hundred thousand members in linear time: quadratic would not end within the test's time limit. */
static void long_lists_grow_in_linear_time(void **state)
{
    (void)state;
    struct tree *tree = tree_new();
    struct node *list = tree_add(tree, NULL, NODE_LIST, "streams", "here");
    for (int i = 0; i < 1000000; i++)
        assert_non_null(tree_add(tree, list, NODE_INT, NULL, "here"));
    assert_int_equal(list->children, 1000000);
    tree_free(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_values_and_places),
        cmocka_unit_test(integers_that_libconfig_would_wrap_are_refused),
        cmocka_unit_test(what_is_not_text_is_refused),
        cmocka_unit_test(syntax_errors_name_their_line),
        cmocka_unit_test(long_and_deep_inputs_are_bounded),
        cmocka_unit_test(includes_are_relative_sorted_and_keep_their_lines),
        cmocka_unit_test(files_that_cannot_be_read),
        cmocka_unit_test(json_and_libconfig_make_the_same_tree),
        cmocka_unit_test(json_that_is_no_configuration),
        cmocka_unit_test(complaints_carry_place_path_and_kind),
        cmocka_unit_test(the_nearest_name_is_found_or_none),
        cmocka_unit_test(long_lists_grow_in_linear_time),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
