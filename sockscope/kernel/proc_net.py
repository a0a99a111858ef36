"""The text tables of /proc/net (proc(5), net/ipv4/tcp_ipv4.c tcp4_seq_show and its like).

The fallback where netlink is refused, and the only source for raw and ping sockets.

They give neither cookie nor buffer sizes nor shutdown, and for a listener no backlog: those stay None. Anybody may read
them, of any process, so they also show another namespace without rights.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from functools import partial
from socket import AF_INET, AF_INET6, inet_ntop
from sys import byteorder

from sockscope.kernel.digits import decimal, hexadecimal, signed
from sockscope.kernel.inet_rows import TCP_STATES, TIMER_KINDS, TYPES
from sockscope.kernel.malformed import MalformedError
from sockscope.kernel.unix_rows import TYPES as KINDS
from sockscope.kernel.unix_rows import UNNAMED, netlink_socket, packet_socket, unix_endpoint
from sockscope.model.socket import Endpoint, Socket, Timer

USER_HZ = 100  # timers are printed by jiffies_delta_to_clock_t
_LISTEN = 10
_ACCEPTING = 0x10000  # __SO_ACCEPTCON
_CONNECTED = 3  # SS_CONNECTED
_UNIX_LINE = re.compile(  # address, references, protocol, then what is kept: flags, type, state, inode, name
    rb"[0-9a-f]{8,16}: [0-9A-F]{8} [0-9A-F]{8} ([0-9A-F]{8}) ([0-9A-F]{4}) ([0-9A-F]{2}) +(\d{1,19})(?: (.*))?",
    re.DOTALL,
)

Parser = Callable[[bytes, int], tuple[list[Socket], int]]


def parse_inet(text: bytes, netns: int, *, protocol: str) -> tuple[list[Socket], int]:
    """tcp, udp, udplite, raw, icmp, of either family: the sockets, and how many lines made no sense."""
    return _parse_lines(text, lambda fields: _inet_socket(fields, netns, protocol))


def parse_packet(text: bytes, netns: int) -> tuple[list[Socket], int]:
    """/proc/net/packet (net/packet/af_packet.c packet_seq_show)."""
    return _parse_lines(text, lambda fields: packet_socket(
        netns, None, kind=decimal(fields[2]), number=hexadecimal(fields[3]), interface=signed(fields[4]),
        inode=decimal(fields[8]), uid=decimal(fields[7], 32), receive=decimal(fields[6]),
    ))


def parse_netlink(text: bytes, netns: int) -> tuple[list[Socket], int]:
    """/proc/net/netlink (net/netlink/af_netlink.c netlink_native_seq_show)."""
    return _parse_lines(text, lambda fields: netlink_socket(
        netns, None, kind=3, protocol=decimal(fields[1]), port=signed(fields[2]) & 0xFFFF_FFFF,
        inode=decimal(fields[9]), receive=decimal(fields[4]), send=decimal(fields[5]), drops=decimal(fields[8]),
    ))


def parse_unix(text: bytes, netns: int) -> tuple[list[Socket], int]:
    """/proc/net/unix. The kernel prints names raw, so a line feed in one makes a line that is none: it is put back.

    NULs are printed as @, thus an abstract name is told by its first @; a path that begins with one looks the same.
    Connections not yet accepted have inode 0 and no name of their own: left out, as unix_diag does.
    """
    sockets: list[Socket] = []
    malformed = 0
    for line in _joined(text.partition(b"\n")[2]):
        match = _UNIX_LINE.fullmatch(line)
        if match is None:
            malformed += 1
            continue
        flags, kind, state, inode, name = match.groups()
        if int(inode):
            sockets.append(_unix_socket(
                netns, flags=int(flags, 16), kind=int(kind, 16), state=int(state, 16), inode=int(inode), name=name,
            ))
    return sockets, malformed


TABLES: dict[str, tuple[tuple[str, Parser], ...]] = {
    "tcp": (("tcp", partial(parse_inet, protocol="tcp")), ("tcp6", partial(parse_inet, protocol="tcp"))),
    "udp": (("udp", partial(parse_inet, protocol="udp")), ("udp6", partial(parse_inet, protocol="udp"))),
    "udplite": (
        ("udplite", partial(parse_inet, protocol="udplite")), ("udplite6", partial(parse_inet, protocol="udplite")),
    ),
    "raw": (("raw", partial(parse_inet, protocol="raw")), ("raw6", partial(parse_inet, protocol="raw"))),
    "icmp": (("icmp", partial(parse_inet, protocol="icmp")), ("icmp6", partial(parse_inet, protocol="icmp"))),
    "unix": (("unix", parse_unix),),
    "packet": (("packet", parse_packet),),
    "netlink": (("netlink", parse_netlink),),
}


def read_table(name: str, netns: int, root: str = "/proc/self/net") -> tuple[list[Socket], int, OSError | None]:
    """All sockets of one protocol from its files under `root`, lines not understood, and why a file was not read.

    A file that is not there (no IPv6) is no error. Raises OSError where none of its files can be read.
    """
    sockets: list[Socket] = []
    malformed, was_read = 0, False
    absent: OSError | None = None
    failure: OSError | None = None
    for file, parse in TABLES[name]:
        try:
            text = _read(f"{root}/{file}")
        except FileNotFoundError as error:
            absent = error
            continue
        except OSError as error:
            failure = error
            continue
        was_read = True
        more, bad = parse(text, netns)
        sockets += more
        malformed += bad
    reason = failure or absent
    if reason is not None and not was_read:
        raise reason
    return sockets, malformed, failure


def _read(path: str) -> bytes:
    with open(path, "rb", 0) as file:  # noqa: PTH123 (pathlib costs 4 ms to import, and this path starts every run)
        return file.readall()


def _parse_lines(text: bytes, make: Callable[[list[bytes]], Socket]) -> tuple[list[Socket], int]:
    sockets: list[Socket] = []
    malformed = 0
    for line in text.split(b"\n")[1:]:
        fields = line.split()
        if not fields:
            continue
        try:
            sockets.append(make(fields))
        except (ValueError, IndexError, OverflowError, struct.error):
            malformed += 1
    return sockets, malformed


def _inet_socket(fields: list[bytes], netns: int, protocol: str) -> Socket:
    family, local = _endpoint(fields[1])
    other, remote = _endpoint(fields[2])
    if other != family:
        raise MalformedError("families")
    state = hexadecimal(fields[3])
    send, receive = (hexadecimal(part) for part in fields[4].split(b":"))
    timer, left = (hexadecimal(part) for part in fields[5].split(b":"))
    if timer >= len(TIMER_KINDS):
        raise MalformedError("timer")
    kind = TIMER_KINDS[timer]
    inode, uid = decimal(fields[9]), decimal(fields[7], 32)
    is_tcp = protocol == "tcp"
    is_listening = is_tcp and state == _LISTEN
    return Socket(
        netns, None, family, TYPES[protocol], protocol, TCP_STATES[state] if state < 14 else "UNKNOWN", local,
        None if is_listening or _is_nowhere(remote) else remote, None, inode, uid if inode or uid else None,
        receive, None if is_listening else send, None, None,
        Timer(kind, hexadecimal(fields[6]), left / USER_HZ) if kind else None,
        None, None if is_tcp else decimal(fields[12]),
    )


def _endpoint(text: bytes) -> tuple[str, Endpoint]:
    address, _, port = text.partition(b":")
    words = bytes.fromhex(address.decode("ascii", "replace"))
    if byteorder == "little":
        words = b"".join(words[at:at + 4][::-1] for at in range(0, len(words), 4))
    if len(port) != 4:
        raise MalformedError("port")
    if len(words) == 4:
        return "inet", Endpoint(inet_ntop(AF_INET, words), hexadecimal(port))
    if len(words) == 16:
        return "inet6", Endpoint(inet_ntop(AF_INET6, words), hexadecimal(port))
    raise MalformedError("address")


def _is_nowhere(endpoint: Endpoint) -> bool:
    return endpoint.port == 0 and endpoint.address in ("0.0.0.0", "::")  # noqa: S104 (compared, not bound)


def _joined(text: bytes) -> list[bytes]:
    """Lines, with those that do not begin like one appended to the line before."""
    lines: list[bytes] = []
    for line in text.split(b"\n"):
        if lines and not _UNIX_LINE.match(line):
            lines[-1] += b"\n" + line
        else:
            lines.append(line)
    if lines:
        lines[-1] = lines[-1].removesuffix(b"\n")
    return [line for line in lines if line]


def _unix_socket(netns: int, *, flags: int, kind: int, state: int, inode: int, name: bytes | None) -> Socket:
    word = "LISTEN" if flags & _ACCEPTING else "ESTABLISHED" if state == _CONNECTED else "CLOSE"
    local = UNNAMED if name is None else unix_endpoint(b"\0" + name[1:] if name.startswith(b"@") else name)
    return Socket(
        netns, None, "unix", KINDS.get(kind, "unknown"), "unix", word, local, None, None, inode, None, None, None,
        None, None,
    )
