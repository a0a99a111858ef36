"""What can be seen here, what cannot and why, and what would show more: the facts `sockscope doctor` prints."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Iterator

from msgspec import Struct

from sockscope.collect.families import NAMES, identify, parse_protocols
from sockscope.collect.owners import NO_BPF
from sockscope.collect.plans import BY_TEXT_ONLY, ORDER, PLANS
from sockscope.kernel.calls import syscall
from sockscope.kernel.namespaces import netns_of
from sockscope.kernel.netlink import Dump, Netlink, NetlinkError
from sockscope.kernel.proc_fd import FdFolder, has_fd_counts, list_pids

# include/uapi/linux/capability.h
_CAPABILITIES = {
    "CAP_DAC_READ_SEARCH": 2, "CAP_NET_ADMIN": 12, "CAP_SYS_PTRACE": 19, "CAP_SYS_ADMIN": 21, "CAP_PERFMON": 38,
    "CAP_BPF": 39,
}
_YAMA = {
    "0": "off", "1": "only descendants may be attached to", "2": "only CAP_SYS_PTRACE may attach",
    "3": "nobody may attach",
}


class Capability(Struct, frozen=True):
    """One thing that works here or does not. `area`: tables, families, owners, details, rights, namespaces.

    `works` is None where it does not apply. `detail` says what was found; `gives` what one sees by it; `remedy` what
    would make it work, "" where nothing would.
    """

    area: str
    name: str
    works: bool | None
    detail: str
    gives: str = ""
    remedy: str = ""


def read_capabilities() -> tuple[Capability, ...]:
    """Try everything once, on ourselves only; a few milliseconds. Never raises."""
    return (*_tables(), *_families(), *_owners(), *_details(), *_rights(), *_namespaces())


def root_command() -> str:
    """Name the command that shows more: the installed command's absolute path, never `python -m` as root."""
    found = shutil.which("sockscope") or shutil.which(sys.argv[0])
    return f"sudo {os.path.abspath(found)}" if found else 'sudo "$(command -v sockscope)"'  # noqa: PTH100


def held_capabilities(root: str = "/proc") -> frozenset[str]:
    """Which of the capabilities that matter here are effective (capabilities(7), CapEff of /proc/self/status)."""
    for line in _text(f"{root}/self/status").splitlines():
        if line.startswith("CapEff:"):
            bits = int(line.split()[1], 16)
            return frozenset(name for name, bit in _CAPABILITIES.items() if bits >> bit & 1)
    return frozenset()


def _tables() -> Iterator[Capability]:
    try:
        channel = Netlink()
    except NetlinkError as error:
        yield Capability(
            "tables", "sock_diag", False, f"netlink refused: {error.strerror}", "buffers and cookies of every socket",
            "allow AF_NETLINK (seccomp, LSM); meanwhile /proc/net is read",
        )
        return
    dump = Dump()
    for protocol, plans in PLANS.items():
        try:
            for plan in plans:
                channel.dump(plan.kind, plan.request(None), 1, dump, plan.minimum)
        except NetlinkError as error:
            reason = "no handler in this kernel" if error.errno == errno.ENOENT else str(error.strerror)
            yield Capability(
                "tables", f"sock_diag {protocol}", False, reason, f"{protocol} sockets with their buffers",
                f"modprobe {_module(protocol)}" if error.errno == errno.ENOENT else "",
            )
        else:
            yield Capability("tables", f"sock_diag {protocol}", True, "answers", f"{protocol} sockets, with buffers")
    channel.close()
    for protocol in sorted(BY_TEXT_ONLY):
        there = os.access(f"/proc/self/net/{protocol}", os.R_OK)
        yield Capability(
            "tables", f"/proc/net/{protocol}", there, "readable" if there else "not there",
            f"{protocol} sockets (they have no sock_diag handler)",
        )


def _module(protocol: str) -> str:
    return {
        "tcp": "tcp_diag", "udp": "udp_diag", "udplite": "udp_diag", "unix": "unix_diag", "packet": "af_packet_diag",
        "netlink": "netlink_diag", "mptcp": "mptcp_diag",
    }[protocol]


def _families() -> Iterator[Capability]:
    """Tell the kinds of sockets this kernel has now. Opening one to see would load its module."""
    found = parse_protocols(_text("/proc/self/net/protocols"))
    if not found:
        yield Capability("families", "kinds of sockets", None, "/proc/net/protocols cannot be read")
        return
    here = list(dict.fromkeys(identify(name)[2] for name in found))
    bare = [protocol for protocol in here if protocol not in ORDER]
    yield Capability("families", "in tables", True, " ".join(name for name in ORDER if name in here))
    if bare:
        where = "found through the fds of processes we may read"
        yield Capability("families", "in no table", True, f"{' '.join(bare)}: {where}")
    rest = dict.fromkeys(
        family if family in ("bluetooth", "can") else protocol
        for name, (family, _, protocol) in NAMES.items() if name not in found and protocol not in here
    )
    if not any(name.endswith("v6") for name in found):
        rest["IPv6"] = None
    if rest:
        yield Capability("families", "not available here", False, " ".join(rest))


def _owners() -> Iterator[Capability]:
    pids = list_pids()
    hidden = sum(not _may_read_fds(pid) for pid in pids)
    readable = len(pids) - hidden
    yield Capability(
        "owners", "open files of other processes", hidden == 0, f"{readable} of {len(pids)} processes readable",
        "which process and fd holds a socket", root_command() if hidden else "",
    )
    counts = has_fd_counts()
    yield Capability(
        "owners", "fd counts", counts, "stat() tells them" if counts else "Linux before 6.2: all links are read",
        "quick refreshes",
    )
    btf = os.access("/sys/kernel/btf/vmlinux", os.R_OK)
    yield Capability(
        "owners", "BTF", btf, "/sys/kernel/btf/vmlinux is readable" if btf else "not there or not readable",
        "offsets for the BPF iterator", "" if btf else "a kernel with CONFIG_DEBUG_INFO_BTF",
    )
    yield _bpf(btf)


def _may_read_fds(pid: int) -> bool:
    """Whether its fds may be read as the owner map reads them: listing may be allowed and each link refused."""
    try:
        with FdFolder(pid) as folder:
            for name in folder.names()[:1]:
                folder.link(name)
    except PermissionError:
        return False
    except OSError:  # it ended: nothing is hidden
        return True
    return True


def _bpf(btf: bool) -> Capability:
    gives = "all owners in one read (4 ms at 10,000 sockets)"
    if not btf:
        return Capability("owners", "BPF task_file iterator", False, "needs BTF", gives)
    if os.environ.get(NO_BPF):
        return Capability("owners", "BPF task_file iterator", False, f"forbidden by {NO_BPF}", gives)
    from sockscope.kernel.btf import Btf  # noqa: PLC0415 (5 MB of BTF are read for doctor only)
    from sockscope.kernel.task_file import TaskFile, find_offsets  # noqa: PLC0415
    from sockscope.kernel.task_file_records import agrees_with_proc, split_by_process  # noqa: PLC0415

    try:
        with open("/sys/kernel/btf/vmlinux", "rb") as file:  # noqa: PTH123
            iterator = TaskFile(find_offsets(Btf(file.read())))
        try:
            agrees = agrees_with_proc(split_by_process(iterator.read()))
        finally:
            iterator.close()
    except (OSError, ValueError, LookupError) as error:
        return Capability(
            "owners", "BPF task_file iterator", False, str(error), gives, f"{root_command()} (CAP_BPF and CAP_PERFMON)",
        )
    said = "its answer for our own sockets differs from /proc" if agrees is False else "agrees with /proc"
    return Capability("owners", "BPF task_file iterator", agrees is not False, said, gives)


def _details() -> Iterator[Capability]:
    works, why = _can_borrow()
    yield Capability("details", "pidfd_getfd", works, why, "receive marks (SO_RCVLOWAT) and TCP_NOTSENT_LOWAT")
    yama = _text("/proc/sys/kernel/yama/ptrace_scope").strip()
    yield Capability(
        "details", "Yama", yama in ("", "0"), _YAMA.get(yama, "not in this kernel"),
        "system calls, marks and poll sets of processes that are ours", "" if yama in ("", "0") else root_command(),
    )
    mounts = [line.split(" ") for line in _text("/proc/self/mounts").splitlines()]
    options = [option for mount in mounts if mount[1:3] == ["/proc", "proc"] for option in mount[3].split(",")]
    hidepid = next((option for option in options if option.startswith("hidepid=")), None)
    hides = hidepid is not None and hidepid not in ("hidepid=0", "hidepid=off")
    yield Capability(
        "details", "hidepid", not hides, hidepid or "not set", "other users' processes at all",
        root_command() if hides else "",
    )


def _can_borrow() -> tuple[bool, str]:
    """Duplicate our own stdin's fd through a pidfd (pidfd_getfd(2), Linux 5.6)."""
    reader, writer = os.pipe()
    opened = [reader, writer]
    try:
        handle = os.pidfd_open(os.getpid())
        opened.append(handle)
        opened.append(syscall("pidfd_getfd", handle, reader, 0))
    except OSError as error:
        return False, str(error.strerror)
    else:
        return True, "works"
    finally:
        for fd in opened:
            os.close(fd)


def _rights() -> Iterator[Capability]:
    held = held_capabilities()
    gains = {
        "CAP_NET_ADMIN": "closing sockets (D)",
        # /proc/PID/fd and task/TID/syscall are closed to all but their owner by mode, before ptrace rights are asked.
        "CAP_SYS_PTRACE": "with CAP_DAC_READ_SEARCH others' fds, threads, marks; alone where threads sleep",
        "CAP_DAC_READ_SEARCH": "with CAP_SYS_PTRACE the same; alone nothing",
        "CAP_SYS_ADMIN": "sockets of other network namespaces", "CAP_PERFMON": "the BPF iterator",
        "CAP_BPF": "the BPF iterator",
    }
    for name, gives in gains.items():
        has = name in held
        yield Capability("rights", name, has, "effective" if has else "not held", gives, "" if has else root_command())


def _namespaces() -> Iterator[Capability]:
    found = {netns for pid in list_pids() if (netns := netns_of(pid)) is not None}
    others = len(found - {netns_of()})
    yield Capability(
        "namespaces", "network namespaces", None, f"ours, and {others} others of processes that we may read",
        "sockets of containers",
    )


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return file.read()
    except OSError:
        return ""
