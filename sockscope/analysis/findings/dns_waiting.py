"""dns-waiting: a thread waits for a name server that does not answer."""

from __future__ import annotations

from collections.abc import Iterator

from sockscope.analysis.findings.scene import Scene, about_process, evidence, remote_text
from sockscope.analysis.progress import ThreadProgress
from sockscope.analysis.sight import seconds_text
from sockscope.analysis.tracks import asks_dns
from sockscope.model.finding import Finding

FOR_S = 2.0
CALLS = frozenset({"poll", "ppoll", "select", "pselect6", "recvfrom", "recvmsg", "recvmmsg", "read"})


def find(scene: Scene) -> Iterator[Finding]:
    """Report threads asleep for 2 s in a read or poll of one connected UDP socket to port 53 with nothing in it."""
    for socket, track in scene.tracked("udp"):
        if not asks_dns(socket) or socket.receive_queued or scene.now_s - track.first_s < FOR_S:
            continue
        for holder in scene.snapshot.holders_of(socket):
            seen = scene.memory.process(scene.snapshot.processes.get(holder.pid))
            if seen is None or not scene.memory.is_fresh(seen.at_s):
                continue
            thread = next((one for one in seen.threads if _waits(one, holder.fd, seen.at_s)), None)
            if thread is None:
                continue
            waits_s = seen.at_s - (thread.call_since_s or seen.at_s)
            yield Finding(
                "dns-waiting", "warning",
                f"thread {thread.thread.tid} of {scene.who([holder.pid])} has waited {seconds_text(waits_s)}"
                f" for the name server {remote_text(socket)}",
                (evidence("thread", f"{thread.thread.call} on fd {holder.fd}, did not run", "task/syscall, schedstat",
                          scene.now_s - seen.at_s),
                 evidence("answers queued", 0, "sock_diag, each look")),
                ("Ask that server by hand; look at /etc/resolv.conf for a dead first server (timeout 5 s by default)",),
                for_s=waits_s, about=(*about_process([holder.pid]), ("remote", remote_text(socket))),
                sockets=(socket.key,),
            )


def _waits(thread: ThreadProgress, fd: int, at_s: float) -> bool:
    now = thread.thread
    fds: list[int | None] = [one for one, _ in now.on_fds or ()]
    fds = fds or [now.on_fd]
    asleep = thread.call_since_s is not None and at_s - thread.call_since_s >= FOR_S and now.state == "S"
    return asleep and now.call in CALLS and fd in fds and len(fds) <= 2  # glibc asks A and AAAA on one socket
