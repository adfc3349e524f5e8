# SPDX-License-Identifier: GPL-2.0-or-later
"""A daemon that is none: answers io.volleyd over a UNIX socket from a table, and remembers what it was asked."""
import copy
import fnmatch
import json
import os
import socket
import threading


class Error(Exception):
    """A symbolic error as a reply."""

    def __init__(self, error, /, **parameters):
        super().__init__(error)
        self.name = error if "." in error else "io.volleyd." + error
        self.parameters = parameters


def account(sent, **more):
    counts = dict(scheduled=sent, queued=sent, completed=sent, rejected=0, withdrawn=0, missed=0, in_flight=0,
                  bytes_l2=sent * 64)
    counts.update(more)
    return counts


def rates(pps, size=64):
    return {"pps": float(pps), "bit_l1": pps * (size + 20) * 8.0, "bit_l2": pps * size * 8.0}


RUN = {"id": 3, "state": "ended", "started": "2026-11-22T10:00:00.000Z", "elapsed_ns": 10_000_000_000,
       "verdict": "passed", "reasons": []}
PORTS = [
    {"name": "east", "interface": "veth0", "engine": "txring", "state": "ready", "reason": "", "ifindex": 4,
     "mtu": 1500, "speed_bit": 10_000_000_000, "mac": "02:00:00:00:00:01", "queues": 1, "pacing": "balanced",
     "ring": {"version": 2, "frames": 1024, "frame_size": 2048, "block_size": 65536, "blocks": 32,
              "socket_memory": 212992},
     "path": "linear buffers up to 256 bytes: 1.21 times as fast as zero-copy here"},
    {"name": "west", "interface": "eth0", "engine": "txring", "state": "refused",
     "reason": "carries the default route; force = true allows it", "ifindex": 2, "mtu": 1500, "speed_bit": 0,
     "mac": "02:00:00:00:00:09", "queues": 1, "pacing": "balanced",
     "ring": {"version": 2, "frames": 0, "frame_size": 0, "block_size": 0, "blocks": 0, "socket_memory": 0},
     "path": ""},
]
STREAMS = [
    {"name": "voice", "port": "east", "state": "done", "reason": "", "requested": "50 kpps", "multiplier": "1",
     "template": "voice", "size_mean": 128},
    {"name": "video", "port": "east", "state": "idle", "reason": "", "requested": "1.5 Gbit/L1",
     "multiplier": "1", "template": "video", "size_mean": 353.7},
]
DEVICE = {"tx_packets": 500000, "tx_bytes": 32000000, "tx_dropped": 0, "rx_packets": 0, "rx_bytes": 0,
          "unaccounted": 0, "foreign": 0, "comparable": True}


def counters():
    east = dict(name="east", interface="veth0", engine="txring", state="ready", reason="", kicks=15625, waits=3,
                wakeups=3, achieved=rates(0), average=rates(50000), queues=[], device=dict(DEVICE),
                **account(500000))
    west = dict(name="west", interface="eth0", engine="txring", state="refused",
                reason="carries the default route; force = true allows it", kicks=0, waits=0, wakeups=0,
                achieved=rates(0), average=rates(0), queues=[], device=dict(DEVICE, tx_packets=0, tx_bytes=0),
                **account(0))
    latency = {"clock": "software", "min_ns": 2100, "mean_ns": 5400, "p50_ns": 5100, "p90_ns": 7800,
               "p99_ns": 12500, "p999_ns": 31000, "p9999_ns": 90000, "p99999_ns": 120000, "max_ns": 131000,
               "jitter_ns": 900, "delay_variation_ns": 128900,
               "uncertainty_ns": 42000, "uncertainty_mean_ns": 9000}
    received = {"port": "west", "received": 500000, "lost": 0, "duplicates": 0, "reordered": 0, "late": 0,
                "corrupted": 0, "flooded": 0, "misdirected": 0, "stale": 0,
                "outage": {"frames": 0, "ns": 0}, "final": True, "latency": latency}
    voice = dict(name="voice", port="east", state="done", reason="", requested="50 kpps", achieved=rates(0),
                 average=rates(50000), receive=[received], **account(500000))
    video = dict(name="video", port="east", state="idle", reason="", requested="1.5 Gbit/L1", achieved=rates(0),
                 average=rates(0), receive=[], **account(0))
    return {"run": copy.deepcopy(RUN), "ports": [east, west], "streams": [voice, video], "streams_total": 2}


def status():
    return {"version": "1.0.0",
            "configuration": {"source": "/etc/volleyd/volleyd.conf", "streams": 2,
                              "warnings": ["volleyd.conf:31: streams.video.rate: 1.5 Gbit/L1 is more than the link"]},
            "run": copy.deepcopy(RUN), "ports": copy.deepcopy(PORTS), "streams": copy.deepcopy(STREAMS),
            "streams_total": 2}


def report():
    result = counters()
    result["history"] = [{"elapsed_ns": second * 10**9,
                          "ports": [{"name": "east", "completed": 50000 * second, "missed": 0},
                                    {"name": "west", "completed": 0, "missed": 0}]} for second in range(1, 11)]
    result["ports"][0]["gaps"] = [{"from_ns": 19000, "to_ns": 19500, "count": 1200},
                                  {"from_ns": 19500, "to_ns": 20000, "count": 240000},
                                  {"from_ns": 20000, "to_ns": 20500, "count": 257000},
                                  {"from_ns": 20500, "to_ns": 21000, "count": 1799}]
    return result


def page(reply, parameters):
    """offset, limit, streams and match, as the daemon treats them."""
    streams = reply["streams"]
    if parameters.get("streams") == ["send"]:  # as if it had been applied
        streams = [dict(streams[0], name="send")]
    elif "streams" in parameters:
        known = {row["name"] for row in streams}
        for name in parameters["streams"]:
            if name not in known:
                raise Error("NotFound", name=name, nearest="voice")
        streams = [row for row in streams if row["name"] in parameters["streams"]]
    if "match" in parameters:
        streams = [row for row in streams if fnmatch.fnmatch(row["name"], parameters["match"])]
    offset, limit = parameters.get("offset", 0), parameters.get("limit", 1000)
    return dict(reply, streams=streams[offset:offset + limit], streams_total=len(streams))


class Fake:
    """`answers`: method → reply, or a function of the parameters; an Error may be given or raised. A list is
    answered one after the other, its last entry for ever. HANG never answers, CLOSE hangs up."""

    HANG, CLOSE = object(), object()

    def __init__(self, path):
        self.path, self.calls, self.lock = str(path), [], threading.Lock()
        self.answers = {
            "GetStatus": lambda p: page(status(), p), "Counters": lambda p: page(counters(), p),
            "Report": lambda p: report(), "Start": {"run": 4, "armed": False}, "Stop": {}, "Pause": {},
            "Resume": {}, "SetRate": {},
            "Apply": {"added": 1, "removed": 0, "changed": 0, "unchanged": 2, "warnings": []},
            "Reload": {"added": 0, "removed": 1, "changed": 1, "unchanged": 1, "warnings": []},
            "Lease": {"holder": "root (pid 71)", "until": "2026-11-22T10:01:00Z"}, "Release": {}}
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen()
        self.connections = []
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.thread.join()
        os.unlink(self.path)

    def asked(self, method):
        """The parameters of each call of a method so far."""
        with self.lock:
            return [parameters for name, parameters in self.calls if name == method]

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        pending = b""
        try:
            while True:
                while b"\0" not in pending:
                    data = connection.recv(65536)
                    if not data:
                        return
                    pending += data
                text, pending = pending.split(b"\0", 1)
                self._answer(connection, json.loads(text))
        except OSError:
            pass
        finally:
            connection.close()

    def _answer(self, connection, call):
        method, parameters = call["method"], call.get("parameters", {})
        if not method.startswith("io.volleyd."):
            raise OSError("not ours")
        method = method.removeprefix("io.volleyd.")
        with self.lock:
            self.calls.append((method, parameters))
        while True:
            message, more = self._reply(method, parameters, call.get("more", False))
            if message is None:
                return
            connection.sendall(json.dumps(message).encode() + b"\0")
            if not more:
                return

    def _reply(self, method, parameters, more):
        answer = self.answers.get(method, Error("org.varlink.service.MethodNotFound", method=method))
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if answer is self.HANG:
            return None, False
        if answer is self.CLOSE:
            raise OSError("hung up")
        try:
            if callable(answer):
                answer = answer(parameters)
            if isinstance(answer, Error):
                raise answer
        except Error as error:
            return {"error": error.name, "parameters": error.parameters}, False
        message = {"parameters": answer}
        if more:
            message["continues"] = True
        return message, more


if __name__ == "__main__":  # to try things by hand: fake.py SOCKET
    import sys
    import time
    Fake(sys.argv[1])
    while True:
        time.sleep(3600)
