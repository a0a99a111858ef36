"""Entering a network namespace fails by an errno, whatever it is that fails."""

from __future__ import annotations

import errno
import threading

import pytest

from sockscope.kernel.namespaces import open_socket_in
from sockscope.kernel.netlink import NetlinkError


def test_no_thread_to_enter_a_namespace_with_is_an_error_of_netlink(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(NetlinkError) as raised:
        open_socket_in("/proc/self/ns/net")
    assert raised.value.errno == errno.EAGAIN
