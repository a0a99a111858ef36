"""The owner map over a made-up /proc, and each way in which BPF is not to be had."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sockscope.collect import owner_bpf, owner_scan, owners
from sockscope.collect.owner_bpf import may_load
from sockscope.collect.owners import OwnerMap, OwnerState
from sockscope.kernel import offset_cache
from sockscope.kernel.proc_fd import FdFolder


class FakeProc:
    """A folder that looks like /proc of a kernel older than 6.2: st_size does not count fds."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.process(1, {})

    def process(self, pid: int, fds: dict[int, int], name: str = "x", start: int = 100) -> None:
        home = self.root / str(pid)
        shutil.rmtree(home, ignore_errors=True)
        (home / "fd").mkdir(parents=True)
        rest = [0] * 50
        rest[0], rest[16], rest[18] = 1, 1, start
        (home / "stat").write_text(f"{pid} ({name}) S " + " ".join(map(str, rest)))
        for fd, inode in fds.items():
            self.open(pid, fd, inode)

    def open(self, pid: int, fd: int, inode: int) -> None:
        path = self.root / str(pid) / "fd" / str(fd)
        path.unlink(missing_ok=True)
        path.symlink_to(f"socket:[{inode}]")

    def map(self) -> OwnerMap:
        return OwnerMap(str(self.root), fd_counts=False)


@pytest.fixture
def proc(tmp_path: Path) -> FakeProc:
    return FakeProc(tmp_path)


def told(state: OwnerState) -> dict[int, list[tuple[int, int]]]:
    return {inode: [(holder.pid, holder.fd) for holder in holders] for inode, holders in state.holders.items()}


def test_all_holders_of_all_sockets(proc: FakeProc) -> None:
    proc.process(10, {3: 1, 4: 2, 5: 2}, name="a) b(")
    proc.process(9, {3: 1})
    proc.process(8, {})
    state = proc.map().refresh({1, 2}, None)
    assert told(state) == {1: [(9, 3), (10, 3)], 2: [(10, 4), (10, 5)]}
    assert set(state.processes) == {9, 10}
    assert state.processes[10].name == b"a) b("
    assert state.processes[10].fd_count is None, "this kernel does not count them"
    assert (state.hidden_processes, state.gaps, state.source, state.scanned_all) == (0, (), "proc", True)


def test_without_fd_counts_every_change_of_number_is_still_seen(proc: FakeProc) -> None:
    proc.process(10, {3: 1})
    owner_map = proc.map()
    owner_map.refresh({1}, None)
    proc.open(10, 4, 2)
    assert told(owner_map.refresh({1, 2}, None)) == {1: [(10, 3)], 2: [(10, 4)]}
    (proc.root / "10/fd/3").unlink()
    assert told(owner_map.refresh({2}, None)) == {2: [(10, 4)]}


def test_what_was_given_out_never_changes(proc: FakeProc) -> None:
    proc.process(10, {3: 1})
    owner_map = proc.map()
    first = owner_map.refresh({1}, None)
    again = owner_map.refresh({1}, None)
    assert again.holders is first.holders
    assert again.processes[10] is first.processes[10]
    proc.open(10, 4, 2)
    second = owner_map.refresh({1, 2}, None)
    assert set(first.holders) == {1}
    assert second.holders[1] is first.holders[1]


def test_a_pid_given_to_another_process_is_another_process(proc: FakeProc) -> None:
    proc.process(10, {3: 1}, start=100)
    keep = (proc.root / "10").rename(proc.root / "gone")  # so that the new folder cannot get the old inode
    owner_map = proc.map()
    keep.rename(proc.root / "10")
    assert owner_map.refresh({1}, None).processes[10].start_ticks == 100
    (proc.root / "10").rename(proc.root / "gone")
    proc.process(10, {3: 1}, name="y", start=200)
    state = owner_map.refresh({1}, None)
    assert (state.processes[10].start_ticks, state.processes[10].name) == (200, b"y")


def test_a_refusal_is_counted_and_not_repeated_at_each_look(proc: FakeProc, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Refusing(FdFolder):
        def __init__(self, pid: int, root: str = "/proc") -> None:
            asked.append(pid)
            if pid == 10:
                raise PermissionError(13, "Permission denied")
            super().__init__(pid, root)

    proc.process(10, {3: 1})
    proc.process(11, {3: 2})
    monkeypatch.setattr(owner_scan, "FdFolder", Refusing)
    owner_map = proc.map()
    for _ in range(owner_scan.ASK_AGAIN):
        state = owner_map.refresh({1, 2}, None)
        assert told(state) == {2: [(11, 3)]}
        assert state.hidden_processes == 1
        assert [(gap.what, gap.reason, gap.count) for gap in state.gaps] == [("holders", "not_permitted", 1)]
    assert asked.count(10) == 1
    owner_map.refresh({1, 2}, None)
    assert asked.count(10) == 2, "after a while it may be another's no more"


def test_links_that_may_not_be_read_hide_a_process_as_well(proc: FakeProc, monkeypatch: pytest.MonkeyPatch) -> None:
    """CAP_DAC_READ_SEARCH alone lists the folder, but reads no link."""
    class Refusing(FdFolder):
        def sockets(self, names: object) -> dict[int, int]:  # noqa: ARG002
            raise PermissionError(13, "Permission denied")

    proc.process(10, {3: 1})
    monkeypatch.setattr(owner_scan, "FdFolder", Refusing)
    assert proc.map().refresh({1}, None).hidden_processes == 2, "the init as well"


def test_without_an_init_others_are_not_even_listed(proc: FakeProc) -> None:
    proc.process(10, {3: 1})
    shutil.rmtree(proc.root / "1")
    state = proc.map().refresh({1}, None)
    assert state.hidden_processes == 1
    assert [(gap.what, gap.reason) for gap in state.gaps] == [("holders", "not_permitted")]


def test_a_folder_without_procfs_is_a_gap(tmp_path: Path) -> None:
    state = OwnerMap(str(tmp_path / "none"), fd_counts=False).refresh({1}, None)
    assert [(gap.what, gap.reason) for gap in state.gaps] == [("holders", "unsupported")]


def test_processes_asked_for_are_given_even_without_sockets(proc: FakeProc) -> None:
    proc.process(10, {})
    proc.process(11, {3: 1})
    owner_map = proc.map()
    state = owner_map.refresh({1}, frozenset({10, 77}))
    assert (list(state.processes), dict(state.holders), state.scanned_all) == ([10], {}, False)
    assert told(owner_map.refresh({1}, None)) == {1: [(11, 3)]}


def test_a_socket_that_nobody_holds_is_swept_for_once(proc: FakeProc, monkeypatch: pytest.MonkeyPatch) -> None:
    for pid in range(10, 20):
        proc.process(pid, {3: pid})
    links: list[str] = []

    class Counting(FdFolder):
        def sockets(self, names: object) -> dict[int, int]:
            links.extend(names)  # type: ignore[arg-type]
            return super().sockets(names)  # type: ignore[arg-type]

    owner_map = OwnerMap(str(proc.root), fd_counts=True)  # st_size never changes here: nothing is read for its count
    monkeypatch.setattr(owner_scan, "FdFolder", Counting)
    inodes = {*range(10, 20), 999}
    reads = []
    for _ in range(6):
        links.clear()
        owner_map.refresh(inodes, None)
        reads.append(len(links))
    assert reads[0] == 10
    assert 10 in reads[1:], "the sweep"
    assert sum(reads) <= 20
    assert reads[-1] == 0


needs_bpf = pytest.mark.skipif(not may_load(), reason="no rights for BPF")


@pytest.fixture
def own_socket() -> Iterator[int]:
    with socket.socket() as one:
        yield os.fstat(one.fileno()).st_ino


def assert_by_proc(inode: int) -> None:
    owner_map = OwnerMap(bpf=True)
    for _ in range(2):
        state = owner_map.refresh({inode}, None)
        assert state.source == "proc"
        assert os.getpid() in {holder.pid for holder in state.holders[inode]}
    owner_map.close()


def test_bpf_refused(own_socket: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(owner_bpf, "may_load", lambda: True)
    monkeypatch.setattr("sockscope.kernel.task_file.TaskFile", refuse)
    assert_by_proc(own_socket)


def test_btf_missing(own_socket: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(owner_bpf, "may_load", lambda: True)
    monkeypatch.setattr("sockscope.kernel.btf.VMLINUX", str(tmp_path / "none"))
    assert_by_proc(own_socket)


def test_btf_garbled(own_socket: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "vmlinux").write_bytes(b"\x9f\xeb\x01\0" + bytes(40))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(owner_bpf, "may_load", lambda: True)
    monkeypatch.setattr("sockscope.kernel.btf.VMLINUX", str(tmp_path / "vmlinux"))
    assert_by_proc(own_socket)


def test_linux_before_6_2_on_this_machine(own_socket: int) -> None:
    """No number of fds in st_size (arranged): every process is listed at each look, and what is opened is seen."""
    owner_map = OwnerMap(bpf=False, fd_counts=False)
    state = owner_map.refresh({own_socket}, None)
    assert state.source == "proc" and state.processes[os.getpid()].fd_count is None
    with socket.socket() as later:
        inode = os.fstat(later.fileno()).st_ino
        state = owner_map.refresh({own_socket, inode}, None)
        assert {holder.pid for one in (own_socket, inode) for holder in state.holders[one]} == {os.getpid()}
    assert inode not in owner_map.refresh({own_socket}, None).holders
    owner_map.close()


def test_bpf_forbidden(own_socket: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOCKSCOPE_NO_BPF", "1")
    monkeypatch.setattr(owner_bpf, "open_iterator", lambda: pytest.fail("it was loaded"))
    owner_map = OwnerMap()
    for _ in range(2):
        assert owner_map.refresh({own_socket}, None).source == "proc"


@needs_bpf
@pytest.mark.parametrize("wrong", [(0, 1268, 32, 40, 0, 1), (8, 8, 8, 8, 8, 8), (0, 0, 0, 0, 0, 0), (1 << 40, 1, 1, 1, 1, 1)])
def test_wrong_offsets_in_the_cache(
    own_socket: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wrong: tuple[int, ...],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    key = offset_cache.key_of_kernel(Path("/sys/kernel/btf/vmlinux").stat().st_size)
    offset_cache.save(f"{tmp_path}/sockscope", key, wrong)
    assert_by_proc(own_socket)


@needs_bpf
def test_an_iterator_that_tells_something_else_than_proc(own_socket: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it does in a container: its pids are those of the machine."""
    monkeypatch.setattr(owner_bpf, "agrees_with_proc", lambda _: False)
    assert_by_proc(own_socket)


@needs_bpf
def test_an_iterator_that_fails_later(own_socket: int, monkeypatch: pytest.MonkeyPatch) -> None:
    owner_map = OwnerMap(bpf=True)
    assert owner_map.refresh({own_socket}, None).source == "bpf"

    def fail(_: object) -> bytes:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr("sockscope.kernel.task_file.TaskFile.read", fail)
    state = owner_map.refresh({own_socket}, None)
    assert state.source == "proc"
    assert own_socket in state.holders
    owner_map.close()
    owner_map.close()


@needs_bpf
def test_a_small_machine_is_scanned_first_and_iterated_after(own_socket: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owners, "WORTH_BPF", 10**9)
    owner_map = OwnerMap()
    assert [owner_map.refresh({own_socket}, None).source for _ in range(3)] == ["proc", "bpf", "bpf"]
    owner_map.close()
