"""port-exhaustion: nearly no local port is left to connect to one remote end."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from sockscope.analysis.findings.scene import Scene, about_process, evidence
from sockscope.model.finding import Finding
from sockscope.model.socket import Socket

NEAR, SEVERE = 0.80, 0.95
Path = tuple[int, str, str, int]  # netns, local address, remote address, remote port


def find(scene: Scene) -> Iterator[Finding]:
    """Report (local address, remote end) pairs that use 80 % of the ports the kernel may choose from.

    TIME_WAIT does not count where tcp_tw_reuse lets connect() take its port again: 1, or 2 on loopback
    (tcp_ipv4.c tcp_twsk_unique).
    """
    accepted = sum(one.connections for one in scene.observation.servers or ())  # at the listener's port, not a chosen
    callers = len(scene.snapshot.sockets) - accepted
    for netns in scene.namespaces:
        low, high = (scene.counter(netns, f"sysctl.ip_local_port_range.{end}") for end in ("low", "high"))
        if low is None or high is None or high < low:
            continue
        size = high - low + 1 - (scene.counter(netns, "sysctl.ip_local_reserved_ports.count") or 0)
        if size <= 0 or callers < NEAR * size:
            continue  # there cannot be enough of them: on a quiet host, or a server, no row need be looked at
        if _most_to_one_port(scene, netns) < NEAR * size:
            continue  # likewise: told in 10 ms of 100,000 rows, where telling the paths apart takes 40
        for path, rows in _by_path(scene, netns, low, high).items():
            if len(rows) >= NEAR * size:
                yield _finding(scene, path, rows, size)


def _most_to_one_port(scene: Scene, netns: int) -> int:
    """Count what was not accepted: the few services that are called, not the thousands of ports that clients have."""
    own = {port for where, port in scene.memory.listeners if where == netns}
    rows = scene.snapshot.sockets.values()
    called = [row.remote.port for row in rows if row.local.port not in own and row.remote is not None]
    return max(Counter(called).values(), default=0)


def _by_path(scene: Scene, netns: int, low: int, high: int) -> dict[Path, dict[int, Socket]]:
    reuse = scene.counter(netns, "sysctl.tcp_tw_reuse") or 0
    paths: dict[Path, dict[int, Socket]] = defaultdict(dict)
    for socket in scene.snapshot.sockets.values():
        port, remote = socket.local.port, socket.remote
        if socket.protocol != "tcp" or socket.netns != netns or remote is None or port is None:
            continue
        if not low <= port <= high or (netns, port) in scene.memory.listeners or not remote.port:
            continue
        loopback = remote.address.startswith(("127.", "::1", "::ffff:127."))
        if socket.state == "TIME_WAIT" and (reuse == 1 or (reuse == 2 and loopback)):
            continue
        paths[netns, socket.local.address, remote.address, remote.port][port] = socket
    return paths


def _finding(scene: Scene, path: Path, rows: dict[int, Socket], size: int) -> Finding:
    _, local, remote, port = path
    pids = tuple(dict.fromkeys(pid for socket in rows.values() for pid in scene.pids(socket)))
    waiting = sum(socket.state == "TIME_WAIT" for socket in rows.values())
    share = len(rows) / size
    return Finding(
        "port-exhaustion", "severe" if share >= SEVERE else "warning",
        f"{len(rows)} of {size} local ports to {remote} port {port} are in use ({share:.0%}): soon connect() fails with"
        " EADDRNOTAVAIL",
        (evidence("ports in use", f"{len(rows)}, {waiting} of them in TIME_WAIT", "rows of this look"),
         evidence("ports to choose from", size, "ip_local_port_range less reserved ports"),
         evidence("local address", local, "rows of this look")),
        ("Keep connections open and use them again (a pool) instead of one per request",
         "Widen net.ipv4.ip_local_port_range, or connect from several local addresses"),
        about=(("remote", f"{remote}:{port}"), *about_process(pids)),
        sockets=tuple(socket.key for socket in list(rows.values())[:64]),
    )
