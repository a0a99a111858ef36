"""struct tcp_info (include/uapi/linux/tcp.h) of any length: kernels only ever append to it."""

from __future__ import annotations

import struct

from sockscope.model.detail import TcpInfo

SHORTEST = 104  # up to tcpi_total_retrans: Linux 2.6; anything shorter is no tcp_info

_HEAD = struct.Struct("=8B24I")
# Everything later, in order: (offset, format, field).
_TAIL = (
    (104, "Q", "pacing_rate"), (112, "Q", "max_pacing_rate"), (120, "Q", "bytes_acked"), (128, "Q", "bytes_received"),
    (136, "I", "segs_out"), (140, "I", "segs_in"), (144, "I", "notsent_bytes"), (148, "I", "min_rtt_us"),
    (152, "I", "data_segs_in"), (156, "I", "data_segs_out"), (160, "Q", "delivery_rate"), (168, "Q", "busy_time_us"),
    (176, "Q", "rwnd_limited_us"), (184, "Q", "sndbuf_limited_us"), (192, "I", "delivered"), (196, "I", "delivered_ce"),
    (200, "Q", "bytes_sent"), (208, "Q", "bytes_retrans"), (216, "I", "dsack_dups"), (220, "I", "reord_seen"),
    (224, "I", "rcv_ooopack"), (228, "I", "snd_wnd"), (232, "I", "rcv_wnd"),
)


def parse_tcp_info(data: bytes, congestion: bytes | None = None) -> TcpInfo | None:
    """Decode as many fields as the kernel gave; None if it is too short to be a tcp_info.

    Times: rto, ato, rtt, rttvar, rcv_rtt, min_rtt and the limits in microseconds, last_* in milliseconds.
    """
    if len(data) < SHORTEST:
        return None
    values = _HEAD.unpack_from(data)
    flags, scales = values[7], values[6]
    tail = {
        name: struct.unpack_from("=" + kind, data, offset)[0]
        for offset, kind, name in _TAIL
        if offset + struct.calcsize("=" + kind) <= len(data)
    }
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
