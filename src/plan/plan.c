/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a tree to a plan, in order:
 *
 *   spec_read ─► ports ─► entries ─► copies ─► carried over ─► names ─► chains ─► phases ─► rates
 *                          template, port,      (plan_apply with add: streams of the plan before)
 *                          expect, require
 *
 * Each step complains and goes on, so that one pass tells all that is wrong. Copies of an entry share its
 * spec, its arrays and, where no field differs, its packet. A stream that is carried over stays the property
 * of the plan that made it; the new plan holds a reference to that one. */
#include "plan/plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan/each.h"
#include "plan/whole.h"

/* gcc 12's analyzer loses sight of what a struct whole owns, and takes the references of base and origins for
 * whole itself. ASan sees neither a leak nor a use after free, at every failing allocation
 * (test_memory_plan). */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#pragma GCC diagnostic ignored "-Wanalyzer-use-after-free"
#endif

struct compiler {
    struct whole *whole;
    struct complaints *complaints;
    const struct node *template_hint; /* where the last one was found: files go through them in order */
    char *names_at;                   /* room left in whole->names */
    bool out_of_memory, may_read_files;
};

/* ---- lifecycle ---- */

static struct whole *whole_new(struct tree *tree, const char *source)
{
    struct whole *whole = calloc(1, sizeof *whole);
    if (whole == NULL) {
        tree_free(tree);
        return NULL;
    }
    whole->references = 1;
    whole->tree = tree;
    snprintf(whole->plan.source, sizeof whole->plan.source, "%s", source);
    return whole;
}

struct plan *plan_ref(const struct plan *plan)
{
    whole_of(plan)->references++;
    return &whole_of(plan)->plan;
}

void plan_unref(const struct plan *plan)
{
    struct whole *whole = plan != NULL ? whole_of(plan) : NULL;
    if (whole == NULL || --whole->references > 0)
        return;
    for (size_t i = 0; i < whole->packet_count; i++)
        packet_free(whole->packets[i]);
    for (size_t i = 0; whole->entries != NULL && i < whole->spec.stream_count; i++) {
        free(whole->entries[i].expect);
        free(whole->entries[i].require);
    }
    for (uint32_t i = 0; whole->origins != NULL && i < whole->plan.stream_count; i++)
        if (whole->origins[i] != NULL)
            plan_unref(&whole->origins[i]->plan);
    if (whole->base != NULL)
        plan_unref(&whole->base->plan);
    free(whole->packets);
    free(whole->entries);
    free(whole->origins);
    free(whole->by_name);
    free(whole->budgets);
    free(whole->names);
    free(whole->plan.ports);
    free(whole->plan.streams);
    spec_fini(&whole->spec);
    tree_free(whole->tree);
    free(whole);
}

/* ---- looking up ---- */

uint32_t plan_find_stream(const struct plan *plan, const char *name)
{
    const uint32_t *by_name = whole_of(plan)->by_name;
    uint32_t low = 0, high = plan->stream_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = strcmp(name, plan->streams[by_name[middle]].name);
        if (order == 0)
            return by_name[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return PLAN_NONE;
}

uint32_t plan_find_port(const struct plan *plan, const char *name)
{
    for (uint32_t i = 0; i < plan->port_count; i++)
        if (plan->ports[i].spec->name != NULL && strcmp(plan->ports[i].spec->name, name) == 0)
            return i;
    return PLAN_NONE;
}

static int compare_streams(const void *a, const void *b, void *context)
{
    const struct plan_stream *streams = context;
    return strcmp(streams[*(const uint32_t *)a].name, streams[*(const uint32_t *)b].name);
}

static void index_names(struct compiler *compiler)
{
    struct plan *plan = &compiler->whole->plan;
    uint32_t *by_name = malloc((plan->stream_count + (size_t)1) * sizeof *by_name);
    compiler->whole->by_name = by_name;
    if (by_name == NULL) {
        compiler->out_of_memory = true;
        return;
    }
    for (uint32_t i = 0; i < plan->stream_count; i++)
        by_name[i] = i;
    qsort_r(by_name, plan->stream_count, sizeof *by_name, compare_streams, plan->streams);
}

/* ---- what an entry names ---- */

static const struct node *key_of(const struct node *at, const char *key)
{
    const struct node *node = node_find(at, key);
    return node != NULL ? node : at;
}

static void complain_unknown(struct compiler *compiler, const struct node *at, const char *what,
                             const char *name, const char *const names[], size_t count)
{
    const char *near = nearest_name(name, names, count);
    if (near != NULL)
        complain(compiler->complaints, at, "there is no %s `%s`; `%s`?", what, name, near);
    else
        complain(compiler->complaints, at, "there is no %s `%s`; write the name of one in `%ss`", what, name,
                 what);
}

static const struct node *find_template(struct compiler *compiler, const char *name)
{
    const struct node *templates = compiler->whole->plan.spec.templates, *start = compiler->template_hint;
    if (templates == NULL)
        return NULL;
    for (const struct node *at = start; at != NULL; at = at->next)
        if (strcmp(at->name, name) == 0)
            return compiler->template_hint = at;
    for (const struct node *at = templates->child; at != start; at = at->next)
        if (strcmp(at->name, name) == 0)
            return compiler->template_hint = at;
    return NULL;
}

static void complain_no_template(struct compiler *compiler, const struct stream_spec *spec)
{
    const struct node *templates = compiler->whole->plan.spec.templates;
    size_t count = 0;
    const char **names = calloc((templates != NULL ? templates->children : 0) + 1, sizeof *names);
    if (templates != NULL && names != NULL)
        NODE_EACH(member, templates)
    names[count++] = member->name;
    complain_unknown(compiler, key_of(spec->at, "template"), "template", spec->template_name, names, count);
    free(names);
}

static const struct node *layers_of(struct compiler *compiler, const struct stream_spec *spec)
{
    if (spec->template_name == NULL)
        return node_find(spec->at, "template");
    const struct node *layers = find_template(compiler, spec->template_name);
    if (layers == NULL)
        complain_no_template(compiler, spec);
    return layers;
}

static uint32_t port_named(struct compiler *compiler, const char *name, const struct node *at)
{
    const struct plan *plan = &compiler->whole->plan;
    const char *names[PORTS_MAX];
    size_t count = 0;
    uint32_t found = plan_find_port(plan, name);
    if (found != PLAN_NONE)
        return found;
    for (uint32_t i = 0; i < plan->port_count && count < PORTS_MAX; i++)
        if (plan->ports[i].spec->name != NULL)
            names[count++] = plan->ports[i].spec->name;
    complain_unknown(compiler, at, "port", name, names, count);
    return PLAN_NONE;
}

/* The node of one member of a list that may also be written as a single text. */
static const struct node *member_of(const struct node *list, size_t index)
{
    if (list->kind != NODE_LIST)
        return list;
    const struct node *member = list->child;
    while (index-- > 0)
        member = member->next;
    return member;
}

static void read_expect(struct compiler *compiler, const struct stream_spec *spec, struct entry *entry)
{
    const struct plan *plan = &compiler->whole->plan;
    const struct node *list = key_of(spec->at, "expect");
    entry->expect = calloc(spec->expected + 1, sizeof *entry->expect);
    if (entry->expect == NULL) {
        compiler->out_of_memory = true;
        return;
    }
    for (size_t i = 0; i < spec->expected; i++) {
        uint32_t port = port_named(compiler, spec->expect[i], member_of(list, i));
        if (port == PLAN_NONE)
            continue;
        if (!plan->ports[port].spec->receive)
            complain(compiler->complaints, member_of(list, i),
                     "port %s does not receive (%s); write receive = true in it", spec->expect[i],
                     plan->ports[port].spec->at->where);
        entry->expect[entry->expected++] = port;
    }
}

static void read_require(struct compiler *compiler, const struct stream_spec *spec, struct entry *entry)
{
    struct err err;
    const struct node *list = key_of(spec->at, "require");
    entry->require = calloc(spec->required + 1, sizeof *entry->require);
    if (entry->require == NULL) {
        compiler->out_of_memory = true;
        return;
    }
    for (size_t i = 0; i < spec->required; i++)
        if (requirement_parse(spec->require[i], &entry->require[entry->required], &err) == 0)
            entry->required++;
        else
            complain(compiler->complaints, member_of(list, i), "%s", err.text);
}

/* ---- limits ---- */

/* As long as what is written lasts; see plan.h. */
static uint64_t natural_duration(const struct stream_spec *spec)
{
    const struct shape_spec *shape = &spec->shape;
    uint64_t all_ns;
    if (spec->has_duration || spec->has_count)
        return spec->duration_ns;
    if (shape->has_ramp)
        return shape->ramp_over_ns;
    if (shape->has_stairs)
        return __builtin_mul_overflow(shape->stair_ns, (uint64_t)shape->steps, &all_ns) ? UINT64_MAX : all_ns;
    return shape->has_burst && shape->bursts > 0 ? UINT64_MAX : spec->duration_ns;
}

static uint64_t limited_duration(struct compiler *compiler, const struct stream_spec *spec)
{
    const struct safety_spec *safety = &compiler->whole->plan.spec.safety;
    const struct whole *file = compiler->whole->base != NULL ? compiler->whole->base : compiler->whole;
    const struct node *group = node_find(tree_root(file->tree), "safety");
    const struct node *limit = group != NULL ? node_find(group, "max_duration") : NULL;
    uint64_t duration_ns = natural_duration(spec);
    char asked[32], most[32];
    if (duration_ns <= safety->max_duration_ns)
        return duration_ns;
    units_format_time(safety->max_duration_ns, most, sizeof most);
    if (duration_ns != UINT64_MAX)
        complain(compiler->complaints, key_of(spec->at, "duration"),
                 "%s is longer than safety.max_duration, %s (%s); write less, or raise the limit",
                 units_format_time(duration_ns, asked, sizeof asked), most,
                 limit != NULL ? limit->where : "default");
    else if (spec->has_duration)
        complain_warn(compiler->complaints, key_of(spec->at, "duration"),
                      "ends after safety.max_duration, %s (%s)", most,
                      limit != NULL ? limit->where : "default");
    return safety->max_duration_ns;
}

static void check_split(struct compiler *compiler, const struct stream_spec *spec,
                        const struct port_spec *port)
{
    const struct node *split = node_find(spec->at, "split");
    if (!spec->split || split == NULL)
        return;
    if (spec->shape.has_burst)
        complain(compiler->complaints, split,
                 "a train leaves by one queue, `burst` (%s) cannot be split; leave one out",
                 key_of(spec->at, "burst")->where);
    if (spec->has_count && spec->count < port->queues)
        complain(compiler->complaints, split,
                 "a count of %" PRIu64 " (%s) has not one frame for each of %" PRIu32
                 " queues; leave one out",
                 spec->count, key_of(spec->at, "count")->where, port->queues);
    if (spec->expected > 0 && port->queues > 1)
        complain(compiler->complaints, split,
                 "the queues of a split stream would each number their frames, `expect` (%s) needs one "
                 "numbering; leave one out, or write a stream for each queue (copies = %" PRIu32 ")",
                 key_of(spec->at, "expect")->where, port->queues);
    if (port->queues == 1)
        complain_warn(compiler->complaints, split, "port %s has one queue (%s), there is nothing to split",
                      port->name, port->at->where);
}

static void check_offload(struct compiler *compiler, const struct stream_spec *spec,
                          const struct port_spec *port)
{
    const struct node *offload = key_of(spec->at, "offload");
    if (!spec->udp_segment)
        return;
    if (!port->qdisc)
        complain(compiler->complaints, offload,
                 "udp-segment needs the queueing discipline's path; write qdisc = true in port %s (%s)",
                 port->name, port->at->where);
    if (port->cooked)
        complain(compiler->complaints, offload,
                 "udp-segment needs whole frames, and port %s is cooked (%s); leave one out", port->name,
                 key_of(port->at, "cooked")->where);
}

/* ---- packets and copies ---- */

static struct packet *keep_packet(struct compiler *compiler, struct packet *packet)
{
    compiler->whole->packets[compiler->whole->packet_count++] = packet;
    return packet;
}

/* As many segments as the kernel takes and one datagram holds. */
static uint16_t segments_for(const struct packet *packet)
{
    enum { KERNEL_MAX_SEGMENTS = 64, RUN_MAX_BYTES = 65000 };
    uint32_t fit = RUN_MAX_BYTES / packet_largest(packet);
    return (uint16_t)(fit < KERNEL_MAX_SEGMENTS ? fit : KERNEL_MAX_SEGMENTS);
}

/* What fails without a complaint fails for want of memory. */
static struct packet *try_packet(struct compiler *compiler, const struct packet_request *request)
{
    struct packet *packet = NULL;
    size_t errors = complaints_errors(compiler->complaints);
    if (packet_compile(request, &packet, compiler->complaints) == 0)
        return packet;
    compiler->out_of_memory |= complaints_errors(compiler->complaints) == errors;
    return NULL;
}

static struct packet *compile_packet(struct compiler *compiler, const struct stream_spec *spec,
                                     struct packet_request *request)
{
    request->segments = 1;
    struct packet *packet = try_packet(compiler, request);
    if (packet == NULL)
        return NULL;
    if (!spec->udp_segment)
        return keep_packet(compiler, packet);
    request->segments = segments_for(packet);
    packet_free(packet);
    packet = try_packet(compiler, request);
    return packet != NULL ? keep_packet(compiler, packet) : NULL;
}

static struct packet_request request_of(const struct compiler *compiler, const struct stream_spec *spec,
                                        const struct node *layers, const struct port_spec *port)
{
    return (struct packet_request){.at = spec->at,
                                   .layers = layers,
                                   .set = node_find(spec->at, "set"),
                                   .vary = node_find(spec->at, "vary"),
                                   .size = node_find(spec->at, "size"),
                                   .mix = node_find(spec->at, "mix"),
                                   .payload = node_find(spec->at, "payload"),
                                   .may_read_files = compiler->may_read_files,
                                   .signature = spec->expected > 0,
                                   .special = spec->special,
                                   .cooked = port->cooked};
}

static const char *name_of_copy(struct compiler *compiler, const struct stream_spec *spec, uint64_t copy)
{
    if (spec->copies <= 1)
        return spec->name;
    char *name = compiler->names_at;
    compiler->names_at += sprintf(name, "%s.%" PRIu64, spec->name, copy) + 1;
    return name;
}

static struct rate rate_of(const struct stream_spec *spec)
{
    if (!spec->has_gap)
        return spec->rate;
    uint64_t num = UINT64_C(1000000000), den = spec->gap_ns;
    for (uint64_t a = num, b = den;;) { /* in lowest terms */
        uint64_t rest = a % b;
        if (rest == 0)
            return (struct rate){RATE_PPS, {num / b, den / b}};
        a = b;
        b = rest;
    }
}

static void note_port(struct plan_port *port, const struct packet *packet)
{
    const struct packet_segmentation *runs = packet_segmentation(packet);
    uint32_t largest = packet_largest(packet), smallest = packet_smallest(packet);
    uint16_t segments = runs != NULL ? runs->segments : 1;
    uint32_t wire = runs != NULL ? (uint32_t)runs->header_bytes + runs->payload_bytes : largest;
    port->wire_bytes = wire > port->wire_bytes ? wire : port->wire_bytes;
    port->largest_bytes = largest > port->largest_bytes ? largest : port->largest_bytes;
    port->smallest_bytes =
        port->streams == 0 || smallest < port->smallest_bytes ? smallest : port->smallest_bytes;
    port->segments = segments > port->segments ? segments : port->segments;
    port->streams++;
}

static void compile_copies(struct compiler *compiler, const struct plan_stream *pattern,
                           const struct each *each, struct packet_request *request)
{
    struct plan *plan = &compiler->whole->plan;
    const struct stream_spec *spec = pattern->spec;
    struct packet *packet = NULL;
    struct each_texts texts;
    for (uint64_t copy = 1; copy <= spec->copies; copy++) {
        struct plan_stream stream = *pattern;
        if (packet == NULL || each->fields > 0) {
            if (!each_fields(each, copy - 1, &texts, compiler->complaints))
                return;
            request->overrides = texts.overrides;
            request->override_count = each->fields;
            packet = compile_packet(compiler, spec, request);
        }
        /* What is wrong with one copy is wrong with most: told once. */
        if (packet == NULL ||
            !each_keys(each, copy - 1, &stream.rate, &stream.delay_ns, compiler->complaints))
            return;
        stream.name = name_of_copy(compiler, spec, copy);
        stream.copy = spec->copies > 1 ? (uint32_t)copy : 0;
        stream.packet = packet;
        stream.fingerprint = fingerprint_bytes(pattern->fingerprint, &copy, sizeof copy);
        note_port(&plan->ports[stream.port], packet);
        plan->streams[plan->stream_count++] = stream;
    }
}

static void compile_entry(struct compiler *compiler, size_t index)
{
    struct whole *whole = compiler->whole;
    const struct stream_spec *spec = &whole->spec.streams[index];
    struct entry *entry = &whole->entries[index];
    struct each each;
    if (spec->name == NULL || spec->port == NULL)
        return; /* told by the schema */
    const struct node *layers = layers_of(compiler, spec);
    uint32_t port = port_named(compiler, spec->port, key_of(spec->at, "port"));
    read_expect(compiler, spec, entry);
    read_require(compiler, spec, entry);
    bool right = each_read(node_find(spec->at, "each"), &each, compiler->complaints);
    uint64_t duration_ns = limited_duration(compiler, spec);
    if (layers == NULL || port == PLAN_NONE || !right)
        return;
    const struct port_spec *port_spec = whole->plan.ports[port].spec;
    check_split(compiler, spec, port_spec);
    check_offload(compiler, spec, port_spec);
    uint64_t seed = fingerprint_node(UINT64_C(0xcbf29ce484222325), spec->at);
    entry->fingerprint = fingerprint_node(fingerprint_node(seed, layers), port_spec->at);
    struct plan_stream pattern = {.spec = spec,
                                  .port = port,
                                  .rate = rate_of(spec),
                                  .count = spec->has_count ? spec->count : 0,
                                  .duration_ns = duration_ns,
                                  .delay_ns = spec->delay_ns,
                                  .phase = spec->has_phase ? spec->phase : (struct ratio){0, 1},
                                  .next = PLAN_NONE,
                                  .expect = entry->expect,
                                  .expected = entry->expected,
                                  .require = entry->require,
                                  .required = entry->required,
                                  .fingerprint = entry->fingerprint};
    struct packet_request request = request_of(compiler, spec, layers, port_spec);
    compile_copies(compiler, &pattern, &each, &request);
}

/* ---- the whole ---- */

/* How many streams the entries make, and how long the names of copies are together. */
static size_t count_streams(const struct spec *spec, size_t *name_bytes)
{
    enum { COPY_NUMBER_BYTES = 22 };
    size_t streams = 0;
    *name_bytes = 1;
    for (size_t i = 0; i < spec->stream_count; i++) {
        streams += spec->streams[i].copies;
        if (spec->streams[i].copies > 1 && spec->streams[i].name != NULL)
            *name_bytes += spec->streams[i].copies * (strlen(spec->streams[i].name) + COPY_NUMBER_BYTES);
    }
    return streams;
}

static bool make_room(struct compiler *compiler, size_t carried)
{
    struct whole *whole = compiler->whole;
    struct plan *plan = &whole->plan;
    size_t name_bytes, own = count_streams(&whole->spec, &name_bytes);
    if (own + carried > STREAMS_MAX) {
        complain(compiler->complaints, key_of(tree_root(whole->tree), "streams"),
                 "makes %zu streams with all copies; at most %d can be", own + carried, STREAMS_MAX);
        return false;
    }
    plan->port_count = (uint32_t)plan->spec.port_count;
    plan->ports = calloc(plan->port_count + (size_t)1, sizeof *plan->ports);
    plan->streams = calloc(own + carried + 1, sizeof *plan->streams);
    whole->packets =
        calloc(own + 1, sizeof(struct packet *)); /* NOLINT(bugprone-sizeof-expression): pointers */
    whole->entries = calloc(whole->spec.stream_count + 1, sizeof *whole->entries);
    whole->origins = calloc(own + carried + 1, sizeof *whole->origins);
    whole->budgets = calloc(plan->port_count + (size_t)1, sizeof *whole->budgets);
    whole->names = compiler->names_at = malloc(name_bytes);
    compiler->out_of_memory |= plan->ports == NULL || plan->streams == NULL || whole->packets == NULL ||
                               whole->entries == NULL || whole->origins == NULL || whole->budgets == NULL ||
                               whole->names == NULL;
    return !compiler->out_of_memory;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Streams of the plan before whose places no entry of the new tree takes, by name or as its copies. */
static void carry_over(struct compiler *compiler, const struct plan *from)
{
    struct whole *whole = compiler->whole;
    const struct whole *old = whole_of(from);
    size_t count = 0;
    const char **names = malloc((whole->spec.stream_count + 1) * sizeof *names);
    if (names == NULL) {
        compiler->out_of_memory = true;
        return;
    }
    for (size_t i = 0; i < whole->spec.stream_count; i++)
        if (whole->spec.streams[i].name != NULL)
            names[count++] = whole->spec.streams[i].name;
    qsort(names, count, sizeof *names, compare_names);
    for (uint32_t i = 0; i < from->stream_count; i++) {
        const struct plan_stream *stream = &from->streams[i];
        if (bsearch(&stream->name, names, count, sizeof *names, compare_names) != NULL ||
            bsearch(&stream->spec->name, names, count, sizeof *names, compare_names) != NULL)
            continue;
        const struct whole *origin = old->origins[i] != NULL ? old->origins[i] : old;
        uint32_t at = whole->plan.stream_count++;
        whole->plan.streams[at] = *stream;
        whole->origins[at] = whole_of(plan_ref(&origin->plan));
        note_port(&whole->plan.ports[stream->port], stream->packet);
    }
    free(names);
}

static int compile(struct compiler *compiler, const struct plan *carried)
{
    struct whole *whole = compiler->whole;
    struct plan *plan = &whole->plan;
    if (!make_room(compiler, carried != NULL ? carried->stream_count : 0))
        return compiler->out_of_memory ? -ENOMEM : -EINVAL;
    for (uint32_t i = 0; i < plan->port_count; i++)
        plan->ports[i] = (struct plan_port){.spec = &plan->spec.ports[i], .segments = 1};
    if (carried != NULL)
        carry_over(compiler, carried);
    for (size_t i = 0; i < whole->spec.stream_count; i++)
        compile_entry(compiler, i);
    index_names(compiler);
    if (compiler->out_of_memory)
        return -ENOMEM;
    plan_check_names(whole, compiler->complaints);
    plan_check_ports(whole, compiler->complaints);
    plan_link_chains(whole, compiler->complaints);
    plan_check_chains(whole, compiler->complaints);
    plan_spread_phases(whole);
    plan_check_rates(whole, compiler->complaints);
    return complaints_errors(compiler->complaints) > 0 ? -EINVAL : 0;
}

static int finish(struct compiler *compiler, const struct plan *carried, struct plan **out)
{
    int rc = compiler->out_of_memory ? -ENOMEM : compile(compiler, carried);
    if (rc == -ENOMEM)
        complain_memory(compiler->complaints);
    if (rc == 0)
        *out = &compiler->whole->plan;
    else
        plan_unref(&compiler->whole->plan);
    return rc;
}

int plan_compile(struct tree *tree, const char *source, struct plan **out, struct complaints *complaints)
{
    struct compiler compiler = {
        .whole = whole_new(tree, source), .complaints = complaints, .may_read_files = true};
    if (compiler.whole == NULL)
        return -ENOMEM;
    /* What is wrong there is in complaints. */
    compiler.out_of_memory = spec_read(tree, SPEC_FILE, &compiler.whole->spec, complaints) == -ENOMEM;
    compiler.whole->plan.spec = compiler.whole->spec;
    return finish(&compiler, NULL, out);
}

int plan_apply(const struct plan *base, struct tree *tree, bool add, const char *source, struct plan **out,
               struct complaints *complaints)
{
    const struct whole *ports = whole_of(base)->base != NULL ? whole_of(base)->base : whole_of(base);
    struct compiler compiler = {.whole = whole_new(tree, source), .complaints = complaints};
    if (compiler.whole == NULL)
        return -ENOMEM;
    struct whole *whole = compiler.whole;
    compiler.out_of_memory = spec_read(tree, SPEC_APPLY, &whole->spec, complaints) == -ENOMEM;
    whole->base = whole_of(plan_ref(&ports->plan));
    whole->plan.spec = whole->spec;
    whole->plan.spec.control = ports->plan.spec.control;
    whole->plan.spec.safety = ports->plan.spec.safety;
    whole->plan.spec.ports = ports->plan.spec.ports;
    whole->plan.spec.port_count = ports->plan.spec.port_count;
    return finish(&compiler, add ? base : NULL, out);
}
