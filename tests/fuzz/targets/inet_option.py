"""lsof's -i: a condition or UsageError, in one line's worth of words; the condition's text is a query that asks the same.

Names are not looked up: every host has one address, every odd one none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

from sockscope.analysis.query import parse_query
from sockscope.analysis.query_parse import parse_tree, unparse
from sockscope.cli import inet
from sockscope.cli.errors import UsageError
from sockscope.cli.parser import is_inet_address

TOKENS = (b"tcp", b"UDP", b"udplite", b"@", b"[::1]", b"127.0.0.1", b":80", b",", b"8000-8010", b"http", b"4", b"6", b"..", b"%1")


def check(data: bytes) -> None:
    """As typed on a command line."""
    text = data.decode("utf-8", "surrogateescape")
    taken = is_inet_address(text)
    try:
        node = inet.inet_node(text)
    except UsageError as error:
        refusal = str(error)
    else:
        refusal = ""
    if refusal:
        assert refusal.startswith("-i: ")
        return
    assert parse_tree(unparse(node))[0] == node, "its text is another query"
    parse_query(unparse(node))
    assert not taken or text


class _Lookups:
    """Stands for the socket module in cli.inet."""

    @staticmethod
    def getaddrinfo(host: str, _port: None) -> list[Any]:
        """Answer without a resolver, and as strictly about the name's letters."""
        host.encode("idna")
        if len(host) % 2:
            raise OSError("no such host")
        return [(0, 0, 0, "", ("192.0.2.1", 0)), (0, 0, 0, "", ("fe80::1%eth0", 0, 0, 2))]


@contextlib.contextmanager
def around() -> Iterator[None]:
    """No resolver for the time being."""
    with mock.patch.object(inet, "sockets", _Lookups):
        yield
