"""The query language: every form of screens.md, what unknown means, and errors that say where and what is right."""

from __future__ import annotations

import pytest
from builders import make_snapshot, make_socket
from msgspec.structs import replace

from sockscope.analysis.query import COMPLETIONS, QueryError, all_of, complete, parse_query, select
from sockscope.model.names import Names
from sockscope.model.observation import Observation
from sockscope.model.process import Process
from sockscope.model.socket import Endpoint
from sockscope.model.verdict import Move, RowMove

LISTENER = make_socket("0.0.0.0:80", inode=1, receive_queued=3, send_queued=511)
SERVED = make_socket("192.0.2.1:80", "198.51.100.7:41022", inode=2, receive_queued=70_000, uid=33)
CALL = make_socket("192.0.2.1:40100", "10.1.2.3:8443", inode=3, state="CLOSE_WAIT", uid=1000)
SIX = make_socket("[2001:db8::1]:443", "[2001:db8::2]:50000", inode=4)
MAPPED = make_socket("[::ffff:192.0.2.1]:8080", "[::ffff:203.0.113.9]:1234", inode=5)
UDP = make_socket("0.0.0.0:53", protocol="udp", type="dgram", state="CLOSE", inode=6)
UNIX = replace(make_socket(family="unix", protocol="unix", state="ESTABLISHED", inode=7, uid=None),
               local=Endpoint(path=b"/run/postgresql/.s.PGSQL.5432"))
ABSTRACT = replace(make_socket(family="unix", protocol="unix", inode=8), local=Endpoint(path=b"bus", abstract=True))
ALL = {"listener": LISTENER, "served": SERVED, "call": CALL, "six": SIX, "mapped": MAPPED, "udp": UDP,
       "unix": UNIX, "abstract": ABSTRACT}
NAME_OF = {socket.key: name for name, socket in ALL.items()}


def observe() -> Observation:
    none = Move("none", "moving")
    stalled = Move("app", "stalled", since_s=12.0)
    snapshot = make_snapshot(*ALL.values(), holders={1: (80, 6), 2: (1203, 9), 3: (40871, 5)})
    processes = {80: Process(80, name=b"nginx"), 1203: Process(1203, name=b"nginx"),
                 40871: Process(40871, name=b"containerd-shim", command=b"shim\0--port\0x", container="4f1c")}
    return Observation(
        replace(snapshot, processes=processes),
        moves={SERVED.key: RowMove(stalled, stalled, none, turn="app")},
        names=Names(users={33: "www-data", 0: "root"}, hosts={"10.1.2.3": "db.example"}),
    )


def chosen(text: str) -> set[str]:
    return {NAME_OF[socket.key] for socket in select(observe(), parse_query(text))}


@pytest.mark.parametrize(("text", "expected"), [
    ("", set(ALL)),
    ("nginx", {"listener", "served"}),
    ("NGINX", {"listener", "served"}),
    (":80", {"listener", "served"}),
    ("80", {"listener", "served"}),  # port 80, and pid 80 holds the listener
    ("1203", {"served"}),
    (":1203", set()),
    ("10.0.0.0/8", {"call"}),
    ("198.51.100.7", {"served"}),
    ("192.0.2.1:80", {"served"}),
    ("192.0.2.0/24", {"served", "call", "mapped"}),
    ("203.0.113.9", {"mapped"}),
    ("2001:db8::/32", {"six"}),
    ("[2001:db8::2]:50000", {"six"}),
    ("::1", set()),
    ("*:80", {"listener"}),
    ("pgsql", {"unix"}),
    ("@bus", {"abstract"}),
    ("move:app", {"served"}),
    ("move:none not unix", set(ALL) - {"served", "unix", "abstract"}),
    ("age:10s..", {"served"}),
    ("turn:app", {"served"}),
    ("condition:stalled", {"served"}),
    ("receive:64k..", {"served"}),
    ("receive:..10 port:80", set()),
    ("receive>64k", {"served"}),
    ("receive > 64k", {"served"}),
    ("receive:>=70k", {"served"}),
    ("receive:64Ki..100k", {"served"}),
    ("queue:1..", {"listener"}),
    ("state:close-wait", {"call"}),
    ("state:CloseWait,estab", {"call", "served", "six", "mapped", "unix"}),
    ("state:listening", {"listener", "abstract"}),
    ("lport:80", {"listener", "served"}),
    ("rport:8443", {"call"}),
    ("port:8000-9000", {"call", "mapped"}),
    ("port:8000..9000", {"call", "mapped"}),
    ("port:..100", {"listener", "served", "udp"}),
    ("port:http", {"listener", "served"}),
    ("8000-8100", {"mapped"}),
    ("proto:udp", {"udp"}),
    ("proto:udp,unix", {"udp", "unix", "abstract"}),
    ("family:inet6", {"six", "mapped"}),
    ("user:www-data", {"served"}),
    ("user:33,1000", {"served", "call"}),
    ("not user:root", {"served", "call", "unix"}),
    ("pid:1000..2000", {"served"}),
    ("pid:80,1203", {"listener", "served"}),
    ("process:containerd", {"call"}),
    ("command:--port", {"call"}),
    ("container:4f", {"call"}),
    ("remote:db.example", {"call"}),
    ("db.example", {"call"}),
    ("nginx and state:estab", {"served"}),
    ("state:close-wait or proto:udp", {"call", "udp"}),
    ("(state:close-wait or proto:udp) not udp", {"call"}),
    ("!nginx :80", set()),
    ("not (nginx or proto:unix)", {"call", "six", "mapped", "udp"}),
    ('"close"', set()),
    ("nginx,containerd", {"listener", "served", "call"}),
    ("inode:7", {"unix"}),
    ("fd:5", {"call"}),
])
def test_what_is_selected(text: str, expected: set[str]) -> None:
    assert chosen(text) == expected


@pytest.mark.parametrize(("text", "position", "word"), [
    ("foo:bar", 0, "no field"),
    ("nginx prot:80", 6, "did you mean proto"),
    ("port:htpp", 0, "no port, range or known service"),
    ("port:99999", 0, "no port"),
    ("state:estb", 0, "allowed: listen"),
    ("move:ap", 0, "allowed: app"),
    ("receive:64q", 0, "64k"),
    ("receive:..", 0, "range needs a number"),
    ("receive:9..1", 0, "wrong way round"),
    ("(nginx", 0, "not closed"),
    ("nginx)", 5, "no ( before"),
    ('"abc', 0, "not closed"),
    ("not", 3, "too early"),
    ("or nginx", 0, "missing before 'or'"),
    ("port:", 5, "missing after 'port:'"),
    ("port:80,", 0, "beside the comma"),
    ("state>estab", 0, "no number"),
    ("(" * 100, 61, "levels deep"),
])
def test_errors_say_where_and_what_is_allowed(text: str, position: int, word: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_query(text)
    assert word in caught.value.message
    if "comma" not in word:
        assert caught.value.position == position
    assert "\n" not in caught.value.message


def test_moves_not_worked_out_match_nothing() -> None:
    """Unknown is not "none"."""
    observation = replace(observe(), moves=None)
    assert select(observation, parse_query("move:none")) == []


def test_syn_recv_includes_the_kernels_request_sockets() -> None:
    socket = make_socket("192.0.2.1:80", "192.0.2.2:5", state="NEW_SYN_RECV")
    assert parse_query("state:syn-recv").matches(socket, Observation(make_snapshot(socket)))


def test_queries_join_and_compare() -> None:
    joined = all_of(parse_query("nginx"), parse_query(""), parse_query("state:estab"))
    assert joined == parse_query("nginx state:estab")
    assert str(all_of()) == "" and all_of().is_empty
    assert all_of(parse_query("a or b"), parse_query("c")) == parse_query("(a or b) c")
    assert chosen("nginx") == {NAME_OF[s.key] for s in select(observe(), all_of(parse_query("nginx")))}


def test_completion_offers_fields_then_values() -> None:
    assert "move:" in complete("mo")
    assert complete("nginx move:a") == ["nginx move:app"]
    assert complete("(state:estab,list") == ["(state:estab,listen"]
    assert complete("") == []
    assert COMPLETIONS["proto:"][0] == "tcp"


def test_an_address_is_no_field() -> None:
    with pytest.raises(QueryError):
        parse_query("fe80:1")
    socket = make_socket("[fe80::1]:22")
    assert parse_query("fe80::1").matches(socket, Observation(make_snapshot(socket)))
