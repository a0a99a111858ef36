"""The other ends of a process's pipes are found in other processes, with the way each is open."""

from __future__ import annotations

import os
import subprocess
import sys

from builders import make_snapshot

from sockscope.collect.detail import LiveDetailReader
from sockscope.collect.pipe_ends import AGAIN_S, PipeEnds
from sockscope.collect.process_fds import read_fds
from sockscope.model.detail import ProcessDetail, Wanted
from sockscope.model.process import Fd


def test_both_ways_of_a_child_are_found_and_the_search_is_remembered():
    child = subprocess.Popen([sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None and child.stdout is not None
    try:
        child.stdout.readline()
        fds, _ = read_fds(os.getpid())
        ends = PipeEnds()
        found = ends.of(os.getpid(), fds, 100.0, lambda: False).value
        assert found is not None
        theirs = {end.fd: end.writes for end in found if end.pid == child.pid}
        assert theirs[0] is False
        assert theirs[1] is True

        reader = LiveDetailReader(probe=False)
        try:
            wanted = Wanted(1, processes=(os.getpid(),), facets=frozenset({"fds", "pipes"}), budget_s=10.0)
            details = list(reader.read(wanted, make_snapshot(), lambda: False))
        finally:
            reader.close()
        assert isinstance(details[0], ProcessDetail) and details[0].pipes is not None
        assert {end.fd for end in details[0].pipes.value or () if end.pid == child.pid} >= {0, 1}
    finally:
        child.communicate()
    again = ends.of(os.getpid(), fds, 100.0 + AGAIN_S - 1, lambda: False)
    assert (again.value, again.read_at_s) == (found, 100.0), "nothing is searched again so soon"
    later = ends.of(os.getpid(), fds, 100.0 + AGAIN_S, lambda: False).value
    assert later is not None
    assert all(end.pid != child.pid for end in later)


def test_a_search_that_was_cut_short_says_so():
    cut = PipeEnds().of(1, [Fd(1, 0, "pipe", b"pipe:[5]", inode=5)], 0.0, lambda: True)
    assert cut.gap is not None
    assert cut.gap.reason == "over_budget"
    assert PipeEnds().of(1, [Fd(1, 0, "file", b"/etc/passwd", inode=5)], 0.0, lambda: True).gap is None
