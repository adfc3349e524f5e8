# SPDX-License-Identifier: GPL-2.0-or-later
"""Every protocol of the table as two others see it, Scapy and tshark: the oracles of the packet tests.

A row: our fields with the bits they have, Scapy's name and tshark's name for them; and what may follow. The
names are the oracles' own; nothing here comes from src/packet/proto_*.c."""
import ipaddress
import json
import logging
import os
import re
import struct
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
import scapy.all as s  # noqa: E402
from scapy.contrib.geneve import GENEVE  # noqa: E402
from scapy.contrib.gtp import GTP_U_Header  # noqa: E402
from scapy.contrib.igmp import IGMP  # noqa: E402
from scapy.contrib.mac_control import MACControlPause  # noqa: E402
from scapy.contrib.mpls import MPLS  # noqa: E402

BUILD = Path(os.environ.get("VOLLEYD_BUILD", "build"))
FRAMES = BUILD / "tests/packet/frames"
LONG = os.environ.get("VOLLEYD_LONG") == "1"
EVERY_SPECIAL = 15


@dataclass
class F:
    """One field: our bits (or "mac", "ipv4", "ipv6"), Scapy's and tshark's names, whether a random value keeps the
    packet decodable, and what it becomes for the two."""
    bits: object
    scapy: str = None
    tshark: str = None
    free: bool = True
    shift: int = 0  # of our bits in Scapy's field


@dataclass
class Row:
    fields: dict
    scapy: object = None  # class, or a function that makes the header from keyword arguments
    tshark: str = None  # name of the <proto>
    follows: tuple = ()  # what may come next in a random stack
    stack: tuple = ()  # headers before it, in the tests of one protocol
    base: dict = field(default_factory=dict)  # for the fields' tests
    bytes: int = 0  # of the header that Scapy makes


def an_arp(**fields):
    """Scapy guesses addresses and their lengths from this machine; here they are given."""
    return s.ARP(**{"hwlen": 6, "plen": 4, "hwsrc": "02:00:00:00:00:01", "psrc": "192.0.2.1",
                    "hwdst": "02:00:00:00:00:02", "pdst": "192.0.2.2", **fields})


L3 = ("ipv4", "ipv6", "arp")
INNER = ("ipv4", "ipv6")
L4 = ("udp", "tcp", "sctp")
ICMP6 = ("icmpv6", "neighbor_solicitation", "neighbor_advertisement", "router_solicitation",
         "router_advertisement", "mld")
IPV4_NEXT = L4 + ("icmp", "igmp", "gre", "ipv4", "ipv6", "ah")
IPV6_NEXT = L4 + ICMP6 + ("gre", "ipv4", "ipv6", "ah", "fragment", "hop_by_hop", "destination_options")
EXTENSION_NEXT = L4 + ICMP6

NS = {"ethernet": {}, "ipv6": {"hop_limit": 255}}
ROWS = {
    "ethernet": Row({"dst": F("mac", "dst", "eth.dst"), "src": F("mac", "src", "eth.src"),
                     "type": F(16, "type", None, False)},
                    s.Ether, "eth", L3 + ("vlan", "mpls", "pppoe", "llc", "lldp", "pause", "pfc", "ptp")),
    "vlan": Row({"pcp": F(3, "prio", "vlan.priority"), "dei": F(1, "id", "vlan.dei"),
                 "id": F(12, "vlan", "vlan.id"), "type": F(16, "type", None, False)},
                s.Dot1Q, "vlan", L3 + ("vlan", "mpls", "pppoe"), ("ethernet",)),
    "mpls": Row({"label": F(20, "label", "mpls.label", False), "tc": F(3, "cos", "mpls.exp"),
                 "s": F(1, "s", "mpls.bottom", False), "ttl": F(8, "ttl", "mpls.ttl")},
                MPLS, "mpls", INNER + ("mpls",), ("ethernet",)),
    "pppoe": Row({"version": F(4, "version", "pppoe.version", False), "type": F(4, "type", "pppoe.type", False),
                  "code": F(8, "code", "pppoe.code", False), "session": F(16, "sessionid", "pppoe.session_id"),
                  "length": F(16, "len", "pppoe.payload_length", False)},
                 s.PPPoE, "pppoes", ("ppp",), ("ethernet",)),
    "ppp": Row({"protocol": F(16, None, "ppp.protocol", False)}, s.PPP, "ppp", INNER, ("ethernet", "pppoe")),
    "llc": Row({"dsap": F(8, "dsap", "llc.dsap", False), "ssap": F(8, "ssap", "llc.ssap", False),
                "control": F(8, "ctrl", "llc.control", False)}, s.LLC, "llc", ("snap", "stp", "rstp"), ("ethernet",)),
    "snap": Row({"oui": F(24, "OUI", "llc.oui", False), "type": F(16, "code", "llc.type", False)},
                s.SNAP, None, INNER, ("ethernet", "llc")),
    "arp": Row({"hardware": F(16, "hwtype", "arp.hw.type", False), "protocol": F(16, "ptype", "arp.proto.type", False),
                "op": F(16, "op", "arp.opcode"), "sender_mac": F("mac", "hwsrc", "arp.src.hw_mac"),
                "sender_ip": F("ipv4", "psrc", "arp.src.proto_ipv4"),
                "target_mac": F("mac", "hwdst", "arp.dst.hw_mac"),
                "target_ip": F("ipv4", "pdst", "arp.dst.proto_ipv4")}, an_arp, "arp", (), ("ethernet",)),
    "lldp": Row({"chassis_id": F("mac", None, "lldp.chassis.id.mac"), "ttl": F(16, None, "lldp.time_to_live"),
                 "port_id": F("text", None, "lldp.port.id"),
                 "system_name": F("text", None, "lldp.tlv.system.name"),
                 "capabilities": F(16, None, "lldp.tlv.system_cap")}, None, "lldp", (), ("ethernet",)),
    "stp": Row({"version": F(8, "version", None, False), "type": F(8, "bpdutype", None, False),
                "flags": F(8, "bpduflags", "stp.flags", False), "root_priority": F(16, "rootid", None),
                "root_mac": F("mac", "rootmac", "stp.root.hw"), "root_cost": F(32, "pathcost", "stp.root.cost"),
                "bridge_priority": F(16, "bridgeid", None), "bridge_mac": F("mac", "bridgemac", "stp.bridge.hw"),
                "port": F(16, "portid", "stp.port")}, s.STP, "stp", (), ("ethernet", "llc")),
    "rstp": Row({"root_mac": F("mac", None, "stp.root.hw"), "root_cost": F(32, None, "stp.root.cost"),
                 "bridge_mac": F("mac", None, "stp.bridge.hw"), "port": F(16, None, "stp.port")},
                None, "stp", (), ("ethernet", "llc")),
    "pause": Row({"quanta": F(16, "pause_time", "macc.pause_time")}, MACControlPause, "macc", (), ("ethernet",)),
    "pfc": Row({"time0": F(16, None, "macc.cbfc.pause_time.c0"), "time7": F(16, None, "macc.cbfc.pause_time.c7"),
                "classes": F(8, None, "macc.cbfc.enbv")}, None, "macc", (), ("ethernet",)),
    "ptp": Row({"domain": F(8, None, "ptp.v2.domainnumber"), "sequence": F(16, None, "ptp.v2.sequenceid"),
                "seconds": F(48, None, "ptp.v2.sdr.origintimestamp.seconds"),
                "port": F(16, None, "ptp.v2.sourceportid"), "flags": F(16, None, "ptp.v2.flags"),
                "length": F(16, None, "ptp.v2.messagelength", False)}, None, "ptp", (), ("ethernet",)),
    "ipv4": Row({"version": F(4, "version", "ip.version", False), "ihl": F(4, "ihl", None, False),
                 "dscp": F(6, "tos", "ip.dsfield.dscp", shift=2), "ecn": F(2, "tos", "ip.dsfield.ecn"),
                 "tos": F(8, "tos", "ip.dsfield", False), "length": F(16, "len", "ip.len", False),
                 "id": F(16, "id", "ip.id"), "flags": F(3, "flags", None, False),
                 "fragment_offset": F(13, "frag", "ip.frag_offset", False), "ttl": F(8, "ttl", "ip.ttl"),
                 "protocol": F(8, "proto", "ip.proto", False), "src": F("ipv4", "src", "ip.src"),
                 "dst": F("ipv4", "dst", "ip.dst")}, s.IP, "ip", IPV4_NEXT, ("ethernet",), {"checksum": 0}),
    "ipv6": Row({"version": F(4, "version", "ipv6.version", False), "traffic_class": F(8, "tc", "ipv6.tclass"),
                 "flow_label": F(20, "fl", "ipv6.flow"), "length": F(16, "plen", "ipv6.plen", False),
                 "next_header": F(8, "nh", "ipv6.nxt", False), "hop_limit": F(8, "hlim", "ipv6.hlim"),
                 "src": F("ipv6", "src", "ipv6.src"), "dst": F("ipv6", "dst", "ipv6.dst")},
                s.IPv6, "ipv6", IPV6_NEXT, ("ethernet",)),
    "hop_by_hop": Row({"next_header": F(8, "nh", None, False), "length": F(8, "len", None, False)},
                      s.IPv6ExtHdrHopByHop, None, EXTENSION_NEXT, ("ethernet", "ipv6")),
    "destination_options": Row({"next_header": F(8, "nh", None, False), "length": F(8, "len", None, False)},
                               s.IPv6ExtHdrDestOpt, None, EXTENSION_NEXT, ("ethernet", "ipv6")),
    "fragment": Row({"next_header": F(8, "nh", None, False), "offset": F(13, "offset", None, False),
                     "more": F(1, "m", None, False), "id": F(32, "id", None)},
                    s.IPv6ExtHdrFragment, None, EXTENSION_NEXT, ("ethernet", "ipv6")),
    "ah": Row({"next_header": F(8, "nh", "ah.next_header", False), "spi": F(32, "spi", "ah.spi"),
               "seq": F(32, "seq", "ah.sequence")}, s.AH, "ah", L4, ("ethernet", "ipv4")),
    "esp": Row({"spi": F(32, "spi", "esp.spi"), "seq": F(32, "seq", "esp.sequence")},
               s.ESP, "esp", (), ("ethernet", "ipv4")),
    "icmp": Row({"type": F(8, "type", "icmp.type", False), "code": F(8, "code", "icmp.code", False),
                 "id": F(16, "id", "icmp.ident"), "seq": F(16, "seq", "icmp.seq")},
                s.ICMP, "icmp", (), ("ethernet", "ipv4"), {"checksum": 0}),
    "icmpv6": Row({"code": F(8, "code", "icmpv6.code", False), "id": F(16, "id", "icmpv6.echo.identifier"),
                   "seq": F(16, "seq", "icmpv6.echo.sequence_number")},
                  s.ICMPv6EchoRequest, "icmpv6", (), ("ethernet", "ipv6"), {"checksum": 0}),
    "neighbor_solicitation": Row({"target": F("ipv6", "tgt", "icmpv6.nd.ns.target_address")},
                                 s.ICMPv6ND_NS, "icmpv6", (), ("ethernet", "ipv6"), {"checksum": 0}),
    "neighbor_advertisement": Row({"target": F("ipv6", "tgt", "icmpv6.nd.na.target_address")},
                                  s.ICMPv6ND_NA, "icmpv6", (), ("ethernet", "ipv6"), {"checksum": 0}),
    "router_solicitation": Row({"source_mac": F("mac", None, "icmpv6.opt.src_linkaddr")}, None, "icmpv6", (),
                               ("ethernet", "ipv6"), {"checksum": 0}),
    "router_advertisement": Row({"hop_limit": F(8, "chlim", "icmpv6.nd.ra.cur_hop_limit"),
                                 "lifetime": F(16, "routerlifetime", "icmpv6.nd.ra.router_lifetime"),
                                 "reachable": F(32, "reachabletime", "icmpv6.nd.ra.reachable_time"),
                                 "retransmit": F(32, "retranstimer", "icmpv6.nd.ra.retrans_timer")},
                                s.ICMPv6ND_RA, "icmpv6", (), ("ethernet", "ipv6"), {"checksum": 0}),
    "mld": Row({"max_response": F(16, "mrd", "icmpv6.mld.maximum_response_delay"),
                "group": F("ipv6", "mladdr", "icmpv6.mld.multicast_address")},
               s.ICMPv6MLQuery, "icmpv6", (), ("ethernet", "ipv6"), {"checksum": 0}),
    "igmp": Row({"type": F(8, "type", None, False), "max_response": F(8, "mrcode", None, False),
                 "group": F("ipv4", "gaddr", "igmp.maddr")},
                IGMP, "igmp", (), ("ethernet", "ipv4"), {"checksum": 0}),
    "udp": Row({"src": F(16, "sport", "udp.srcport", False), "dst": F(16, "dport", "udp.dstport", False),
                "length": F(16, "len", "udp.length", False)},
               s.UDP, "udp", ("vxlan", "geneve", "gtpu", "l2tp"), ("ethernet", "ipv4"), {"checksum": 0}),
    "tcp": Row({"src": F(16, "sport", "tcp.srcport", False), "dst": F(16, "dport", "tcp.dstport", False),
                "seq": F(32, "seq", "tcp.seq_raw"), "ack": F(32, "ack", "tcp.ack_raw"),
                "data_offset": F(4, "dataofs", None, False), "reserved": F(3, "reserved", None, False),
                "flags": F(9, "flags", "tcp.flags", False), "window": F(16, "window", "tcp.window_size_value"),
                "urgent": F(16, "urgptr", "tcp.urgent_pointer", False)},
               s.TCP, "tcp", (), ("ethernet", "ipv4"), {"checksum": 0}),
    "sctp": Row({"src": F(16, "sport", "sctp.srcport", False), "dst": F(16, "dport", "sctp.dstport", False),
                 "tag": F(32, "tag", "sctp.verification_tag")}, s.SCTP, "sctp", ("sctp_data",),
                ("ethernet", "ipv4"), {"checksum": 0}),
    "sctp_data": Row({"tsn": F(32, "tsn", "sctp.data_tsn_raw", False), "stream": F(16, "stream_id", "sctp.data_sid"),
                      "seq": F(16, "stream_seq", "sctp.data_ssn"),
                      "ppid": F(32, "proto_id", "sctp.data_payload_proto_id", False),
                      "length": F(16, "len", "sctp.chunk_length", False)},
                     s.SCTPChunkData, None, (), ("ethernet", "ipv4", "sctp")),
    "gre": Row({"protocol": F(16, "proto", "gre.proto", False), "version": F(3, "version", None, False),
                "key": F(32, "key", "gre.key"), "sequence": F(32, "sequence_number", "gre.sequence_number")},
               lambda **f: s.GRE(key_present=1, seqnum_present=1, **f), "gre", INNER + ("ethernet",),
               ("ethernet", "ipv4"), {"key": 0, "sequence": 0}),
    "vxlan": Row({"vni": F(24, "vni", "vxlan.vni")}, s.VXLAN, "vxlan", ("ethernet",), ("ethernet", "ipv4", "udp")),
    "geneve": Row({"version": F(2, "version", None, False), "vni": F(24, "vni", "geneve.vni"),
                   "protocol": F(16, "proto", "geneve.proto_type", False)}, GENEVE, "geneve", INNER + ("ethernet",),
                  ("ethernet", "ipv4", "udp")),
    "gtpu": Row({"teid": F(32, "teid", "gtp.teid"), "type": F(8, "gtp_type", "gtp.message", False),
                 "length": F(16, "length", "gtp.length", False)},
                GTP_U_Header, "gtp", INNER, ("ethernet", "ipv4", "udp")),
    "l2tp": Row({"tunnel": F(16, "tunnel_id", "l2tp.tunnel"), "session": F(16, "session_id", "l2tp.session")},
                s.L2TP, "l2tp", ("ppp",), ("ethernet", "ipv4", "udp")),
}

DECODE = ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE",
          "-o", "sctp.checksum:CRC-32C", "-o", "eth.fcs:FALSE", "-o", "ip.defragment:FALSE",
          "-o", "tcp.desegment_tcp_streams:FALSE", "-o", "tcp.analyze_sequence_numbers:FALSE"]


def make(requests):
    """What the compiler answers to each request, in order."""
    lines = "".join(json.dumps({"special": EVERY_SPECIAL, **r}) + "\n" for r in requests)
    done = subprocess.run([str(FRAMES)], input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def frames_of(request):
    answer, = make([request])
    assert not answer["errors"], answer["errors"]
    return [bytes.fromhex(f) for f in answer["frames"]]


def least_size(layers):
    """64, or what the headers need; the compiler says how much that is."""
    answer, = make([{"layers": layers, "size": 64}])
    for error in answer["errors"]:
        return int(re.search(r"fits is (\d+)", error).group(1))
    return 64


def dissect(frames):
    """tshark's PDML packets."""
    with tempfile.NamedTemporaryFile(suffix=".pcap") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for frame in frames:
            file.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)
        file.flush()
        done = subprocess.run(["tshark", "-r", file.name, "-T", "pdml", *DECODE], capture_output=True, check=True)
    return list(ElementTree.fromstring(done.stdout).iter("packet"))


def is_true(text):
    return {"True": 1, "False": 0}.get(text)


def plain(text):
    """A tshark value as a number where it is one, else as lower-case text."""
    if is_true(text) is not None:
        return is_true(text)
    try:
        return int(text, 0)
    except ValueError:
        pass
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text.lower()


def trouble(packet):
    """What tshark finds wrong: malformed headers, errors, bad checksums."""
    wrong = [p.get("name") for p in packet.iter("proto") if p.get("name") == "_ws.malformed"]
    for f in packet.iter("field"):
        name, show = f.get("name"), f.get("show")
        if name.endswith("checksum.status") and show == "0":
            wrong.append(f"{name}=bad")
        if name == "_ws.expert.severity" and show == "8388608":
            wrong.append(f.get("showname"))
        if name == "_ws.malformed":
            wrong.append(name)
    return wrong


def shown(value, spec):
    """Our value as plain() gives tshark's."""
    if spec.bits in ("ipv4", "ipv6"):
        return str(ipaddress.ip_address(value))
    return value


def limits(spec):
    return {"mac": ("00:00:00:00:00:00", "fe:ff:ff:ff:ff:ff"), "ipv4": ("0.0.0.0", "255.255.255.255"),
            "ipv6": ("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), "text": ("a", "b" * 255)}.get(
                spec.bits) or (0, (1 << spec.bits) - 1)


def a_value(spec, rng):
    if spec.bits == "mac":
        return ":".join(f"{b:02x}" for b in [rng.randrange(128) * 2, *rng.randbytes(5)])
    if spec.bits == "ipv4":
        return str(ipaddress.IPv4Address(rng.randrange(1 << 24, 224 << 24)))
    if spec.bits == "ipv6":
        return str(ipaddress.IPv6Address((0x2001 << 112) | rng.getrandbits(112)))
    if spec.bits == "text":
        return "".join(rng.choice("abcdefgh") for _ in range(rng.randrange(1, 40)))
    return rng.getrandbits(spec.bits)
