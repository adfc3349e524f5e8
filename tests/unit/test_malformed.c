// SPDX-License-Identifier: GPL-2.0-or-later
/* Every malformed/NAME.conf is refused with exactly the messages of malformed/NAME.expected, in that order:
 * one "where: text" a line, warnings with "warning: " in front. A new case is two files. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/read.h"
#include "config/schema.h"

enum { CASES_AT_LEAST = 60, TEXT_BYTES = 1 << 16 };

static void read_expected(const char *name, char *out)
{
    FILE *file = fopen(name, "r");
    if (file == NULL)
        fail_msg("%s is missing", name);
    out[fread(out, 1, TEXT_BYTES - 1, file)] = '\0';
    fclose(file);
}

/* What the readers say about a file, as `volleyd --check` would print it. */
static void judge(const char *name, char *out)
{
    struct complaints *complaints = complaints_new();
    struct tree *tree = NULL;
    struct spec spec = {0};
    int rc = tree_read_file(name, &tree, complaints);
    if (rc == 0)
        rc = spec_read(tree, SPEC_FILE, &spec, complaints);
    assert_true((rc < 0) == (complaints_errors(complaints) > 0));
    size_t used = 0;
    for (size_t i = 0; i < complaints_count(complaints); i++) {
        const struct complaint *complaint = complaints_get(complaints, i);
        used += (size_t)snprintf(out + used, TEXT_BYTES - used, "%s: %s%s\n", complaint->where,
                                 complaint->error ? "" : "warning: ", complaint->text);
        assert_true(used < TEXT_BYTES);
    }
    out[used] = '\0';
    spec_fini(&spec);
    tree_free(tree);
    complaints_free(complaints);
}

static int ends_with_conf(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return length > 5 && strcmp(entry->d_name + length - 5, ".conf") == 0;
}

static void each_is_refused_with_its_messages(void **state)
{
    (void)state;
    static char seen[TEXT_BYTES], wanted[TEXT_BYTES];
    struct dirent **entries;
    int count = scandir(".", &entries, ends_with_conf, alphasort), wrong = 0;
    assert_true(count >= CASES_AT_LEAST);
    for (int i = 0; i < count; i++) {
        char expected[300];
        const char *name = entries[i]->d_name;
        snprintf(expected, sizeof expected, "%.*s.expected", (int)strlen(name) - 5, name);
        read_expected(expected, wanted);
        judge(name, seen);
        if (*seen == '\0' || strcmp(seen, wanted) != 0) {
            print_error("%s\n--- expected\n%s+++ seen\n%s", name, wanted, seen);
            wrong++;
        }
        free(entries[i]);
    }
    free(entries);
    assert_int_equal(wrong, 0);
}

/* make check says where the sources are; by hand it is run from the build directory or the top. */
static int enter_folder(void **state)
{
    (void)state;
    const char *places[] = {getenv("srcdir"), "..", "."};
    char path[4096];
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/tests/unit/malformed", places[i] != NULL ? places[i] : ".");
        if (chdir(path) == 0)
            return 0;
    }
    return -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_is_refused_with_its_messages)};
    return cmocka_run_group_tests(tests, enter_folder, NULL);
}
