"""syn-cookies: the SYN queue overflows; connections are answered with cookies, or dropped."""

from __future__ import annotations

from collections.abc import Iterator

from sockscope.analysis.findings.scene import Scene, evidence
from sockscope.model.finding import Finding

SAMPLES = 3  # of ten


def find(scene: Scene) -> Iterator[Finding]:
    """Report namespaces that send SYN cookies; never from SYN_RECV rows alone, which TCP_DEFER_ACCEPT makes too."""
    for netns in scene.namespaces:
        sent = scene.rises(netns, "TcpExt.SyncookiesSent")
        dropped = scene.rises(netns, "TcpExt.TCPReqQFullDrop")
        if len(sent) < SAMPLES:
            continue
        half_open: dict[int, int] = {}
        for socket, _ in scene.tracked("tcp"):
            if socket.state == "SYN_RECV" and socket.netns == netns:
                half_open[socket.local.port or 0] = half_open.get(socket.local.port or 0, 0) + 1
        port = max(half_open, key=lambda one: half_open[one], default=None)
        yield Finding(
            "syn-cookies", "severe" if dropped else "warning",
            f"{sum(sent.values())} SYNs were answered with cookies in the last 10 looks"
            + (f", {sum(dropped.values())} dropped" if dropped else "")
            + (f"; most half-open connections wait at port {port}" if port is not None else ""),
            (evidence("SyncookiesSent", f"+{sum(sent.values())} in {len(sent)} looks", "netstat, each look"),
             evidence("TCPReqQFullDrop", f"+{sum(dropped.values())}", "netstat, each look"),
             evidence("half-open connections", sum(half_open.values()), "SYN_RECV rows at this look")),
            ("Raise the backlog of listen(): it also bounds the SYN queue",
             "Many remote addresses that never finish the handshake are a SYN flood"),
            about=(("netns", str(netns)), *((("port", str(port)),) if port is not None else ())),
        )
