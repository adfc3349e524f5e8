# SPDX-License-Identifier: GPL-2.0-or-later
"""Interfaces that carry somebody's traffic, or cannot carry ours, are refused before a frame leaves; `force` permits the first kind."""

import netns
import pytest

STREAM = '{ name = "s"; port = "east"; template = "plain"; rate = "1kpps"; count = 50; }'
PORT = '{{ name = "east"; interface = "{interface}"; {more} }}'


def refusal_of(daemon):
    with pytest.raises(netns.Error) as refusal:
        daemon.call("Start")
    assert refusal.value.name == "io.volleyd.Refused"
    return str(refusal.value)


@pytest.mark.parametrize("family", ["-4", "-6"])
def test_the_default_route_refuses_its_interface(net, family):
    east, west = net.pair()
    if family == "-6":
        east.sh("sysctl -qw net.ipv6.conf.east0.disable_ipv6=0")
    east.sh(f"ip {family} route add default dev east0")
    daemon = net.daemon(east, netns.config(STREAM))
    reason = refusal_of(daemon)
    assert "east0" in reason and "default route" in reason and "force" in reason
    assert daemon.counters()["ports"][0]["queued"] == 0
    if family == "-4":  # a link with IPv6 sends frames of its own
        assert west.counter("west0", "rx_packets") == 0
    east.sh(f"ip {family} route del default dev east0")
    assert daemon.run_to_end()["streams"][0]["completed"] == 50, "without the route it is as any other"


def test_force_permits_the_default_route(net):
    east, _ = net.pair()
    east.sh("ip route add default dev east0")
    daemon = net.daemon(east, netns.config(STREAM, ports=PORT.format(interface="east0", more="force = true;")))
    assert daemon.run_to_end()["streams"][0]["completed"] == 50


def test_a_link_without_ethernet_headers_is_refused(net):
    east, _ = net.pair()
    east.sh("ip tuntap add dev tun0 mode tun")
    east.sh("ip link set tun0 up")
    daemon = net.daemon(east, netns.config(STREAM, ports=PORT.format(interface="tun0", more=""), allow=("tun0",)))
    reason = refusal_of(daemon)
    assert "tun0 is not an Ethernet interface" in reason and "cooked" in reason
    assert east.counter("tun0", "tx_packets") == 0
