"""Something wrong, with its evidence."""

from __future__ import annotations

from msgspec import Struct

from sockscope.model.socket import SocketKey


class Evidence(Struct, frozen=True, gc=False):
    """One value a finding rests on: what, its value with unit, how old, and how it was sampled."""

    what: str
    value: str
    sampled: str
    age_s: float | None = None


class Finding(Struct, frozen=True, gc=False):
    """One fault. `rule` and `cause` are codes (findings.md section 3); severity: severe, warning, note.

    `about` is what it concerns as (kind, id) pairs: ("process", "1234"), ("port", "80"), ("remote", "10.0.0.1:443").
    """

    rule: str
    severity: str
    summary: str
    evidence: tuple[Evidence, ...]
    advice: tuple[str, ...]
    cause: str | None = None
    for_s: float | None = None
    about: tuple[tuple[str, str], ...] = ()
    sockets: tuple[SocketKey, ...] = ()
    also: tuple[str, ...] = ()
