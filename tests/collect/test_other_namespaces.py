"""Other namespaces tell when a look is over, and not before, whether anything is new in them."""

from __future__ import annotations

from sockscope.collect.other_namespaces import OtherNamespaces
from sockscope.collect.tables import Tables
from sockscope.kernel.netlink import Netlink
from sockscope.model.snapshot import Scope


def test_bound_sockets_that_a_thread_reads_after_the_tables_are_a_change() -> None:
    nothing = Scope(protocols=frozenset())
    others = OtherNamespaces(own=1, by_netlink=True)
    tables = others.tables[2] = Tables(2, Netlink)
    others.read(nothing)
    assert not others.has_changed
    assert tables.bound is not None
    tables.bound.has_changed = True  # by another thread, at its own time
    assert others.has_changed
    others.close()
