"""`--deep` shows the details of every socket asked for, however many there are."""

from __future__ import annotations

import pytest
from builders import make_snapshot, make_socket

from sockscope.analysis.memory import DETAILS_KEPT, EMPTY, remember
from sockscope.cli import oneshot
from sockscope.cli.parser import parse
from sockscope.cli.selection import select_from
from sockscope.feed.conclude import conclude
from sockscope.model.detail import Read, SocketDetail
from sockscope.model.names import Names


def test_details_of_more_sockets_than_memory_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    sockets = [make_socket("192.0.2.1:80", f"198.51.100.7:{1_000 + n}") for n in range(DETAILS_KEPT + 500)]
    snapshot = make_snapshot(*sockets)
    read = {one.key: SocketDetail(one.key, waiters=Read((), 100.0)) for one in sockets}
    monkeypatch.setattr("sockscope.collect.deep.read_deep", lambda *_: (read, ()))
    options = parse(["--deep", "-t"])
    memory = remember(EMPTY, snapshot)
    observation = oneshot.deepened(conclude(memory, snapshot, Names()), memory, options, select_from(options))
    assert all(observation.details[one.key].waiters is not None for one in sockets)
