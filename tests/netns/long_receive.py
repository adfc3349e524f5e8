# SPDX-License-Identifier: GPL-2.0-or-later
"""make check-receive-long [RUNS=200]: over a path that loses nothing, no run reports a loss, a duplicate or a change of order.
Alternating: paced and as fast as it goes, one way and both, one stream and eight."""

import os

import netns
from test_receive import BACK, HOME, PORTS, stream

RUNS = int(os.environ.get("RUNS", "200"))
EIGHT = 'copies = 8; each = ( { field = "udp.src"; from = 1000; step = 1; } );'
LOADS = (stream(2000, "20kpps"), stream(2000, "20kpps") + "," + BACK, stream(20000, "max"), stream(500, "5kpps", EIGHT))

TROUBLE = ("lost", "duplicates", "reordered", "late", "corrupted", "flooded", "misdirected", "stale")


def test_no_run_reports_what_did_not_happen(net):
    tester, _ = net.switched()
    daemon = net.daemon(tester, netns.config(LOADS[0], ports=PORTS, templates=HOME))
    for i in range(RUNS):
        daemon.write(netns.config(LOADS[i % len(LOADS)], ports=PORTS, templates=HOME))
        daemon.ctl("reload", check=0)
        for row in daemon.run_to_end()["streams"]:
            (received,) = row["receive"]
            told = f"run {i}: {row['name']}: {received}"
            assert received["final"] and received["received"] == row["completed"] > 0, told
            assert not any(received[key] for key in TROUBLE), told
