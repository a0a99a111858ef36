"""/proc/PID/fd, stat and cgroup out of made-up folders."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockscope.kernel.fd_kind import kind_of_link, kind_of_mode, kind_of_path, safe_mounts
from sockscope.kernel.malformed import MalformedError
from sockscope.kernel.proc_cgroup import container_of, parse_cgroup
from sockscope.kernel.proc_fd import FdFolder, has_fd_counts, list_pids, socket_inode, stat_fds
from sockscope.kernel.proc_stat import parse_stat, read_stat

ID = "0123456789abcdef" * 4


def test_only_numbers_are_processes(tmp_path: Path) -> None:
    for name in ("1", "42", "self", "4x", "٣", "sys"):
        (tmp_path / name).mkdir()
    assert sorted(list_pids(str(tmp_path))) == [1, 42]


def test_sockets_of_a_folder_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "7" / "fd"
    folder.mkdir(parents=True)
    for name, target in {"0": "/dev/null", "3": "socket:[12]", "4": "socket:[x]", "5": "pipe:[9]", "60": "socket:[13]"}.items():
        (folder / name).symlink_to(target)
    with FdFolder(7, str(tmp_path)) as fds:
        assert fds.sockets(["0", "3", "4", "5", "60", "61"]) == {3: 12, 60: 13}, "61 was closed in between"
        assert fds.stat().inode == stat_fds(7, str(tmp_path)).inode


def test_a_process_that_is_gone_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        stat_fds(1, str(tmp_path))
    with pytest.raises(FileNotFoundError):
        FdFolder(1, str(tmp_path))
    assert not has_fd_counts(str(tmp_path))


def test_this_kernel_counts_what_we_have_open() -> None:
    if not has_fd_counts():
        pytest.skip("Linux older than 6.2")
    before = stat_fds(os.getpid()).open_fds
    left, right = os.pipe()
    assert stat_fds(os.getpid()).open_fds == before + 2
    os.close(left)
    os.close(right)


@pytest.mark.parametrize(("link", "inode"), [
    ("socket:[1]", 1), ("socket:[]", None), ("socket:[-1]", None), ("pipe:[1]", None), ("", None), ("socket:", None),
])
def test_inodes_in_links(link: str, inode: int | None) -> None:
    assert socket_inode(link) == inode


def stat_line(name: bytes) -> bytes:
    return b"42 (" + name + b") S 7 " + b" ".join(b"%d" % number for number in range(5, 53)) + b"\n"


@given(st.binary(max_size=15))
def test_any_name_survives_in_a_stat_line(name: bytes) -> None:
    record = parse_stat(stat_line(name))
    assert (record.name, record.state, record.parent_pid, record.flags, record.thread_count, record.start_ticks) == (
        name, "S", 7, 9, 20, 22,
    )


@given(st.binary(max_size=200))
def test_garbage_is_malformed_and_nothing_else(line: bytes) -> None:
    with contextlib.suppress(MalformedError):
        parse_stat(line)


def test_our_own_stat() -> None:
    record = read_stat(os.getpid())
    assert record is not None
    assert record.parent_pid == os.getppid()
    assert read_stat(2**22 + 1) is None


@pytest.mark.parametrize(("path", "container"), [
    (f"/system.slice/docker-{ID}.scope", ID),
    (f"/docker/{ID}", ID),
    (f"/docker/{ID}/system.slice/cron.service", ID),
    (f"/machine.slice/libpod-{ID}.scope/container", ID),
    (f"/machine.slice/libpod-conmon-{ID}.scope", None),
    (f"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1.slice/cri-containerd-{ID}.scope", ID),
    (f"/kubepods/burstable/pod8f6c3f0e-1111-2222-3333-444455556666/{ID}", ID),
    (f"/kubepods.slice/kubepods-pod1.slice/crio-{ID}.scope", ID),
    (f"/kubepods.slice/kubepods-pod1.slice/crio-conmon-{ID}.scope", None),
    (f"/system.slice/containerd.service/kubepods-besteffort-pod1.slice:cri-containerd:{ID}", ID),
    (f"/default/{ID}", ID),
    ("/lxc.payload.web1/system.slice/nginx.service", "web1"),
    ("/lxc/web2/init.scope", "web2"),
    ("/lxc.monitor.web1", None),
    ("/machine.slice/systemd-nspawn@box.service/payload", "box"),
    ("/machine.slice/machine-my\\x2dbox.scope", "my-box"),
    ("/user.slice/user-1000.slice/session-2.scope", None),
    ("/system.slice/nginx.service", None),
    ("/", None),
])
def test_containers_by_the_names_of_their_cgroups(path: str, container: str | None) -> None:
    assert container_of(f"0::{path}\n".encode()) == container
    assert container_of(f"12:pids:{path}\n1:name=systemd:{path}\n0::/\n".encode()) == container


def test_the_path_that_tells_most() -> None:
    assert parse_cgroup(b"0::/system.slice/a.service\n") == b"/system.slice/a.service"
    assert parse_cgroup(b"9:name=systemd:/x\n8:pids:/longer/one\n0::/\n") == b"/x"
    assert parse_cgroup(b"8:pids:/longer/one\n0::/\n") == b"/longer/one"
    assert parse_cgroup(b"0::/\n") == b"/"
    assert parse_cgroup(b"") is None
    assert parse_cgroup(b"0::/a:b\xff\x1b\n") == b"/a:b\xff\x1b"


@given(st.binary(max_size=200))
def test_no_cgroup_makes_it_raise(text: bytes) -> None:
    parse_cgroup(text)
    container_of(text)
    kind_of_link(text)
    safe_mounts(text)


@pytest.mark.parametrize(("link", "kind"), [
    (b"socket:[77]", ("socket", 77)), (b"pipe:[5]", ("pipe", 5)), (b"anon_inode:[eventpoll]", ("eventpoll", None)),
    (b"anon_inode:inotify", ("inotify", None)), (b"anon_inode:[io_uring]", ("io_uring", None)),
    (b"anon_inode:bpf-prog", ("bpf", None)), (b"anon_inode:[vfio-device]", ("anon", None)),
    (b"/memfd:x (deleted)", ("memfd", None)), (b"net:[4026531840]", ("namespace", None)), (b"pidfd:[8]", ("pidfd", None)),
    (b"dmabuf:[8]", ("anon", None)), (b"/etc/passwd", None), (b"(unreachable)/x", None), (b"", None),
])
def test_kinds_that_a_link_tells(link: bytes, kind: tuple[str, int | None] | None) -> None:
    assert kind_of_link(link) == kind


def test_kinds_that_only_the_file_tells(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    named = tmp_path / "x (deleted)"
    named.write_text("")
    for path, kind in ((tmp_path, "directory"), (tmp_path / "fifo", "fifo"), (Path("/dev/null"), "device"), (named, "file")):
        found = path.stat()
        assert kind_of_mode(found.st_mode, found.st_nlink, os.fsencode(path)) == kind
    assert kind_of_mode(0o100644, 0, b"/x (deleted)") == "deleted"
    assert kind_of_path(b"/mnt/nfs/file", 0) == "file"
    assert kind_of_path(b"/mnt/nfs", os.O_DIRECTORY) == "directory"
    assert kind_of_path(b"/mnt/nfs/x (deleted)", None) == "deleted"
    assert kind_of_path(b"/dev/tty", None) == "device"


def test_mounts_that_ask_a_server_are_not_safe() -> None:
    text = (
        b"22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw\n"
        b"23 22 0:40 / /mnt rw - nfs4 server:/x rw\n24 22 0:41 / /f rw - fuse.sshfs a rw\n25 22 0:42 / /t rw - tmpfs t rw\n"
        b"garbage\n26 22 0:42 / /t rw -\n"
    )
    assert safe_mounts(text) == {22, 25}
