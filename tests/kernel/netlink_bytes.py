"""Netlink messages made for tests, and a few recorded from Linux 6.18 (ports and addresses of loopback only)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from typing import Any

from sockscope.kernel.netlink import Netlink

HEADER = struct.Struct("=IHHII")
MULTI = 2


def message(kind: int, body: bytes, *, flags: int = MULTI, sequence: int = 1) -> bytes:
    """One message, padded."""
    length = 16 + len(body)
    return HEADER.pack(length, kind, flags, sequence, 0) + body + bytes(-length % 4)


def done(code: int = 0, *, flags: int = MULTI, sequence: int = 1) -> bytes:
    """NLMSG_DONE; its payload is 0 or a negative errno."""
    return message(3, struct.pack("=i", code), flags=flags, sequence=sequence)


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded."""
    return struct.pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def inet_row(cookie: int, *, attributes: bytes | None = None, sequence: int = 1, **values: Any) -> bytes:
    """A TCP row of inet_diag, ESTABLISHED on loopback unless told otherwise."""
    fields = {
        "family": 2, "state": 1, "timer": 0, "retransmits": 0, "sport": 80, "dport": 4000, "source": "127.0.0.1",
        "target": "127.0.0.2", "interface": 0, "expires": 0, "receive": 0, "send": 0, "uid": 0, "inode": cookie + 1000,
        **values,
    }
    family = int(fields["family"])
    source, target = (socket.inet_pton(family, str(fields[name])).ljust(16, b"\0") for name in ("source", "target"))
    body = struct.pack("=4B", family, fields["state"], fields["timer"], fields["retransmits"])
    body += struct.pack(">HH", fields["sport"], fields["dport"]) + source + target
    body += struct.pack("=IQ5I", fields["interface"], cookie, fields["expires"], fields["receive"], fields["send"],
                        fields["uid"], fields["inode"])
    if attributes is None:
        attributes = attribute(8, b"\0") + attribute(7, struct.pack("=9I", *range(9)))
    return message(18, body + attributes, sequence=sequence)


class ScriptedSocket:
    """Stands for the netlink socket: each request takes the next script, a list of datagrams or errors."""

    def __init__(self, *scripts: Sequence[bytes | OSError]) -> None:
        self.scripts = list(scripts)
        self.requests: list[bytes] = []
        self.waiting: list[bytes | OSError] = []

    def send(self, request: bytes) -> int:
        self.requests.append(request)
        self.waiting = list(self.scripts.pop(0)) if self.scripts else []
        return len(request)

    def _next(self) -> bytes:
        if not self.waiting:
            raise TimeoutError("no more datagrams")
        datagram = self.waiting.pop(0)
        if isinstance(datagram, OSError):
            raise datagram
        return datagram

    def recv_into(self, view: memoryview, _size: int, _flags: int) -> int:
        datagram = self._next()
        kept = datagram[:len(view)]
        view[:len(kept)] = kept
        return len(datagram)

    def recv(self, size: int, flags: int = 0) -> bytes:
        if flags and not self.waiting:
            raise BlockingIOError
        return self._next()[:size]

    def close(self) -> None:
        pass

    def fileno(self) -> int:
        return -1


def scripted(*scripts: Sequence[bytes | OSError]) -> tuple[Netlink, ScriptedSocket]:
    """A channel that reads from scripts."""
    stand_in = ScriptedSocket(*scripts)
    return Netlink(stand_in), stand_in  # type: ignore[arg-type]


# As root on Linux 6.18: TCPDIAG_GETSOCK and SOCK_DIAG_BY_FAMILY with what sock_diag.py asks for, sequence 1.
RECORDED = {
    "listener6": bytes.fromhex(
        "ac00000012000200010000004e5e00000a0a000095e70000000000000000000000000000000000010000000000000000"
        "000000000000000000000000d8ea0700000000000000000000000000800000000000000065c811000500080000000000"
        "05000b000100000008000f00000000000c00150001000000000000000600160012000000280007000000000000000200"
        "00000000004000000000000000000000000000000000000000000000"
    ),
    "listener4": bytes.fromhex(
        "a400000012000200010000004e5e0000020a0000817700007f0000010000000000000000000000000000000000000000"
        "000000000000000000000000d9ea0700000000000000000001000000000000000000000062c811000500080000000000"
        "08000f00000000000c001500010000000000000006001600520000002800070000000000000002000000000000400000"
        "0000000000000000000000000000000002000000"
    ),
    "bound_only": bytes.fromhex(
        "a400000012000200010000004e5e000002070000ba8b00007f0000010000000000000000000000000000000000000000"
        "000000000000000000000000daea070000000000000000000000000000000000000000006bc811000500080000000000"
        "08000f00000000000c001500010000000000000006001600520000002800070000000000000002000000000000400000"
        "0000000000000000000000000000000000000000"
    ),
    "syn_sent": bytes.fromhex(
        "a400000012000200010000004e5e000002020100cde681777f0000010000000000000000000000007f00000100000000"
        "000000000000000000000000ddea0700000000008003000000000000010000000000000067c811000500080000000000"
        "08000f00000000000c001500010000000000000006001600520000002800070000000000000002000000000000400000"
        "c00c000040030000000000000000000000000000"
    ),
    "keepalive": bytes.fromhex(
        "a400000012000200010000004e5e0000020102008177cdd67f0000010000000000000000000000007f00000100000000"
        "000000000000000000000000dfea07000000000098dc6d0003000000000000000000000064c811000500080000000000"
        "08000f00000000000c0015000100000000000000060016005200000028000700430300000000020000000000001e3c00"
        "bd0c000000000000000000000000000000000000"
    ),
    "time_wait6": bytes.fromhex(
        "6000000012000200010000004e5e00000a060300b06a95e7000000000000000000000000000000010000000000000000"
        "000000000000000100000000e0ea070000000000f8e900000000000000000000000000000000000008000f0000000000"
    ),
    "not_accepted": bytes.fromhex(
        "a400000012000200010000004e5e0000020100008177cde47f0000010000000000000000000000007f00000100000000"
        "000000000000000000000000e1ea07000000000000000000000000000000000000000000000000000500080000000000"
        "08000f00000000000c0015000100000000000000060016005200000028000700000000000000020000000000001e3c00"
        "0000000000000000000000000000000000000000"
    ),
    "unix": bytes.fromhex(
        "7800000014000200010000004e5e00000102070087c81100e6ea0700000000001300000000736f636b73636f70651b5b"
        "33316d000c00040000000000000000002800050000000000004003000000000000400300000000000000000000000000"
        "000000000000000005000600000000000800070000000000"
    ),
    "netlink": bytes.fromhex(
        "5c00000014000200010000004e5e0000100304074e5e000000000000000000006cc81100e7c507000000000028000000"
        "0081000000008000000000000040030000000000000000000000000000000000000000000800040001000000"
    ),
    "packet": bytes.fromhex(
        "6c00000014000200010000004e5e000011030300b4a91100e8c50700000000001c000000000000000000000000000000"
        "000000000000000001000000080005000000000028000600000000000040030000000000004003000000000000000000"
        "000000000000000000000000"
    ),
}
