"""Which process holds which socket under which fd, both ways round, patched process by process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sockscope.model.socket import Holder

_NONE: Mapping[int, int] = {}


class HolderMap:
    """inode -> every holder, and pid -> {fd: inode}.

    What `view()` gave away is never changed again: the first change after it works on a copy (5 ms at 100,000 sockets,
    and nothing on a refresh in which no owner changed). `shared` are the sockets with more than one holder.
    """

    def __init__(self) -> None:
        self.shared: set[int] = set()
        self._by_inode: dict[int, tuple[Holder, ...]] = {}
        self._by_pid: dict[int, Mapping[int, int]] = {}
        self._given_away = False

    def view(self) -> Mapping[int, tuple[Holder, ...]]:
        """Give the map by inode, holders in order of (pid, fd)."""
        self._given_away = True
        return self._by_inode

    def pids(self) -> Iterable[int]:
        """Every process that holds a socket."""
        return self._by_pid.keys()

    def sockets_of(self, pid: int) -> Mapping[int, int]:
        """Map fd to inode for one process; not to be changed."""
        return self._by_pid.get(pid, _NONE)

    def holders_of(self, inode: int) -> tuple[Holder, ...]:
        """Who was last seen to hold this socket."""
        return self._by_inode.get(inode, ())

    def __contains__(self, inode: object) -> bool:
        return inode in self._by_inode

    def unheld(self, inodes: Iterable[int]) -> set[int]:
        """Those of these sockets that nobody is known to hold."""
        return set(inodes).difference(self._by_inode)

    def put(self, pid: int, sockets: Mapping[int, int]) -> bool:
        """Make these the sockets of a process; an empty mapping forgets it. Whether anything differs from before."""
        before = self._by_pid.get(pid, _NONE)
        if before == sockets:
            return False
        if sockets:
            self._by_pid[pid] = sockets
        else:
            del self._by_pid[pid]
        by_inode = self._own()
        if not before:
            fresh = {inode: (Holder(pid, fd),) for fd, inode in sockets.items()}
            if len(fresh) == len(sockets) and by_inode.keys().isdisjoint(fresh):  # nobody else's, no fd twice
                by_inode.update(fresh)
                return True
        for fd, inode in before.items():
            if sockets.get(fd) != inode:
                self._take_out(by_inode, inode, Holder(pid, fd))
        for fd, inode in sockets.items():
            if before.get(fd) != inode:
                holder = Holder(pid, fd)
                others = by_inode.get(inode)
                if others is None:
                    by_inode[inode] = (holder,)
                else:
                    by_inode[inode] = tuple(sorted((*others, holder), key=_position))
                    self.shared.add(inode)
        return True

    def put_fds(self, pid: int, found: Mapping[int, int | None]) -> bool:
        """Put single fds right: their inode now, or None where they are closed or no socket any more."""
        sockets = dict(self.sockets_of(pid))
        for fd, inode in found.items():
            if inode is None:
                sockets.pop(fd, None)
            else:
                sockets[fd] = inode
        return self.put(pid, sockets)

    def _own(self) -> dict[int, tuple[Holder, ...]]:
        if self._given_away:
            self._by_inode = self._by_inode.copy()
            self._given_away = False
        return self._by_inode

    def _take_out(self, by_inode: dict[int, tuple[Holder, ...]], inode: int, holder: Holder) -> None:
        left = tuple(other for other in by_inode[inode] if other != holder)
        if len(left) < 2:
            self.shared.discard(inode)
        if left:
            by_inode[inode] = left
        else:
            del by_inode[inode]


def _position(holder: Holder) -> tuple[int, int]:
    return (holder.pid, holder.fd)
