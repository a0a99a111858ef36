"""All tables of a namespace from raw netlink bytes, look after look: never an exception; what is broken is a gap.

The input is answers, each led by its length in two bytes; they are given to one request after the other, twice each.
"""

from __future__ import annotations

from fuzz.promises import check_socket
from fuzz.targets.netlink_dump import datagrams_of
from kernel.netlink_bytes import RECORDED, ScriptedSocket, done

from sockscope.collect.tables import Tables
from sockscope.kernel.netlink import Netlink
from sockscope.model.snapshot import Scope

LONGEST = 4096
TOKENS = (*RECORDED.values(), done(), done(-2))
_SCOPE = Scope(frozenset({"tcp", "unix", "netlink", "packet"}))
_NO_FILES = "/nonexistent"


def check(data: bytes) -> None:
    """Look three times: the third time every answer comes from the start again."""
    answers = list(datagrams_of(data))
    scripts = [[answer] for answer in answers for _ in range(2)]
    channel = Netlink(ScriptedSocket(*scripts, *scripts))  # type: ignore[arg-type]
    tables = Tables(1, lambda: channel, _NO_FILES)
    for timers in (False, True, False):
        tables.read(Scope(_SCOPE.protocols, timers=timers))
        for key, socket in tables.copy().items():
            assert key == socket.key
            check_socket(socket)
        for inode, key in tables.inodes.items():
            assert tables.sockets[key].inode == inode
        assert all(gap.count >= 1 and gap.detail for gap in tables.gaps)
