// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory runs out under a daemon on the mock engine: in the making of it, and at each allocation of each
 * control method. A client is answered or let go; what was in force stays, or what was asked for is; nothing
 * sends after a stop that was answered; and the next request finds a daemon that works. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/control.h"
#include "fail_alloc.h"
#include "reading.h"

#define PORTS                                                                               \
    "safety = { allow = [ \"mock*\" ]; max_rate = \"9Gbit/L1\"; };"                         \
    "ports = ( { name = \"east\"; interface = \"mock0\"; engine = \"mock\"; queues = 2; }," \
    "          { name = \"west\"; interface = \"mock1\"; engine = \"mock-async\"; } );"
#define TEMPLATE                                                                                             \
    "templates = { t = ( { ethernet = { dst = \"02:00:00:00:00:02\"; }; }, { ipv4 = { src = \"198.18.0.1\";" \
    " dst = \"198.19.0.1\"; }; }, { udp = { src = 1; dst = 2; }; } ); };"

static const char file[] =
    PORTS TEMPLATE "streams = ( { name = \"voice\"; port = \"east\"; template = \"t\"; rate = \"2kpps\"; "
                   "duration = \"forever\"; },"
                   "  { name = \"video\"; port = \"east\"; template = \"t\"; rate = \"2kpps\"; duration = "
                   "\"forever\"; split = true; },"
                   "  { name = \"flow\"; port = \"west\"; template = \"t\"; copies = 3; rate = \"100pps\"; "
                   "duration = \"forever\";"
                   "    vary = ( { field = \"udp.src\"; op = \"increment\"; from = 1; to = 9; } ); } );";
enum { FILE_STREAMS = 5 };

#define APPLY                                                                                        \
    "{\"method\":\"io.volleyd.Apply\",\"parameters\":{\"templates\":{\"t\":[{\"ethernet\":{\"dst\":" \
    "\"02:00:00:00:00:02\"}}]},\"streams\":[{\"name\":\"one\",\"port\":\"east\",\"template\":\"t\"," \
    "\"duration\":\"forever\"},{\"name\":\"two\",\"port\":\"west\",\"template\":\"t\",\"duration\":" \
    "\"forever\"}]}}"
enum { APPLIED_STREAMS = 2 };

#define CALL(method)             "{\"method\":\"io.volleyd." method "\"}"
#define CALL_WITH(method, texts) "{\"method\":\"io.volleyd." method "\",\"parameters\":{" texts "}}"

/* ---- a daemon without a process ---- */

struct bench {
    struct ev_loop *loop;
    struct volley *volley;
    struct control *control;
    struct server *server;
    int fd; /* a client's end */
};

static int read_file(void *context, struct plan **out, struct complaints *complaints)
{
    struct tree *tree = NULL;
    (void)context;
    int rc = tree_read_text(file, strlen(file), "test", &tree, complaints);
    return rc < 0 ? rc : plan_compile(tree, "a test", out, complaints);
}

static struct plan *plan_of_file(void)
{
    struct complaints *complaints = complaints_new();
    struct plan *plan = NULL;
    assert_int_equal(read_file(NULL, &plan, complaints), 0);
    complaints_free(complaints);
    return plan;
}

static int bench_parts(struct bench *bench, const struct plan *plan, struct err *err)
{
    int rc = volley_new(bench->loop, plan, false, &bench->volley, err);
    if (rc < 0)
        return rc;
    const struct control_wishes wishes = {
        .loop = bench->loop, .volley = bench->volley, .version = "1", .read = read_file};
    rc = control_new(&wishes, &bench->control, err);
    if (rc < 0)
        return rc;
    return server_new(bench->loop, control_service(bench->control), &server_default_limits, &bench->server,
                      err);
}

static void bench_end(struct bench *bench)
{
    if (bench->fd >= 0)
        close(bench->fd);
    server_free(bench->server);
    control_free(bench->control);
    volley_free(bench->volley);
}

static int bench_begin(void **state)
{
    static struct bench bench;
    struct plan *plan = plan_of_file();
    struct err err = {0};
    bench = (struct bench){.loop = ev_loop_new(EVFLAG_AUTO), .fd = -1};
    assert_non_null(bench.loop);
    assert_int_equal(bench_parts(&bench, plan, &err), 0);
    plan_unref(plan);
    *state = &bench;
    return 0;
}

static int bench_finish(void **state)
{
    struct bench *bench = *state;
    bench_end(bench);
    ev_loop_destroy(bench->loop);
    return 0;
}

static void stop_waiting(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop;
    (void)revents;
    *(bool *)timer->data = true;
}

/* One request and its answer ("": the client was let go). Nothing here allocates. */
static const char *ask(struct bench *bench, const char *request)
{
    static char text[1 << 18];
    int pair[2];
    size_t used = 0;
    bool over = false;
    if (bench->fd < 0) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
        server_adopt(bench->server, pair[1], ROLE_CHANGE);
        bench->fd = pair[0];
    }
    ev_timer patience;
    ev_timer_init(&patience, stop_waiting, 60., 0.);
    patience.data = &over;
    ev_timer_start(bench->loop, &patience);
    (void)send(bench->fd, request, strlen(request) + 1, MSG_NOSIGNAL);
    while (!over) {
        ssize_t n = recv(bench->fd, text + used, sizeof text - 1 - used, 0);
        if (n < 0 && errno == EAGAIN) {
            ev_run(bench->loop, EVRUN_ONCE);
            continue;
        }
        if (n <= 0) {
            close(bench->fd);
            bench->fd = -1;
            used = 0;
            break;
        }
        used += (size_t)n;
        if (text[used - 1] == '\0')
            break;
    }
    fail_alloc_rest();
    ev_timer_stop(bench->loop, &patience);
    if (over)
        fail_msg("no answer in a minute to %s", request);
    text[used] = '\0';
    return text;
}

static bool went_well(const char *answer)
{
    return answer[0] != '\0' && strstr(answer, "\"error\":") == NULL;
}

/* ---- nothing is left out of an answer ---- */

static bool has_same_shape(const json_t *answer, const json_t *whole, bool any_length);

/* How many of these there are depends on the moment. */
static bool varies(const char *key)
{
    return strcmp(key, "gaps") == 0 || strcmp(key, "reasons") == 0 || strcmp(key, "history") == 0;
}

static bool has_same_members(const json_t *answer, const json_t *whole)
{
    const char *key;
    json_t *member;
    bool same = json_object_size(answer) == json_object_size(whole);
    json_object_foreach((json_t *)whole, key, member) same &=
        has_same_shape(json_object_get(answer, key), member, varies(key));
    return same;
}

static bool has_same_elements(const json_t *answer, const json_t *whole, bool any_length)
{
    bool same = any_length || json_array_size(answer) == json_array_size(whole);
    for (size_t i = 0; same && i < json_array_size(answer) && i < json_array_size(whole); i++)
        same = has_same_shape(json_array_get(answer, i), json_array_get(whole, i), false);
    return same;
}

static bool has_same_shape(const json_t *answer, const json_t *whole, bool any_length)
{
    if (answer == NULL || json_typeof(answer) != json_typeof(whole))
        return false;
    if (json_is_object(whole))
        return has_same_members(answer, whole);
    if (json_is_array(whole))
        return has_same_elements(answer, whole, any_length);
    return !json_is_string(whole) || strcmp(json_string_value(answer), "?") != 0; /* what stands for a text */
}

static json_t *parsed(const char *text)
{
    json_t *value = json_loads(text, 0, NULL);
    if (value == NULL)
        fail_msg("not JSON: %s", text);
    return value;
}

/* Without failures: what must work now. */
static const char *ask_well(struct bench *bench, const char *request)
{
    const char *answer = ask(bench, request);
    if (answer[0] == '\0') /* this connection was on its way out */
        answer = ask(bench, request);
    if (!went_well(answer))
        fail_msg("%s: answered %s", request, answer);
    return answer;
}

static uint64_t queued(struct bench *bench, uint32_t stream)
{
    struct stream_row row;
    assert_int_equal(volley_stream_row(bench->volley, VOLLEY_NOW, stream, &row), 0);
    return row.counts.queued;
}

/* ---- the making ---- */

static void make_and_end(void *context)
{
    struct bench *bench = context;
    struct err err = {0};
    struct plan *plan = plan_of_file();
    int rc = bench_parts(bench, plan, &err);
    bool failed = fail_alloc_rest();
    if (rc < 0) {
        assert_true(failed);
        assert_true(err.text[0] != '\0');
    }
    plan_unref(plan);
    bench_end(bench);
    *bench = (struct bench){.loop = bench->loop, .fd = -1};
}

/* The plan is made before, so that only what follows fails. */
static void make_alone(void *context)
{
    struct bench *bench = ((void **)context)[0];
    struct err err = {0};
    int rc = bench_parts(bench, ((void **)context)[1], &err);
    bool failed = fail_alloc_rest();
    if (rc < 0) {
        assert_true(failed);
        assert_true(err.text[0] != '\0');
    }
    bench_end(bench);
    *bench = (struct bench){.loop = bench->loop, .fd = -1};
}

static void a_daemon_is_made_whole_or_not_at_all(void **state)
{
    (void)state;
    struct bench bench = {.loop = ev_loop_new(EVFLAG_AUTO), .fd = -1};
    struct plan *plan = plan_of_file();
    make_and_end(&bench);
    assert_true(fail_alloc_each(make_alone, (void *[]){&bench, plan}) > 5);
    plan_unref(plan);
    ev_loop_destroy(bench.loop);
}

/* ---- each method ---- */

struct asking {
    struct bench *bench;
    const char *before; /* brings the daemon where the method has something to do; NULL: nothing */
    const char *request;
    json_t *whole; /* its answer with enough memory */
    unsigned well, refused;
};

/* fail_alloc_each() has armed the failure: what comes before the request must not meet it. */
static uint64_t next_failure;
static bool failure_onwards;

static void judge_plan(const struct bench *bench)
{
    const struct plan *plan = volley_plan(bench->volley);
    bool old = plan->stream_count == FILE_STREAMS && plan_find_stream(plan, "flow.3") == 4;
    bool new = plan->stream_count == APPLIED_STREAMS &&plan_find_stream(plan, "two") == 1;
    assert_true(old || new);
}

static void judge_answer(const struct asking *it, const char *text)
{
    json_t *answer = parsed(text);
    bool refused = json_object_get(answer, "error") != NULL;
    if (refused ? json_object_size(json_object_get(answer, "parameters")) == 0
                : !has_same_shape(answer, it->whole, false))
        fail_msg("%s: with failure %u%s something is left out: %s", it->request, (unsigned)next_failure,
                 failure_onwards ? " and all after it" : "", text);
    json_decref(answer);
}

static void learn_answer(struct asking *it)
{
    if (it->before != NULL)
        ask_well(it->bench, it->before);
    it->whole = parsed(ask_well(it->bench, it->request));
}

static bool ask_failing(struct asking *it)
{
    if (it->before != NULL)
        ask_well(it->bench, it->before);
    ask_well(it->bench, CALL("GetStatus"));
    fail_alloc_arm(next_failure, failure_onwards);
    const char *answer = ask(it->bench, it->request);
    bool well = went_well(answer);
    bool failed = fail_alloc_rest();
    ++*(well ? &it->well : &it->refused);
    if (answer[0] != '\0')
        judge_answer(it, answer);
    if (!well && !failed)
        fail_msg("%s is refused without a failure: %s", it->request, answer);
    judge_plan(it->bench);
    return failed;
}

/* A stop that was answered well has stopped; whatever came, stopping works, and then nothing sends. */
static void judge_stopped(struct asking *it)
{
    uint64_t before[FILE_STREAMS], still[FILE_STREAMS];
    ask_well(it->bench, CALL("Stop"));
    uint32_t streams = volley_plan(it->bench->volley)->stream_count;
    for (uint32_t i = 0; i < streams; i++)
        before[i] = queued(it->bench, i);
    usleep(2000);
    for (uint32_t i = 0; i < streams; i++)
        still[i] = queued(it->bench, i);
    assert_memory_equal(before, still, streams * sizeof *before);
}

static void each_failure(struct asking *it)
{
    learn_answer(it);
    for (int onwards = 0; onwards < 2; onwards++) {
        failure_onwards = onwards;
        next_failure = 0;
        do
            next_failure++;
        while (ask_failing(it));
        judge_stopped(it);
    }
    json_decref(it->whole);
    print_message("%.40s: %u well, %u refused\n", it->request, it->well, it->refused);
    assert_true(it->well >= 2);
}

static void reading_methods_answer_or_let_go(void **state)
{
    static const char *const requests[] = {CALL("GetStatus"), CALL("Counters"),
                                           "{\"method\":\"org.varlink.service.GetInfo\"}",
                                           ("{\"method\":\"org.varlink.service.GetInterfaceDescription\","
                                            "\"parameters\":{\"interface\":\"io.volleyd\"}}")};
    ask_well(*state, CALL("Start"));
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
        each_failure(&(struct asking){.bench = *state, .request = requests[i]});
    ask_well(*state, CALL("Start"));
    ask_well(*state, CALL("Stop"));
    while (volley_run_row(((struct bench *)*state)->volley, VOLLEY_LAST, &(struct run_row){0}) < 0)
        ev_run(((struct bench *)*state)->loop, EVRUN_ONCE);
    each_failure(&(struct asking){.bench = *state, .request = CALL("Report")});
}

static void start_starts_or_says_why_not(void **state)
{
    each_failure(&(struct asking){.bench = *state, .before = CALL("Stop"), .request = CALL("Start")});
}

/* What queue q of the first port has queued; the split stream alone runs there. */
static uint64_t queued_on(struct bench *bench, uint32_t q)
{
    static struct port_row row;
    assert_int_equal(volley_port_row(bench->volley, VOLLEY_NOW, 0, &row), 0);
    return row.queue[q].frames.queued;
}

static bool is_running(struct bench *bench, uint32_t stream)
{
    struct stream_row row;
    assert_int_equal(volley_stream_row(bench->volley, VOLLEY_NOW, stream, &row), 0);
    return row.state == STREAM_RUNNING || row.state == STREAM_ARMED;
}

/* Both of its queues send, or neither does, once the workers' answers have come. */
static void judge_split(struct bench *bench, uint32_t split)
{
    uint64_t before[2] = {queued_on(bench, 0), queued_on(bench, 1)};
    for (int i = 0; i < 20000 && is_running(bench, split); i++) {
        if (queued_on(bench, 0) > before[0] && queued_on(bench, 1) > before[1])
            return;
        usleep(500);
        ev_run(bench->loop, EVRUN_NOWAIT);
    }
    for (int i = 0; i < 2000 && !is_running(bench, split); i++) { /* a half would never come to rest */
        before[0] = queued_on(bench, 0);
        before[1] = queued_on(bench, 1);
        usleep(5000);
        ev_run(bench->loop, EVRUN_NOWAIT);
        if (queued_on(bench, 0) == before[0] && queued_on(bench, 1) == before[1])
            return;
    }
    fail_msg("failure %u: some of its queues send, others do not", (unsigned)next_failure);
}

static void a_split_stream_is_steered_whole(void **state)
{
    static const struct {
        const char *before, *request;
    } acts[] = {
        {CALL("Stop"), CALL_WITH("Start", "\"streams\":[\"video\"]")},
        {CALL_WITH("Start", "\"streams\":[\"video\"]"), CALL("Stop")},
        {CALL_WITH("Start", "\"streams\":[\"video\"]"), CALL_WITH("Pause", "\"streams\":[\"video\"]")},
    };
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        struct asking it = {.bench = *state, .before = acts[i].before, .request = acts[i].request};
        learn_answer(&it);
        bool failed = true;
        for (failure_onwards = false, next_failure = 1; failed; next_failure++) {
            failed = ask_failing(&it);
            judge_split(it.bench, 1);
            ask_well(it.bench, CALL("Stop"));
            judge_split(it.bench, 1);
        }
        json_decref(it.whole);
    }
}

/* After a good answer nothing sends; judged each time, not only at the end. */
static void stop_has_stopped_when_it_says_so(void **state)
{
    struct asking it = {.bench = *state, .before = CALL("Start"), .request = CALL("Stop")};
    learn_answer(&it);
    for (failure_onwards = false, next_failure = 1; ask_failing(&it); next_failure++) {
        uint32_t running = 0;
        for (uint32_t i = 0; i < FILE_STREAMS; i++) {
            struct stream_row row;
            volley_stream_row(it.bench->volley, VOLLEY_NOW, i, &row);
            running += row.state == STREAM_RUNNING;
        }
        if (running == 0)
            judge_stopped(&it);
    }
    json_decref(it.whole);
    each_failure(&it);
}

static void steering_steers_or_says_why_not(void **state)
{
    ask_well(*state, CALL("Start"));
    each_failure(&(struct asking){
        .bench = *state, .before = CALL("Start"), .request = CALL_WITH("SetRate", "\"multiplier\":\"0.5\"")});
    each_failure(&(struct asking){.bench = *state, .before = CALL("Start"), .request = CALL("Pause")});
    each_failure(&(struct asking){
        .bench = *state, .before = CALL("Start"), .request = CALL_WITH("Lease", "\"seconds\":60")});
    ask_well(*state, CALL("Release"));
}

static void apply_and_reload_swap_all_or_nothing(void **state)
{
    each_failure(&(struct asking){.bench = *state, .before = CALL("Reload"), .request = APPLY});
    each_failure(&(struct asking){.bench = *state, .before = APPLY, .request = CALL("Reload")});
}

static void under_traffic_too(void **state)
{
    struct asking it = {.bench = *state, .before = CALL("Reload"), .request = APPLY};
    learn_answer(&it);
    it.before = NULL;
    for (int onwards = 0; onwards < 2; onwards++) {
        failure_onwards = onwards;
        next_failure = 0;
        do {
            ask_well(*state, CALL("Reload"));
            ask_well(*state, CALL("Start"));
            next_failure++;
        } while (ask_failing(&it));
    }
    json_decref(it.whole);
    judge_stopped(&it);
}

#define BENCH_TEST(test) cmocka_unit_test_setup_teardown(test, bench_begin, bench_finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_daemon_is_made_whole_or_not_at_all),
        BENCH_TEST(reading_methods_answer_or_let_go),
        BENCH_TEST(start_starts_or_says_why_not),
        BENCH_TEST(a_split_stream_is_steered_whole),
        BENCH_TEST(stop_has_stopped_when_it_says_so),
        BENCH_TEST(steering_steers_or_says_why_not),
        BENCH_TEST(apply_and_reload_swap_all_or_nothing),
        BENCH_TEST(under_traffic_too),
    };
    fail_alloc_use_jansson();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
