"""Half-open handshakes: SYNs whose senders never answer. Each is a SYN_RECV row without owner until it times out.

The SYN queue's limit is the listener's backlog as well. In the lab's own namespace twelve SYNs come from addresses
where nobody lives; the kernel answers each six times and waits. Past the limit it sends cookies, or drops.
"""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
import sys
import time

from sockscope.lab import namespace
from sockscope.lab.stage import Role, pause, play

US, SYNS = "192.0.2.1", 12  # on a cable (veth) whose other end is nobody's: what is sent there is thrown away


def checksum(data: bytes) -> int:
    """Compute the internet checksum (RFC 1071)."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return int(~(total + (total >> 16)) & 0xFFFF)


def syn(source: str, port: int) -> bytes:
    """Build an IPv4 packet with a TCP SYN from `source` to us."""
    addresses = socket.inet_aton(source) + socket.inet_aton(US)
    tcp = struct.pack("!HHIIBBHHH", 20_000, port, 1000, 0, 5 << 4, 2, 64_240, 0, 0)
    total = checksum(addresses + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(tcp)) + tcp)
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 40, 0, 0, 64, socket.IPPROTO_TCP, 0) + addresses
    return ip + tcp[:16] + struct.pack("!H", total) + tcp[18:]


def knock_and_run() -> None:
    """Send a SYN from a new address every two seconds after a first round, at most two rounds alive."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        for number in range(3 * SYNS):
            raw.sendto(syn(f"192.0.2.{10 + number}", PORT), (US, 0))
            time.sleep(0 if number < SYNS else 5)
    pause()


if __name__ == "__main__":
    if not shutil.which("ip"):
        sys.exit("half-open: needs the ip command (Debian: iproute2)")
    namespace.ensure()
    for command in (
        "link add lab0 type veth peer name lab1", f"address add {US}/24 dev lab0", "link set lab0 arp off up",
        "link set lab1 arp off up",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    LISTENER = socket.create_server((US, 0), backlog=16)
    PORT = int(LISTENER.getsockname()[1])
    sys.exit(play("half-open", Role("server", pause, [LISTENER]), Role("strangers", knock_and_run), ports=[PORT]))
