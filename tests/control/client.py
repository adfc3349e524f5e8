# SPDX-License-Identifier: GPL-2.0-or-later
"""A Varlink client and a reader of Varlink interface texts, written from the specification and not from volleyd's code."""

import json
import os
import re
import socket
import time

SLOW = float(os.environ.get("VOLLEYD_SLOW", "1"))


class Error(Exception):
    """An error reply."""

    def __init__(self, name, parameters):
        super().__init__(name, parameters)
        self.name, self.parameters = name, parameters


class Client:
    """One connection. ending is how messages end: NUL, or newline as `jq -c` writes."""

    def __init__(self, path, ending=b"\0", timeout=20):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout * SLOW)
        self.ending = ending
        self.rest = b""
        until = time.monotonic() + timeout * SLOW
        while True:
            try:
                self.socket.connect(str(path))
                break
            except BlockingIOError:  # the queue is full: without a time-out connect() would wait by itself
                if time.monotonic() > until:
                    raise
                time.sleep(0.005)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send_bytes(self, data):
        self.socket.sendall(data)

    def send(self, method, parameters=None, **flags):
        name = method if "." in method else "io.volleyd." + method
        message = {"method": name, **({} if parameters is None else {"parameters": parameters}), **flags}
        self.send_bytes(json.dumps(message).encode() + self.ending)

    def message(self):
        """The next whole message, or None at the end of the stream."""
        while self.ending not in self.rest:
            try:
                piece = self.socket.recv(1 << 20)
            except ConnectionResetError:
                piece = b""
            if not piece:
                return None
            self.rest += piece
        text, _, self.rest = self.rest.partition(self.ending)
        return json.loads(text)

    def reply(self):
        answer = self.message()
        if answer is None:
            raise EOFError("the daemon hung up")
        if "error" in answer:
            raise Error(answer["error"], answer.get("parameters", {}))
        return answer

    def call(self, method, **parameters):
        self.send(method, parameters)
        answer = self.reply()
        assert "continues" not in answer or answer["continues"] is False
        return answer.get("parameters", {})

    def stream(self, method, **parameters):
        self.send(method, parameters, more=True)
        while True:
            answer = self.reply()
            yield answer["parameters"]
            if not answer.get("continues"):
                return


# ---- the interface language ----

TOKEN = re.compile(r"\s*(?:#[^\n]*\n\s*)*(->|\[\]|\[string\]|[A-Za-z_][A-Za-z0-9_.-]*|[():,?])")


class Interface:
    """types, methods (in, out) and errors of an interface text; a type is ("int",), ("maybe", t), ("array", t),
    ("struct", {name: t}) or ("named", name)."""

    def __init__(self, text):
        self.text, self.at = text + "\n", 0
        self.types, self.methods, self.errors = {}, {}, {}
        self.expect("interface")
        self.name = self.take()
        while self.peek() is not None:
            getattr(self, "read_" + self.take())()

    def peek(self):
        match = TOKEN.match(self.text, self.at)
        if match is None:
            rest = re.sub(r"#[^\n]*\n", "", self.text[self.at:])
            assert not rest.strip(), f"cannot be read: {rest[:60]!r}"
            return None
        return match[1]

    def take(self):
        match = TOKEN.match(self.text, self.at)
        assert match is not None, f"cannot be read: {self.text[self.at:self.at + 60]!r}"
        self.at = match.end()
        return match[1]

    def expect(self, token):
        found = self.take()
        assert found == token, f"{token} expected, {found} found"

    def read_type(self):
        name = self.take()
        assert re.fullmatch(r"[A-Z][A-Za-z0-9]*", name)
        self.types[name] = self.struct()

    def read_method(self):
        name = self.take()
        assert re.fullmatch(r"[A-Z][A-Za-z0-9]*", name)
        given = self.struct()
        self.expect("->")
        self.methods[name] = (given, self.struct())

    def read_error(self):
        name = self.take()
        self.errors[name] = self.struct()

    def struct(self):
        self.expect("(")
        fields = {}
        while self.peek() != ")":
            name = self.take()
            assert re.fullmatch(r"[A-Za-z](_?[A-Za-z0-9])*", name), f"{name} is no field name"
            assert name not in fields
            self.expect(":")
            fields[name] = self.type()
            if self.peek() == ",":
                self.take()
        self.expect(")")
        return ("struct", fields)

    def type(self):
        token = self.peek()
        if token == "(":
            return self.struct()
        self.take()
        if token == "?":
            return ("maybe", self.type())
        if token == "[]":
            return ("array", self.type())
        return (token,) if token in ("int", "bool", "float", "string", "object") else ("named", token)

    # ---- judging values ----

    def check(self, value, kind, where="reply"):
        """Every key is there, none besides, and each has its type to the letter (a float has a point)."""
        name = kind[0]
        if name == "maybe":
            if value is not None:
                self.check(value, kind[1], where)
        elif name == "named":
            self.check(value, self.types[kind[1]], where)
        elif name == "array":
            assert isinstance(value, list), where
            for i, member in enumerate(value):
                self.check(member, kind[1], f"{where}[{i}]")
        elif name == "struct":
            assert isinstance(value, dict), where
            assert set(value) == set(kind[1]), f"{where}: {sorted(set(value) ^ set(kind[1]))} is on one side only"
            for key, member in kind[1].items():
                self.check(value[key], member, f"{where}.{key}")
        else:
            kinds = {"int": int, "bool": bool, "float": float, "string": str, "object": dict}
            assert type(value) is kinds[name], f"{where}: {value!r} is no {name}"

    def check_reply(self, method, parameters):
        self.check(parameters, self.methods[method][1], method)
