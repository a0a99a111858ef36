"""udp-drops: a socket's receive buffer overflows."""

from __future__ import annotations

from collections.abc import Iterator

from sockscope.analysis.findings.scene import Scene, about_port, about_process, evidence
from sockscope.analysis.sight import port_text
from sockscope.model.finding import Finding

WINDOW, SAMPLES = 5, 2
PER_S = 10.0


def find(scene: Scene) -> Iterator[Finding]:
    """Report UDP sockets that drop while RcvbufErrors rises: a BPF filter that rejects raises S[8] alone."""
    for socket, track in scene.tracked():
        if socket.protocol not in ("udp", "udplite") or not track.drops:
            continue
        prefix = "Udp" if socket.protocol == "udp" else "UdpLite"
        full = scene.rises(socket.netns, f"{prefix}.RcvbufErrors", f"{prefix}6.RcvbufErrors")
        recent = scene.memory.sample - WINDOW
        drops = [rise for sample, rise in track.drops if sample > recent and sample in full]
        rate = sum(drops) / _window_s(scene)
        if len(drops) < SAMPLES or rate < PER_S:
            continue
        pids, memory = scene.pids(socket), socket.memory
        size = f"{memory.receive_buffer:,} B" if memory is not None else "unknown"
        yield Finding(
            "udp-drops", "warning",
            f"port {port_text(socket).lstrip(':')} of {scene.who(pids)} loses {rate:.0f} datagrams a second:"
            f" its receive buffer of {size} is full",
            (evidence("drops of the socket", f"+{sum(drops)} in {len(drops)} of {WINDOW} looks", "SKMEMINFO drops"),
             evidence("RcvbufErrors", f"+{sum(full.values())} in ten looks", "snmp, each look"),
             evidence("queued", f"{socket.receive_queued or 0:,} B of truesize", "sock_diag, each look")),
            ("Read faster: recvmmsg(), more threads with SO_REUSEPORT",
             "Raise SO_RCVBUF and net.core.rmem_max for bursts; it only delays a reader that is too slow"),
            about=(*about_process(pids), *about_port(socket)), sockets=(socket.key,),
        )


def _window_s(scene: Scene) -> float:
    looks = scene.memory.counters[-(WINDOW + 1):]
    return max(1.0, looks[-1].at_s - looks[0].at_s) if len(looks) > 1 else float(WINDOW)
