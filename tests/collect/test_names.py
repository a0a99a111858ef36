"""Names are looked up beside the caller, once each, and the caller never waits."""

from __future__ import annotations

import pwd
import socket
import threading
from collections.abc import Callable

import pytest

from sockscope.collect import names as module
from sockscope.collect.names import NameLookup
from sockscope.collect.user_names import look_up_users
from sockscope.model.names import Names


def wait_for(lookup: NameLookup, ready: Callable[[Names], bool]) -> Names:
    tick = threading.Event()
    for _ in range(2000):
        names = lookup.names()
        if ready(names):
            return names
        tick.wait(0.005)
    raise AssertionError("the names never came")


def test_users_of_one_shot_output() -> None:
    first = pwd.getpwall()[0]
    assert look_up_users([first.pw_uid, first.pw_uid, 2**31 + 5, 2**40, -1]) == {first.pw_uid: pwd.getpwuid(first.pw_uid).pw_name}


def test_known_names_come_and_unknown_ones_stay_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getnameinfo", lambda end, _: (f"host-{end[0]}", "0"))
    monkeypatch.setattr(socket, "getservbyport", lambda port, protocol: f"{protocol}-{port}")
    lookup = NameLookup()
    lookup.want(users=[0, 2**31 + 5], hosts=["192.0.2.1"], services=[("tcp", 80)])
    names = wait_for(lookup, lambda names: len(names.users) + len(names.hosts) + len(names.services) == 3)
    assert names == Names({0: "root"}, {"192.0.2.1": "host-192.0.2.1"}, {("tcp", 80): "tcp-80"})
    assert lookup.names() is names, "unchanged, it is the same object"
    lookup.close()


def test_each_is_asked_for_once_and_the_caller_never_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    asked: list[str] = []

    def slow(end: tuple[str, int], _: int) -> tuple[str, str]:
        asked.append(end[0])
        gate.wait(10)
        raise OSError("no such name")

    monkeypatch.setattr(socket, "getnameinfo", slow)
    lookup = NameLookup()
    for _ in range(5):
        lookup.want(hosts=["192.0.2.1"], users=[0])
    assert wait_for(lookup, lambda names: 0 in names.users).hosts == {}, "a dead name server holds up hosts alone"
    gate.set()
    lookup.close()
    assert asked == ["192.0.2.1"]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 10)
    monkeypatch.setattr(socket, "getservbyport", lambda port, _: str(port))
    lookup = NameLookup()
    for port in range(1, 100):
        lookup.want(services=[("tcp", port)])
    names = wait_for(lookup, lambda names: ("tcp", 99) in names.services)
    assert len(names.services) <= 10
    lookup.close()
