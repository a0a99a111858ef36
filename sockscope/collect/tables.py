"""The socket tables of one network namespace, kept from look to look: by netlink, else by /proc/net, and said which."""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Iterable

from sockscope.collect.bound import BoundSockets
from sockscope.collect.plans import BY_TEXT_ONLY, ORDER, PLANS, TCP_BY_FAMILY, TCP_LEGACY, WITHOUT_PORTS, Plan
from sockscope.collect.row_table import Patch, RowTable
from sockscope.kernel.netlink import Netlink, NetlinkError
from sockscope.model.gap import Gap
from sockscope.model.snapshot import Scope
from sockscope.model.socket import Socket, SocketKey

_NOT_PERMITTED = frozenset({errno.EPERM, errno.EACCES})
# Refusals that will not change while we run; after any other failure netlink is tried again at the next look.
_FOR_GOOD = _NOT_PERMITTED | {
    0, errno.ENOENT, errno.EINVAL, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.ENOSYS,
}
_KEEP_THE_LAST = frozenset({"truncated", "timed_out"})


class Tables:
    """All sockets of one namespace. `sockets` is patched in place; readers take `copy()`, which has `bound` in it.

    `open_channel` makes the netlink socket, or is None to read text only; `root` is where the text tables stand.
    """

    def __init__(
        self, netns: int, open_channel: Callable[[], Netlink] | None, root: str = "/proc/self/net",
    ) -> None:
        self.netns = netns
        self.sockets: dict[SocketKey, Socket] = {}
        self.inodes: dict[int, SocketKey] = {}
        self.sources: dict[str, str] = {}
        self.incomplete: set[str] = set()  # read, but not whole: a socket that is not in it may be anything
        self.gaps: list[Gap] = []
        self.bound = BoundSockets(netns, open_channel) if open_channel is not None else None
        self.new_inodes: list[int] = []  # of sockets that came with the last look, or got their inode
        self.root = root
        self._has_changed = True
        self._open_channel = open_channel
        self._channel: Netlink | None = None
        self._refusal: NetlinkError | None = None  # the channel's
        self._refused: dict[str, int] = {}  # protocol -> errno: asked once, as refusals can flood an audit log
        self._plans = dict(PLANS)
        self._tables: dict[str, RowTable] = {}
        self._received: list[tuple[str, RowTable]] = []  # protocol and table with a dump that is not decoded yet
        self._texts: dict[str, set[SocketKey]] = {}

    def read_bound(self, scope: Scope) -> None:
        """Look at `bound`, before the tables: who connects meanwhile is then in them. Never raises.

        Another thread may do so while this one reads the tables, and ask then whether that has lost one.
        """
        by_legacy = "tcp" not in self._refused and self._plans["tcp"] == (TCP_LEGACY,)
        if self.bound is not None and by_legacy and "tcp" in scope.protocols:
            self.bound.read(scope)
        else:
            self.forget_bound()

    def forget_bound(self) -> None:
        """Take it that there is none."""
        if self.bound is not None:
            self.bound.forget()

    def read(self, scope: Scope) -> None:
        """Look at all but `bound`. Never raises."""
        self.receive(scope)
        self.decode(scope)

    def receive(self, scope: Scope) -> None:
        """Take every table's bytes: what is asked of the kernel from now on is younger than they are. Never raises."""
        self.sources, self.gaps, self._has_changed, self.new_inodes = {}, [], False, []
        self.incomplete = set()
        for protocol in ORDER:
            if protocol in scope.protocols and not (scope.ports is not None and protocol in WITHOUT_PORTS):
                self._read_protocol(protocol, scope)
            else:
                self._forget(protocol)

    def decode(self, scope: Scope) -> None:
        """Put what was received into `sockets`. Never raises."""
        for protocol, table in self._received:
            patch = table.update(self.sockets, expires=scope.timers)
            if patch.malformed:
                self.gaps.append(Gap(protocol, "malformed", patch.malformed, "rows that this version cannot read"))
            self._apply(patch)
        self._received = []

    def read_again(self, protocol: str, scope: Scope) -> None:
        """Look at one table a second time within the same snapshot."""
        self._read_protocol(protocol, scope)
        self.decode(scope)

    @property
    def has_changed(self) -> bool:
        """Whether the last look found anything else than the one before it."""
        return self._has_changed or (self.bound is not None and self.bound.has_changed)

    def copy(self) -> dict[SocketKey, Socket]:
        """Give all sockets, in a mapping of the caller's own."""
        sockets = self.sockets.copy()
        if self.bound is not None:
            for key, row in self.bound.sockets.items():
                sockets.setdefault(key, row)
        return sockets

    def listed(self) -> list[Collection[int]]:
        """Give the inodes of all sockets, in parts: no set of 100,000 is made that nobody may need."""
        return [self.inodes.keys()] if self.bound is None else [self.inodes.keys(), self.bound.inodes]

    def has_lost_bound(self) -> bool:
        """Tell whether a socket that was bound at the look before is now neither that nor in its table."""
        return self.bound is not None and self.bound.has_lost(self.sockets)

    def close(self) -> None:
        """Give the netlink sockets back."""
        if self.bound is not None:
            self.bound.close()
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    @property
    def rows_decoded(self) -> int:
        """Rows decoded since the start: tests count them."""
        return sum(table.decoded for table in self._tables.values())

    def _read_protocol(self, protocol: str, scope: Scope) -> None:
        if protocol in BY_TEXT_ONLY:
            self._read_text(protocol, scope, None)
            return
        if protocol in self._refused:
            self._read_text(protocol, scope, self._refused[protocol])
            return
        try:
            channel = self._open()
            for plan in self._plans[protocol]:
                self._read_plan(channel, plan, protocol, scope)
        except NetlinkError as error:
            code = errno.EIO if error.errno is None else error.errno
            is_legacy = protocol == "tcp" and self._plans["tcp"] == (TCP_LEGACY,)
            if is_legacy and code in _FOR_GOOD and self._channel is not None:
                self._received = [(mine, table) for mine, table in self._received if mine != protocol]
                self._forget("tcp")
                self._plans["tcp"] = TCP_BY_FAMILY
                self._read_protocol(protocol, scope)
                return
            if code in _FOR_GOOD:
                self._refused[protocol] = code
            self._received = [(mine, table) for mine, table in self._received if mine != protocol]
            self._forget_dumps(protocol)
            self._read_text(protocol, scope, code)
            return
        self._apply(Patch({}, list(self._texts.pop(protocol, ()))))  # of a look that netlink failed for
        self.sources[protocol] = "netlink"

    def _open(self) -> Netlink:
        if self._channel is None:
            if self._open_channel is None:
                raise NetlinkError(0, "off")
            if self._refusal is not None:
                raise self._refusal
            try:
                self._channel = self._open_channel()
            except NetlinkError as error:
                self._refusal = error
                raise
        return self._channel

    def _read_plan(self, channel: Netlink, plan: Plan, protocol: str, scope: Scope) -> None:
        table = self._tables.get(plan.name)
        if table is None:
            table = self._tables[plan.name] = RowTable(
                plan.decoder(self.netns), self.netns, plan.cookie_at, timed=plan.timed,
            )
        dump = table.next_dump()
        sequence = 1 + list(self._tables).index(plan.name)
        channel.dump(plan.kind, plan.request(scope.ports), sequence, dump, plan.minimum)
        if dump.trouble is not None:
            self.gaps.append(Gap(protocol, dump.trouble, detail=_TROUBLE.get(dump.trouble, "")))
            self.incomplete.add(protocol)
            if dump.trouble in _KEEP_THE_LAST and table.has_rows:
                return
        self._received.append((protocol, table))

    def _apply(self, patch: Patch) -> None:
        if not patch.put and not patch.gone:
            return
        self._has_changed = True
        sockets, inodes = self.sockets, self.inodes
        for key in patch.gone:
            self._drop_inode(key)
            sockets.pop(key, None)
        if not sockets:
            self.sockets = patch.put
            self.inodes = {socket.inode: key for key, socket in patch.put.items() if socket.inode}
            self.new_inodes += self.inodes
            return
        for key, socket in patch.put.items():
            before = sockets.get(key)
            if before is not None and before.inode != socket.inode:
                self._drop_inode(key)
            sockets[key] = socket
            if socket.inode:
                if socket.inode not in inodes:
                    self.new_inodes.append(socket.inode)
                inodes[socket.inode] = key

    def _drop_inode(self, key: SocketKey) -> None:
        before = self.sockets.get(key)
        if before is not None and self.inodes.get(before.inode) == key:
            del self.inodes[before.inode]

    def _forget(self, protocol: str) -> None:
        """Take a protocol out that is no longer in scope or is now read from elsewhere."""
        self._apply(Patch({}, list(self._texts.pop(protocol, ()))))
        self._forget_dumps(protocol)

    def _forget_dumps(self, protocol: str) -> None:
        gone: list[SocketKey] = []
        for plan in self._plans.get(protocol, ()):
            table = self._tables.get(plan.name)
            if table is not None and table.has_rows:
                gone += table.forget()
        self._apply(Patch({}, gone))

    def _read_text(self, protocol: str, scope: Scope, refused: int | None) -> None:
        from sockscope.collect.text_tables import read_text  # noqa: PLC0415 (netlink nearly always gives all)

        look = read_text(protocol, self.netns, self.root, scope, refused)
        self.gaps += look.gaps
        if look.sockets is None:
            return
        self.sources[protocol] = "proc"
        if not look.whole:
            self.incomplete.add(protocol)
        self._apply(self._text_patch(protocol, look.sockets))

    def _text_patch(self, protocol: str, found: Iterable[Socket]) -> Patch:
        now = {socket.key: socket for socket in found}
        before = self._texts.get(protocol, set())
        self._texts[protocol] = set(now)
        known = self.sockets
        return Patch(
            {key: socket for key, socket in now.items() if known.get(key) != socket},
            [key for key in before if key not in now],
        )


_TROUBLE = {
    "interrupted": "the table changed at each of several attempts",
    "truncated": "the answer did not fit; the last whole look is shown",
    "timed_out": "the kernel did not answer in time; the last whole look is shown",
    "malformed": "messages that are none",
}
