"""What is remembered of a row that is not at rest, and how one look after another folds into it.

A row at rest (established, held, nothing queued, no timer but keepalive) has no track: a hundred thousand idle
connections cost nothing. A track is replaced only when its row changed; the passing of time is not stored but told
by the memory's own time and sample number. Everything here is a pure function.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from sockscope.model.socket import Socket, SocketKey

DROPS_KEPT = 10  # samples; the widest window a rule of findings.md section 3 asks for
AT_REST = frozenset({"TIME_WAIT", "CLOSE"})  # of TCP: nobody's move, and often tens of thousands


class Track(Struct, frozen=True, gc=False):
    """One row that is not at rest. Times are monotonic seconds of the snapshots.

    `*_since_s` is when the condition began or, for queues, when progress was last proved (a fall); `*_whole` says
    that the beginning was seen, so that the duration is exact rather than a lower bound. `*_sample` is the sample
    number of that moment. `growths` counts the rises of the receive queue since then.
    """

    first_s: float
    first_sample: int
    whole: bool
    state_since_s: float
    state_whole: bool
    receive_since_s: float | None = None
    receive_sample: int = 0
    receive_whole: bool = False
    growths: int = 0
    send_since_s: float | None = None
    send_sample: int = 0
    send_whole: bool = False
    probe_since_s: float | None = None  # the zero-window probe timer (idiag_timer 4) has been running since
    probe_sample: int = 0
    retransmit_since_s: float | None = None  # timer 1 with two or more retransmits since
    unaccepted_since_s: float | None = None  # no inode though established: in the accept queue since
    head_since_s: float | None = None  # unix listeners: the same client has been first in the queue since
    drops: tuple[tuple[int, int], ...] = ()  # (sample, rise of the drop counter), newest last


class Moment(Struct, frozen=True, gc=False):
    """The look being folded in: its time, its number, and whether rows new in it were born since the last one."""

    at_s: float
    sample: int
    had_before: bool


def has_track(socket: Socket) -> bool:
    """Whether the row is worth remembering: not at rest."""
    if socket.state == "LISTEN":
        return True
    queued = bool(socket.receive_queued or socket.send_queued)
    if socket.protocol != "tcp":
        return queued or bool(socket.drop_count and socket.is_inet) or asks_dns(socket)
    if socket.state in AT_REST:
        return False
    if queued or socket.state != "ESTABLISHED" or not socket.inode:
        return True
    timer = socket.timer
    return timer is not None and (timer.kind != "keepalive" or timer.retransmits > 0)


def restless(sockets: Mapping[SocketKey, Socket]) -> list[tuple[SocketKey, Socket]]:
    """List the rows that `has_track()`: of 100,000 at rest in 5 ms, as few need more than the first questions."""
    return [
        (key, row) for key, row in sockets.items()
        if (
            row.state != "ESTABLISHED" or row.receive_queued or row.send_queued or row.timer is not None
            or not row.inode or row.protocol != "tcp"
        ) and has_track(row)
    ]


def fold(track: Track | None, before: Socket | None, now: Socket, moment: Moment) -> Track:
    """Make the track of `now`, given the row of the look before and what was remembered of it."""
    at_s, sample = moment.at_s, moment.sample
    known = before is not None or moment.had_before  # whether its state an interval ago is known
    if track is None:
        track = Track(at_s, sample, whole=before is None and moment.had_before, state_since_s=at_s, state_whole=known)
    state_since_s, state_whole = track.state_since_s, track.state_whole
    if before is not None and before.state != now.state:
        state_since_s, state_whole = at_s, True
    receive = _queue(track.receive_since_s, track.receive_sample, whole=track.receive_whole,
                     before=before.receive_queued if before else None, now=now.receive_queued,
                     moment=moment, known=known)
    send = _queue(track.send_since_s, track.send_sample, whole=track.send_whole,
                  before=before.send_queued if before else None, now=now.send_queued, moment=moment, known=known)
    fresh = receive[0] is None or receive[0] != track.receive_since_s
    rose = before is not None and (now.receive_queued or 0) > (before.receive_queued or 0)
    timer = now.timer
    probing = timer is not None and timer.kind == "zero-window-probe"
    resending = timer is not None and timer.kind == "retransmit" and timer.retransmits >= 2
    waiting = is_unaccepted(now)
    return Track(
        track.first_s, track.first_sample, track.whole, state_since_s, state_whole,
        *receive, 0 if fresh else track.growths + rose, *send,
        probe_since_s=_since(track.probe_since_s, at_s) if probing else None,
        probe_sample=(sample if track.probe_since_s is None else track.probe_sample) if probing else 0,
        retransmit_since_s=_since(track.retransmit_since_s, at_s) if resending else None,
        unaccepted_since_s=_since(track.unaccepted_since_s, at_s) if waiting else None,
        head_since_s=_head(track.head_since_s, before, now, at_s),
        drops=_drops(track.drops, before, now, sample),
    )


def asks_dns(socket: Socket) -> bool:
    """Whether it is a connected resolver's socket: a thread may be waiting for its answer."""
    return socket.protocol == "udp" and socket.remote is not None and socket.remote.port == 53


def is_unaccepted(socket: Socket) -> bool:
    """Handshake done but in no process: the listener's accept queue holds it (kernel-facts.md section 2)."""
    return not socket.inode and socket.protocol == "tcp" and socket.state in ("ESTABLISHED", "CLOSE_WAIT")


def _since(since_s: float | None, at_s: float) -> float:
    return at_s if since_s is None else since_s


def _head(since_s: float | None, before: Socket | None, now: Socket, at_s: float) -> float | None:
    """Tell since when the client at the head of a unix accept queue, which is first in first out, is the same."""
    if not now.waiting_clients:
        return None
    if before is None or not before.waiting_clients or before.waiting_clients[0] != now.waiting_clients[0]:
        return at_s
    return _since(since_s, at_s)


def _queue(
    since_s: float | None, since_sample: int, *, whole: bool, before: int | None, now: int | None, moment: Moment,
    known: bool,
) -> tuple[float | None, int, bool]:
    """Begin anew at a fall, which proves progress; equal or grown proves nothing and changes nothing."""
    if not now:
        return None, 0, False
    if since_s is None or (before is not None and now < before):
        return moment.at_s, moment.sample, known
    return since_s, since_sample, whole


def _drops(
    kept: tuple[tuple[int, int], ...], before: Socket | None, now: Socket, sample: int
) -> tuple[tuple[int, int], ...]:
    """Keep the rises of sk_drops in the last DROPS_KEPT samples."""
    old, new = before.drop_count if before else None, now.drop_count
    if old is not None and new is not None and new > old:
        kept = (*kept, (sample, new - old))
    if kept and kept[0][0] <= sample - DROPS_KEPT:
        kept = tuple(rise for rise in kept if rise[0] > sample - DROPS_KEPT)
    return kept
