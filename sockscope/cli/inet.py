"""lsof's -i syntax: [46][protocol][@host|address][:port,...]. lsof(8), option -i."""

from __future__ import annotations

import re
import socket as sockets

from sockscope.analysis.addresses import parse_network
from sockscope.analysis.query_parse import All, Node, Some, Term
from sockscope.analysis.query_values import parse_ports
from sockscope.cli.errors import UsageError

_SYNTAX = re.compile(
    r"(?P<family>[46])?(?P<protocol>udplite|tcp|udp)?(?P<version>[46])?"
    r"(?:@(?P<host>\[[^\]]*\]|[^:]*))?(?::(?P<ports>.*))?",
    re.IGNORECASE | re.DOTALL,
)
_ALLOWED = "allowed, as in lsof: [4|6][tcp|udp][@address][:port,...]"


def inet_node(text: str) -> Node:
    """Return the condition for one -i. Raises UsageError; a host name is looked up, which may take its time."""
    _, at, rest = text.partition("@")
    if at and rest.count(":") > 1 and not rest.startswith("["):
        raise UsageError(f"-i: an IPv6 address needs brackets, as in @[::1]:80: '{text}'")
    match = _SYNTAX.fullmatch(text)
    if match is None:
        raise UsageError(f"-i: '{text}' is no internet address; {_ALLOWED}")
    family = match["family"] or match["version"]
    families = {"4": ("inet",), "6": ("inet6",)}.get(family or "", ("inet", "inet6"))
    parts: list[Node] = [Term("family", ":", families)]
    if match["protocol"]:
        parts.append(Term("proto", ":", (match["protocol"].lower(),)))
    if match["host"] is not None:
        parts.append(_host(match["host"].strip("[]"), text))
    if match["ports"] is not None:
        parts.append(_ports(match["ports"], text))
    return All(tuple(parts)) if len(parts) > 1 else parts[0]


def _ports(text: str, whole: str) -> Term:
    if not text:
        raise UsageError(f"-i: a port is missing after : in '{whole}'; {_ALLOWED}")
    values = tuple(text.split(","))
    for value in values:
        if value.startswith(":") or parse_ports(value) is None:
            raise UsageError(f"-i: '{value}' in '{whole}' is no port, range or known service; {_ALLOWED}")
    return Term("port", ":", values)


def _host(host: str, whole: str) -> Node:
    if not host:
        raise UsageError(f"-i: an address is missing after @ in '{whole}'; {_ALLOWED}")
    if parse_network(host) is not None:
        return Term("addr", ":", (host,))
    try:
        found = sockets.getaddrinfo(host, None)
    except (OSError, UnicodeError) as error:
        raise UsageError(f"-i: '{host}' is no address, and no host of that name is known") from error
    terms = tuple(Term("addr", ":", (address,)) for address in sorted({str(entry[4][0]) for entry in found}))
    return terms[0] if len(terms) == 1 else Some(terms)
