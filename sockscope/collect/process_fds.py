"""Every open fd of a process: what it is, its flags and position, and the facts its kind of file tells."""

from __future__ import annotations

import os
from typing import NamedTuple

from sockscope.kernel.fd_kind import kind_of_link, kind_of_mode, kind_of_path, safe_mounts
from sockscope.kernel.fdinfo import FdInfo, facts, parse_fdinfo
from sockscope.kernel.gone import is_gone
from sockscope.kernel.proc_fd import FdFolder
from sockscope.model.gap import Gap
from sockscope.model.process import Fd

_CHUNK = 1 << 16


def read_fds(
    pid: int, *, with_fdinfo: bool = True, with_epoll: bool = False, root: str = "/proc",
) -> tuple[tuple[Fd, ...], tuple[Gap, ...]]:
    """Read all fds, in order of number. An fd that is closed meanwhile is left out. Raises nothing: see the gaps.

    `with_fdinfo` reads flags, position and facts (23 us each). The fdinfo of an eventpoll takes the set's mutex, which
    a stuck process may hold, and lists every watch: it is read only `with_epoll`, on a lane that may hang. A file's
    kind is asked by stat() where its file system is of this machine, else concluded from its path and flags.
    """
    try:
        with FdFolder(pid, root) as folder:
            return _read(_Process(pid, folder, root, with_fdinfo, with_epoll))
    except PermissionError:
        return (), (Gap("fds", "not_permitted", detail=f"the open files of process {pid} may not be read"),)
    except OSError as error:
        if is_gone(error):
            return (), (Gap("fds", "vanished", detail=f"process {pid} is gone"),)
        return (), (Gap("fds", "failed", detail=f"the open files of process {pid}: {error.strerror}"),)


class _Process(NamedTuple):
    pid: int
    folder: FdFolder
    root: str
    with_fdinfo: bool
    with_epoll: bool


def _read(process: _Process) -> tuple[tuple[Fd, ...], tuple[Gap, ...]]:
    """Raise PermissionError only where not one link could be read."""
    safe = _read_safe_mounts(process)
    infos = _open_infos(process)  # its mnt_id tells also whether a file may be asked what it is
    found: list[Fd] = []
    unread = without_info = 0
    try:
        for name in sorted(process.folder.names(), key=int):
            try:
                link = _read_link(process.folder, name)
            except FileNotFoundError:
                continue
            except OSError:
                unread += 1
                continue
            fd, complete = _read_fd(process, name, link, infos, safe)
            without_info += not complete
            found.append(fd)
    finally:
        if infos is not None:
            os.close(infos)
    if unread and not found:
        raise PermissionError
    return tuple(found), tuple(_gaps(process.pid, unread, without_info))


def _gaps(pid: int, unread: int, without_info: int) -> list[Gap]:
    gaps = []
    if unread:
        gaps.append(Gap("fds", "not_permitted", unread, f"fds of process {pid} whose links may not be read"))
    if without_info:
        gaps.append(Gap("fdinfo", "not_permitted", without_info, f"fds of process {pid} without flags and position"))
    return gaps


def _read_link(folder: FdFolder, name: str) -> bytes:
    """Read what an fd is; b"" for a path longer than the kernel can print (PATH_MAX)."""
    try:
        return os.fsencode(folder.link(name))
    except OSError as error:
        if error.errno == 36:  # ENAMETOOLONG
            return b""
        raise


def _read_fd(
    process: _Process, name: str, link: bytes, infos: int | None, safe: frozenset[int]
) -> tuple[Fd, bool]:
    """Read one fd, and whether its fdinfo was read as far as it was wanted."""
    told = kind_of_link(link)
    kind, inode = told or (None, None)
    info: FdInfo | None = None
    complete = True
    if infos is not None and (kind is None or process.with_fdinfo) and (kind != "eventpoll" or process.with_epoll):
        info, complete = _read_info(infos, name)
    if kind is None:
        kind = _kind_of_file(process, name, link, info, safe)
    if info is None or not process.with_fdinfo:
        return Fd(process.pid, int(name), kind, link, inode), complete
    return Fd(process.pid, int(name), kind, link, inode, info.flags, info.position, facts(info)), complete


def _kind_of_file(process: _Process, name: str, link: bytes, info: FdInfo | None, safe: frozenset[int]) -> str:
    if info is not None and info.mount_id in safe:
        try:
            found = os.stat(name, dir_fd=process.folder.fd)
            return kind_of_mode(found.st_mode, found.st_nlink, link)
        except OSError:
            pass
    return kind_of_path(link, info.flags if info is not None else None)


def _open_infos(process: _Process) -> int | None:
    """Open /proc/PID/fdinfo; None where that is refused."""
    try:
        return os.open(f"{process.root}/{process.pid}/fdinfo", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None


def _read_info(infos: int, name: str) -> tuple[FdInfo | None, bool]:
    """Read one fdinfo whole (a ring's or an inotify's may be long), and whether that was permitted."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=infos)
    except OSError as error:
        return None, is_gone(error)
    try:
        text = chunk = os.read(fd, _CHUNK)
        while len(chunk) == _CHUNK:
            chunk = os.read(fd, _CHUNK)
            text += chunk
    except OSError as error:
        return None, is_gone(error)
    finally:
        os.close(fd)
    return parse_fdinfo(text), True


def _read_safe_mounts(process: _Process) -> frozenset[int]:
    """Mounts of the process and of ourselves: a chrooted process sees only its own, but its fds may be of ours."""
    safe: frozenset[int] = frozenset()
    for who in (str(process.pid), "self"):
        try:
            with open(f"{process.root}/{who}/mountinfo", "rb") as file:  # noqa: PTH123 (pathlib costs 4 ms)
                safe |= safe_mounts(file.read())
        except OSError:
            continue
    return safe
