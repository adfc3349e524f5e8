/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plan/each.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "pace/beat.h"
#include "packet/nodes.h"

static const char *const rule_keys[] = {"field", "key", "op", "from", "to", "step", "values"};
static const char *const stream_keys[] = {[EACH_RATE] = "rate", [EACH_DELAY] = "delay"};
static const char *const ops[] = {"increment", "decrement", "list"};

/* A number or text as text. */
static const char *text_of(const struct node *node, char buffer[48])
{
    if (node->kind == NODE_TEXT)
        return node->text;
    if (node->kind == NODE_INT)
        snprintf(buffer, 48, "%" PRId64, node->integer);
    else
        snprintf(buffer, 48, "%.15g", node->real);
    return buffer;
}

static bool is_scalar(const struct node *node)
{
    return node->kind == NODE_TEXT || node->kind == NODE_INT || node->kind == NODE_FLOAT;
}

/* ---- forms: how a text becomes a number that can be stepped, and back ---- */

static bool number_from(const char *text, uint128 *out)
{
    uint64_t value;
    if (units_count(text, &value, NULL) != 0)
        return false;
    *out = value;
    return true;
}

static bool mac_from(const char *text, uint128 *out)
{
    uint8_t mac[8] = {0};
    if (units_mac(text, mac + 2, NULL) != 0)
        return false;
    *out = load_be64(mac);
    return true;
}

static bool ipv4_from(const char *text, uint128 *out)
{
    uint8_t address[4];
    if (units_ipv4(text, address, NULL) != 0)
        return false;
    *out = load_be32(address);
    return true;
}

static bool ipv6_from(const char *text, uint128 *out)
{
    uint8_t address[16];
    if (units_ipv6(text, address, NULL) != 0)
        return false;
    *out = (uint128)load_be64(address) << 64 | load_be64(address + 8);
    return true;
}

static bool time_from(const char *text, uint128 *out)
{
    uint64_t value;
    if (units_time_ns(text, &value, NULL) != 0)
        return false;
    *out = value;
    return true;
}

static void number_to(uint128 value, char *out, size_t size)
{
    snprintf(out, size, "%" PRIu64, (uint64_t)value);
}

static void mac_to(uint128 value, char *out, size_t size)
{
    uint8_t mac[8];
    store_be64(mac, (uint64_t)value);
    units_format_mac(mac + 2, out, size);
}

static void ipv4_to(uint128 value, char *out, size_t size)
{
    uint8_t address[4];
    store_be32(address, (uint32_t)value);
    inet_ntop(AF_INET, address, out, (socklen_t)size);
}

static void ipv6_to(uint128 value, char *out, size_t size)
{
    uint8_t address[16];
    store_be64(address, (uint64_t)(value >> 64));
    store_be64(address + 8, (uint64_t)value);
    inet_ntop(AF_INET6, address, out, (socklen_t)size);
}

static const struct form {
    bool (*from)(const char *text, uint128 *out);
    void (*to)(uint128 value, char *out, size_t size);
    uint128 most;
} forms[] = {
    [FORM_NUMBER] = {number_from, number_to, UINT64_MAX},
    [FORM_MAC] = {mac_from, mac_to, (UINT64_C(1) << 48) - 1},
    [FORM_IPV4] = {ipv4_from, ipv4_to, UINT32_MAX},
    [FORM_IPV6] = {ipv6_from, ipv6_to, ~(uint128)0},
};

static bool read_form(const char *text, enum each_form *form, uint128 *out)
{
    for (enum each_form i = FORM_NUMBER; i <= FORM_IPV6; i++)
        if (forms[i].from(text, out)) {
            *form = i;
            return true;
        }
    return false;
}

/* ---- reading ---- */

static bool read_counted(struct each_rule *rule, const struct node *from, const struct node *to,
                         const struct node *step, struct complaints *complaints)
{
    char buffer[48];
    bool is_time = rule->field == NULL;
    uint128 last = 0;
    if (is_time ? !time_from(text_of(from, buffer), &rule->from)
                : !read_form(text_of(from, buffer), &rule->form, &rule->from)) {
        complain(complaints, from, "`%.60s` cannot be stepped; write %s, or list `values`",
                 text_of(from, buffer), is_time ? "a time such as \"10us\"" : "a number or an address");
        return false;
    }
    rule->step = 1;
    if (step != NULL && !(is_time ? time_from : number_from)(text_of(step, buffer), &rule->step)) {
        complain(complaints, step, "`%.60s` is no step; write %s", text_of(step, buffer),
                 is_time ? "a time such as \"10us\"" : "a whole number such as 1");
        return false;
    }
    if (to == NULL)
        return true;
    bool right =
        is_time ? time_from(text_of(to, buffer), &last) : forms[rule->form].from(text_of(to, buffer), &last);
    if (!right || (rule->down ? last > rule->from : last < rule->from) || rule->step == 0) {
        complain(complaints, to, "`%.60s` cannot be reached from `from`; write a value of its kind beyond it",
                 text_of(to, buffer));
        return false;
    }
    rule->period = (rule->down ? rule->from - last : last - rule->from) / rule->step + 1;
    return true;
}

static bool read_rates(struct each_rule *rule, const struct node *from, const struct node *step,
                       struct complaints *complaints)
{
    char buffer[48];
    struct err err;
    rule->form = FORM_RATE;
    if (units_rate(text_of(from, buffer), &rule->rate, &err) != 0) {
        complain(complaints, from, "%s", err.text);
        return false;
    }
    if (step == NULL) {
        complain(complaints, rule->at, "a rate needs a `step` such as \"1kpps\", or `values`");
        return false;
    }
    if (units_rate(text_of(step, buffer), &rule->rate_step, &err) != 0) {
        complain(complaints, step, "%s", err.text);
        return false;
    }
    if (rule->rate.kind != rule->rate_step.kind || rule->rate.kind == RATE_MAX) {
        complain(complaints, step, "does not step `from` (%s); write both in one unit", from->where);
        return false;
    }
    return true;
}

static bool read_values(struct each_rule *rule, struct complaints *complaints)
{
    if (rule->values->kind != NODE_LIST || rule->values->children == 0) {
        complain(complaints, rule->values, "is %s; write a list such as ( 1, 5, 9 )",
                 rule->values->kind == NODE_LIST ? "an empty list" : node_kind_name(rule->values->kind));
        return false;
    }
    NODE_EACH(value, rule->values)
    if (!is_scalar(value)) {
        complain(complaints, value, "is %s; write a number or text", node_kind_name(value->kind));
        return false;
    }
    rule->period = rule->values->children;
    return true;
}

/* What the entry is about: a field of the packet or a key of the stream. */
static bool read_subject(struct each_rule *rule, struct complaints *complaints)
{
    const struct node *field = node_find(rule->at, "field"), *key = node_find(rule->at, "key");
    if ((field == NULL) == (key == NULL)) {
        complain(complaints, rule->at,
                 "needs either `field`, such as \"vlan.id\", or `key`, such as \"rate\"");
        return false;
    }
    if (field != NULL && field->kind != NODE_TEXT) {
        complain(complaints, field, "is %s; write a field's name in quotes", node_kind_name(field->kind));
        return false;
    }
    size_t index = EACH_RATE;
    if (field != NULL)
        rule->field = field->text;
    else if (!nodes_choice(key, "key", stream_keys, NODES_COUNT_OF(stream_keys), &index, complaints))
        return false;
    rule->key = (enum each_key)index;
    return true;
}

static bool read_rule(const struct node *node, struct each_rule *rule, struct complaints *complaints)
{
    *rule = (struct each_rule){.at = node};
    if (node->kind != NODE_GROUP) {
        complain(complaints, node, "is %s; write a group such as { field = \"vlan.id\"; from = 100; }",
                 node_kind_name(node->kind));
        return false;
    }
    if (!nodes_know_keys(node, rule_keys, NODES_COUNT_OF(rule_keys), complaints) ||
        !read_subject(rule, complaints))
        return false;
    const struct node *op = node_find(node, "op"), *from = node_find(node, "from"),
                      *to = node_find(node, "to"), *step = node_find(node, "step");
    size_t which = 0;
    if (op != NULL && !nodes_choice(op, "op", ops, NODES_COUNT_OF(ops), &which, complaints))
        return false;
    rule->down = which == 1;
    rule->values = node_find(node, "values");
    if (rule->values != NULL)
        return read_values(rule, complaints);
    if (from == NULL || !is_scalar(from) || (to != NULL && !is_scalar(to)) ||
        (step != NULL && !is_scalar(step))) {
        complain(complaints, from != NULL ? from : node,
                 "needs `from`, the first copy's value, or `values`, a list of them");
        return false;
    }
    if (rule->field == NULL && rule->key == EACH_RATE)
        return read_rates(rule, from, step, complaints);
    return read_counted(rule, from, to, step, complaints);
}

bool each_read(const struct node *node, struct each *out, struct complaints *complaints)
{
    bool right = true;
    out->count = out->fields = 0;
    if (node == NULL)
        return true;
    if (node->kind != NODE_LIST || node->children > EACH_MAX) {
        complain(complaints, node, "is not a list of at most %d groups; write ( { field = …; from = …; } )",
                 EACH_MAX);
        return false;
    }
    NODE_EACH(member, node)
    {
        struct each_rule *rule = &out->rules[out->count++];
        right &= read_rule(member, rule, complaints);
        out->fields += rule->field != NULL;
    }
    return right;
}

/* ---- one copy ---- */

static const struct node *value_at(const struct each_rule *rule, uint64_t index)
{
    const struct node *value = rule->values->child;
    for (uint64_t left = index % (uint64_t)rule->period; left > 0; left--)
        value = value->next;
    return value;
}

static uint128 counted(const struct each_rule *rule, uint64_t index)
{
    uint128 steps = rule->period != 0 ? index % rule->period : index;
    return rule->down ? rule->from - rule->step * steps : rule->from + rule->step * steps;
}

/* Whether a counted value of copy index lies within its form: no address goes round. */
static bool is_within(const struct each_rule *rule, uint64_t index, struct complaints *complaints)
{
    char edge[48];
    uint128 most = forms[rule->form].most, steps = rule->period != 0 ? index % rule->period : index;
    uint128 room = rule->down ? rule->from : most - rule->from;
    if (steps == 0 || rule->step <= room / steps)
        return true;
    forms[rule->form].to(rule->down ? 0 : most, edge, sizeof edge);
    complain(complaints, rule->at, "copy %" PRIu64 " would be beyond %s; write `to`, or another `from`",
             index + 1, edge);
    return false;
}

bool each_fields(const struct each *each, uint64_t index, struct each_texts *out,
                 struct complaints *complaints)
{
    size_t used = 0;
    for (size_t i = 0; i < each->count; i++) {
        const struct each_rule *rule = &each->rules[i];
        if (rule->field == NULL)
            continue;
        struct packet_override *override = &out->overrides[used];
        override->field = rule->field;
        override->value = out->text[used];
        override->at = rule->values != NULL ? rule->values : node_find(rule->at, "from");
        if (rule->values != NULL)
            override->value = text_of(value_at(rule, index), out->text[used]);
        else if (!is_within(rule, index, complaints))
            return false;
        else
            forms[rule->form].to(counted(rule, index), out->text[used], sizeof out->text[used]);
        used++;
    }
    return true;
}

static bool rate_of_copy(const struct each_rule *rule, uint64_t index, struct rate *out,
                         struct complaints *complaints)
{
    char buffer[48];
    struct err err;
    if (rule->values != NULL) {
        const struct node *value = value_at(rule, index);
        if (units_rate(text_of(value, buffer), out, &err) == 0)
            return true;
        complain(complaints, value, "%s", err.text);
        return false;
    }
    struct ratio a = rule->rate.value, step = rule->rate_step.value;
    uint128 num = (uint128)a.num * step.den, more = (uint128)step.num * a.den * index;
    if (rule->down && more >= num) {
        complain(complaints, rule->at, "copy %" PRIu64 " would have no rate left; write a smaller step",
                 index + 1);
        return false;
    }
    out->kind = rule->rate.kind;
    out->value = ratio_fit(rule->down ? num - more : num + more, (uint128)a.den * step.den);
    return true;
}

static bool delay_of_copy(const struct each_rule *rule, uint64_t index, uint64_t *out,
                          struct complaints *complaints)
{
    char buffer[48];
    if (rule->values == NULL) {
        *out = (uint64_t)counted(rule, index);
        return true;
    }
    struct err err;
    const struct node *value = value_at(rule, index);
    if (units_time_ns(text_of(value, buffer), out, &err) == 0)
        return true;
    complain(complaints, value, "%s", err.text);
    return false;
}

bool each_keys(const struct each *each, uint64_t index, struct rate *rate, uint64_t *delay_ns,
               struct complaints *complaints)
{
    bool right = true;
    for (size_t i = 0; i < each->count; i++) {
        const struct each_rule *rule = &each->rules[i];
        if (rule->field != NULL)
            continue;
        if (rule->key == EACH_RATE)
            right &= rate_of_copy(rule, index, rate, complaints);
        else
            right &= delay_of_copy(rule, index, delay_ns, complaints);
    }
    return right;
}
