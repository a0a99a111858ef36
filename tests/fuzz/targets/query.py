"""The query language: a query or a QueryError whose position lies in the text; its own text asks the same again."""

from __future__ import annotations

from builders import make_snapshot, make_socket
from msgspec.structs import replace

from sockscope.analysis.query import COMPLETIONS, QueryError, complete, parse_query, select
from sockscope.analysis.query_parse import parse_tree, unparse
from sockscope.model.names import Names
from sockscope.model.observation import Observation
from sockscope.model.socket import Endpoint

LONGEST = 160
TOKENS = (
    *(name.encode() for name in COMPLETIONS), b" not ", b" or ", b" and ", b"..", b"64k", b"50%", b"::1", b"[::1]:80",
    b"10.0.0.0/8", b"estab", b"\\", b'"', b"\xed\xb3\xbf", b">=", b"<", b"(", b")", b"8000-8010", b"\xd9\xa3",
)
_SOCKETS = (
    make_socket(cookie=1, inode=11), make_socket("192.0.2.1:80", "192.0.2.2:9", cookie=2, inode=0),
    make_socket("[2001:db8::1]:443", "[2001:db8::2]:9", cookie=3, inode=13, interface=2, uid=None),
    replace(
        make_socket(family="unix", protocol="unix", cookie=4, inode=14, memory=None, receive_queued=None),
        local=Endpoint(path=b"/run/\xff.sock"),
    ),
)
_OBSERVATION = Observation(
    make_snapshot(*_SOCKETS, holders={11: (2, 3), 13: (4, 5)}, interfaces={2: "eth0"}), moves={},
    names=Names(users={0: "root"}, hosts={"192.0.2.2": "host.example"}),
)


def check(data: bytes) -> None:
    """As typed: text that may hold what was no UTF-8."""
    text = data.decode("utf-8", "surrogateescape")
    for candidate in complete(text):
        assert candidate.startswith(text[: text.rfind(" ") + 1]), "a completion changes what was typed"
    try:
        tree, _ = parse_tree(text)
    except QueryError as error:
        _check_error(error, text)
    else:
        assert parse_tree(unparse(tree))[0] == tree, "its text is another query"
    try:
        query = parse_query(text)
    except QueryError as error:
        _check_error(error, text)
        return
    select(_OBSERVATION, query)
    assert parse_query(str(query)) == query


def _check_error(error: QueryError, text: str) -> None:
    assert error.message and 0 <= error.position <= len(text)
