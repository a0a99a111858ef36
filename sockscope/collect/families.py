"""The kinds of sockets Linux has: what the kernel calls each, and which of them this kernel has.

The names are sk_prot->name, as /proc/net/protocols lists them (net/core/sock.c proto_seq_show) and as
`getxattr(/proc/PID/fd/N, "system.sockprotoname")` tells of one socket.
"""

from __future__ import annotations

# sk_prot->name -> family, type, protocol
NAMES = {
    "TCP": ("inet", "stream", "tcp"), "TCPv6": ("inet6", "stream", "tcp"),
    "UDP": ("inet", "dgram", "udp"), "UDPv6": ("inet6", "dgram", "udp"),
    "UDP-Lite": ("inet", "dgram", "udplite"), "UDPLITEv6": ("inet6", "dgram", "udplite"),
    "MPTCP": ("inet", "stream", "mptcp"), "MPTCPv6": ("inet6", "stream", "mptcp"),
    "RAW": ("inet", "raw", "raw"), "RAWv6": ("inet6", "raw", "raw"),
    "PING": ("inet", "dgram", "icmp"), "PINGv6": ("inet6", "dgram", "icmp"),
    "UNIX-STREAM": ("unix", "stream", "unix"), "UNIX": ("unix", "dgram", "unix"),
    "NETLINK": ("netlink", "raw", "netlink"), "PACKET": ("packet", "raw", "packet"),
    "AF_VSOCK": ("vsock", "unknown", "vsock"), "XDP": ("xdp", "raw", "xdp"),
    "SCTP": ("inet", "stream", "sctp"), "SCTPv6": ("inet6", "stream", "sctp"),
    "DCCP": ("inet", "dgram", "dccp"), "DCCPv6": ("inet6", "dgram", "dccp"),
    "SMC": ("smc", "stream", "smc"), "SMC6": ("smc", "stream", "smc"),
    "L2TP/IP": ("inet", "dgram", "l2tp"), "L2TPv6": ("inet6", "dgram", "l2tp"),
    "TIPC": ("tipc", "unknown", "tipc"), "ALG": ("alg", "seqpacket", "alg"), "KCM": ("kcm", "unknown", "kcm"),
    "KEY": ("key", "raw", "key"), "RDS": ("rds", "seqpacket", "rds"), "QIPCRTR": ("qipcrtr", "dgram", "qipcrtr"),
    "HCI": ("bluetooth", "raw", "hci"), "L2CAP": ("bluetooth", "unknown", "l2cap"),
    "SCO": ("bluetooth", "seqpacket", "sco"), "RFCOMM": ("bluetooth", "unknown", "rfcomm"),
    "CAN_RAW": ("can", "raw", "can_raw"), "CAN_BCM": ("can", "dgram", "can_bcm"),
    "CAN_ISOTP": ("can", "dgram", "can_isotp"), "CAN_J1939": ("can", "dgram", "can_j1939"),
}


def identify(name: str) -> tuple[str, str, str]:
    """Give (family, type, protocol) of what the kernel calls so; one we do not know keeps the kernel's name."""
    low = name.lower()
    return NAMES.get(name, (low, "unknown", low))


def parse_protocols(text: str) -> dict[str, int]:
    """Map the kernel's name of each kind of socket it has to how many of them are open in the reader's namespace.

    A module that nobody has asked for yet is not among them.
    """
    found: dict[str, int] = {}
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 2 and fields[2].isdecimal():
            found[fields[0]] = int(fields[2])
    return found
