# SPDX-License-Identifier: GPL-2.0-or-later
"""Each protocol by itself: with its defaults nobody finds anything wrong; and every field, from its least to its
largest value, moves exactly the bits that Scapy moves."""
import random

import pytest

import protocols as p

pytestmark = pytest.mark.skipif(not p.FRAMES.exists(), reason=f"{p.FRAMES} is not built: make check")


def stack_of(name, fields=None):
    layers = [{header: {}} for header in p.ROWS[name].stack]
    return layers + [{name: {**p.ROWS[name].base, **(fields or {})}}]


# What the rows do not say: optional parts, lists, and stacks worth a look.
MORE = {
    "qinq": [{"ethernet": {}}, {"vlan": {}}, {"vlan": {}}, {"ipv4": {}}, {"udp": {}}],
    "ipv4 options": [{"ethernet": {}}, {"ipv4": {"router_alert": 0, "options": "0101"}}, {"udp": {}}],
    "routing": [{"ethernet": {}}, {"ipv6": {}},
                {"routing": {"segments": ["2001:db8::1", "2001:db8::2"], "segments_left": 1}}, {"udp": {}}],
    "neighbor options": [{"ethernet": {}}, {"ipv6": {"hop_limit": 255}},
                         {"neighbor_advertisement": {"flags": "solicited", "target_mac": "02:00:00:00:00:01"}}],
    "router options": [{"ethernet": {}}, {"ipv6": {"hop_limit": 255}},
                       {"router_advertisement": {"source_mac": "02:00:00:00:00:01", "mtu": 1500,
                                                 "prefix": "2001:db8::"}}],
    "igmpv3 query": [{"ethernet": {}}, {"ipv4": {}}, {"igmpv3_query": {"sources": ["192.0.2.1", "192.0.2.2"]}}],
    "igmpv3 report": [{"ethernet": {}}, {"ipv4": {}}, {"igmpv3_report": {}}, {"igmp_record": {}},
                      {"igmp_record": {"sources": ["192.0.2.1"]}}],
    "mldv2 query": [{"ethernet": {}}, {"ipv6": {}}, {"mldv2_query": {"sources": ["2001:db8::1"]}}],
    "mldv2 report": [{"ethernet": {}}, {"ipv6": {}}, {"mldv2_report": {}}, {"mld_record": {"sources": ["2001:db8::1"]}}],
    "tcp options": [{"ethernet": {}}, {"ipv4": {}},
                    {"tcp": {"flags": "syn", "mss": 1460, "wscale": 7, "sack_permitted": True, "timestamp": 1}}],
    "sctp chunks": [{"ethernet": {}}, {"ipv4": {}}, {"sctp": {}}, {"sctp_data": {}}, {"raw": "01020304"},
                    {"sctp_data": {}}],
    "gre checksum": [{"ethernet": {}}, {"ipv4": {}}, {"gre": {"checksum": "auto", "key": 7, "sequence": 9}},
                     {"ipv4": {}}, {"udp": {}}],
    "geneve options": [{"ethernet": {}}, {"ipv4": {}}, {"udp": {}}, {"geneve": {"options": "0102800100000000"}},
                       {"ethernet": {}}, {"ipv6": {}}, {"tcp": {}}],
    "gtpu sequence": [{"ethernet": {}}, {"ipv4": {}}, {"udp": {}}, {"gtpu": {"sequence": 3}}, {"ipv6": {}}, {"udp": {}}],
    "l2tp all": [{"ethernet": {}}, {"ipv4": {}}, {"udp": {}}, {"l2tp": {"length": "auto", "ns": 1, "nr": 2}},
                 {"ppp": {}}, {"ipv4": {}}, {"udp": {}}],
    "l2tpv3": [{"ethernet": {}}, {"ipv4": {}}, {"l2tpv3": {}}, {"ethernet": {}}, {"ipv4": {}}, {"udp": {}}],
    "ptp over udp": [{"ethernet": {}}, {"ipv4": {}}, {"udp": {}}, {"ptp": {}}],
}


# What says nothing without something in it.
INSIDE = {"hop_by_hop": ["udp"], "destination_options": ["udp"], "sctp": ["sctp_data"], "vxlan": ["ethernet", "ipv4"],
          "fragment": ["udp"], "ah": ["udp"], "mpls": ["ipv4"], "ppp": ["ipv4"], "pppoe": ["ppp", "ipv4"],
          "gtpu": ["ipv4"], "l2tp": ["ppp", "ipv4"], "snap": ["ipv4"], "gre": ["ipv4"]}


def defaults():
    stacks = {name: [{header: {}} for header in [*row.stack, name, *INSIDE.get(name, [])]]
              for name, row in p.ROWS.items()}
    return {**stacks, **MORE}


def test_nothing_is_wrong_with_the_defaults_of_any_protocol():
    stacks = defaults()
    sizes = {"sctp_data": 114, "sctp": 114, "sctp chunks": 122}  # a multiple of four bytes
    answers = p.make([{"layers": layers, "size": size} for name, layers in stacks.items()
                      for size in [sizes.get(name, p.least_size(layers))]])
    for name, answer in zip(stacks, answers):
        assert answer["errors"] == [] and answer["warnings"] == [], name
    packets = p.dissect([bytes.fromhex(a["frames"][0]) for a in answers])
    wrong = {name: p.trouble(packet) for name, packet in zip(stacks, packets) if p.trouble(packet)}
    assert wrong == {}


FIELDS = [(name, ours) for name, row in p.ROWS.items() if row.scapy
          for ours, spec in row.fields.items() if spec.scapy]


def header_of(name, fields):
    """The bytes of our header, at the place that the prefix of the stack gives it."""
    layers = stack_of(name, fields)
    frame, = p.frames_of({"layers": layers, "size": 600})
    lengths = {"ethernet": 14, "vlan": 4, "llc": 3, "pppoe": 6, "ipv4": 20, "ipv6": 40, "udp": 8, "sctp": 12}
    return frame[sum(lengths[header] for header in p.ROWS[name].stack):]


def scapy_bytes(name, spec, value):
    row = p.ROWS[name]
    fixed = {"chksum": 0, "cksum": 0, "len": 0, "plen": 0, "payloadlen": 0, "length": 0}
    fields = {spec.scapy: value << spec.shift if spec.shift else value}
    made = row.scapy(**fields)
    for known, zero in fixed.items():
        if known in [f.name for f in made.fields_desc] and known not in made.fields:
            made.setfieldval(known, zero)
    return bytes(made)


@pytest.mark.parametrize("name,ours", FIELDS, ids=[f"{name}.{ours}" for name, ours in FIELDS])
def test_a_field_moves_the_bits_that_scapy_moves(name, ours):
    spec = p.ROWS[name].fields[ours]
    rng = random.Random(f"{name}.{ours}")
    low, high = p.limits(spec)
    values = [high, *(p.a_value(spec, rng) for _ in range(4))]
    zero_ours, zero_theirs = header_of(name, {ours: low}), scapy_bytes(name, spec, low)
    for value in values:
        mine, theirs = header_of(name, {ours: value}), scapy_bytes(name, spec, value)
        length = min(len(theirs), len(mine))
        moved_mine = bytes(a ^ b for a, b in zip(mine[:length], zero_ours[:length]))
        moved_theirs = bytes(a ^ b for a, b in zip(theirs[:length], zero_theirs[:length]))
        assert moved_mine == moved_theirs, f"{ours} = {value}"


def test_values_beyond_a_field_are_refused_with_the_range():
    requests, wanted = [], []
    for name, row in p.ROWS.items():
        for ours, spec in row.fields.items():
            if isinstance(spec.bits, int):
                requests.append({"layers": stack_of(name, {ours: 1 << spec.bits}), "size": 600})
                wanted.append((f"{name}.{ours}", spec.bits))
    for (what, bits), answer in zip(wanted, p.make(requests)):
        if what == "pfc.classes":  # 16 bits, of which 8 have a name
            continue
        assert any(f"0 … {(1 << bits) - 1}" in error for error in answer["errors"]), (what, answer["errors"])


def test_texts_and_options_beyond_their_length_fields_are_refused():
    too_long = [[{"ethernet": {}}, {"lldp": {"system_name": "a" * 512}}],
                [{"ethernet": {}}, {"ipv4": {"options": "01" * 41}}],
                [{"ethernet": {}}, {"ipv4": {}}, {"tcp": {"options": "01" * 44}}]]
    for answer in p.make([{"layers": layers, "size": 1500} for layers in too_long]):
        assert any("at most" in error for error in answer["errors"])
    packet, = p.dissect(p.frames_of({"layers": [{"ethernet": {}}, {"lldp": {"system_name": "a" * 511}}], "size": 600}))
    assert "a" * 511 in [f.get("show") for f in packet.iter("field")]


@pytest.mark.parametrize("name", ["ipv4", "udp", "tcp", "icmp", "icmpv6", "igmp", "sctp"])
def test_bad_is_bad_and_by_hand_is_by_hand(name):
    stack = [{header: {}} for header in p.ROWS[name].stack]
    good, bad, hand = (p.frames_of({"layers": stack + [{name: fields}], "size": 114})[0]
                       for fields in ({}, {"checksum": "bad"}, {"checksum": 0x1234}))
    packets = p.dissect([good, bad, hand])
    assert [any("checksum.status" in t for t in p.trouble(packet)) for packet in packets] == [False, True, True]
    assert sum(a != b for a, b in zip(good, bad)) == (4 if name == "sctp" else 2)


def test_contradictions_are_sent_and_told():
    answer, = p.make([{"layers": [{"ethernet": {"type": 0x86DD}}, {"ipv4": {"length": 30, "protocol": 6}},
                                  {"udp": {"length": 9}}]}])
    assert answer["errors"] == []
    assert len(answer["warnings"]) == 4
    assert bytes.fromhex(answer["frames"][0])[12:18].hex() == "86dd4500001e"


def test_source_is_the_interface_where_nobody_chose_one():
    for layers, places in (([{"ethernet": {}}, {"arp": {}}], (6, 22)),
                           ([{"ethernet": {"src": "02:00:00:00:00:77"}}, {"arp": {}}], (22,))):
        frame, = p.frames_of({"layers": layers, "source": "0a:bb:cc:dd:ee:ff"})
        mac = bytes.fromhex("0abbccddeeff")
        assert [at for at in (6, 22) if frame[at:at + 6] == mac] == list(places)


def test_udp_segments_carry_the_sum_of_the_pseudo_header():
    layers = [{"ethernet": {}}, {"ipv4": {}}, {"udp": {}}]
    frame, = p.frames_of({"layers": layers, "size": 1004, "segments": 10, "payload": {"byte": 7}})
    payload = 1000 - 42
    assert len(frame) == 42 + 10 * payload
    packet = p.s.Ether(frame)
    assert packet["IP"].len == len(frame) - 14 and packet["UDP"].len == len(frame) - 34
    pseudo = frame[26:34] + (17).to_bytes(2, "big") + packet["UDP"].len.to_bytes(2, "big")
    assert packet["UDP"].chksum == p.s.checksum(pseudo) ^ 0xFFFF
    assert frame[42:] == bytes([7]) * (10 * payload)


def test_explain_reads_like_the_packet():
    answer, = p.make([{"layers": [{"ethernet": {}}, {"vlan": {"id": 100, "pcp": 5}}, {"ipv4": {"dscp": "ef"}},
                                  {"udp": {"dst": 5004}}], "size": 128, "explain": True,
                       "vary": [{"field": "ipv4.dst", "from": "198.19.0.1", "to": "198.19.3.255"}]}])
    text = answer["explain"]
    for line in ("128 bytes with FCS", "14  vlan", "id                     100", "46 (ef)",
                 "198.19.0.1   varies: increment 198.19.0.1 … 198.19.3.255", "checksum", "0000 02 00 00"):
        assert line in text, text
    assert " ^^ ^^ ^^ ^^" in text and " '' ''" in text
