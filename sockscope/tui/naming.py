"""Names for the screens: users always, hosts and services while `n` is on. Never waits."""

from __future__ import annotations

from sockscope.collect.names import NameLookup
from sockscope.model.names import Names
from sockscope.model.snapshot import Snapshot


class Naming:
    """Called by the feed's thread for each look; what is not known yet is known in a later one."""

    def __init__(self, *, with_hosts: bool) -> None:
        self.with_hosts = with_hosts
        self._lookup = NameLookup()

    def __call__(self, snapshot: Snapshot) -> Names:
        """Return the names known by now; those of this look are asked for."""
        sockets = snapshot.sockets.values()
        users = {socket.uid for socket in sockets if socket.uid is not None}
        users |= {process.uid for process in snapshot.processes.values() if process.uid is not None}
        self._lookup.want(users=users)
        if not self.with_hosts:
            return Names(users=self._lookup.names().users)
        hosts = {end.address for one in sockets if one.is_inet for end in (one.remote,) if end is not None}
        services = {
            (one.protocol, end.port) for one in sockets if one.is_inet for end in (one.local, one.remote)
            if end is not None and end.port
        }
        self._lookup.want(hosts=hosts - {""}, services=services)
        return self._lookup.names()

    def close(self) -> None:
        """End the look-ups."""
        self._lookup.close()
