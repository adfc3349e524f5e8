// SPDX-License-Identifier: GPL-2.0-or-later
/* Messages of netlink that are shorter than what they should hold: each was found by fuzz_netlink. The file
 * itself is included, as its readers are nobody else's business. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run/link.c"

static void reads(uint16_t type, const void *payload, uint16_t bytes, mnl_cb_t read, void *context)
{
    struct nlmsghdr *header = calloc(1, NLMSG_LENGTH((size_t)bytes));
    assert_non_null(header);
    *header = (struct nlmsghdr){.nlmsg_len = NLMSG_LENGTH(bytes), .nlmsg_type = type};
    memcpy(header + 1, payload, bytes);
    assert_true(mnl_cb_run(header, header->nlmsg_len, 0, 0, read, context) >= 0);
    free(header);
}

static void a_message_shorter_than_its_header_says_nothing(void **state)
{
    struct link_facts facts = {.mtu = 9};
    struct refusal refusal = {0};
    struct link_watch watch = {0}; /* calling its changed would crash */
    (void)state;
    reads(RTM_NEWLINK, "\0\0\0\0", 4, take_link, &facts);
    reads(RTM_NEWADDR, "\2\0\0\0", 4, take_address, &refusal);
    reads(RTM_NEWROUTE, "\2\0\0\0", 4, take_route, &refusal);
    reads(RTM_NEWLINK, "\0\0\0\0", 4, take_event, &watch);
    assert_int_equal(facts.mtu, 9);
    assert_false(refusal.found);
}

static void an_address_of_two_bytes_is_none(void **state)
{
    struct {
        struct ifaddrmsg message;
        struct nlattr attribute;
        uint8_t bytes[4];
    } payload = {{.ifa_family = AF_INET, .ifa_index = 2}, {.nla_len = 6, .nla_type = IFA_ADDRESS}, {192, 0}};
    char reason[64] = "";
    struct refusal refusal = {.ifindex = 2, .reason = reason, .size = sizeof reason};
    (void)state;
    reads(RTM_NEWADDR, &payload, sizeof payload, take_address, &refusal);
    assert_false(refusal.found);
    payload.attribute.nla_len = 8;
    reads(RTM_NEWADDR, &payload, sizeof payload, take_address, &refusal);
    assert_true(refusal.found);
    assert_string_equal(reason, "it has the address 192.0.0.0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_shorter_than_its_header_says_nothing),
        cmocka_unit_test(an_address_of_two_bytes_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
