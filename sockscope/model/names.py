"""Looked-up names, immutable: what is not in it is not known yet, or has no name."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class Names(Struct, frozen=True):
    """uid -> user, address -> host, (protocol, port) -> service."""

    users: Mapping[int, str] = {}
    hosts: Mapping[str, str] = {}
    services: Mapping[tuple[str, int], str] = {}
