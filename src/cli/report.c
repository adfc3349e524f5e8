/* SPDX-License-Identifier: GPL-2.0-or-later */
/* report: the frozen result of the last run, from the daemon or from files, as text, JSON or a page. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/accounts.h"
#include "cli/handlers.h"
#include "cli/merge.h"
#include "cli/page.h"

/* "/tmp/A.json" is machine "A". */
static void machine_name(const char *path, char *out, size_t size)
{
    const char *slash = strrchr(path, '/');
    snprintf(out, size, "%s", slash == NULL ? path : slash + 1);
    char *dot = strstr(out, ".json");
    if (dot != NULL && dot != out && dot[strlen(".json")] == '\0')
        *dot = '\0';
}

static int add_file(const struct session *session, const char *path, bool alone, json_t **whole)
{
    json_error_t where;
    struct err err = {.code = 0};
    char name[256];
    json_t *result = json_load_file(path, 0, &where);
    if (result == NULL)
        return session_fail(session, EXIT_USAGE, "%s:%d: %s", path, where.line, where.text);
    machine_name(path, name, sizeof name);
    json_t *sum = *whole == NULL ? json_object() : *whole;
    int failed = merge_result(sum, name, result, &err);
    if (failed == 0 && alone) { /* one file is shown as it is */
        json_decref(sum);
        *whole = result;
        return EXIT_DONE;
    }
    json_decref(result);
    *whole = sum;
    return failed == 0 ? EXIT_DONE : session_fail(session, EXIT_USAGE, "%s: %s", path, err.text);
}

static int gather(struct session *session, const struct invocation *with, json_t **result)
{
    if (with->argument_count == 0)
        return session_call(session, "Report", NULL, result);
    int code = EXIT_DONE;
    for (size_t i = 0; code == EXIT_DONE && i < with->argument_count; i++)
        code = add_file(session, with->arguments[i], with->argument_count == 1, result);
    return code;
}

static int print_total(const json_t *result, FILE *to, bool colour)
{
    static const struct column columns[] = {{"MACHINES", RIGHT}, {"SENT", RIGHT},   {"RATE", RIGHT},
                                            {"L1", RIGHT},       {"MISSED", RIGHT}, {"REJECTED", RIGHT}};
    json_t *sum = accounts_sum(result, "ports", NULL, NULL);
    struct table *table = table_new(columns, sizeof columns / sizeof *columns);
    table_count(table, TONE_PLAIN, json_array_size(json_object_get(result, "machines")));
    table_count(table, TONE_PLAIN, field_u64(sum, "completed"));
    table_si(table, field_real(json_object_get(sum, "average"), "pps"), "pps");
    table_si(table, field_real(json_object_get(sum, "average"), "bit_l1"), "bit/s");
    table_count(table, TONE_PLAIN, field_u64(sum, "missed"));
    table_count(table, TONE_PLAIN, field_u64(sum, "rejected"));
    fputc('\n', to);
    int failed = table_print(table, to, colour);
    table_free(table);
    json_decref(sum);
    return failed;
}

static int print_text(const json_t *result, FILE *to, bool colour)
{
    int failed = accounts_print(result, to, colour, ACCOUNTS_RESULT, 0);
    if (failed == 0 && json_object_get(result, "machines") != NULL)
        failed = print_total(result, to, colour);
    return failed;
}

static int print_result(const struct session *session, const struct invocation *with, const json_t *result,
                        FILE *to)
{
    if (option_given(with, "html"))
        return page_print(result, to);
    if (session->json)
        return output_json(result, to, !output_wants_colour(to));
    return print_text(result, to, session->colour && to == stdout);
}

static int write_output(const struct session *session, const struct invocation *with, const json_t *result)
{
    const char *path = option_value(with, "output");
    FILE *to = path == NULL ? stdout : fopen(path, "w");
    if (to == NULL)
        return session_fail(session, EXIT_FAILED, "--output %s: %s", path, strerror(errno));
    bool good = print_result(session, with, result, to) == 0;
    good = fflush(to) == 0 && ferror(to) == 0 && good; /* also what failed once, in the middle */
    if (to != stdout)
        good = fclose(to) == 0 && good;
    return good ? EXIT_DONE
                : session_fail(session, EXIT_FAILED, "the report could not be written: %s", strerror(errno));
}

int report_run(struct session *session, const struct invocation *with)
{
    json_t *result = NULL;
    int code = gather(session, with, &result);
    if (code == EXIT_DONE)
        code = write_output(session, with, result);
    json_decref(result);
    return code;
}
