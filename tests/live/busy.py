"""A healthy echo server and its clients at full speed: queues are never empty, and nothing is stuck.

Prints one JSON line {"port": port} when all are connected; runs until its stdin closes.
"""

from __future__ import annotations

import json
import os
import socket
import threading

CLIENTS, CHUNK = 3, 40_000


def echo(peer: socket.socket) -> None:
    while data := peer.recv(CHUNK):
        peer.sendall(data)


def pour(client: socket.socket) -> None:
    """Writes from one thread, so that both directions are always full."""
    data = b"x" * CHUNK
    try:
        while True:
            client.sendall(data)
    except OSError:
        return


def drain(client: socket.socket) -> None:
    while client.recv(CHUNK):
        pass


def main() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    for _ in range(CLIENTS):
        client = socket.create_connection(server.getsockname())
        peer, _ = server.accept()
        for target, one in ((echo, peer), (pour, client), (drain, client)):
            threading.Thread(target=target, args=(one,), daemon=True).start()
    print(json.dumps({"port": server.getsockname()[1]}), flush=True)
    os.read(0, 1)
    os._exit(0)


main()
