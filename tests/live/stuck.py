"""A process that holds sockets and does nothing: what its peers have sent stays unread, what they opened unaccepted.

Prints one JSON line {"deaf": port, "accepting": port, "unix": path} and sleeps until its stdin closes.
Run by test_moves_live.py with a directory for the unix socket.
"""

from __future__ import annotations

import json
import os
import socket
import sys

deaf = socket.create_server(("127.0.0.1", 0), backlog=2)
accepting = socket.create_server(("127.0.0.1", 0), backlog=16)
local = socket.socket(socket.AF_UNIX)
local.bind(f"{sys.argv[1]}/stuck")
local.listen(4)
print(json.dumps({"deaf": deaf.getsockname()[1], "accepting": accepting.getsockname()[1], "unix": f"{sys.argv[1]}/stuck"}),
      flush=True)
kept = [accepting.accept() for _ in range(3)] + [local.accept()]
os.read(0, 1)
