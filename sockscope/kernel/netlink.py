"""One NETLINK_SOCK_DIAG socket: ask, receive the whole answer, find where each message begins (netlink(7)).

A dump is received into one growing buffer that its caller owns, so that two dumps can be compared byte by byte. One
request is outstanding at a time and each table uses one constant sequence number: the header of an unchanged row is
then unchanged too. After any error the socket is replaced, so no late reply can be taken for the next answer.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from array import array

NETLINK_SOCK_DIAG = 4
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_REQUEST = 0x001
NLM_F_DUMP_INTR = 0x010
NLM_F_DUMP = 0x300
SO_RCVBUFFORCE = 33

HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, seq, port
_ERRNO = struct.Struct("=i")

# The kernel fills at most 32 KiB a message whatever is offered (af_netlink.c netlink_recvmsg); offering more than that
# leaves room for what a later kernel may do, and MSG_TRUNC tells when it was not enough.
_ROOM = 1 << 17
_RECEIVE_BUFFER = 1 << 22
_ATTEMPTS = 4
_TIMEOUT_S = 5.0  # a dump that another process' lock holds up must become a gap, not a frozen screen
_PLACES = 2_000  # runs whose starts are kept: 100,000 rows come in 500
_STREAK = 6  # rows of one length after which it pays to look for a run; below that a plain walk is faster


class NetlinkError(OSError):
    """The kernel or the socket refused; `errno` says why."""


class Dump:
    """One answer: `data[starts[i]:starts[i + 1]]` is message i, header included; `starts` has one more than messages.

    `runs` are (start, step, rows) of neighbours of equal length, `singles` the starts of all others. `trouble` is None,
    or the reason code of a gap: interrupted (the table changed while it was walked, all attempts long), truncated,
    malformed, timed_out. What was received stands all the same.
    """

    __slots__ = ("data", "length", "places", "runs", "singles", "size", "starts", "trouble")

    def __init__(self) -> None:
        self.data = bytearray()
        self.size = 0
        self.starts: array[int] = array("I")
        self.runs: list[tuple[int, int, int]] = []
        self.singles: list[int] = []
        self.trouble: str | None = None
        self.length = 0  # of the rows of the last run, in this answer or the one before
        self.places: dict[tuple[int, int, int], array[int]] = {}  # run -> starts: an idle table's are the same again

    def __len__(self) -> int:
        return max(len(self.starts) - 1, 0)

    def clear(self) -> None:
        """Forget the answer, keep the memory."""
        self.size = 0
        self.starts = array("I")
        self.runs = []
        self.singles = []
        self.trouble = None

    def end(self) -> None:
        """Mark where the last message ends, however the answer ended."""
        self.starts.append(self.size)


class Netlink:
    """A kept sock_diag socket of the current network namespace (or of the one it was made in)."""

    def __init__(self, handle: socket.socket | None = None) -> None:
        self._socket = handle if handle is not None else open_socket()
        self._can_reopen = handle is None

    def dump(self, kind: int, payload: bytes, sequence: int, into: Dump, minimum: int) -> None:
        """Ask for a table and fill `into`; messages shorter than `minimum` are left out and called malformed.

        Raises NetlinkError where the kernel answered with an errno, in NLMSG_ERROR or, as sock_diag does for a
        family without a handler, in the payload of NLMSG_DONE (kernel-facts: 0 rows and no other sign).
        """
        request = HEADER.pack(16 + len(payload), kind, NLM_F_REQUEST | NLM_F_DUMP, sequence, 0) + payload
        for _ in range(_ATTEMPTS):
            into.clear()
            try:
                self._socket.send(request)
                self._receive(into, kind, sequence, minimum)
            except TimeoutError:
                into.trouble = "timed_out"
            except NetlinkError:  # said by the kernel; an overrun is said by the socket
                self._replace()
                raise
            except OSError as error:
                self._replace()
                if error.errno == errno.ENOBUFS:
                    into.trouble = "truncated"
                    into.end()
                    continue
                raise NetlinkError(error.errno, error.strerror) from error
            into.end()
            if into.trouble is None:
                return
            self._replace()
            if into.trouble != "interrupted":
                return

    def get(self, kind: int, payload: bytes) -> bytes | None:
        """One row by its exact id, header included; None where there is none (any more). Raises NetlinkError."""
        self._socket.send(HEADER.pack(16 + len(payload), kind, NLM_F_REQUEST, 0, 0) + payload)
        try:
            answer = self._socket.recv(_ROOM)
        except OSError as error:
            self._replace()
            raise NetlinkError(error.errno or errno.ETIMEDOUT, error.strerror or "timed out") from error
        if len(answer) < HEADER.size:
            return None
        length, found, _, _, _ = HEADER.unpack_from(answer)
        if found == NLMSG_ERROR and min(length, len(answer)) >= 20:
            (code,) = _ERRNO.unpack_from(answer, 16)
            if -code in (0, errno.ENOENT, errno.ESTALE):
                return None
            raise NetlinkError(-code, "sock_diag")
        return answer[:length] if found == kind and HEADER.size <= length <= len(answer) else None

    def close(self) -> None:
        """Give the socket back. A kept one pins its network namespace."""
        self._socket.close()

    def fileno(self) -> int:
        """Tell the file descriptor, so that our own socket can be told from others."""
        return self._socket.fileno()

    def _receive(self, into: Dump, kind: int, sequence: int, minimum: int) -> None:
        done = False
        while not done:
            if len(into.data) - into.size < _ROOM:
                into.data.extend(bytes(max(_ROOM, len(into.data) >> 3)))  # doubling would cost 15 MB at 100,000 rows
            with memoryview(into.data) as view:
                got = self._socket.recv_into(view[into.size:into.size + _ROOM], 0, socket.MSG_TRUNC)
            if got == 0 or got > _ROOM:
                into.trouble = "truncated"
                return
            done = _take(into, got, kind, sequence, minimum)

    def _replace(self) -> None:
        """Take a fresh socket, so that nothing of a broken answer can follow."""
        if not self._can_reopen:
            self._drain()
            return
        fresh = open_socket()
        self._socket.close()
        self._socket = fresh

    def _drain(self) -> None:
        """For a socket of another namespace, which only a privileged detour could open again."""
        with contextlib.suppress(OSError):
            while self._socket.recv(_ROOM, socket.MSG_DONTWAIT):
                pass


def open_socket() -> socket.socket:
    """Make a sock_diag socket in the calling thread's network namespace. Raises NetlinkError."""
    try:
        handle = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_SOCK_DIAG)
        try:
            handle.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, _RECEIVE_BUFFER)
        except OSError:  # needs CAP_NET_ADMIN; the kernel paces a dump anyway, so the default is slower, not wrong
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        handle.settimeout(_TIMEOUT_S)
    except OSError as error:
        raise NetlinkError(error.errno, error.strerror) from error
    return handle


def _take(into: Dump, got: int, kind: int, sequence: int, minimum: int) -> bool:
    """Find the messages in the `got` bytes just received; True at the end of the dump."""
    data, start, single, unpack = into.data, into.starts.append, into.singles.append, HEADER.unpack_from
    at, end = into.size, into.size + got
    done, last, streak = False, into.length, _STREAK
    while at + 16 <= end and not done:
        length, found, flags, seen, _ = unpack(data, at)
        if found == kind and seen == sequence and minimum <= length <= end - at and not flags & NLM_F_DUMP_INTR:
            if length != last:
                last, streak = length, 0
            elif streak < _STREAK:
                streak += 1
            else:
                at = _take_run(into, at, length, end)
                continue
            start(at)
            single(at)
            at += (length + 3) & ~3
        elif length < 16 or at + length > end:
            into.trouble, done = "malformed", True
        else:
            if flags & NLM_F_DUMP_INTR:
                into.trouble = "interrupted"
            at, end, done = _take_odd(into, at, end, kind, sequence, minimum)
    into.size = min(at, end)
    return done


def _take_odd(  # noqa: PLR0917
    into: Dump, at: int, end: int, kind: int, sequence: int, minimum: int,
) -> tuple[int, int, bool]:
    """One message that is not simply a row: the end, an error, a stranger's, one too short; where to go on."""
    data = into.data
    length, found, _, seen, _ = HEADER.unpack_from(data, at)
    step = min((length + 3) & ~3, end - at)
    if seen == sequence and found in (NLMSG_DONE, NLMSG_ERROR):
        _raise_errno(data, at, length)
        return at, end, True
    if seen == sequence and found == kind and length >= minimum:
        into.starts.append(at)
        into.singles.append(at)
        return at + step, end, False
    if seen == sequence:
        into.trouble = into.trouble or "malformed"
    del data[at:at + step]  # rows must follow each other without a hole
    return at, end - step, False


def _take_run(into: Dump, at: int, length: int, end: int) -> int:
    """Note the messages from `at` on with the same length, type, flags and sequence; return where the next one begins.

    Most rows of a table have one length. One strided slice of all that was received tells a word of every header:
    twenty times faster than reading header by header.
    """
    step = (length + 3) & ~3
    rows = (end - at + step - length) // step  # as many as there can be
    size = (rows - 1) * step + (length & ~3)
    with memoryview(into.data) as view, view[at:at + size] as part, part.cast("I") as words:
        for place in range(3):
            rows = _leading(words[place:rows * step // 4:step // 4])
    run = (at, step, rows)
    places = into.places.get(run)
    if places is None:
        if len(into.places) > _PLACES:
            into.places.clear()
        places = into.places[run] = array("I", range(at, at + rows * step, step))
    into.starts.extend(places)
    into.runs.append(run)
    into.length = length
    return min(at + rows * step, end)


def _leading(column: memoryview) -> int:
    """How many numbers at the beginning equal the first. That all do is told in C: 2 ns each."""
    first: int = column[0]
    if column == memoryview(array("I", [first]) * len(column)):
        return len(column)
    return next(count for count, number in enumerate(column) if number != first)


def _raise_errno(data: bytearray, at: int, length: int) -> None:
    if length >= 20:
        (code,) = _ERRNO.unpack_from(data, at + 16)
        if code < 0:
            raise NetlinkError(-code, "sock_diag")
