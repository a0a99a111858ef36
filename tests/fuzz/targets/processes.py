"""/proc/PID/stat, cgroup, mountinfo and fd links: a record or MalformedError; never anything else."""

from __future__ import annotations

import msgspec

from sockscope.kernel.fd_kind import kind_of_link, kind_of_mode, kind_of_path, safe_mounts
from sockscope.kernel.malformed import MalformedError
from sockscope.kernel.proc_cgroup import container_of, parse_cgroup
from sockscope.kernel.proc_stat import parse_stat

TOKENS = (
    b"0::/system.slice/", b"docker-" + b"a" * 64 + b".scope", b"/lxc/", b"lxc.payload.", b"machine-", b".scope", b"\\x2d",
    b"socket:[77]", b"anon_inode:[eventpoll]", b" (deleted)", b"/memfd:", b" - nfs4 ", b") S 1 1 1 0", b"_", b"9" * 30,
)


def check(data: bytes) -> None:
    """Read the bytes as each of them."""
    try:
        stat = parse_stat(data)
    except MalformedError:
        pass
    else:
        assert stat.name in data and stat.state.isascii()
        assert all(0 <= number < 1 << 64 for number in stat[2:]), stat
    path = parse_cgroup(data)
    assert path is None or path.startswith(b"/")
    container = container_of(data)
    assert container is None or container
    msgspec.json.encode(container)
    kind = kind_of_link(data)
    assert kind is None or (kind[0] and (kind[1] is None or 0 <= kind[1] < 10**20))
    assert kind_of_mode(0o100644, len(data) & 1, data) and kind_of_path(data, None)
    assert all(mount >= 0 for mount in safe_mounts(data))
