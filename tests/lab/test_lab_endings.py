"""However the lab ends, nothing of it stays: no process, no port."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sockscope.lab.catalogue import SCENARIOS
from sockscope.lab.run import main

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace of its own needs root")
PLAIN = [name for name, scenario in SCENARIOS.items() if not scenario.own_namespace]
OWN = [name for name, scenario in SCENARIOS.items() if scenario.own_namespace]


def start(name: str) -> tuple[subprocess.Popen[str], dict]:
    process = subprocess.Popen(
        [sys.executable, "-m", "sockscope", "lab", name, "--hold", "60s"], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()[1]
    return process, json.loads(line)


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


def await_end(pids: list[int]) -> None:
    end = time.monotonic() + 10
    while [pid for pid in pids if runs(pid)]:
        assert time.monotonic() < end, f"still running: {[pid for pid in pids if runs(pid)]}"
        select.select([], [], [], 0.02)


def is_listening(port: int) -> bool:
    return f":{port:04X} 00000000:0000 0A" in Path("/proc/net/tcp").read_text()


def children_of(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


@pytest.mark.parametrize("name", [*PLAIN, *(pytest.param(name, marks=NEEDS_ROOT) for name in OWN)])
def test_terminated_it_leaves_nothing(name):
    """SIGTERM to the lab ends every role, also the children that roles forked, and frees the ports."""
    process, told = start(name)
    pids = list(told["pids"].values())
    pids += [child for pid in pids for child in children_of(pid)]
    assert all(runs(pid) for pid in told["pids"].values())
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=15)
    await_end(pids)
    assert not any(is_listening(port) for port in told["ports"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL, signal.SIGHUP])
@pytest.mark.parametrize("name", ["fork-per-connection", "epoll-edge-missed", "thundering-herd"])
def test_killed_in_any_way_it_leaves_nothing(name, number):
    """Ctrl+C, a lost terminal, and even kill -9, which runs no code of ours."""
    process, told = start(name)
    pids = list(told["pids"].values())
    pids += [child for pid in pids for child in children_of(pid)]
    process.send_signal(number)
    process.communicate(timeout=15)
    await_end(pids)
    assert not any(is_listening(port) for port in told["ports"])


def test_held_it_ends_by_itself(capsys):
    """`--hold` ends on time, prints pids and ports as JSON, exit code 0."""
    assert main(["select", "--hold", "100ms"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ports"]
    await_end(list(told["pids"].values()))


def test_lists_scenarios(capsys):
    assert main([]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in SCENARIOS)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["epol-edge"], "no scenario is called 'epol-edge'"),
        (["select", "--hold", "soon"], "'soon' is no time"),
        (["select", "--hold", "-3s"], "--hold"),
        (["select", "poll"], "unrecognized arguments"),
    ],
)
def test_wrong_words_are_told(words, said):
    """One line on stderr, exit code 2."""
    done = subprocess.run(
        [sys.executable, "-m", "sockscope", "lab", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_every_file_is_in_the_catalogue():
    """A scenario that nobody can name is none."""
    shared = {"__init__", "catalogue", "run", "stage", "serve", "namespace"}
    files = {path.stem for path in (Path(__file__).parents[2] / "sockscope" / "lab").glob("*.py")} - shared
    assert files == {scenario.module for scenario in SCENARIOS.values()}
