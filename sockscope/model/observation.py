"""A snapshot with everything read and concluded about it: what query, sorting, columns and writers work on."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from sockscope.model.detail import ProcessDetail, SocketDetail
from sockscope.model.finding import Finding
from sockscope.model.names import Names
from sockscope.model.server import Server
from sockscope.model.snapshot import Snapshot
from sockscope.model.socket import SocketKey
from sockscope.model.verdict import RowMove


class Observation(Struct, frozen=True):
    """`moves`, `servers` and `findings` are None where nobody worked them out, empty where there are none."""

    snapshot: Snapshot
    details: Mapping[SocketKey, SocketDetail] = {}
    process_details: Mapping[int, ProcessDetail] = {}
    moves: Mapping[SocketKey, RowMove] | None = None
    servers: tuple[Server, ...] | None = None
    findings: tuple[Finding, ...] | None = None
    names: Names = Names()
