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
from live.lesser import RIGHTS, become, copied, document, environment, inside, python_for_all, run_sockscope
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
    return [holder["fd"] for holder in row["holders"] or () if holder["pid"] == pid]


def test_every_family_is_found_with_its_facts(ours: Scene) -> None:
    rows = rows_by_inode(document(within=ours["pid"]))
    assert {"tcp listener", "udp6 client", "unix seqpacket pair b", "in flight"} <= {one["name"] for one in ours["opened"]}
    for one in ours["opened"]:
        row = rows[one["inode"]]
        check_facts(row, one)
        assert held_fds(row, ours["pid"]) == one["fds"], one
        if one["listed"]:
            # where even root may not look into some process, who holds it cannot be excluded
            assert row["ownership"] in (["held"] if one["fds"] else ["unheld", "hidden"]), one


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


def test_rights_decide_what_is_seen_of_others(ours: Scene, theirs: Scene) -> None:
    """What any user sees of somebody else's sockets: every row of the tables, whole but for who holds it."""
    whole = rows_by_inode(document(within=ours["pid"]))
    for one in theirs["opened"]:
        assert held_fds(whole[one["inode"]], theirs["pid"]) == one["fds"]


@pytest.mark.parametrize("name", [name for name, rights in RIGHTS.items() if rights is not None])
def test_the_same_with_lesser_rights(ours: Scene, theirs: Scene, name: str) -> None:
    """The same rows with the same facts; one's own sockets whole; of others no holder, and that is said and counted."""
    rights = RIGHTS[name]
    said = document(rights=rights, within=ours["pid"])
    sees_all = name == "sys_ptrace and dac_read_search"
    rows = rows_by_inode(said)
    for one in theirs["opened"]:
        check_facts(rows[one["inode"]], one)
        assert held_fds(rows[one["inode"]], theirs["pid"]) == one["fds"], one
    for one in ours["opened"]:
        if not one["listed"] and not sees_all:
            assert one["inode"] not in rows  # in no table, and whose fds could tell is hidden
            continue
        row = rows[one["inode"]]
        check_facts(row, one)
        assert held_fds(row, ours["pid"]) == (one["fds"] if sees_all else []), one
        if not sees_all:
            assert (row["ownership"], row["holders"], row["holders_complete"]) == ("hidden", None, False)
            assert row["uid"] in (0, None)
    gaps = [gap for gap in said["gaps"] if not gap["detail"].startswith("network namespace ")]  # of others' processes
    hidden = [gap for gap in gaps if gap["what"] == "holders"]
    if sees_all:
        assert all(gap["count"] for gap in hidden)  # of processes that even root may not look into
    else:
        assert [gap["reason"] for gap in hidden] == ["not_permitted"]
        assert hidden[0]["count"] >= 2  # this test and the process it opened
    assert {gap["what"] for gap in gaps} <= {"holders", "netns", "unlisted"}


@pytest.mark.parametrize("name", list(RIGHTS))
def test_details_with_lesser_rights(ours: Scene, theirs: Scene, name: str) -> None:
    """`--deep` of both processes: one's own whole; of others the kernel's numbers, and gaps for the rest."""
    served = [next(one for one in scene["opened"] if one["name"] == "tcp server") for scene in (theirs, ours)]
    ports = ",".join(str(one["local"][1]) for one in served)
    said = document("--deep", "--port", ports, rights=RIGHTS[name], within=ours["pid"])
    rows = rows_by_inode(said)
    for one, is_ours in zip(served, (True, name in ("root", "sys_ptrace and dac_read_search")), strict=True):
        row = rows[one["inode"]]
        assert row["tcp"] is not None  # the kernel tells everybody
        assert row["receive"]["mark_source"] == ("read" if is_ours else "default")
        assert (row["waiters"], row["watches"]) == (([], []) if is_ours else (None, None))
        if is_ours:
            assert [holder["nonblocking"] for holder in row["holders"]] == [False]
    if name in ("nobody", "net_admin", "sys_ptrace"):
        assert any(gap["reason"] == "not_permitted" and gap["what"] == "holders" for gap in said["gaps"])


@pytest.mark.parametrize("name", list(RIGHTS))
def test_every_output_works_with_any_rights(ours: Scene, name: str) -> None:
    """Table, CSV, records, one process, findings, doctor: an exit code of screens.md and never a traceback."""
    rights, within = RIGHTS[name], ours["pid"]
    for words in (("--once",), ("--csv",), ("--ndjson",), ("-p", str(ours["pid"])), ("--why", "--for", "0s"), ("--pids", "-i")):
        done = run_sockscope(*words, rights=rights, within=within)
        assert done.returncode in (0, 1), (words, done.stderr)
    doctor = run_sockscope("doctor", rights=rights, within=within)
    assert doctor.returncode == 0
    names = {"net_admin": "CAP_NET_ADMIN", "sys_ptrace": "CAP_SYS_PTRACE", "dac_read_search": "CAP_DAC_READ_SEARCH"}
    for capability in rights or ():
        assert re.search(rf"✓ {names[capability]} +effective", doctor.stdout)
    if rights is not None:
        assert "sudo " in doctor.stdout
        assert re.search(r"– CAP_BPF +not held", doctor.stdout)
