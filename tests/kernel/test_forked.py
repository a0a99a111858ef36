"""A forked child gives back what it made, waits where told to, and is told apart from one that failed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sockscope.kernel.forked import Forked


def test_a_child_gives_back_bytes_of_any_size() -> None:
    made = bytes(range(256)) * 20_000
    assert Forked(lambda _: made).result() == made
    assert Forked(lambda _: b"").result() == b""


def test_a_child_waits_until_it_is_told_to_go_on() -> None:
    read, write = os.pipe()

    def work(wait) -> bytes:
        went_on = wait()
        os.write(write, b"after")
        return b"yes" if went_on else b"no"

    child = Forked(work)
    os.write(write, b"before ")
    child.go()
    assert child.result() == b"yes"
    assert os.read(read, 99) == b"before after"
    os.close(read)
    os.close(write)


def test_a_child_that_failed_or_was_killed_gave_nothing(capfd) -> None:
    assert Forked(lambda _: bytes(1 // 0)).result() is None
    killed = Forked(lambda wait: b"x" if wait() else b"")
    os.kill(killed.pid, 9)
    assert killed.result() is None
    assert capfd.readouterr() == ("", "")


def test_an_abandoned_child_leaves_nothing_behind() -> None:
    before = _own_fds()
    child = Forked(lambda wait: b"x" if wait() else b"")
    child.abandon()
    assert _own_fds() == before
    assert not Path(f"/proc/{child.pid}").exists()


def test_ctrl_c_while_we_wait_ends_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    before = _own_fds()
    child = Forked(lambda wait: b"x" if wait() else b"")

    def interrupted(*_: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        child.result()
    child.abandon()
    assert _own_fds() == before
    assert not Path(f"/proc/{child.pid}").exists()


def _own_fds() -> set[str]:
    return {link.name for link in Path("/proc/self/fd").iterdir()}
