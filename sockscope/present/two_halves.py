"""Many rows written on two cores: a forked child formats the later ones while we format and write those before.

Formatting is bound by Python, which runs on one core. The child keeps its half until ours is written, then writes it to
the same file itself: nothing is copied through a pipe. JSON of 100,000 rows takes 262 ms, on one core 372; 20,000 take
41, on one 50; 10,000 take 21, on one 23. Each process copies the pages whose references it counts, which is a quarter
more of processor time: where the second core is busy it takes longer than one (480 ms), so callers count idle ones.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from sockscope.kernel.forked import Forked

if TYPE_CHECKING:
    from mmap import mmap

LEAST_ROWS = 15_000
_OURS = 0.55  # of the rows: the child begins later, and has to end when it is done
_FAILED, _DONE = b"!", b"."

Pieces: TypeAlias = Callable[[int, int], Iterable[bytes]]  # the text of the rows from one to before another


def write_rows(
    stream: BinaryIO, count: int, pieces: Pieces, *, cores: int, step: int = 1, learnt: Callable[[], bytes] = bytes
) -> bytes:
    """Write `pieces(0, count)`, with two or more cores on two; rows are parted at a multiple of `step`.

    Returns what `learnt` gives in a child that wrote the later rows, b"" where we wrote all. Raises what the stream
    raises, and OSError where the child could not write, or died while it wrote. Never with other threads about.
    """
    fd = _fd_of(stream) if cores > 1 and count >= LEAST_ROWS else None
    if fd is None:
        return _alone(stream, pieces(0, count))
    import signal  # noqa: PLC0415  # 0.4 ms, and most runs have few rows
    from mmap import mmap  # noqa: PLC0415  # likewise

    middle = int(count * _OURS) // step * step
    began = mmap(-1, 1)  # shared: whether the child began to write
    child, ended = None, False
    # Ctrl+C is ours alone to answer, and not before we can end the child.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with suppress(OSError):  # there can be no child
            child = Forked(lambda wait: _later(fd, pieces(middle, count), wait, began, learnt))
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if child is None:
            return _alone(stream, pieces(0, count))
        _alone(stream, pieces(0, middle))
        stream.flush()
        child.go()
        told = child.result()
        ended = True
    finally:
        if child is not None and not ended:  # a closed pipe, a full disk, Ctrl+C
            with suppress(OSError):
                child.abandon()
    if told is None and not began[0]:
        return _alone(stream, pieces(middle, count))
    if told is None:
        raise OSError("a process that wrote a part of it was killed")
    if told.startswith(_FAILED):
        number = int(told[1:])
        raise OSError(number, os.strerror(number))
    return told[1:]


def _fd_of(stream: BinaryIO) -> int | None:
    try:
        return stream.fileno()
    except OSError:  # it is no file
        return None


def _alone(stream: BinaryIO, pieces: Iterable[bytes]) -> bytes:
    stream.writelines(pieces)
    return b""


def _later(
    fd: int, pieces: Iterable[bytes], wait: Callable[[], bool], began: mmap, learnt: Callable[[], bytes]
) -> bytes:
    """Format, wait for our half to be written, and write (in the child)."""
    made = list(pieces)
    if not wait():
        return b""
    began[0] = 1
    try:
        for piece in made:
            rest = memoryview(piece)
            while rest:
                rest = rest[os.write(fd, rest):]
    except OSError as error:
        return b"%b%d" % (_FAILED, error.errno or 0)
    return _DONE + learnt()
