"""Who spoke last: the fact that tells the commonest stuck service, a request read and not answered."""

from __future__ import annotations

from sockscope.analysis.progress import TcpProgress
from sockscope.analysis.sight import seconds_text
from sockscope.model.detail import TcpInfo


def turn_of(info: TcpInfo | None) -> str | None:
    """Return `app` if the peer spoke last, `peer` if we did, None if nothing was received or acknowledged yet.

    bytes_acked counts the SYN of an active open, so one byte of it is no speech (tcp_input.c tcp_snd_una_update).
    """
    if info is None:
        return None
    received, acked = info.bytes_received or 0, info.bytes_acked or 0
    if not received and acked <= 1:
        return None
    if not received or acked <= 1:
        return "app" if received else "peer"
    return "app" if info.last_data_recv_ms < info.last_data_sent_ms else "peer"


def turn_reason(progress: TcpProgress | None, now_s: float, unread: int) -> str:
    """Say it: "peer spoke last 42 s ago, read, nothing sent since". Empty where it is nobody's turn."""
    if progress is None:
        return ""
    turn = turn_of(progress.info)
    age_s = max(0.0, now_s - progress.at_s)
    if turn == "app":
        ago = seconds_text(progress.info.last_data_recv_ms / 1000 + age_s)
        return f"peer spoke last {ago} ago, {'unread' if unread else 'read, nothing sent since'}"
    if turn == "peer":
        return f"this end spoke last {seconds_text(progress.info.last_data_sent_ms / 1000 + age_s)} ago"
    return ""
