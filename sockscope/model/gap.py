"""What could not be read, why, and how often. Absence is data: a Gap travels with the snapshot, never an exception."""

from __future__ import annotations

from msgspec import Struct


class Gap(Struct, frozen=True, gc=False):
    """`what` and `reason` are stable codes (scripts may match them); `detail` is a sentence for people.

    what: tcp, udp, unix, packet, netlink, raw, mptcp (socket tables); holders (processes whose fds were not readable);
    netns; fds (of a process); fdinfo; threads; syscall; marks; tcp_info; watches; memory (a target's); process; names.
    reason: not_permitted, vanished, unsupported, interrupted, truncated, timed_out, malformed, over_budget,
    fallback (a lesser source was used), off (turned off by an option), failed.
    """

    what: str
    reason: str
    count: int = 1
    detail: str = ""
