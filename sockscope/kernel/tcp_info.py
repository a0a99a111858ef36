"""struct tcp_info (include/uapi/linux/tcp.h) of any length: kernels only ever append to it."""

from __future__ import annotations

import functools
import struct

from sockscope.model.detail import TcpInfo

SHORTEST = 104  # up to tcpi_total_retrans: Linux 2.6; anything shorter is no tcp_info

_HEAD = struct.Struct("=8B24I")
# Everything later, in order and without holes: (format, field).
_TAIL = (
    ("Q", "pacing_rate"), ("Q", "max_pacing_rate"), ("Q", "bytes_acked"), ("Q", "bytes_received"), ("I", "segs_out"),
    ("I", "segs_in"), ("I", "notsent_bytes"), ("I", "min_rtt_us"), ("I", "data_segs_in"), ("I", "data_segs_out"),
    ("Q", "delivery_rate"), ("Q", "busy_time_us"), ("Q", "rwnd_limited_us"), ("Q", "sndbuf_limited_us"),
    ("I", "delivered"), ("I", "delivered_ce"), ("Q", "bytes_sent"), ("Q", "bytes_retrans"), ("I", "dsack_dups"),
    ("I", "reord_seen"), ("I", "rcv_ooopack"), ("I", "snd_wnd"), ("I", "rcv_wnd"),
)

UNLIMITED = 0xFFFF_FFFF_FFFF_FFFF


def parse_tcp_info(data: bytes, congestion: bytes | None = None) -> TcpInfo | None:
    """Decode as many fields as the kernel gave; None if it is too short to be a tcp_info.

    A pacing rate of None is no limit: its ~0 would be rounded by whoever reads JSON numbers as doubles.
    Times: rto, ato, rtt, rttvar, rcv_rtt, min_rtt and the limits in microseconds, last_* in milliseconds.
    """
    if len(data) < SHORTEST:
        return None
    values = _HEAD.unpack_from(data)
    flags, scales = values[7], values[6]
    layout, names = _tail_of(len(data))
    tail = dict(zip(names, layout.unpack_from(data, SHORTEST), strict=True))
    for name in ("pacing_rate", "max_pacing_rate"):
        if tail.get(name) == UNLIMITED:
            tail[name] = None
    return TcpInfo(
        state=values[0], ca_state=values[1], retransmits=values[2], probes=values[3], backoff=values[4],
        options=values[5], snd_wscale=scales & 15, rcv_wscale=scales >> 4, app_limited=bool(flags & 1),
        rto_us=values[8], ato_us=values[9], snd_mss=values[10], rcv_mss=values[11], unacked=values[12],
        sacked=values[13], lost=values[14], retrans=values[15], last_data_sent_ms=values[17],
        last_data_recv_ms=values[19], last_ack_recv_ms=values[20], pmtu=values[21], rcv_ssthresh=values[22],
        rtt_us=values[23], rttvar_us=values[24], snd_ssthresh=values[25], snd_cwnd=values[26], advmss=values[27],
        reordering=values[28], rcv_rtt_us=values[29], rcv_space=values[30], total_retrans=values[31],
        congestion=congestion.rstrip(b"\0").decode("ascii", "replace") if congestion else None, **tail,
    )


@functools.lru_cache(maxsize=8)  # a kernel has one length
def _tail_of(length: int) -> tuple[struct.Struct, tuple[str, ...]]:
    """Lay out as much of the tail as a struct of this length has."""
    kinds, names, end = "=", [], SHORTEST
    for kind, name in _TAIL:
        end += 8 if kind == "Q" else 4
        if end > length:
            break
        kinds += kind
        names.append(name)
    return struct.Struct(kinds), tuple(names)
