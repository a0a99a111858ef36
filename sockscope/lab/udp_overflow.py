"""UDP has no window: what does not fit into the receive buffer is thrown away, and only a counter tells.

The sender sends 200 datagrams a second, the server reads 20. The queue stays full and `drops` rises.
"""

from __future__ import annotations

import socket
import sys
import time

from sockscope.lab.stage import LOOPBACK, Role, play

SERVER = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
SERVER.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
SERVER.bind((LOOPBACK, 0))


def serve() -> None:
    """Read slowly."""
    while True:
        SERVER.recv(2048)
        time.sleep(0.05)


def send() -> None:
    """Send faster than that."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        while True:
            sender.sendto(bytes(1000), (LOOPBACK, PORT))
            time.sleep(0.005)


if __name__ == "__main__":
    PORT = int(SERVER.getsockname()[1])
    sys.exit(play("udp-overflow", Role("server", serve, [SERVER]), Role("sender", send), ports=[PORT]))
