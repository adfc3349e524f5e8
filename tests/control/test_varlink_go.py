# SPDX-License-Identifier: GPL-2.0-or-later
"""The interface text as Debian's varlink-go understands it: its generator makes a Go package of it, which compiles, and a client
written against that package is served."""

import os
import shutil
import subprocess

import pytest
from client import SLOW

GOCODE = "/usr/share/gocode"
GENERATOR = GOCODE + "/src/github.com/varlink/go/cmd/varlink-go-interface-generator/main.go"
CLIENT = """
package main

import (
	"context"
	"fmt"
	"iovolleyd"
	"os"

	"github.com/varlink/go/varlink"
)

func main() {
	ctx := context.Background()
	c, err := varlink.NewConnection(ctx, "unix:"+os.Args[1])
	if err != nil {
		panic(err)
	}
	streams := []string{"voice"}
	run, armed, err := iovolleyd.Start().Call(ctx, c, &streams, nil, nil, nil, nil)
	fmt.Println(run, armed, err)
	unknown := []string{"voise"}
	err = iovolleyd.Stop().Call(ctx, c, &unknown, nil)
	notFound := err.(*iovolleyd.NotFound)
	fmt.Println(notFound.Name, notFound.Nearest)
}
"""

pytestmark = pytest.mark.skipif(not (os.path.exists(GENERATOR) and shutil.which("go")), reason="golang-github-varlink-go-dev and golang-go are not installed")


def go(directory, *arguments):
    environment = dict(os.environ, GOPATH=f"{directory}:{GOCODE}", GO111MODULE="off", GOCACHE=f"{directory}/cache", GOFLAGS="", CGO_ENABLED="0")
    done = subprocess.run(["go", *arguments], cwd=directory, env=environment, capture_output=True, text=True, timeout=300 * SLOW, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_generator_makes_a_client_that_is_served(daemon, client, tmp_path):
    text = client.call("org.varlink.service.GetInterfaceDescription", interface="io.volleyd")["description"]
    package = tmp_path / "src" / "iovolleyd"
    package.mkdir(parents=True)
    (package / "io.volleyd.varlink").write_text(text, encoding="utf-8")
    go(tmp_path, "run", GENERATOR, str(package / "io.volleyd.varlink"))
    program = tmp_path / "src" / "client"
    program.mkdir()
    (program / "main.go").write_text(CLIENT, encoding="utf-8")
    go(tmp_path, "build", "-o", str(tmp_path / "client"), "client")
    done = subprocess.run([str(tmp_path / "client"), daemon.socket], capture_output=True, text=True, timeout=60 * SLOW, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n") == ["1 false <nil>", "voise voice", ""]
    assert client.call("Counters", streams=["voice"])["streams"][0]["state"] == "running"
    client.call("Stop")
