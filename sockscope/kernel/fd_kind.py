"""What kind of file an fd is, from the text of its link, its flags, and stat() only where that cannot hang.

Links are made by each file system's d_dname (fs/d_path.c): "socket:[N]", "pipe:[N]", "anon_inode:[eventpoll]",
"net:[N]", "/memfd:name (deleted)", or a path.
"""

from __future__ import annotations

import os
import re
import stat

_ANONYMOUS = {
    b"eventpoll": "eventpoll", b"eventfd": "eventfd", b"timerfd": "timerfd", b"signalfd": "signalfd",
    b"io_uring": "io_uring", b"inotify": "inotify", b"fanotify": "fanotify", b"pidfd": "pidfd",
    b"userfaultfd": "userfaultfd", b"perf_event": "perf_event",
}
_NAMESPACES = frozenset({
    b"cgroup", b"ipc", b"mnt", b"net", b"pid", b"pid_for_children", b"time", b"time_for_children", b"user", b"uts",
})
_NUMBERED = re.compile(rb"([a-z_]+):\[(\d{1,19})\]")
_DELETED = b" (deleted)"
O_DIRECTORY = os.O_DIRECTORY

# File systems whose stat() asks a server or a daemon, which may be dead: it would wait for ever.
_ASKS_OTHERS = re.compile(rb"(nfs4?|cifs|smb3?|smbfs|9p|ceph|afs|fuse(\..*|blk)?|lustre|beegfs|autofs|ocfs2|gfs2)")


def kind_of_link(link: bytes) -> tuple[str, int | None] | None:
    """Tell the kind and, of sockets and pipes, the inode; None for a path, of which the text alone tells too little."""
    if link.startswith(b"/memfd:"):
        return "memfd", None
    if link.startswith(b"/"):
        return None
    if link.startswith(b"anon_inode:"):
        name = link.removeprefix(b"anon_inode:").strip(b"[]")
        if name.startswith((b"bpf", b"btf")):
            return "bpf", None
        return _ANONYMOUS.get(name, "anon"), None
    match = _NUMBERED.fullmatch(link)
    if match:
        name, inode = match[1], int(match[2])
        if name in (b"socket", b"pipe"):
            return name.decode("ascii"), inode
        if name == b"pidfd":  # pidfs, since Linux 6.9
            return "pidfd", None
        return ("namespace" if name in _NAMESPACES else "anon"), None
    return None  # a path that cannot be reached from our root: "(unreachable)/…"


def kind_of_mode(mode: int, links: int, link: bytes) -> str:
    """Tell the kind of a path from st_mode and st_nlink: a file's name may itself end in " (deleted)"."""
    if stat.S_ISDIR(mode):
        return "directory"
    if stat.S_ISFIFO(mode):
        return "fifo"
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        return "device"
    return "deleted" if links == 0 and link.endswith(_DELETED) else "file"


def kind_of_path(link: bytes, flags: int | None) -> str:
    """Tell the kind of a path that must not be asked, as far as text and open flags go."""
    if flags is not None and flags & O_DIRECTORY:
        return "directory"
    if link.endswith(_DELETED):
        return "deleted"
    return "device" if link.startswith(b"/dev/") and not link.startswith(b"/dev/shm/") else "file"


def safe_mounts(mountinfo: bytes) -> frozenset[int]:
    """Give the ids of mounts whose files answer stat() from this machine's memory or disks (proc_pid_mountinfo(5))."""
    safe: set[int] = set()
    for line in mountinfo.split(b"\n"):
        mount, separator, rest = line.partition(b" - ")
        number = mount.partition(b" ")[0]
        kind = rest.partition(b" ")[0]
        if separator and kind and number.isdigit() and len(number) < 12 and not _ASKS_OTHERS.fullmatch(kind):
            safe.add(int(number))
    return frozenset(safe)
