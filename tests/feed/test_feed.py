"""The feed: paced, newest wins, errors delivered, details that hang are left behind, and it ends."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from builders import make_snapshot, make_socket

from sockscope.feed.feed import Feed
from sockscope.feed.lane import MOST_ABANDONED, DetailLane
from sockscope.feed.result import FeedResult
from sockscope.model.detail import ON_DEMAND, ProcessDetail, SocketDetail, Wanted
from sockscope.model.snapshot import Scope, Snapshot
from sockscope.model.source import About, DetailReader, SourceLostError

SOCKET = make_socket("127.0.0.1:80", cookie=7)
OTHER = make_socket("127.0.0.1:81", cookie=8)
WANTED = Wanted(1, (SOCKET.key, OTHER.key), (), frozenset({"tcp"}))


class Reader:
    """Answers each key; hangs at those in `mute` until it is closed."""

    def __init__(self, mute: tuple[object, ...] = ()) -> None:
        self.mute = mute
        self.is_closed = threading.Event()

    def read(
        self, wanted: Wanted, snapshot: Snapshot, stop: Callable[[], bool]  # noqa: ARG002  # the protocol's
    ) -> Iterator[SocketDetail | ProcessDetail]:
        for key in wanted.sockets:
            if key in self.mute:
                self.is_closed.wait(20)
                return
            yield SocketDetail(key)

    def close(self) -> None:
        self.is_closed.set()


class Source:
    """One snapshot after the other; an exception in the script is raised."""

    def __init__(self, *script: Snapshot | Exception, reader: Callable[[], DetailReader] = Reader) -> None:
        self.about = About("live", "host", "0", frozenset())
        self.script = list(script)
        self.looks = 0
        self.closed = 0
        self._reader = reader

    def snapshot(self, scope: Scope) -> Snapshot:  # noqa: ARG002  # the protocol's
        self.looks += 1
        item = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(item, Exception):
            raise item
        return item

    def open_detail(self) -> DetailReader:
        return self._reader()

    def close(self) -> None:
        self.closed += 1


class Results:
    """What was delivered, and a wait for more."""

    def __init__(self) -> None:
        self.all: list[FeedResult] = []
        self._more = threading.Condition()

    def __call__(self, result: FeedResult) -> None:
        with self._more:
            self.all.append(result)
            self._more.notify_all()

    def wait(self, is_enough: Callable[[list[FeedResult]], bool]) -> None:
        with self._more:
            assert self._more.wait_for(lambda: is_enough(self.all), 20)


@pytest.fixture
def start():
    feeds: list[Feed] = []

    def begin(source: Source, interval_s: float = 3600.0) -> tuple[Feed, Results]:
        results = Results()
        feed = Feed(source, Scope(), interval_s, results)
        feeds.append(feed)
        feed.start()
        return feed, results

    yield begin
    for feed in feeds:
        feed.close()


def test_looks_at_once_and_on_request(start):
    source = Source(make_snapshot(SOCKET), make_snapshot(SOCKET, OTHER, sequence=2, monotonic_s=101.0))
    feed, results = start(source)
    results.wait(lambda all_: len(all_) == 1)
    feed.request_now()
    results.wait(lambda all_: len(all_) == 2)
    assert results.all[1].changes.new == {OTHER.key}
    assert results.all[1].memory.sample == 2


def test_a_shorter_interval_takes_effect_at_once(start):
    source = Source(make_snapshot(SOCKET))
    feed, results = start(source)
    results.wait(lambda all_: len(all_) == 1)
    feed.set_interval_s(0.05)
    results.wait(lambda all_: len(all_) >= 3)


def test_a_paused_feed_looks_only_when_asked(start):
    source = Source(make_snapshot(SOCKET))
    feed, results = start(source, 0.05)
    results.wait(lambda all_: len(all_) >= 1)
    feed.pause()
    feed.request_now()
    results.wait(lambda all_: len(all_) >= 2)
    feed.pause(False)
    results.wait(lambda all_: len(all_) >= 4)


def test_an_error_is_delivered_and_the_last_look_kept(start):
    source = Source(make_snapshot(SOCKET), ValueError("odd"), make_snapshot(SOCKET, sequence=2, monotonic_s=101.0))
    feed, results = start(source)
    results.wait(lambda all_: len(all_) == 1)
    feed.request_now()
    results.wait(lambda all_: len(all_) == 2)
    assert results.all[1].error == "ValueError: odd"
    assert results.all[1].observation is results.all[0].observation
    feed.request_now()
    results.wait(lambda all_: len(all_) == 3)
    assert results.all[2].error is None


def test_a_lost_source_ends_the_looking(start):
    source = Source(SourceLostError("gone"))
    _, results = start(source)
    results.wait(lambda all_: len(all_) == 1)
    assert results.all[0].lost
    assert results.all[0].error == "gone"


def test_details_wanted_come_without_another_look(start):
    source = Source(make_snapshot(SOCKET, OTHER))
    feed, results = start(source)
    results.wait(lambda all_: len(all_) == 1)
    feed.set_wanted(WANTED)
    results.wait(lambda all_: bool(all_[-1].observation and SOCKET.key in all_[-1].observation.details))
    assert source.looks == 1
    feed.request_now()
    results.wait(lambda all_: SOCKET.key in all_[-1].memory.details)


def test_suspects_are_asked_for_apart_so_that_on_demand_stays_the_screens(start, monkeypatch):
    asked: list[Wanted] = []

    class Noting(Reader):
        def read(self, wanted, snapshot, stop):
            asked.append(wanted)
            yield from super().read(wanted, snapshot, stop)

    suspect = Wanted(0, (SOCKET.key, OTHER.key), (7, 8), frozenset({"marks"}))
    monkeypatch.setattr("sockscope.feed.feed.suspects", lambda *_: suspect)
    source = Source(make_snapshot(SOCKET, OTHER), reader=Noting)
    feed, results = start(source)
    results.wait(lambda all_: len(all_) >= 1)
    feed.set_wanted(Wanted(0, (SOCKET.key,), (7,), frozenset({"tcp", ON_DEMAND})))
    feed.request_now()
    wait_until(lambda: any(one.processes == (8,) for one in asked))
    screens, apart = next((a, b) for a, b in itertools.pairwise(asked) if b.processes == (8,))
    assert (screens.sockets, screens.processes) == ((SOCKET.key,), (7,))
    assert screens.facets == {"tcp", "marks", ON_DEMAND}
    assert apart.sockets == (OTHER.key,)
    assert apart.facets == {"marks"}


def test_close_joins_and_closes_the_source(start):
    source = Source(make_snapshot(SOCKET), reader=lambda: Reader(mute=(SOCKET.key,)))
    feed, results = start(source)
    feed.set_wanted(WANTED)
    results.wait(lambda all_: len(all_) >= 1)
    feed.close()
    feed.close()
    assert source.closed == 2
    assert not [one for one in threading.enumerate() if one.name == "sockscope-feed"]


def wait_until(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.005)


def test_a_silent_reader_is_abandoned_and_its_key_left_alone():
    now = [100.0]
    readers = [Reader(mute=(SOCKET.key,)), Reader()]
    made = iter(readers)
    lane = DetailLane(lambda: next(made), lambda: None, lambda: now[0])
    lane.submit(make_snapshot(SOCKET, OTHER), WANTED)
    wait_until(lambda: lane.is_busy)
    now[0] += 0.9
    lane.check()
    assert lane.is_busy
    now[0] += 0.2
    lane.check()
    assert readers[0].is_closed.is_set()
    assert [gap.reason for gap in lane.gaps()] == ["timed_out"]
    lane.submit(make_snapshot(SOCKET, OTHER), WANTED)
    come: list[SocketDetail | ProcessDetail] = []

    def has_come() -> bool:
        come.extend(lane.take())
        return bool(come)

    wait_until(has_come)
    assert [detail.key for detail in come] == [OTHER.key]
    now[0] += 61
    assert lane.gaps() == ()
    lane.close()


def test_after_three_silent_readers_the_facet_is_off():
    now = [100.0]
    lane = DetailLane(lambda: Reader(mute=(SOCKET.key,)), lambda: None, lambda: now[0])
    for _ in range(MOST_ABANDONED):
        lane.submit(make_snapshot(SOCKET, OTHER), WANTED)
        wait_until(lambda: lane.is_busy)
        now[0] += 1.1
        lane.check()
        now[0] += 61  # the quarantine is over
    assert ("tcp", "off") in [(gap.what, gap.reason) for gap in lane.gaps()]
    lane.submit(make_snapshot(SOCKET, OTHER), WANTED)
    assert not lane.is_busy
    lane.close()
