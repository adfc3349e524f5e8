/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What --explain prints, whole: every line was read by a person beside the protocol's document. */
#include "packet/packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/read.h"

/* The request's own places come from JSON text. */
static void check_explained(struct packet_request request, bool colour, const char *text,
                            const char *expected)
{
    struct complaints *complaints = complaints_new();
    struct tree *tree = NULL;
    struct packet *packet = NULL;
    char *told = NULL;
    size_t size;
    json_t *object = json_loads(text, 0, NULL);
    assert_non_null(object);
    assert_int_equal(tree_read_json(object, &tree, complaints), 0);
    json_decref(object);
    request.at = tree_root(tree);
    request.layers = node_find(request.at, "layers");
    request.vary = node_find(request.at, "vary");
    request.size = node_find(request.at, "size");
    request.payload = node_find(request.at, "payload");
    if (packet_compile(&request, &packet, complaints) != 0)
        fail_msg("%s", complaints_get(complaints, 0)->text);
    FILE *out = open_memstream(&told, &size);
    packet_explain(packet, out, colour);
    fclose(out);
    assert_string_equal(told, expected);
    free(told);
    packet_free(packet);
    tree_free(tree);
    complaints_free(complaints);
}

static void a_route_redirect_with_odd_bits_and_a_signature(void **state)
{
    (void)state;
    check_explained((struct packet_request){.signature = true}, false,
                    "{\"layers\": [{\"ethernet\": {}}, {\"ipv4\": {}}, {\"icmp\": {\"type\": \"redirect\", "
                    "\"gateway\": \"192.0.2.7\"}}], \"size\": {\"op\": \"increment\", \"from\": 64, \"to\": "
                    "70}, \"vary\": [{\"offset\": 38, \"width\": 8}, {\"offset\": 44, \"width\": 3, "
                    "\"from\": 1}, {\"offset\": 35, \"width\": 8, \"op\": \"random\", \"seed\": 3}]}",
                    "7 sizes, 64 … 70 bytes with FCS; the first frame:\n"
                    "    0  ethernet  Ethernet II or IEEE 802.3, 14 bytes\n"
                    "    0    dst                    02:00:00:00:00:02\n"
                    "    6    src                    02:00:00:00:00:01\n"
                    "   12    type                   0x0800 (ipv4)\n"
                    "   14  ipv4  Internet protocol, version 4, 20 bytes\n"
                    "   14    version                4\n"
                    "   14    ihl                    5\n"
                    "   15    dscp                   0 (cs0)\n"
                    "   15    ecn                    0 (not_ect)\n"
                    "   16    length                 46   follows\n"
                    "   18    id                     0\n"
                    "   20    flags                  0\n"
                    "   20    fragment_offset        0\n"
                    "   22    ttl                    64\n"
                    "   23    protocol               1 (icmp)\n"
                    "   24    checksum               61095   follows\n"
                    "   26    src                    198.18.0.1\n"
                    "   30    dst                    198.19.0.1\n"
                    "   34  icmp  Internet control messages, 8 bytes\n"
                    "   34    type                   5 (redirect)\n"
                    "   35    code                   188   varies: random 0 … 255, seed 3\n"
                    "   36    checksum               6204   follows\n"
                    "   38    id                     49152\n"
                    "   40    seq                    519\n"
                    "   38    gateway                192.0.2.7\n"
                    "   42  payload  zeros, 18 bytes\n"
                    "   46  signature  of this program, 14 bytes\n"
                    "   38    8 bits   varies: increment 192 … 255, step 1\n"
                    "   44    3 bits   varies: increment 1 … 7, step 1\n"
                    "  0000 02 00 00 00 00 02 02 00 00 00 00 01 08 00 45 00\n"
                    "  0010 00 2e 00 00 00 00 40 01 ee a7 c6 12 00 01 c6 13\n"
                    "       '' ''                   '' ''                  \n"
                    "  0020 00 01 05 bc 18 3c c0 00 02 07 00 00 20 00 76 4f\n"
                    "                ^^ '' '' ^^                ^^    '' ''\n"
                    "  0030 00 01 00 00 00 00 00 00 00 00 89 af\n"
                    "       '' '' '' '' '' '' '' '' '' '' '' ''\n");
}

static void a_name_that_a_pointer_would_have(void **state)
{
    (void)state;
    check_explained((struct packet_request){}, false,
                    "{\"layers\": [{\"ethernet\": {}}, {\"ipv4\": {}}, {\"icmp\": {}}], \"vary\": "
                    "[{\"offset\": 38, \"width\": 8}, {\"field\": \"ipv4.src\"}]}",
                    "64 bytes with FCS\n"
                    "    0  ethernet  Ethernet II or IEEE 802.3, 14 bytes\n"
                    "    0    dst                    02:00:00:00:00:02\n"
                    "    6    src                    02:00:00:00:00:01\n"
                    "   12    type                   0x0800 (ipv4)\n"
                    "   14  ipv4  Internet protocol, version 4, 20 bytes\n"
                    "   14    version                4\n"
                    "   14    ihl                    5\n"
                    "   15    dscp                   0 (cs0)\n"
                    "   15    ecn                    0 (not_ect)\n"
                    "   16    length                 46\n"
                    "   18    id                     0\n"
                    "   20    flags                  0\n"
                    "   20    fragment_offset        0\n"
                    "   22    ttl                    64\n"
                    "   23    protocol               1 (icmp)\n"
                    "   24    checksum               61095   follows\n"
                    "   26    src                    198.18.0.1   varies: increment 198.18.0.1 … "
                    "255.255.255.255, step 1\n"
                    "   30    dst                    198.19.0.1\n"
                    "   34  icmp  Internet control messages, 8 bytes\n"
                    "   34    type                   8 (echo)\n"
                    "   35    code                   0\n"
                    "   36    checksum               63487   follows\n"
                    "   38    id                     0\n"
                    "   40    seq                    0\n"
                    "   42  payload  zeros, 18 bytes\n"
                    "   38    8 bits   varies: increment 0 … 255, step 1\n"
                    "  0000 02 00 00 00 00 02 02 00 00 00 00 01 08 00 45 00\n"
                    "  0010 00 2e 00 00 00 00 40 01 ee a7 c6 12 00 01 c6 13\n"
                    "                               '' '' ^^ ^^ ^^ ^^      \n"
                    "  0020 00 01 08 00 f7 ff 00 00 00 00 00 00 00 00 00 00\n"
                    "                   '' '' ^^                           \n"
                    "  0030 00 00 00 00 00 00 00 00 00 00 00 00\n");
}

static void texts_and_a_frame_longer_than_the_dump(void **state)
{
    (void)state;
    check_explained((struct packet_request){.special = UINT32_MAX}, false,
                    "{\"layers\": [{\"ethernet\": {}}, {\"lldp\": {\"system_name\": \"a\\u0001~\\u007f b\", "
                    "\"port_description\": \"0123456789abcdef0123456789abcdefX\"}}], \"size\": 300}",
                    "300 bytes with FCS\n"
                    "    0  ethernet  Ethernet II or IEEE 802.3, 14 bytes\n"
                    "    0    dst                    01:80:c2:00:00:0e\n"
                    "    6    src                    02:00:00:00:00:01\n"
                    "   12    type                   0x88cc (lldp)\n"
                    "   14  lldp  Link layer discovery, 68 bytes\n"
                    "   14    chassis_tlv            519\n"
                    "   16    chassis_subtype        4\n"
                    "   17    chassis_id             02:00:00:00:00:01\n"
                    "   26    port_id                volleyd\n"
                    "   35    ttl                    120\n"
                    "   39    port_description       0123456789abcdef0123456789abcdef…\n"
                    "   74    system_name            a\\x01~\\x7f b\n"
                    "   82  padding  zeros, 214 bytes\n"
                    "  0000 01 80 c2 00 00 0e 02 00 00 00 00 01 88 cc 02 07\n"
                    "  0010 04 02 00 00 00 00 01 04 08 07 76 6f 6c 6c 65 79\n"
                    "  0020 64 06 02 00 78 08 21 30 31 32 33 34 35 36 37 38\n"
                    "  0030 39 61 62 63 64 65 66 30 31 32 33 34 35 36 37 38\n"
                    "  0040 39 61 62 63 64 65 66 58 0a 06 61 01 7e 7f 20 62\n"
                    "  0050 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n"
                    "  0060 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n"
                    "  0070 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n"
                    "  0080 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n"
                    "  0090 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n"
                    "  00a0 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n"
                    "  00b0 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n"
                    "  00c0 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n"
                    "  00d0 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n"
                    "  00e0 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n"
                    "  00f0 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n"
                    "  …    40 more bytes\n");
}

static void a_crc_that_follows_and_just_as_many_bytes_as_are_shown(void **state)
{
    (void)state;
    check_explained(
        (struct packet_request){}, false,
        "{\"layers\": [{\"ethernet\": {}}, {\"ipv4\": {}}, {\"sctp\": {}}, {\"sctp_data\": {}}, {\"raw\": "
        "\"0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20\"}], \"size\": 108, \"vary\": "
        "[{\"field\": \"sctp_data.tsn\", \"op\": \"list\", \"values\": [7, 9]}]}",
        "108 bytes with FCS\n"
        "    0  ethernet  Ethernet II or IEEE 802.3, 14 bytes\n"
        "    0    dst                    02:00:00:00:00:02\n"
        "    6    src                    02:00:00:00:00:01\n"
        "   12    type                   0x0800 (ipv4)\n"
        "   14  ipv4  Internet protocol, version 4, 20 bytes\n"
        "   14    version                4\n"
        "   14    ihl                    5\n"
        "   15    dscp                   0 (cs0)\n"
        "   15    ecn                    0 (not_ect)\n"
        "   16    length                 90\n"
        "   18    id                     0\n"
        "   20    flags                  0\n"
        "   20    fragment_offset        0\n"
        "   22    ttl                    64\n"
        "   23    protocol               132 (sctp)\n"
        "   24    checksum               60920\n"
        "   26    src                    198.18.0.1\n"
        "   30    dst                    198.19.0.1\n"
        "   34  sctp  Stream control transmission protocol, 12 bytes\n"
        "   34    src                    49152\n"
        "   36    dst                    9\n"
        "   38    tag                    0\n"
        "   42    checksum               822136016   follows\n"
        "   46  sctp_data  DATA chunk of sctp, 16 bytes\n"
        "   46    type                   0\n"
        "   47    flags                  3\n"
        "   48    length                 58\n"
        "   50    tsn                    7   varies: list of 2, 7 first\n"
        "   54    stream                 0\n"
        "   56    seq                    0\n"
        "   58    ppid                   0\n"
        "   62  raw  Bytes as they are; may follow anything, and anything may follow, 32 bytes\n"
        "   62    bytes                  0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20\n"
        "   94  payload  zeros, 10 bytes\n"
        "  0000 02 00 00 00 00 02 02 00 00 00 00 01 08 00 45 00\n"
        "  0010 00 5a 00 00 00 00 40 84 ed f8 c6 12 00 01 c6 13\n"
        "  0020 00 01 c0 00 00 09 00 00 00 00 31 00 cc d0 00 03\n"
        "                                     '' '' '' ''      \n"
        "  0030 00 3a 00 00 00 07 00 00 00 00 00 00 00 00 01 02\n"
        "             ^^ ^^ ^^ ^^                              \n"
        "  0040 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 10 11 12\n"
        "  0050 13 14 15 16 17 18 19 1a 1b 1c 1d 1e 1f 20 00 00\n"
        "  0060 00 00 00 00 00 00 00 00\n");
}

static void marks_and_options(void **state)
{
    (void)state;
    check_explained((struct packet_request){}, false,
                    "{\"layers\": [{\"ethernet\": {}}, {\"ipv4\": {}}, {\"tcp\": {\"sack_permitted\": true, "
                    "\"options\": \"0101\"}}], \"payload\": {\"text\": \"hi\"}, \"size\": 80}",
                    "80 bytes with FCS\n"
                    "    0  ethernet  Ethernet II or IEEE 802.3, 14 bytes\n"
                    "    0    dst                    02:00:00:00:00:02\n"
                    "    6    src                    02:00:00:00:00:01\n"
                    "   12    type                   0x0800 (ipv4)\n"
                    "   14  ipv4  Internet protocol, version 4, 20 bytes\n"
                    "   14    version                4\n"
                    "   14    ihl                    5\n"
                    "   15    dscp                   0 (cs0)\n"
                    "   15    ecn                    0 (not_ect)\n"
                    "   16    length                 62\n"
                    "   18    id                     0\n"
                    "   20    flags                  0\n"
                    "   20    fragment_offset        0\n"
                    "   22    ttl                    64\n"
                    "   23    protocol               6 (tcp)\n"
                    "   24    checksum               61074\n"
                    "   26    src                    198.18.0.1\n"
                    "   30    dst                    198.19.0.1\n"
                    "   34  tcp  Transmission control protocol, 28 bytes\n"
                    "   34    src                    49152\n"
                    "   36    dst                    9\n"
                    "   38    seq                    0\n"
                    "   42    ack                    0\n"
                    "   46    data_offset            7\n"
                    "   46    reserved               0\n"
                    "   46    flags                  ack\n"
                    "   48    window                 65535\n"
                    "   50    checksum               54559\n"
                    "   52    urgent                 0\n"
                    "   54    sack_permitted         true\n"
                    "   58    options                01010000\n"
                    "   62  payload  text, 2 bytes, 14 bytes\n"
                    "  0000 02 00 00 00 00 02 02 00 00 00 00 01 08 00 45 00\n"
                    "  0010 00 3e 00 00 00 00 40 06 ee 92 c6 12 00 01 c6 13\n"
                    "  0020 00 01 c0 00 00 09 00 00 00 00 00 00 00 00 70 10\n"
                    "  0030 ff ff d5 1f 00 00 01 01 04 02 01 01 00 00 68 69\n"
                    "  0040 00 00 00 00 00 00 00 00 00 00 00 00\n");
}

static void a_run_of_segments(void **state)
{
    (void)state;
    check_explained((struct packet_request){.segments = 4}, false,
                    "{\"layers\": [{\"ethernet\": {}}, {\"ipv4\": {}}, {\"udp\": {}}], \"size\": 64}",
                    "a run of 4 UDP segments of 18 bytes, 114 bytes in all\n"
                    "    0  ethernet  Ethernet II or IEEE 802.3, 14 bytes\n"
                    "    0    dst                    02:00:00:00:00:02\n"
                    "    6    src                    02:00:00:00:00:01\n"
                    "   12    type                   0x0800 (ipv4)\n"
                    "   14  ipv4  Internet protocol, version 4, 20 bytes\n"
                    "   14    version                4\n"
                    "   14    ihl                    5\n"
                    "   15    dscp                   0 (cs0)\n"
                    "   15    ecn                    0 (not_ect)\n"
                    "   16    length                 100\n"
                    "   18    id                     0\n"
                    "   20    flags                  0\n"
                    "   20    fragment_offset        0\n"
                    "   22    ttl                    64\n"
                    "   23    protocol               17 (udp)\n"
                    "   24    checksum               61025\n"
                    "   26    src                    198.18.0.1\n"
                    "   30    dst                    198.19.0.1\n"
                    "   34  udp  User datagram protocol, 8 bytes\n"
                    "   34    src                    49152\n"
                    "   36    dst                    9\n"
                    "   38    length                 80\n"
                    "   40    checksum               35977\n"
                    "   42  payload  zeros, 72 bytes\n"
                    "  0000 02 00 00 00 00 02 02 00 00 00 00 01 08 00 45 00\n"
                    "  0010 00 64 00 00 00 00 40 11 ee 61 c6 12 00 01 c6 13\n"
                    "  0020 00 01 c0 00 00 09 00 50 8c 89 00 00 00 00 00 00\n"
                    "  0030 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n"
                    "  0040 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n"
                    "  0050 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n"
                    "  0060 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n"
                    "  0070 00 00\n");
}

static void colours_instead_of_marks(void **state)
{
    (void)state;
    check_explained(
        (struct packet_request){.cooked = true}, true,
        "{\"layers\":[{\"raw\":\"c0ff\"}],\"size\":18,\"vary\":[{\"offset\":1,\"width\":8}]}",
        "18 bytes with FCS\n"
        "    0  \033[1mraw\033[0m  Bytes as they are; may follow anything, and anything may follow, 2 bytes\n"
        "    0    bytes                  c0ff\n"
        "    2  payload  zeros, 12 bytes\n"
        "    1    8 bits   varies: increment 255 … 255, step 1\n"
        "  0000 c0 \033[33mff\033[0m 00 00 00 00 00 00 00 00 00 00 00 00\n");
    check_explained(
        (struct packet_request){.cooked = true, .signature = true}, true,
        "{\"layers\":[{\"raw\":\"c0ff\"}],\"size\":20}",
        "20 bytes with FCS\n"
        "    0  \033[1mraw\033[0m  Bytes as they are; may follow anything, and anything may follow, 2 bytes\n"
        "    0    bytes                  c0ff\n"
        "    2  payload  zeros, 14 bytes\n"
        "    2  signature  of this program, 14 bytes\n"
        "  0000 c0 ff"
        " \033[36m76\033[0m \033[36m4f\033[0m \033[36m00\033[0m \033[36m01\033[0m \033[36m00\033[0m"
        " \033[36m00\033[0m \033[36m00\033[0m \033[36m00\033[0m \033[36m00\033[0m \033[36m00\033[0m"
        " \033[36m00\033[0m \033[36m00\033[0m \033[36m89\033[0m \033[36maf\033[0m\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_route_redirect_with_odd_bits_and_a_signature),
        cmocka_unit_test(a_name_that_a_pointer_would_have),
        cmocka_unit_test(texts_and_a_frame_longer_than_the_dump),
        cmocka_unit_test(a_crc_that_follows_and_just_as_many_bytes_as_are_shown),
        cmocka_unit_test(marks_and_options),
        cmocka_unit_test(a_run_of_segments),
        cmocka_unit_test(colours_instead_of_marks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
