"""One socket of each family that the kernel allows is found, with the facts that ss and lsof give of it.

And with lesser rights: the same rows, what they lack, and the gaps that say so.
"""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from live.lesser import become, copied, document, environment, inside, python_for_all, run_sockscope
from live.mixed_sockets import SS_STATES

SCENE = Path(__file__).with_name("every_family.py")
ABSENT = {errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT}
Scene = dict[str, Any]
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="raw sockets and a network namespace need root")


@contextmanager
def scene(command: Sequence[str], **popen: Any) -> Iterator[Scene]:
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **popen)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            pytest.skip("no right to make a network namespace")
        yield json.loads(line)
    finally:
        process.communicate("")


@pytest.fixture(scope="module")
def ours() -> Iterator[Scene]:
    """Root's sockets, in a network namespace of their own."""
    with scene([sys.executable, str(SCENE), "own"]) as made:
        yield made


@pytest.fixture(scope="module")
def theirs(ours: Scene) -> Iterator[Scene]:
    """The sockets of nobody in the same namespace."""
    python = python_for_all()
    if python is None:
        pytest.skip("no python of our version that nobody may start")
    command = [*inside(ours["pid"]), *become(()), python, str(copied() / SCENE.name)]
    with scene(command, env=environment(), cwd="/") as made:
        yield made


def rows_by_inode(said: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Every inode has one row: MPTCP and its subflow share one."""
    rows = [row for row in said["sockets"] if row["inode"]]
    by_inode = {row["inode"]: row for row in rows}
    assert len(rows) == len(by_inode)
    return by_inode


def check_facts(row: dict[str, Any], one: dict[str, Any]) -> None:
    for name in ("family", "type", "protocol", "state"):
        assert row[name] == one.get(name, row[name]), one
    if one["local"] is not None and one["listed"]:
        assert [row["local"]["address"], row["local"]["port"]] == one["local"], one
    if one["remote"] is not None:
        assert [row["remote"]["address"], row["remote"]["port"]] == one["remote"], one
    if "path" in one:
        assert (row["local"]["path"], row["local"]["abstract"]) == (one["path"], one["abstract"])
    if "unread" in one:
        # MPTCP counts memory, not payload (mptcp_diag.c)
        queued = row["receive"]["queued_bytes"]
        assert queued >= one["unread"] if one["protocol"] == "mptcp" else queued == one["unread"]
    if not one["listed"]:
        assert (row["receive"]["queued_bytes"], row["uid"], row["cookie"]) == (None, None, None)


def held_fds(row: dict[str, Any], pid: int) -> list[int]:
    return [holder["fd"] for holder in row["holders"] if holder["pid"] == pid]


def test_every_family_is_found_with_its_facts(ours: Scene) -> None:
    rows = rows_by_inode(document(within=ours["pid"]))
    assert {"tcp listener", "udp6 client", "unix seqpacket pair b", "in flight"} <= {one["name"] for one in ours["opened"]}
    for one in ours["opened"]:
        row = rows[one["inode"]]
        check_facts(row, one)
        assert held_fds(row, ours["pid"]) == one["fds"], one
        if one["listed"]:
            assert row["ownership"] == ("held" if one["fds"] else "unheld"), one


def test_a_ring_tells_which_socket_it_keeps(ours: Scene) -> None:
    kept = next((one for one in ours["opened"] if "ring" in one), None)
    if kept is None:
        pytest.skip("io_uring is not to be had here")
    fds = {fd["fd"]: fd for fd in document("-p", str(ours["pid"]), within=ours["pid"])["fds"]}
    assert f"socket:[{kept['inode']}]" in fds[kept["ring"]]["facts"]["user_files"]


def test_doctor_lists_the_rest(ours: Scene) -> None:
    said = run_sockscope("doctor", within=ours["pid"]).stdout
    absent = next((line for line in said.splitlines() if "not available here" in line), "").split()
    missing = {name for name, code in ours["refused"].items() if code in ABSENT} - {"mapped", "raw", "raw6", "netlink"}
    assert missing <= set(absent)
    present = {one.get("protocol", one["name"]) for one in ours["opened"]}
    assert not present & set(absent)
    shown = " ".join(line for line in said.splitlines() if "in tables" in line or "in no table" in line)
    assert all(re.search(rf"\b{name}\b", shown) for name in present)


def test_ss_says_the_same(ours: Scene) -> None:
    rows = rows_by_inode(document(within=ours["pid"]))
    by_fd = {fd: rows[one["inode"]] for one in ours["opened"] for fd in one["fds"]}
    seen = set()
    for kind in "tuxMw0":
        for line in ss_lines(kind, ours["pid"]):
            fields = line.split()
            if kind in "x0":
                fields = fields[1:]
            for fd in map(int, re.findall(rf"pid={ours['pid']},fd=(\d+)", line)):
                seen.add(fd)
                row = by_fd[fd]
                if kind == "t" and row["protocol"] == "mptcp":
                    continue  # the subflow: one row with the connection's inode is enough
                assert row["state"] == SS_STATES[fields[0]], line
                if row["state"] == "LISTEN":
                    queues = [row["accept_queue"]["length"], row["accept_queue"]["limit"]]
                else:
                    queues = [row["receive"]["queued_bytes"], row["send"]["queued_bytes"]]
                assert queues == [int(fields[1]), int(fields[2])], line
                cookie = re.search(r"\bsk:([0-9a-f]+)", line)
                if cookie and row["protocol"] != "mptcp":
                    assert row["cookie"] == cookie[1], line
    by_name = {one["name"]: one for one in ours["opened"]}
    unknown_to_ss = ("bound only", "ping", "ping6", "udplite", "netlink")  # or it does not tell whose they are
    for name, one in by_name.items():
        if one["listed"] and not name.startswith(unknown_to_ss):
            assert set(one["fds"]) <= seen, name


def ss_lines(kind: str, pid: int) -> list[str]:
    command = [*inside(pid), "ss", "-H", "-O", "-a", "-n", "-p", "-e", f"-{kind}"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()


def test_lsof_says_the_same(ours: Scene) -> None:
    """Every socket fd lsof lists has a row of that inode held by that fd, with the protocol lsof names."""
    rows = rows_by_inode(document(within=ours["pid"]))
    listing = [*inside(ours["pid"]), "lsof", "-nP", "-a", "-p", str(ours["pid"]), "-F", "ftdin"]
    output = subprocess.run(listing, capture_output=True, text=True, check=False).stdout
    inodes = {one["inode"] for one in ours["opened"]}
    kinds = {"IPv4": "inet", "IPv6": "inet6", "unix": "unix", "pack": "packet", "netlink": "netlink"}
    found = 0
    for block in re.split(r"^f", output, flags=re.MULTILINE)[1:]:
        fd, *lines = block.splitlines()
        told = {line[0]: line[1:] for line in lines if line}
        inode = next((int(told[tag]) for tag in "id" if told.get(tag, "").isdecimal()), 0)
        if inode in inodes:
            found += 1
            assert int(fd) in held_fds(rows[inode], ours["pid"])
            assert rows[inode]["family"] == kinds.get(told["t"], rows[inode]["family"]), told
    assert found == sum(len(one["fds"]) for one in ours["opened"])
