"""As nobody: the lesser answer and its reason for what belongs to others, the full one for what is one's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from live.targets import target

NOBODY = 65534
TESTS = Path(__file__).parents[1]
MSGSPEC = Path(msgspec.__file__).parents[1]


def python_for_all() -> str | None:
    """An interpreter of our version that nobody may start: ours can lie in a home folder closed to others."""
    probe = f"import sys, msgspec; assert sys.version_info[:2] == {sys.version_info[:2]}; import os; os.execv(sys.executable, [sys.executable, '-c', ''])"
    for path in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        if Path(path).exists() and run(path, probe).returncode == 0:
            return path
    return None


def run(python: str, code: str, *arguments: int) -> subprocess.CompletedProcess[str]:
    """Run code as nobody."""
    return subprocess.run(
        ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", python, "-c", code,
         *map(str, arguments)],
        env={"PYTHONPATH": f"{TESTS}:{TESTS.parent}:{MSGSPEC}", "PATH": "/usr/bin:/bin"}, cwd="/",
        capture_output=True, text=True, check=False,
    )


PYTHON = python_for_all() if os.geteuid() == 0 else None
pytestmark = pytest.mark.skipif(PYTHON is None, reason="becoming nobody needs root, and a python that nobody may start")

READ = """
import json, sys
from live.targets import read_socket, read_one_process
detail = read_socket(int(sys.argv[1]))
def told(read):
    return None if read is None else [read.value is not None, read.gap and read.gap.reason]
process = read_one_process(int(sys.argv[2]), frozenset({"threads", "watches", "fds"}))
print(json.dumps({
    "tcp": told(detail.tcp), "marks": told(detail.marks), "waiters": told(detail.waiters),
    "watches": told(detail.watches), "threads": told(process.threads), "process watches": told(process.watches),
    "fds": told(process.fds), "calls": [[t.state, t.call] for t in process.threads.value],
    "found": len(detail.waiters.value or ()),
}))
"""


def as_nobody(code: str, *arguments: int) -> dict[str, Any]:
    assert PYTHON is not None
    done = run(PYTHON, code, *arguments)
    assert done.returncode == 0, done.stderr[-2000:]
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


WAITING = "s, c = pair(); e = select.epoll(); e.register(s, 1); thread(e.poll); tell(inode=inode(s)); stay()"


def test_a_process_of_somebody_else() -> None:
    with target(WAITING) as server:
        answer = as_nobody(READ, server["inode"], server.pid)
    assert answer["tcp"] == [True, None]  # the kernel shows it to everyone
    for facet in ("marks", "waiters", "watches", "process watches", "fds"):
        assert answer[facet] == [False, "not_permitted"], facet
    assert answer["threads"] == [True, "not_permitted"]
    assert {call for _, call in answer["calls"]} == {None}  # asleep, in what is not known; never "none"


def test_a_process_of_ones_own() -> None:
    with target(WAITING, python=PYTHON, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/") as server:
        answer = as_nobody(READ, server["inode"], server.pid)
    for facet in ("tcp", "marks", "waiters", "watches", "threads", "process watches", "fds"):
        assert answer[facet] == [True, None], facet
    assert answer["found"] == 1
    assert sorted(call for _, call in answer["calls"]) == ["epoll_wait", "read"]


def test_a_process_of_ones_own_that_may_not_be_traced() -> None:
    """A daemon that gave up root is not dumpable: even its own user may not look."""
    code = "ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)\n" + WAITING
    with target(code, python=PYTHON, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/") as server:
        answer = as_nobody(READ, server["inode"], server.pid)
    assert answer["tcp"] == [True, None]
    for facet in ("marks", "waiters", "watches", "process watches", "fds"):
        assert answer[facet] == [False, "not_permitted"], facet


def test_signals_and_closing_are_refused_with_a_reason() -> None:
    code = """
import json, sys
from live.targets import look, by_inode
from sockscope.collect.actor import LiveActor
from sockscope.kernel.proc_stat import read_stat
from sockscope.model.process import Process
from sockscope.model.source import ActionError
said = []
for act in (
    lambda: LiveActor().destroy(by_inode(look(), int(sys.argv[1]))),
    lambda: LiveActor().signal(Process(int(sys.argv[2]), read_stat(int(sys.argv[2])).start_ticks), 15),
):
    try: act()
    except ActionError as error: said.append(str(error))
print(json.dumps({"said": said}))
"""
    with target(WAITING) as server:
        closing, signalling = as_nobody(code, server["inode"], server.pid)["said"]
        assert server.process.poll() is None
    assert "CAP_NET_ADMIN" in closing and "not permitted" in signalling
