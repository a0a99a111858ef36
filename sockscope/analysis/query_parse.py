"""The query language's grammar: text -> tree. What the fields mean is query_terms.py's business.

    query  = all ("or" all)*          all  = unary+ ("and" may stand between)
    unary  = ("not" | "!") unary | "(" query ")" | term
    term   = [field (":" | "=" | ">" | ">=" | "<" | "<=")] value ("," value)*

A value may be quoted with " (a backslash quotes the next character inside). Never raises anything but QueryError.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from msgspec import Struct

_MOST_TERMS = 500  # and as deep: a pasted novel must not exhaust the stack
_MOST_DEPTH = 60
_FIELD = r"([A-Za-z_][A-Za-z0-9_-]*)(?: *(>=|<=|>|<)|(=|:))"  # re compiles it at the first term: most runs have none
_WORDS = {"and": "and", "or": "or", "not": "not", "&&": "and", "||": "or", "!": "not"}


class QueryError(ValueError):
    """A query nobody can answer: `message` says what is wrong and what would be right, `position` where (0-based)."""

    def __init__(self, message: str, position: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


class Term(Struct, frozen=True):
    """One condition; any of `values` suffices. `field` is "" for a bare word. `quoted` values are text, never more."""

    field: str
    operator: str
    values: tuple[str, ...]
    quoted: bool = False


class Not(Struct, frozen=True):
    """What does not match `part`."""

    part: Node


class All(Struct, frozen=True):
    """What matches every part."""

    parts: tuple[Node, ...]


class Some(Struct, frozen=True):
    """What matches any part."""

    parts: tuple[Node, ...]


Node: TypeAlias = Term | Not | All | Some


class Token(Struct, frozen=True):
    """A piece of the text: kind is "(", ")", and, or, not, or term."""

    kind: str
    position: int
    term: Term | None = None


def parse_tree(text: str) -> tuple[Node, dict[int, int]]:
    """Return the tree, and where each of its terms stood by id(term). An empty text is the All of nothing."""
    tokens = _tokens(text)
    parser = _Parser(tokens, len(text))
    node = parser.either(0) if tokens else All(())
    parser.expect_end()
    return node, {id(token.term): token.position for token in tokens if token.term is not None}


def unparse(node: Node, *, inner: bool = False) -> str:
    """Return a text that parses to the same tree, with no parenthesis that its own text had not (there is a limit).

    An unquoted value came from a text without blanks: it needs no quotes.
    """
    if isinstance(node, Term):
        values = ",".join(map(_quoted, node.values)) if node.quoted else ",".join(node.values)
        apart = " " if node.operator in ("<", ">") and values.startswith("=") else ""
        return node.field + node.operator + apart + values
    if isinstance(node, Not):
        return "not " + unparse(node.part, inner=True)
    if isinstance(node, All):
        text = " ".join(unparse(part, inner=True) for part in node.parts)
    else:
        text = " or ".join(unparse(part, inner=isinstance(part, Some)) for part in node.parts)
    return f"({text})" if inner else text


def _quoted(value: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        character = text[at]
        if character.isspace():
            at += 1
        elif character in "()":
            tokens.append(Token(character, at))
            at += 1
        elif character == "!" and text[at + 1 : at + 2] not in ("", " "):
            tokens.append(Token("not", at))
            at += 1
        else:
            token, at = _term_token(text, at)
            tokens.append(token)
        if len(tokens) > _MOST_TERMS:
            raise QueryError(f"the query is too long: at most {_MOST_TERMS} terms", at)
    return tokens


def _term_token(text: str, start: int) -> tuple[Token, int]:
    match = re.compile(_FIELD).match(text, start)
    field, operator, at = "", "", start
    # `fe80::1` and `a::b` begin like a field, but no address has three colons in a row: `addr:::1` is one.
    if match and not (match[3] == ":" and _one_colon(text, match.end())):
        field, operator, at = match[1].lower(), match[2] or match[3], match.end()
        while operator in (">", "<", ">=", "<=") and at < len(text) and text[at] == " ":  # receive > 64k
            at += 1
    elif text[at] in "<>":  # after a word and a blank it would be that word's operator
        raise QueryError(f"a field is missing before '{text[at]}'  (in quotes it is text)", at)
    values, quoted, at = _values(text, at)
    word = values[0].lower()
    if not field and not quoted and len(values) == 1 and word in _WORDS:
        return Token(_WORDS[word], start), at
    if values == [""] and not quoted:
        what = f"after '{field}{operator}'" if field else "here"
        raise QueryError(f"a value is missing {what}", at)
    if "" in values and not quoted:
        raise QueryError("a value is missing beside the comma", at)
    return Token("term", start, Term(field, operator, tuple(values), quoted)), at


def _one_colon(text: str, at: int) -> bool:
    return text.startswith(":", at) and not text.startswith("::", at)


def _values(text: str, at: int) -> tuple[list[str], bool, int]:
    """Return the values up to the next blank or parenthesis; whether any was quoted; where reading ended."""
    values, quoted = [""], False
    while at < len(text) and not text[at].isspace() and text[at] not in "()":
        if text[at] == '"':
            quoted = True
            piece, at = _quoted_value(text, at)
            values[-1] += piece
        elif text[at] == ",":
            values.append("")
            at += 1
        else:
            values[-1] += text[at]
            at += 1
    return values, quoted, at


def _quoted_value(text: str, start: int) -> tuple[str, int]:
    characters: list[str] = []
    at = start + 1
    while at < len(text):
        if text[at] == '"':
            return "".join(characters), at + 1
        if text[at] == "\\" and at + 1 < len(text):
            at += 1
        characters.append(text[at])
        at += 1
    raise QueryError('the quote " is not closed', start)


class _Parser:
    """Recursive descent over the tokens."""

    def __init__(self, tokens: list[Token], end: int) -> None:
        self._tokens = tokens
        self._next = 0
        self._end = end

    def expect_end(self) -> None:
        """Nothing may be left over: only a `)` without its `(` can be."""
        if self._next < len(self._tokens):
            raise QueryError("this ) has no ( before it", self._tokens[self._next].position)

    def either(self, depth: int) -> Node:
        """query = all ("or" all)*."""
        parts = [self._all(depth)]
        while self._kind() == "or":
            self._next += 1
            parts.append(self._all(depth))
        return parts[0] if len(parts) == 1 else Some(tuple(parts))

    def _all(self, depth: int) -> Node:
        parts = [self._unary(depth)]
        while self._kind() not in ("", "or", ")"):
            if self._kind() == "and":
                self._next += 1
            parts.append(self._unary(depth))
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _unary(self, depth: int) -> Node:
        if depth > _MOST_DEPTH:
            raise QueryError(f"more than {_MOST_DEPTH} levels deep", self._position())
        kind, position = self._kind(), self._position()
        if kind == "":
            raise QueryError("the query ends too early: a condition is missing", position)
        self._next += 1
        if kind == "not":
            return Not(self._unary(depth + 1))
        if kind == "(":
            node = self.either(depth + 1)
            if self._kind() != ")":
                raise QueryError("this ( is not closed", position)
            self._next += 1
            return node
        term = self._tokens[self._next - 1].term
        if term is None:
            shown = kind if kind == ")" else f"'{kind}'"
            raise QueryError(f"a condition is missing before {shown}", position)
        return term

    def _kind(self) -> str:
        return self._tokens[self._next].kind if self._next < len(self._tokens) else ""

    def _position(self) -> int:
        return self._tokens[self._next].position if self._next < len(self._tokens) else self._end
