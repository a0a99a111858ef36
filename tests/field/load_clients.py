"""Healthy clients: `python load_clients.py KIND PORT COUNT SECONDS`. Each connection asks, reads the answer, rests.

KIND: http, redis, postgres. Bounded: COUNT connections, some two requests a second each, at most SECONDS.
"""

from __future__ import annotations

import asyncio
import random
import struct
import sys
import time

HTTP = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def read_http(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.split(b":")[1]))


async def read_redis(reader: asyncio.StreamReader) -> None:
    await reader.readuntil(b"\r\n")


async def read_postgres(reader: asyncio.StreamReader) -> None:
    """Messages until ReadyForQuery."""
    kind = b""
    while kind != b"Z":
        kind, length = struct.unpack("!cI", await reader.readexactly(5))
        await reader.readexactly(length - 4)


QUERY = b"select repeat('x', 2000)\0"
STARTUP = struct.pack("!I", 196608) + b"user\0test\0database\0postgres\0\0"
KINDS = {
    "http": (b"", HTTP, read_http),
    "redis": (b"", b"PING\r\n", read_redis),
    "postgres": (struct.pack("!I", len(STARTUP) + 4) + STARTUP, b"Q" + struct.pack("!I", len(QUERY) + 4) + QUERY,
                 read_postgres),
}


async def be_client(kind: str, port: int, end: float) -> None:
    hello, question, read = KINDS[kind]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    if hello:
        writer.write(hello)
        await read(reader)
    while time.monotonic() < end:
        writer.write(question)
        await read(reader)
        await asyncio.sleep(random.uniform(0.2, 0.8))
    writer.close()


async def main(kind: str, port: int, count: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    clients = [asyncio.create_task(be_client(kind, port, end)) for _ in range(count)]
    await asyncio.gather(*clients)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
