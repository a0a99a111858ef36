"""Any one kernel read of ours may fail: the program goes on, and what that costs is said.

Run as a program it prints the whole table, place by place and fault by fault.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from live.kernel_faults import CODES, DATA, GIVES_DATA, Faults, InProcess, Place
from live.targets import target

from sockscope.analysis.memory import EMPTY, remember
from sockscope.collect.detail import LiveDetailReader
from sockscope.collect.live import LiveSource
from sockscope.collect.owners import OwnerMap
from sockscope.feed.conclude import conclude
from sockscope.kernel.netlink import Netlink
from sockscope.lab.namespace import set_up
from sockscope.model.detail import ProcessDetail, SocketDetail, Wanted
from sockscope.model.names import Names
from sockscope.model.snapshot import Scope, Snapshot
from sockscope.present.json import write_json
from sockscope.present.table import table_lines

FACETS = frozenset({"tcp", "marks", "waiters", "watches", "nonblocking", "process", "fds", "threads", "on_demand"})
SERVER = """
s, c = pair(); l = listener(); e = select.epoll(); e.register(s, 1)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", 0))
a, b = socket.socketpair(); x = socket.socket()
thread(e.poll); thread(l.accept); thread(lambda: select.select([b], [], [], None))
p = select.poll(); p.register(u, 1); thread(p.poll)
while len(os.listdir("/proc/self/task")) < 5: pass
tell(inodes={n: inode(o) for n, o in dict(s=s, c=c, l=l, u=u, a=a, b=b, x=x).items()}); stay()
"""
Seen = tuple[Snapshot, dict[Any, SocketDetail | ProcessDetail]]


def look(server: Any, kind: str) -> Seen:
    """Two looks at everything, then the details of the server's sockets and of itself."""
    source = LiveSource(None if kind == "text" else Netlink)
    if kind != "text":
        source._owners = OwnerMap(bpf=kind == "bpf")
    with contextlib.closing(source):
        pids = frozenset({server.pid}) if kind == "pid" else None
        source.snapshot(Scope(pids=pids))
        snapshot = source.snapshot(Scope(pids=pids))
    reader = LiveDetailReader()
    reader._helper = InProcess()  # type: ignore[assignment]
    inodes = set(server["inodes"].values())
    keys = tuple(one.key for one in snapshot.sockets.values() if one.inode in inodes)
    wanted = Wanted(0, sockets=keys, processes=(server.pid,), facets=FACETS, budget_s=10.0)
    details: dict[Any, SocketDetail | ProcessDetail] = {}
    with contextlib.closing(reader):
        for detail in reader.read(wanted, snapshot, lambda: False):
            details[detail.key if isinstance(detail, SocketDetail) else detail.key[0]] = detail
    return snapshot, details


FEW = ("EACCES", "EMFILE", "ENOENT", "garbage")
KINDS = ("scan", "bpf", "text", "pid")


def places(server: Any, kind: str) -> list[Place]:
    """Every read that two looks make, each once."""
    faults = Faults()
    with faults.installed():
        look(server, kind)
    return sorted(faults.met)


def faults_of(place: Place) -> Iterator[str]:
    yield from CODES
    if place[1] in GIVES_DATA:
        yield from DATA


def outcome(server: Any, kind: str, place: Place, fault: str, whole: Seen) -> str:
    """What one fault did: "untouched", "said", "vanished", or what is wrong with the answer."""
    faults = Faults()
    faults.failing, faults.fault = place, fault
    try:
        with faults.installed():
            snapshot, details = look(server, kind)
        show(snapshot, details)
    except Exception as error:  # that is what is looked for
        return f"RAISED {type(error).__name__}: {error}"
    if not faults.hits:
        return "not met"
    lost = list(losses(server, snapshot, details, whole))
    if not lost:
        return "untouched"
    if fault in DATA:
        return "taken as read"  # nobody can tell a wrong file from a right one; it must only do no harm
    if fault in ("ENOENT", "ESRCH"):
        return "vanished"  # as if the process or file had ended: nothing is left to tell of
    new_gaps = {(gap.what, gap.reason) for gap in snapshot.gaps} - {(gap.what, gap.reason) for gap in whole[0].gaps}
    if new_gaps or snapshot.hidden_processes > whole[0].hidden_processes:
        return "said: " + ", ".join(sorted(f"{what} {reason}" for what, reason in new_gaps))
    silent = [what for what, told in lost if not told]
    return f"SILENT: {', '.join(silent)}" if silent else "said beside the fact: " + ", ".join(what for what, _ in lost)


def show(snapshot: Snapshot, details: dict[Any, SocketDetail | ProcessDetail]) -> None:
    """What was read can be concluded from and written, whatever it is."""
    observation = conclude(remember(EMPTY, snapshot, details.values()), snapshot, Names())
    write_json(io.BytesIO(), observation, list(snapshot.sockets.values()))
    assert all(line.isprintable() for line in table_lines(observation, list(snapshot.sockets.values()), width=120))


def losses(
    server: Any, snapshot: Snapshot, details: dict[Any, SocketDetail | ProcessDetail], whole: Seen,
) -> Iterator[tuple[str, bool]]:
    """(what was lost of the server, whether its own place says so)."""
    before, whole_details = whole
    now = {one.inode: one for one in snapshot.sockets.values()}
    for name, inode in server["inodes"].items():
        then = next(one for one in before.sockets.values() if one.inode == inode)
        row = now.get(inode)
        if row is None:
            yield f"row {name}", False
            continue
        for field in ("family", "protocol", "state", "local", "remote"):
            if getattr(row, field) != getattr(then, field):
                yield f"{field} of {name}", False
        if snapshot.holders_of(row) != before.holders_of(then):
            yield f"holders of {name}", not snapshot.holders_complete(row)
    for key, then_detail in whole_details.items():
        detail = details.get(key)
        if detail is None:
            if key in snapshot.sockets or not isinstance(then_detail, SocketDetail):
                yield f"detail {key}", False
            continue
        for field in then_detail.__struct_fields__:
            old, new = getattr(then_detail, field), getattr(detail, field)
            if hasattr(old, "value") and old.value is not None and (new is None or new.value != old.value):
                told = new is not None and (new.gap is not None or not_less(old.value, new.value))
                if field not in ("tcp", "timer_expires_s"):
                    yield f"{field} of {key}", told
                elif new is None or new.value is None:
                    yield f"{field} of {key}", new is not None and new.gap is not None


def not_less(old: Any, new: Any) -> bool:
    """Whether a fact is only less exact: fields that are None now, and all others as before; no entry missing."""
    if old == new or new is None:
        return new is not None
    if isinstance(old, tuple) and isinstance(new, tuple):
        return len(old) == len(new) and all(not_less(a, b) or b is None for a, b in zip(old, new, strict=True))
    if hasattr(old, "__struct_fields__") and type(old) is type(new):
        return all(
            getattr(new, name) is None or name in COUNTED or not_less(getattr(old, name), getattr(new, name))
            for name in old.__struct_fields__
        )
    return False


COUNTED = {"switches", "run_ns", "call_source", "position"}  # they go on by themselves
WRONG = ("RAISED", "SILENT")


def run_all(server: Any, chosen: frozenset[str], say: Callable[[str], None]) -> list[str]:
    """Each place by the first kind of look that meets it; all that is wrong."""
    wrong, seen = [], set[Place]()
    for kind in KINDS:
        whole = look(server, kind)
        for place in places(server, kind):
            if place in seen:
                continue
            seen.add(place)
            told: dict[str, list[str]] = {}
            for fault in faults_of(place):
                if fault in chosen:
                    told.setdefault(outcome(server, kind, place, fault, whole), []).append(fault)
            for result, faults in told.items():
                line = f"{kind:<5} {place[0]:<45} {place[1]:<18} {place[2]:<40} {' '.join(faults)}: {result}"
                say(line)
                if result.startswith(WRONG):
                    wrong.append(line)
    return wrong


@pytest.mark.slow
def test_any_kernel_read_may_fail() -> None:
    """In a pid namespace of its own, so that a look costs little. SOCKSCOPE_FAULTS=all takes every errno."""
    chosen = (*CODES, *DATA) if os.environ.get("SOCKSCOPE_FAULTS") == "all" else FEW
    if os.geteuid() != 0:
        pytest.skip("all reads are made by root only")
    inside = ["unshare", "--fork", "--pid", "--net", "--mount", "--mount-proc"]
    if subprocess.run([*inside, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no right to make namespaces")
    done = subprocess.run(
        [*inside, sys.executable, __file__, *chosen], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    lines = done.stdout.splitlines()
    assert len(lines) > 150, done.stderr[-3000:]
    assert done.returncode == 0, "\n".join(line for line in lines if any(word in line for word in WRONG))


if __name__ == "__main__":
    set_up("lo")
    with target(SERVER) as one:
        sys.exit(bool(run_all(one, frozenset(sys.argv[1:] or (*CODES, *DATA)), lambda line: print(line, flush=True))))
