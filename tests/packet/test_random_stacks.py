# SPDX-License-Identifier: GPL-2.0-or-later
"""Random stacks with random values, some of them varying: Scapy and tshark decode every frame, find nothing wrong,
and every field is what was asked for. 300 stacks, or 3,000 with VOLLEYD_LONG=1."""
import random

import pytest

import protocols as p

pytestmark = pytest.mark.skipif(not p.FRAMES.exists(), reason=f"{p.FRAMES} is not built: make check")

STACKS = 3000 if p.LONG else 300
SEED = 20261122
FRAMES = 3  # a stack, one a varying value
DEPTH = 9
# What has no payload: longer frames would be padded beyond what a link asks for, and tshark says so.
CLOSED = ("arp", "lldp", "stp", "rstp", "pause", "pfc", "ptp", "igmp", "mld", "neighbor_solicitation",
          "neighbor_advertisement", "router_solicitation", "router_advertisement")
DEEPER = ("ipv4", "ipv6", "vlan", "mpls", "gre", "ethernet", "vxlan", "geneve", "gtpu", "l2tp")


def follower(rng, name, depth):
    choices = p.ROWS[name].follows
    if depth >= DEPTH and name != "mpls":  # come to an end; what ends with a label would be guessed at
        choices = [c for c in choices if c not in DEEPER]
    if depth >= DEPTH and name == "mpls":
        choices = ["ipv4"]
    if name in ("udp", "tcp", "icmp") and rng.random() < 0.6:
        return None
    return rng.choice(list(choices)) if choices else None


def random_stack(rng):
    names = ["ethernet"]
    while (name := follower(rng, names[-1], len(names))) is not None:
        if name == "hop_by_hop" and names[-1] != "ipv6":
            continue
        if name == "vlan" and names[-2:] == ["vlan", "vlan"]:
            continue  # tshark shows a third tag inside of the second
        names.append(name)
        if names.count("ethernet") > 1 and name in ("llc", "lldp", "pause", "pfc", "ptp"):
            names.pop()  # these belong to the outermost link
    return names


def random_layer(rng, name):
    row, fields = p.ROWS[name], {}
    for ours, spec in row.fields.items():
        if spec.free and rng.random() < 0.7:
            fields[ours] = p.a_value(spec, rng)
    if name == "mpls":
        fields["label"] = rng.randrange(16, 1 << 20)
    if name == "arp" and "op" in fields:
        fields["op"] = rng.choice([1, 2])
    return fields


def fix_neighbours(layers):
    """Neighbour discovery is only valid from the link itself."""
    for i, layer in enumerate(layers):
        if next(iter(layer)).startswith(("neighbor", "router")):
            next(before["ipv6"] for before in reversed(layers[:i]) if "ipv6" in before)["hop_limit"] = 255


def field_name(layers, index, ours):
    name, = layers[index]
    nth = sum(next(iter(layer)) == name for layer in layers[:index + 1])
    return f"{name}[{nth}].{ours}"


def varying(rng, layers):
    """Entries for some fields, a list of FRAMES values each, and what they make of the layers."""
    entries, values = [], {}
    candidates = [(i, ours) for i, layer in enumerate(layers) for name in layer
                  for ours, spec in p.ROWS[name].fields.items()
                  if spec.free and spec.bits != "text" and name not in ("arp", "lldp", "router_solicitation")
                  and not (ours == "hop_limit" and name == "ipv6")
                  and (name != "gre" or ours in layer[name])]
    for i, ours in rng.sample(candidates, min(len(candidates), rng.randrange(4))):
        name, = layers[i]
        chosen = [p.a_value(p.ROWS[name].fields[ours], rng) for _ in range(FRAMES)]
        entries.append({"field": field_name(layers, i, ours), "op": "list", "values": chosen})
        values[i, ours] = chosen
    return entries, values


def random_case(rng):
    layers = [{name: random_layer(rng, name)} for name in random_stack(rng)]
    fix_neighbours(layers)
    entries, values = varying(rng, layers)
    names = [next(iter(layer)) for layer in layers]
    size = rng.randrange(400, 1400) // 4 * 4
    request = {"layers": layers, "vary": entries, "count": FRAMES, "payload": {"random": rng.randrange(1000)}}
    if names[-1] in CLOSED:
        request["payload"] = {"byte": 0}
        size = p.least_size(layers)
    return names, request, values, size


def sized(names, request, size):
    """An SCTP packet is a multiple of four bytes long."""
    if "sctp" not in names:
        return size
    probe, = p.make([{**request, "size": size, "count": 1, "explain": True}])
    start = next(int(line.split()[0]) for line in reversed(probe["explain"].splitlines())
                 if line.split()[1:2] == ["sctp"])
    return start + (size - start) // 4 * 4 + 4


def wanted_values(layers, values, frame):
    for i, layer in enumerate(layers):
        (name, fields), = layer.items()
        for ours, spec in p.ROWS[name].fields.items():
            value = values[i, ours][frame] if (i, ours) in values else fields.get(ours)
            if value is not None:
                yield i, name, ours, spec, value


def check_tshark(names, layers, values, frame, packet):
    protos = iter(packet.iter("proto"))
    found = {}
    for i, name in enumerate(names):
        wanted = p.ROWS[name].tshark
        outer_tag = name == "vlan" and names[i + 1:i + 2] == ["vlan"]
        if outer_tag:
            wanted = "ieee8021ad"
        if wanted is None:
            continue
        for proto in protos:
            if proto.get("name") == wanted:
                found[i] = {}
                for f in proto.iter("field"):
                    found[i].setdefault(f.get("name"), f.get("show"))
                break
        else:
            raise AssertionError(f"tshark does not see header {i}, {name}, of {names}")
    for i, name, ours, spec, value in wanted_values(layers, values, frame):
        key = spec.tshark and (spec.tshark.replace("vlan.", "ieee8021ad.") if names[i:i + 2] == ["vlan", "vlan"]
                               else spec.tshark)
        if key is None or i not in found:
            continue
        assert p.plain(found[i][key]) == p.shown(value, spec), (names, f"{name}.{ours}")


def check_scapy(names, layers, values, frame, raw):
    """How many fields were compared: Scapy does not bind all that may follow each other."""
    packet = p.s.Ether(raw)
    at = packet
    seen = {}
    for i, name in enumerate(names):
        kind = p.ROWS[name].scapy
        kinds = {"gre": p.s.GRE, "arp": p.s.ARP, "ethernet": (p.s.Ether, p.s.Dot3)}.get(name, kind)
        while kind is not None and at and not isinstance(at, kinds):
            at = at.payload
        if kind is None or not at:
            break
        seen[i] = at
        at = at.payload
    compared = 0
    for i, name, ours, spec, value in wanted_values(layers, values, frame):
        if i not in seen or spec.scapy is None:
            continue
        theirs = seen[i].getfieldval(spec.scapy)
        compared += 1
        if isinstance(spec.bits, int):
            theirs = int(theirs) >> spec.shift & ((1 << spec.bits) - 1)
        assert theirs == p.shown(value, spec), (names, f"{name}.{ours}")
    return compared


@pytest.fixture(scope="module")
def cases():
    rng = random.Random(SEED)
    print("seed", SEED)
    made = []
    for _ in range(STACKS):
        names, request, values, size = random_case(rng)
        made.append((names, {**request, "size": sized(names, request, size)}, values))
    answers = p.make([request for _, request, _ in made])
    for (names, request, _), answer in zip(made, answers):
        assert not answer["errors"], (names, answer["errors"])
    return [(names, request["layers"], values, [bytes.fromhex(f) for f in answer["frames"]])
            for (names, request, values), answer in zip(made, answers)]


def test_tshark_reads_every_field_and_finds_nothing_wrong(cases):
    packets = p.dissect([frame for case in cases for frame in case[3]])
    assert len(packets) == FRAMES * len(cases)
    for n, packet in enumerate(packets):
        names, layers, values, _ = cases[n // FRAMES]
        assert p.trouble(packet) == [], (names, layers)
        check_tshark(names, layers, values, n % FRAMES, packet)


def test_scapy_reads_every_field(cases):
    compared = sum(check_scapy(names, layers, values, n, frame)
                   for names, layers, values, frames in cases for n, frame in enumerate(frames))
    print(compared, "fields compared")
    assert compared > 5 * FRAMES * len(cases)
