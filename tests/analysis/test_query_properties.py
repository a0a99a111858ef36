"""Whatever is typed: a query or a QueryError, and a query's text asks the same again."""

from __future__ import annotations

import pytest
from builders import make_snapshot, make_socket
from hypothesis import given
from hypothesis import strategies as st

from sockscope.analysis.addresses import address_number
from sockscope.analysis.query import COMPLETIONS, QueryError, complete, parse_query, select
from sockscope.analysis.query_parse import Term, parse_tree, unparse
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


@pytest.mark.parametrize("text", ["a\t>5", "a\x1c<=5", "a (>5)", ">5"])
def test_an_operator_without_its_field_is_an_error(text: str) -> None:
    """Found by fuzzing: as text it became the operator of the word before, once written with a plain blank."""
    with pytest.raises(QueryError, match="a field is missing"):
        parse_query(text)
    assert parse_query('a ">5"').tree == parse_query(str(parse_query('a ">5"'))).tree


def test_the_text_of_the_deepest_query_can_still_be_parsed() -> None:
    """A text with more parentheses than the one it came from would go over the limit."""
    tree, _ = parse_tree("a b or (" * 60 + "c" + ")" * 60)
    assert parse_tree(unparse(tree))[0] == tree


@pytest.mark.parametrize("text", ["addr:::1", "local:::ffff:192.0.2.1", "addr:::"])
def test_an_address_that_begins_with_colons_may_follow_its_field(text: str) -> None:
    """Found by fuzzing: `-i tcp@[::1]` became a search for the text "addr:::1"."""
    tree, _ = parse_tree(text)
    assert isinstance(tree, Term) and tree.field and tree.values == (text.partition(":")[2],)
    for bare in ("fe80::1", "a::b"):
        assert parse_tree(bare)[0] == Term("", "", (bare,))


def test_what_follows_a_percent_is_an_interface_or_no_address() -> None:
    """Found by fuzzing: `-i @::1%x,y` was taken for an address whose zone widens the query it becomes."""
    assert address_number("fe80::1%eth0.100") == address_number("fe80::1")
    for text in ("::1%x,y", "::1% or 1", "::1%", "192.0.2.1%eth0"):
        assert address_number(text) is None
