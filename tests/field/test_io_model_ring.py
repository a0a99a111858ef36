"""A loop by io_uring is told as one, though the kernel names no socket for its pending requests."""

from __future__ import annotations

import pytest
from field.io_models import await_told, summary

from sockscope.lab.catalogue import SCENARIOS
from sockscope.lab.run import staged
from sockscope.lab.stage import NotHereError

CLIENTS = 3


def test_a_ring_is_an_event_loop():
    """One thread in io_uring_enter(), three connections: an event loop, its mechanism io_uring."""
    wanted = ("event-loop", "io_uring", None, None, None)
    try:
        with staged(SCENARIOS["io-uring"]) as running:
            told = await_told(running.ports[0], wanted, CLIENTS)
    except NotHereError as error:
        pytest.skip(str(error))
    assert summary(told) == wanted
    assert told.evidence
