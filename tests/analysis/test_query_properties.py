"""Whatever is typed: a query or a QueryError, and a query's text asks the same again."""

from __future__ import annotations

from builders import make_snapshot, make_socket
from hypothesis import given
from hypothesis import strategies as st

from sockscope.analysis.query import COMPLETIONS, QueryError, complete, parse_query, select
from sockscope.analysis.query_parse import parse_tree, unparse
from sockscope.model.observation import Observation

SNAPSHOT = make_snapshot(make_socket(), make_socket("192.0.2.1:80", "192.0.2.2:9", inode=0), holders={1: (2, 3)})
PIECES = st.sampled_from([
    *COMPLETIONS, "(", ")", "not ", "!", " or ", " and ", ",", "..", "-", ":", ">", "<", ">=", "=", '"', "\\", "%", "/",
    "80", "64k", "::1", "[::1]", "10.0.0.0/8", "nginx", "@", "*", "state:", "estab", " ", "\0", "\udc80", "é", "٣", "²",
])
TEXTS = st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=12).map("".join))


@given(TEXTS)
def test_only_query_errors(text: str) -> None:
    query, error = None, None
    try:
        query = parse_query(text)
    except QueryError as caught:
        error = caught
    if query is not None:
        select(Observation(SNAPSHOT), query)
    elif error is not None:
        assert error.message and 0 <= error.position <= len(text)


@given(TEXTS)
def test_a_tree_survives_its_text(text: str) -> None:
    try:
        tree, _ = parse_tree(text)
    except QueryError:
        return
    assert parse_tree(unparse(tree))[0] == tree


@given(TEXTS)
def test_completion_never_fails(text: str) -> None:
    for candidate in complete(text):
        assert candidate.startswith(text[: text.rfind(" ") + 1])
