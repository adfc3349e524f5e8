/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a frame costs in user space, all of it but the kick: schedule, stamp, patch, accounts, on an engine
 * without a kernel (whose own cost, some ns, is in it). By the number of streams on one queue, at rate max
 * and paced, on a clock that moves as fast as the loop sends; unvarying, and with address and port varying
 * and checksums right. Median of several rounds of the thread's own time. make bench-sendloop */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "config/read.h"
#include "run/sendloop.h"

enum { FRAMES = 400000, ROUNDS = 7, SLOTS = 1024, BATCH = 128, TOTAL_PPS = 1000000 };

#define LAYERS                                                                           \
    "layers: ({ethernet: {dst: \"02:00:00:00:00:02\"; src: \"02:00:00:00:00:01\"; };}, " \
    "{ipv4: {src: \"198.18.0.1\"; dst: \"198.19.0.1\"; };}, {udp: {src: 5004; dst: 5004; };});"
#define VARY                                                                                          \
    "vary: ({field: \"ipv4.dst\"; op: \"increment\"; from: \"198.19.0.1\"; to: \"198.19.3.255\"; }, " \
    "{field: \"udp.src\"; op: \"random\"; });"

/* Time that moves as fast as the loop sends: each turn looks at the clock about four times. */
static uint64_t now_ns = NS_PER_SECOND;

static uint64_t pretended_ns(void)
{
    return now_ns += BATCH / 4 * (NS_PER_SECOND / TOTAL_PPS);
}

static void die(const char *why)
{
    fprintf(stderr, "bench_sendloop: %s\n", why);
    exit(1);
}

static struct packet *compile(const char *text)
{
    struct complaints *complaints = complaints_new();
    struct tree *tree;
    struct packet *packet;
    if (tree_read_text(text, strlen(text), "bench", &tree, complaints) != 0)
        die(complaints_get(complaints, 0)->text);
    const struct node *root = tree_root(tree);
    struct packet_request request = {
        .at = root, .layers = node_find(root, "layers"), .vary = node_find(root, "vary")};
    if (packet_compile(&request, &packet, complaints) != 0)
        die(complaints_get(complaints, 0)->text);
    tree_free(tree);
    complaints_free(complaints);
    return packet;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double send_frames(struct sendloop *loop)
{
    struct sendloop_state state;
    uint64_t sent = 0, begin_ns = clock_read_ns(CLOCK_THREAD_CPUTIME_ID);
    while (sent < FRAMES) {
        sendloop_slice(loop, now_ns + NS_PER_MS, &state);
        sent += state.sent;
    }
    return (double)(clock_read_ns(CLOCK_THREAD_CPUTIME_ID) - begin_ns) / (double)sent;
}

static struct part *make_part(struct packet *packet, uint32_t streams, bool paced)
{
    struct part *part = part_new(packet, 0, 1);
    if (part == NULL)
        die("out of memory");
    part->shape = (struct pace_shape){.rate = {PACE_MAX, {0, 1}}, .duration_ns = UINT64_MAX};
    if (paced)
        part->shape.rate = (struct pace_rate){PACE_FRAMES, {TOTAL_PPS, streams}};
    part->pacer = pacer_new(&part->shape);
    return part;
}

static double cost_ns(const char *text, uint32_t streams, bool paced)
{
    struct engine_facts facts = {.interface = "none", .mtu = 1500, .link_header_bytes = 14};
    struct engine_wishes engine_wishes = {.largest_bytes = 60, .frames = SLOTS};
    struct sendloop_wishes wishes = {.limits = {.late_ns = NS_PER_SECOND, .max_burst = 1 << 30},
                                     .batch_min = BATCH,
                                     .batch_max = BATCH,
                                     .clock_ns = pretended_ns};
    struct part **parts = calloc(streams, sizeof(struct part *));
    struct packet **packets = calloc(streams, sizeof(struct packet *));
    double rounds[ROUNDS];
    struct engine *engine;
    if (parts == NULL || packets == NULL || mock_ops.open(&facts, &engine_wishes, &engine, NULL) != 0)
        die("out of memory");
    for (uint32_t i = 0; i < streams; i++) {
        packets[i] = compile(text);
        parts[i] = make_part(packets[i], streams, paced);
    }
    struct sendloop *loop = sendloop_new(engine, parts, streams, &wishes);
    if (loop == NULL)
        die("out of memory");
    sendloop_take(loop);
    for (uint32_t i = 0; i < streams; i++)
        sendloop_begin(loop, i, now_ns + i * (NS_PER_SECOND / TOTAL_PPS));
    for (int round = 0; round < ROUNDS; round++)
        rounds[round] = send_frames(loop);
    sendloop_free(loop);
    for (uint32_t i = 0; i < streams; i++) {
        part_free(parts[i]);
        packet_free(packets[i]);
    }
    mock_ops.close(engine);
    free(parts);
    free(packets);
    qsort(rounds, ROUNDS, sizeof *rounds, ascending);
    return rounds[ROUNDS / 2];
}

int main(void)
{
    static const uint32_t counts[] = {1, 10, 100, 1000, 10000};
    static const struct {
        const char *name, *text;
        bool paced;
    } rows[] = {{"unvarying, rate max", LAYERS, false},
                {"varying, rate max", LAYERS VARY, false},
                {"unvarying, paced", LAYERS, true},
                {"varying, paced", LAYERS VARY, true}};
    printf("%-22s  streams  ns/frame\n", "");
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++)
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
            printf("%-22s  %7u  %8.1f\n", rows[row].name, counts[i],
                   cost_ns(rows[row].text, counts[i], rows[row].paced));
    return 0;
}
