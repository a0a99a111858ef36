"""Other namespaces: bound sockets are asked for when they have to be, and count as a change whenever they are read."""

from __future__ import annotations

import os

import pytest

from sockscope.collect.bound import BoundSockets
from sockscope.collect.other_namespaces import OtherNamespaces
from sockscope.collect.tables import Tables
from sockscope.kernel.netlink import Netlink
from sockscope.model.process import Process
from sockscope.model.snapshot import Scope


def test_bound_sockets_that_a_thread_reads_after_the_tables_are_a_change() -> None:
    nothing = Scope(protocols=frozenset())
    others = OtherNamespaces(own=1, by_netlink=True)
    tables = others.tables[2] = Tables(2, Netlink)
    others.read(nothing)
    assert not others.has_changed
    assert tables.bound is not None
    tables.bound.has_changed = True  # by another thread, at its own time
    assert others.has_changed
    others.close()


@pytest.mark.parametrize("ports", [None, ((1, 9),)])
def test_only_at_ports_bound_sockets_of_a_namespace_are_asked_for_when_it_is_met(
    monkeypatch: pytest.MonkeyPatch, ports: tuple[tuple[int, int], ...] | None,
) -> None:
    asked: list[Scope] = []
    monkeypatch.setattr(BoundSockets, "read", lambda _, scope: asked.append(scope))
    scope = Scope(frozenset({"tcp"}), ports=ports)
    others = OtherNamespaces(own=1, by_netlink=True)  # so ours is another one
    others.discover({os.getpid(): Process(os.getpid())}, scope)
    others.close()
    assert others.tables
    assert asked == ([scope] if ports else [])
