"""Facts of real processes, and what is told of those that are gone or not ours."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockscope.collect.facts import BootClock, parse_fd_limit, read_process
from sockscope.collect.process_fds import read_fds


def test_our_own_facts_are_what_psutil_says() -> None:
    ours = read_process(os.getpid())
    theirs = psutil.Process()
    assert ours is not None
    assert ours.parent_pid == theirs.ppid()
    assert ours.uid == theirs.uids().effective
    assert ours.command == b"".join(os.fsencode(word) + b"\0" for word in theirs.cmdline())
    assert ours.cwd == os.fsencode(theirs.cwd())
    assert ours.started_at is not None
    assert abs(ours.started_at - theirs.create_time()) < 1.5, "btime is whole seconds there"
    assert ours.fd_limit == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert ours.thread_count == theirs.num_threads()
    assert ours.netns == Path("/proc/self/ns/net").stat().st_ino
    assert ours.key == (os.getpid(), ours.start_ticks)


def test_two_looks_at_a_process_give_equal_facts() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import signal; print(flush=True); signal.pause()"], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    assert read_process(child.pid) == read_process(child.pid)
    child.kill()
    child.communicate()
    assert read_process(child.pid) is None
    fds, gaps = read_fds(child.pid)
    assert fds == ()
    assert [(gap.what, gap.reason) for gap in gaps] == [("fds", "vanished")]


def test_a_zombie_has_facts_but_no_command() -> None:
    child = subprocess.Popen(["true"])
    while (facts := read_process(child.pid)) and facts.fd_limit and Path(f"/proc/{child.pid}/stat").read_text().split()[2] != "Z":
        pass
    facts = read_process(child.pid)
    assert facts is not None
    assert facts.command == b""
    assert read_fds(child.pid)[0] == ()
    child.wait()


def test_the_command_is_left_out_where_target_memory_must_not_be_read() -> None:
    facts = read_process(os.getpid(), with_command=False)
    assert facts is not None
    assert facts.command is None


def test_a_set_clock_moves_the_start_and_a_slewed_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = BootClock()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    first = clock.time()
    monkeypatch.setattr(time, "time", lambda: now + 0.4)
    assert clock.time() == first
    monkeypatch.setattr(time, "time", lambda: now + 3600)
    assert clock.time() > first + 3000


@pytest.mark.parametrize(("text", "limit"), [
    (b"Limit                     Soft Limit           Hard Limit           Units     \nMax open files            1024                 4096                 files     \n", 1024),
    (b"Max open files            unlimited            unlimited            files\n", None), (b"", None), (b"Max open files", None),
])
def test_fd_limits(text: bytes, limit: int | None) -> None:
    assert parse_fd_limit(text) == limit


@given(st.binary(max_size=100))
def test_no_limits_make_it_raise(text: bytes) -> None:
    parse_fd_limit(text)
    parse_fd_limit(b"Max open files" + text)


AS_NOBODY = """
import json
from sockscope.collect.facts import read_process
from sockscope.collect.process_fds import read_fds
import sys
facts = read_process(int(sys.argv[1]))
fds, gaps = read_fds(int(sys.argv[1]))
print(json.dumps([facts.name.decode(), facts.uid, facts.cwd, facts.netns, facts.fd_limit, facts.fd_count, len(fds),
                  [[gap.what, gap.reason] for gap in gaps]]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become someone else")
def test_of_others_a_user_sees_facts_but_no_fds() -> None:
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    out = subprocess.run([*nobody, sys.executable, "-c", AS_NOBODY, str(os.getpid())], capture_output=True, check=True).stdout
    name, uid, cwd, netns, fd_limit, fd_count, fds, gaps = json.loads(out)
    assert (name, uid, cwd, netns) == (Path("/proc/self/comm").read_text().strip(), 0, None, None)
    assert fd_limit == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert fd_count is None or fd_count > 0
    assert (fds, gaps) == (0, [["fds", "not_permitted"]])
