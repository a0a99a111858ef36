"""Every holder of every socket, over forks, swaps at a constant number of fds, and with few rights."""

# ruff: noqa: PTH115, PTH116, PTH208
from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sockscope.collect.owner_bpf import may_load
from sockscope.collect.owners import OwnerMap, OwnerState
from sockscope.kernel.proc_fd import list_pids

FORKED = """
import os, signal, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
children = []
for _ in range(4):
    child = os.fork()
    if not child:
        signal.pause()
    children.append(child)
print(os.fstat(listener.fileno()).st_ino, *children, flush=True)
sys.stdin.read()
for child in children:
    os.kill(child, 9)
"""

# Two processes that share sockets and swap them on command, always at the same number of open fds.
SWAPPER = """
import array, os, random, socket, sys
def fresh():
    return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
shared = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
orders_in, orders_out = os.pipe(); done_in, done_out = os.pipe()
child = os.fork()
link = far if child == 0 else near
(near if child == 0 else far).close()
own = [fresh() for _ in range(20)]
def pass_one(first):
    number = len(own) // 2
    def send():
        socket.send_fds(link, [b"x"], [own[number].fileno()])
    def receive():
        _, fds, _, _ = socket.recv_fds(link, 1, 1)
        return fds[0]
    if first:
        send(); got = receive()
    else:
        got = receive(); send()
    own[number].close()
    own[number] = socket.socket(fileno=got)
def act(order, rng):
    at = rng.randrange(len(own))
    if order == "reopen":
        own[at].close(); own[at] = fresh()
    elif order == "renumber":
        extra = fresh(); own[at].close(); own[at] = extra
    elif order == "dup":
        other = rng.randrange(len(own))
        spare = os.dup(own[at].fileno())
        os.dup2(own[other].fileno(), own[at].fileno()); os.dup2(spare, own[other].fileno()); os.close(spare)
    elif order == "unshare" and shared:
        shared.pop().close(); own.append(fresh())
    elif order == "pass":
        pass_one(child != 0)
rng = random.Random(os.getpid())
if child:
    print(os.getpid(), child, flush=True)
    for line in sys.stdin:
        both = line.strip() == "pass"
        os.write(orders_out, line.strip().ljust(16).encode()) if both or rng.random() < .5 else os.write(orders_out, b"nothing".ljust(16))
        act(line.strip(), rng)
        os.read(done_in, 1)
        print("ok", flush=True)
    os.close(orders_out); os.kill(child, 9)
else:
    while order := os.read(orders_in, 16):
        act(order.decode().strip(), rng); os.write(done_out, b".")
"""

kinds = pytest.mark.parametrize("bpf", [False, pytest.param(True, marks=pytest.mark.skipif(not may_load(), reason="no BPF"))])


@pytest.fixture
def started() -> Iterator[Any]:
    processes: list[subprocess.Popen[str]] = []

    def start(script: str, *before: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*before, sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.communicate("", 10)


def truth(pids: set[int]) -> dict[int, set[tuple[int, int]]]:
    """Who of these holds what, by stat() of every link: another way than the one tested."""
    found: dict[int, set[tuple[int, int]]] = {}
    for pid in pids:
        try:
            fds = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        for fd in fds:
            try:
                if os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:"):
                    found.setdefault(os.stat(f"/proc/{pid}/fd/{fd}").st_ino, set()).add((pid, int(fd)))
            except OSError:
                continue
    return found


def held(state: OwnerState) -> dict[int, set[tuple[int, int]]]:
    return {inode: {(holder.pid, holder.fd) for holder in holders} for inode, holders in state.holders.items()}


@kinds
def test_a_listener_held_by_four_forked_workers_shows_all_of_them(bpf: bool, started: Any) -> None:
    process = started(FORKED)
    inode, *children = map(int, process.stdout.readline().split())
    owners = OwnerMap(bpf=bpf)
    state = owners.refresh([inode], None)
    owners.close()
    assert state.source == ("bpf" if bpf else "proc")
    assert {holder.pid for holder in state.holders[inode]} == {process.pid, *children}
    for child in children:
        facts = state.processes[child]
        assert (facts.parent_pid, facts.uid, facts.thread_count) == (process.pid, os.geteuid(), 1)
        assert facts.fd_count == len(os.listdir(f"/proc/{child}/fd"))
        assert facts.name == Path(f"/proc/{child}/comm").read_bytes().strip()


@kinds
def test_a_worker_that_ends_is_no_holder_any_more(bpf: bool, started: Any) -> None:
    process = started(FORKED)
    inode, first, *rest = map(int, process.stdout.readline().split())
    owners = OwnerMap(bpf=bpf)
    owners.refresh([inode], None)
    os.kill(first, 9)
    while first in list_pids() and Path(f"/proc/{first}/stat").read_text().split()[2] != "Z":
        pass
    state = owners.refresh([inode], None)
    owners.close()
    assert {holder.pid for holder in state.holders[inode]} == {process.pid, *rest}
    assert first not in state.processes


@kinds
def test_swaps_at_a_constant_number_of_fds(bpf: bool, started: Any) -> None:
    """No wrong owner at any look; none missing for more than two."""
    process = started(SWAPPER)
    pids = set(map(int, process.stdout.readline().split()))
    owners = OwnerMap(bpf=bpf)
    scope = None if bpf else frozenset(pids)  # what others do on this machine takes from the verification's budget
    owners.refresh(truth(pids), scope)
    missing: dict[tuple[int, int, int], int] = {}
    rng = random.Random(7)
    for _ in range(120):
        process.stdin.write(rng.choice(["reopen", "renumber", "dup", "unshare", "pass"]) + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ok\n"
        now = truth(pids)
        seen = held(owners.refresh(now, scope))
        real = {(inode, *who) for inode, holders in now.items() for who in holders if who[0] in pids}
        told = {(inode, *who) for inode, holders in seen.items() for who in holders if who[0] in pids}
        assert told <= real, "a wrong owner"
        missing = {one: missing.get(one, 0) + 1 for one in real - told}
        assert all(looks <= 2 for looks in missing.values())
    owners.close()


def test_a_holder_among_unreadable_ones_is_still_found_by_pids(started: Any) -> None:
    process = started(FORKED)
    inode, first, *_ = map(int, process.stdout.readline().split())
    owners = OwnerMap()
    state = owners.refresh([inode], frozenset({first}))
    assert not state.scanned_all
    assert [holder.pid for holder in state.holders[inode]] == [first]
    assert list(state.processes) == [first]
    assert process.pid in {holder.pid for holder in owners.refresh([inode], None).holders[inode]}
    owners.close()


UNPRIVILEGED = """
import json, os, socket
from sockscope.collect.owners import OwnerMap
pair = socket.socketpair()
owners = OwnerMap()
looks = [owners.refresh([], None) for _ in range(3)]
mine = {str(one.fileno()): [[h.pid, h.fd] for h in looks[-1].holders[os.fstat(one.fileno()).st_ino]] for one in pair}
print(json.dumps({"pid": os.getpid(), "mine": mine, "hidden": looks[-1].hidden_processes, "source": looks[-1].source,
                  "gaps": [[g.what, g.reason, g.count] for g in looks[-1].gaps], "readable": len(looks[-1].processes)}))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become someone else")
def test_as_nobody_own_processes_are_whole_and_others_counted(started: Any) -> None:
    started(FORKED).stdout.readline()
    process = started(UNPRIVILEGED, "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
    told = json.loads(process.stdout.readline())
    assert told["mine"] == {fd: [[told["pid"], int(fd)]] for fd in told["mine"]}
    assert told["hidden"] >= 5, "the forked ones are root's"
    assert told["gaps"] == [["holders", "not_permitted", told["hidden"]]]
    assert told["source"] == "proc"
    kernel_threads = [pid for pid in list_pids() if not Path(f"/proc/{pid}/cmdline").exists()]
    assert told["hidden"] <= len(list_pids()) - len(kernel_threads)


@pytest.mark.skipif(not may_load(), reason="no BPF")
def test_bpf_and_scan_tell_the_same(started: Any) -> None:
    """Of processes that hold still: this test's own."""
    process = started(FORKED)
    still = {process.pid, *map(int, process.stdout.readline().split()[1:])}
    scan, iterator = OwnerMap(bpf=False), OwnerMap(bpf=True)
    states = [scan.refresh([], None), iterator.refresh([], None)]
    assert [state.source for state in states] == ["proc", "bpf"]
    by_scan, by_bpf = (
        {(inode, *who) for inode, holders in held(state).items() for who in holders if who[0] in still} for state in states
    )
    assert by_scan == by_bpf
    assert by_scan
    for pid in still:
        assert states[0].processes[pid] == states[1].processes[pid]
    scan.close()
    iterator.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount procfs")
@pytest.mark.parametrize("hidepid", ["1", "2"])
def test_with_hidepid_others_are_said_to_be_hidden(hidepid: str, started: Any) -> None:
    mount = f'mount -t proc -o hidepid={hidepid} proc /proc 2>/dev/null || exit 77; exec "$@"'
    nobody = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
    process = started(UNPRIVILEGED, "unshare", "-m", "sh", "-c", mount, "sh", *nobody)
    line = process.stdout.readline()
    if not line and process.wait(10) == 77:
        pytest.skip("procfs cannot be mounted here")
    told = json.loads(line)
    assert told["mine"] == {fd: [[told["pid"], int(fd)]] for fd in told["mine"]}
    assert told["hidden"] >= 1
    assert {(what, reason) for what, reason, _ in told["gaps"]} == {("holders", "not_permitted")}
