"""The query language: what the filter line, the command line and the views select sockets by.

    nginx   :80   80 (port or pid)   10.0.0.0/8   move:app   receive:64k..   not user:root   (a or b)

Several conditions narrow; a comma within one, or `or`, widens.
"""

from __future__ import annotations

from collections.abc import Sequence

from sockscope.analysis.query_parse import All, Node, Not, QueryError, Some, Term, parse_tree, unparse
from sockscope.analysis.query_terms import ALIASES, FIELDS, Predicate, compile_term
from sockscope.model.observation import Observation
from sockscope.model.socket import Socket

__all__ = ["COMPLETIONS", "FIELDS", "Query", "QueryError", "all_of", "parse_query", "select"]

# Field with its colon -> values worth offering after it.
COMPLETIONS: dict[str, tuple[str, ...]] = {f"{name}:": field.samples for name, field in FIELDS.items()}


class Query:
    """A question about sockets. Two queries are equal when they ask the same. `predicate` is None for no condition."""

    __slots__ = ("predicate", "text", "tree")

    def __init__(self, text: str, tree: Node, predicate: Predicate | None) -> None:
        self.text = text
        self.tree = tree
        self.predicate = predicate

    @property
    def is_empty(self) -> bool:
        """Whether it matches everything."""
        return self.predicate is None

    def matches(self, socket: Socket, observation: Observation) -> bool:
        """Whether this socket is asked for. What is unknown matches no condition on it."""
        return self.predicate is None or self.predicate(socket, observation)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Query) and self.tree == other.tree

    def __hash__(self) -> int:
        return hash(self.tree)

    def __str__(self) -> str:
        return unparse(self.tree)


def parse_query(text: str) -> Query:
    """Return the query in `text`. Raises QueryError and nothing else, with the position and what would be right."""
    tree, positions = parse_tree(text)
    if tree == All(()):
        return Query(text, tree, None)
    return Query(text, tree, _compile(tree, positions))


def all_of(*queries: Query) -> Query:
    """Return what every one of them asks for."""
    asked = [query for query in queries if not query.is_empty]
    if len(asked) == 1:
        return asked[0]
    tree = All(tuple(query.tree for query in asked))
    parts = [query.predicate for query in asked if query.predicate is not None]
    return Query(unparse(tree), tree, _every(parts) if parts else None)


def select(observation: Observation, query: Query) -> list[Socket]:
    """Return the sockets asked for, in the snapshot's order."""
    sockets = observation.snapshot.sockets.values()
    matches = query.predicate
    if matches is None:
        return list(sockets)
    return [socket for socket in sockets if matches(socket, observation)]


def complete(text: str, limit: int = 12) -> list[str]:
    """Whole texts that continue `text` at its end: fields, their values; the query stays as typed before them."""
    word = text.rpartition(" ")[2]
    start = word.lstrip("(!")
    before = text[: len(text) - len(start)]
    field, colon, value = start.partition(":")
    if colon:
        name = ALIASES.get(field.lower(), field.lower())
        done, comma, last = value.rpartition(",")
        samples = COMPLETIONS.get(f"{name}:", ())
        found = [f"{before}{field}:{done}{comma}{sample}" for sample in samples if sample.startswith(last.lower())]
    else:
        found = [before + name for name in COMPLETIONS if start and name.startswith(start.lower())]
    return [candidate for candidate in found if candidate != text][:limit]


def _compile(node: Node, positions: dict[int, int]) -> Predicate:
    if isinstance(node, Term):
        return compile_term(node, positions[id(node)])
    if isinstance(node, Not):
        inner = _compile(node.part, positions)
        return lambda socket, observation: not inner(socket, observation)
    parts = [_compile(part, positions) for part in node.parts]
    if isinstance(node, Some):
        return lambda socket, observation: any(part(socket, observation) for part in parts)
    return _every(parts)


def _every(parts: Sequence[Predicate]) -> Predicate:
    if len(parts) == 2:
        first, second = parts
        return lambda socket, observation: first(socket, observation) and second(socket, observation)
    return lambda socket, observation: all(part(socket, observation) for part in parts)
