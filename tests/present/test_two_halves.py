"""Rows written by two processes are what one writes; whatever becomes of the second, nothing is lost unsaid."""

from __future__ import annotations

import errno
import io
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import make_socket
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from present.idle_rows import many, odd, seen

from sockscope.kernel import forked
from sockscope.kernel.forked import Forked
from sockscope.model.detail import Read, SocketDetail
from sockscope.model.observation import Observation
from sockscope.model.process import Process
from sockscope.model.socket import Endpoint, Holder, Socket
from sockscope.present import two_halves
from sockscope.present.json import write_json
from sockscope.present.ndjson import write_ndjson
from sockscope.present.two_halves import write_rows

# Python 3.12 warns of threads that other tests may have left: no child here waits for them.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
WRITERS = [write_json, write_ndjson]
PARTS = [b"%d\n" % number for number in range(40)]


@pytest.fixture
def forks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Few rows are enough; the pids of those that were forked."""
    pids: list[int] = []

    class Noted(Forked):
        def __init__(self, work: Callable[[Callable[[], bool]], bytes]) -> None:
            super().__init__(work)
            pids.append(self.pid)

    monkeypatch.setattr(two_halves, "Forked", Noted)
    monkeypatch.setattr(two_halves, "LEAST_ROWS", 2)
    return pids


def pieces(begin: int, end: int) -> Iterator[bytes]:
    yield from PARTS[begin:end]


def write_parts(path: Path, parts: two_halves.Pieces = pieces) -> bytes:
    with path.open("wb") as file:
        return write_rows(file, len(PARTS), parts, cores=2, learnt=lambda: b"learnt")


def strange() -> tuple[Observation, list[Socket]]:
    """Rows of every kind: paths, details, no cookie, holders that share a socket, a holder of later rows alone."""
    rows = odd(many(1200))
    named = structs.replace(make_socket(family="unix", protocol="unix", uid=None), local=Endpoint(path=b"a\xff\x1b"))
    shared = structs.replace(rows[4], inode=9100, cookie=9100)
    told = structs.replace(rows[5], inode=9101, cookie=9101)
    rows += [named, shared, told]
    observation = seen(rows)
    snapshot = structs.replace(
        observation.snapshot,
        holders={**observation.snapshot.holders, 9100: (Holder(12, 4), Holder(14, 5)), 9101: (Holder(15, 5),)},
        processes={**observation.snapshot.processes, 15: Process(15, name=b"late")},
    )
    detail = SocketDetail(told.key, nonblocking=Read({(15, 5): True}, 1.0))
    return structs.replace(observation, snapshot=snapshot, details={told.key: detail}), rows


STRANGE, ROWS = strange()


def in_memory(write: Callable[..., None], rows: list[Socket]) -> bytes:
    stream = io.BytesIO()
    write(stream, STRANGE, rows, cores=2)  # which has no file: one process
    return stream.getvalue()


@pytest.mark.parametrize("write", WRITERS)
def test_two_processes_write_what_one_writes(write: Callable[..., None], forks: list[int], tmp_path: Path) -> None:
    @settings(max_examples=15, deadline=None)
    @given(st.integers(0, 999), st.integers(0, 1100))
    def check(seed: int, without: int) -> None:
        rows = random.Random(seed).sample(ROWS, len(ROWS) - without)
        expected, before = in_memory(write, rows), len(forks)
        with (tmp_path / "rows").open("wb") as file:
            write(file, STRANGE, rows, cores=2)
        assert len(forks) == before + 1
        assert (tmp_path / "rows").read_bytes() == expected

    check()
    assert not any(Path(f"/proc/{pid}").exists() for pid in forks)


@pytest.mark.parametrize(("cores", "count"), [(1, 40), (2, 1)])
def test_one_core_or_few_rows_need_no_second_process(
    cores: int, count: int, forks: list[int], tmp_path: Path
) -> None:
    with (tmp_path / "rows").open("wb") as file:
        assert write_rows(file, count, pieces, cores=cores, learnt=lambda: b"learnt") == b""
    assert (tmp_path / "rows").read_bytes() == b"".join(PARTS[:count])
    assert forks == []


def test_the_child_writes_after_us_and_says_what_it_learnt(forks: list[int], tmp_path: Path) -> None:
    assert write_parts(tmp_path / "rows") == b"learnt"
    assert (tmp_path / "rows").read_bytes() == b"".join(PARTS)
    assert len(forks) == 1


def test_where_there_can_be_no_child_we_write_all(forks: list[int], tmp_path: Path, monkeypatch: Any) -> None:
    def refused(_: object) -> None:
        raise OSError(errno.EAGAIN, "no more processes")

    monkeypatch.setattr(two_halves, "Forked", refused)
    assert write_parts(tmp_path / "rows") == b""
    assert (tmp_path / "rows").read_bytes() == b"".join(PARTS)
    assert forks == []


def test_a_child_that_died_before_it_wrote_is_written_for(forks: list[int], tmp_path: Path) -> None:
    ours = os.getpid()

    def deadly(begin: int, end: int) -> Iterator[bytes]:
        if os.getpid() != ours:
            os.kill(os.getpid(), signal.SIGKILL)
        yield from PARTS[begin:end]

    assert write_parts(tmp_path / "rows", deadly) == b""
    assert (tmp_path / "rows").read_bytes() == b"".join(PARTS)
    assert len(forks) == 1 and not Path(f"/proc/{forks[0]}").exists()


def test_a_child_that_died_while_it_wrote_is_an_error(forks: list[int], tmp_path: Path, monkeypatch: Any) -> None:
    ours, write = os.getpid(), os.write

    def deadly(fd: int, text: bytes) -> int:
        if os.getpid() != ours:
            os.kill(os.getpid(), signal.SIGKILL)
        return write(fd, text)

    monkeypatch.setattr(os, "write", deadly)
    with pytest.raises(OSError, match="killed"):
        write_parts(tmp_path / "rows")
    assert not Path(f"/proc/{forks[0]}").exists()


@pytest.mark.parametrize("whose", ["ours", "the child's"])
def test_a_full_disk_is_the_same_error_in_either_half(whose: str, forks: list[int]) -> None:
    def late(begin: int, _: int) -> Iterator[bytes]:
        yield b"x" if (begin == 0) is (whose == "ours") else b""

    with pytest.raises(OSError, match="No space left") as told:
        write_parts(Path("/dev/full"), late)
    assert told.value.errno == errno.ENOSPC
    assert not Path(f"/proc/{forks[0]}").exists()


@pytest.mark.parametrize("whose", ["ours", "the child's"])
def test_a_closed_pipe_is_the_same_error_in_either_half(whose: str, forks: list[int]) -> None:
    def late(begin: int, _: int) -> Iterator[bytes]:
        yield b"x" if (begin == 0) is (whose == "ours") else b""

    read, write = os.pipe()
    os.close(read)
    with pytest.raises(BrokenPipeError), open(write, "wb", closefd=False) as file:
        write_rows(file, 40, late, cores=2)
    os.close(write)
    assert not Path(f"/proc/{forks[0]}").exists()


SCRIPT = (
    "import signal, sys\n"
    "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # whatever the shell did
    "import sockscope.cli.oneshot as oneshot\n"
    "from sockscope.cli import main\n"
    "from sockscope.present import two_halves\n"
    "oneshot.idle_cores, two_halves.LEAST_ROWS = lambda: 2, 2\n"
    "sys.exit(main())\n"
)


@pytest.fixture
def crowd() -> Iterator[None]:
    """More sockets than a pipe holds the records of."""
    pairs = [socket.socketpair() for _ in range(150)]
    yield
    for pair in pairs:
        for end in pair:
            end.close()


def started(words: str, **how: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, "--ndjson", "-x", "--pid", str(os.getpid())]
    return subprocess.Popen(["sh", "-c", f'exec "$@" {words}', "sh", *command], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, start_new_session=True, **how)


@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize(("words", "code", "told"), [
    ("", 0, ""), ("> /dev/full", 3, "sockscope: cannot write: No space left on device\n"),
])
def test_the_command_says_how_its_two_processes_ended(words: str, code: int, told: str) -> None:
    with started(words) as command:
        out, said = command.communicate(timeout=60)
        assert (command.returncode, said) == (code, told)
        assert code or out.count('"record":"socket"') >= 300
        assert nobody_of(command.pid)


@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize(("stop", "code"), [("close", 0), ("interrupt", 130)])
def test_a_reader_that_left_and_an_interrupt_end_both_quietly(stop: str, code: int) -> None:
    with started("") as command:
        assert command.stdout is not None and command.stderr is not None
        assert command.stdout.read(10) == '{"record":'  # it writes, and cannot end before all is read
        if stop == "close":
            command.stdout.close()
        else:
            os.killpg(command.pid, signal.SIGINT)
            command.stdout.read()
        assert command.stderr.read() == ""
        assert command.wait(60) == code
        assert nobody_of(command.pid)


def nobody_of(group: int) -> bool:
    """Tell whether its process group is gone: the child belongs to it."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def test_idle_cores_are_those_that_nobody_else_runs_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody tells who runs there is none but ours: a second process beside busy ones takes longer."""
    told: list[bytes] = []

    def opened(*_: object) -> io.BytesIO:
        if not told:
            raise FileNotFoundError
        return io.BytesIO(b"0.50 0.60 0.70 %b/195 6770\n" % told[-1])

    monkeypatch.setattr(forked, "open", opened, raising=False)
    monkeypatch.setattr(forked, "cores", lambda: 4)
    assert forked.idle_cores() == 1
    for running, idle in ((b"1", 4), (b"3", 2), (b"9", 1), (b"0", 4), (b"x", 1)):
        told.append(running)
        assert forked.idle_cores() == idle
