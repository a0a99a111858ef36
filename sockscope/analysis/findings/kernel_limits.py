"""tcp-memory, orphans, conntrack-full, softnet-drops, tw-overflow: the host's own limits, from counters."""

from __future__ import annotations

from collections.abc import Iterator

from sockscope.analysis.findings.scene import Scene, evidence
from sockscope.model.finding import Finding

HOST = (("system", "network"),)


def find_tcp_memory(scene: Scene) -> Iterator[Finding]:
    """Report TCP under memory pressure: the kernel shrinks windows and, at the hard limit, ends connections."""
    for netns in scene.namespaces:
        entered = sum(scene.rises(netns, "TcpExt.TCPMemoryPressures").values())
        aborted = sum(scene.rises(netns, "TcpExt.TCPAbortOnMemory").values())
        pages, pressure = scene.counter(netns, "sockstat.TCP.mem"), scene.counter(netns, "sysctl.tcp_mem.pressure")
        above = pages is not None and pressure is not None and pages > pressure
        if not (entered or aborted or above):
            continue
        yield Finding(
            "tcp-memory", "warning",
            f"TCP is short of memory: {'?' if pages is None else pages} pages in use, pressure begins at"
            f" {'?' if pressure is None else pressure}" + (f"; {aborted} connections ended for it" if aborted else ""),
            (evidence("TCPMemoryPressures", f"+{entered} in ten looks", "netstat, each look"),
             evidence("TCPAbortOnMemory", f"+{aborted} in ten looks", "netstat, each look"),
             evidence("pages", pages if pages is not None else "not read", "sockstat (of the whole host)")),
            ("Find the sockets with the fullest queues (sort by receive and send)", "Raise net.ipv4.tcp_mem"),
            about=HOST,
        )


def find_orphans(scene: Scene) -> Iterator[Finding]:
    """Report orphans, closed sockets with data still to send, at half of tcp_max_orphans."""
    netns = scene.snapshot.netns
    count, most = scene.counter(netns, "sockstat.TCP.orphan"), scene.counter(netns, "sysctl.tcp_max_orphans")
    if count is None or not most or count < most / 2:
        return
    yield Finding(
        "orphans", "warning", f"{count} of at most {most} orphaned connections: beyond it the kernel resets them",
        (evidence("orphans", count, "sockstat (of the whole host)"), evidence("maximum", most, "tcp_max_orphans")),
        ("Peers that do not take the last bytes: see the rows without a process", "Raise net.ipv4.tcp_max_orphans"),
        about=HOST,
    )


def find_conntrack(scene: Scene) -> Iterator[Finding]:
    """Report a connection tracking table at 90 %; severe when it drops."""
    for netns in scene.namespaces:
        count, most = scene.counter(netns, "conntrack.count"), scene.counter(netns, "conntrack.max")
        lost = sum(scene.rises(netns, "conntrack.drop").values()) + sum(
            scene.rises(netns, "conntrack.early_drop").values())
        if count is None or not most or (count < 0.9 * most and not lost):
            continue
        yield Finding(
            "conntrack-full", "severe" if lost else "warning",
            f"connection tracking holds {count} of {most} entries" + (f"; {lost} packets were dropped for it" if lost
                                                                      else ": beyond it new connections are dropped"),
            (evidence("entries", f"{count} of {most}", "nf_conntrack_count, nf_conntrack_max"),
             evidence("drop and early_drop", f"+{lost} in ten looks", "/proc/net/stat/nf_conntrack")),
            ("Raise net.netfilter.nf_conntrack_max, or shorten its timeouts",
             "Exempt busy ports from tracking (notrack)"), about=HOST,
        )


def find_softnet(scene: Scene) -> Iterator[Finding]:
    """Report packets dropped before any socket: a CPU's backlog (netdev_max_backlog) overflows."""
    rises = scene.rises(scene.snapshot.netns, "softnet.dropped")
    if len(rises) < 3:
        return
    yield Finding(
        "softnet-drops", "warning",
        f"{sum(rises.values())} packets were dropped in the last ten looks because a CPU's input queue was full",
        (evidence("dropped", f"+{sum(rises.values())} in {len(rises)} looks", "/proc/net/softnet_stat, all CPUs"),),
        ("Raise net.core.netdev_max_backlog", "Spread the load over CPUs (RSS, RPS)"), about=HOST,
    )


def find_tw_overflow(scene: Scene) -> Iterator[Finding]:
    """Report TIME_WAIT sockets that did not fit: a late segment may then meet a new connection."""
    for netns in scene.namespaces:
        lost = sum(scene.rises(netns, "TcpExt.TCPTimeWaitOverflow").values())
        if lost:
            yield Finding(
                "tw-overflow", "warning",
                f"{lost} connections were ended without TIME_WAIT: tcp_max_tw_buckets is full",
                (evidence("TCPTimeWaitOverflow", f"+{lost} in ten looks", "netstat, each look"),),
                ("Raise net.ipv4.tcp_max_tw_buckets, or let clients close first",), about=HOST,
            )
