"""JSON, NDJSON and CSV: complete, lossless, ASCII, valid for jq, msgspec and Python."""

from __future__ import annotations

import base64
import csv
import io
import json
import shutil
import subprocess
from typing import Any

import msgspec
import pytest
from builders import make_snapshot, make_socket
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sockscope.model.detail import Read, SocketDetail, Waiter, Watch
from sockscope.model.finding import Evidence, Finding
from sockscope.model.gap import Gap
from sockscope.model.names import Names
from sockscope.model.observation import Observation
from sockscope.model.process import Fd, Process, Thread
from sockscope.model.snapshot import Changes
from sockscope.model.socket import Endpoint
from sockscope.model.verdict import Move, RowMove
from sockscope.present.csv import FIELDS, write_csv
from sockscope.present.json import write_json
from sockscope.present.ndjson import write_ndjson, write_ndjson_changes

LISTENER = make_socket("0.0.0.0:80", inode=9, receive_queued=3, send_queued=7)
NAMED = replace(make_socket(family="unix", protocol="unix", inode=10, uid=None), local=Endpoint(path=b"a\xff\x1b"))
SNAPSHOT = replace(
    make_snapshot(LISTENER, NAMED, holders={9: (12, 3), 10: (13, 4)}),
    processes={12: Process(12, 5, b"ngi\xffnx\x7f", command=b"a\0b c\0"), 13: Process(13, name="é\u202e".encode())},
    gaps=(Gap("udp", "not_permitted", 2, "a \x1b detail"),),
)


def as_json(observation: Observation, sockets: list[Any] | None = None) -> dict[str, Any]:
    stream = io.BytesIO()
    write_json(stream, observation, list(observation.snapshot.sockets.values()) if sockets is None else sockets)
    raw = stream.getvalue()
    assert raw.isascii() and b"\x7f" not in raw and b"\x1b" not in raw
    assert msgspec.json.decode(raw) == json.loads(raw)
    document: dict[str, Any] = json.loads(raw)
    return document


def test_the_schema_s_fields_are_there_in_order() -> None:
    document = as_json(Observation(SNAPSHOT))
    assert list(document) == ["schema", "host", "kernel", "boot_id", "sequence", "monotonic_s", "taken_at", "took_s",
                              "sources", "gaps", "sockets", "processes", "servers", "findings"]
    assert document["schema"] == "sockscope.snapshot/1"
    assert document["sources"] == {"sockets": {"tcp": "netlink"}, "owners": "proc"}
    assert document["findings"] is None and document["servers"] is None
    socket = document["sockets"][0]
    assert list(socket)[:25] == [
        "netns", "family", "type", "protocol", "state", "local", "remote", "interface", "inode", "cookie", "uid", "user",
        "receive", "send", "accept_queue", "move", "turn", "drops", "timer", "holders", "holders_complete", "waiters",
        "watches", "peer", "tcp",
    ]
    assert socket["accept_queue"] == {"length": 3, "limit": 7, "fill": 0.375}
    assert socket["move"] is None and socket["waiters"] is None and socket["remote"] is None
    assert list(socket["receive"])[:8] == ["queued_bytes", "capacity_bytes", "fill", "mark_bytes", "mark_source",
                                           "ready", "reason", "move"]


def test_names_lose_nothing() -> None:
    document = as_json(Observation(SNAPSHOT))
    holder = document["sockets"][0]["holders"][0]
    assert base64.b64decode(holder["process_base64"]) == b"ngi\xffnx\x7f"
    assert base64.b64decode(document["sockets"][1]["local"]["path_base64"]) == b"a\xff\x1b"
    assert "process_base64" not in document["sockets"][1]["holders"][0]
    assert document["sockets"][1]["holders"][0]["process"] == "é\u202e"
    assert document["processes"][0]["argv"] == ["a", "b c"]


@given(st.binary(max_size=40), st.text(max_size=20))
def test_any_name_comes_back(name: bytes, label: str) -> None:
    socket = replace(NAMED, local=Endpoint(path=name))
    observation = Observation(make_snapshot(socket), names=Names(users={0: label}))
    local = as_json(observation)["sockets"][0]["local"]
    got = base64.b64decode(local["path_base64"]) if "path_base64" in local else local["path"].encode()
    assert got == name


def test_nothing_found_is_still_a_document() -> None:
    assert as_json(Observation(make_snapshot()))["sockets"] == []


def test_many_sockets_cross_the_slices() -> None:
    sockets = [make_socket("192.0.2.1:80", f"192.0.2.2:{port}") for port in range(1, 1203)]
    document = as_json(Observation(make_snapshot(*sockets)))
    assert [socket["remote"]["port"] for socket in document["sockets"]] == list(range(1, 1203))


def test_details_moves_and_findings() -> None:
    move = Move("app", "stalled", 9.5, "lone \udcff")
    detail = SocketDetail(
        LISTENER.key, waiters=Read((Waiter(12, 12, b"t\xff", "epoll_wait", "epoll", 7),), 1.0),
        watches=Read((Watch(12, 7, 3, 9, 1, 1, "7f00", "edge", oneshot=False, armed=True, exclusive=False),), 1.0),
        nonblocking=Read({(12, 3): True}, 1.0),
    )
    finding = Finding("accept-stalled", "severe", "s \udcff", (Evidence("rq", "3", "once", 1.0),), ("do",),
                      about=(("process", "12"), ("port", "80")), sockets=(LISTENER.key,))
    observation = Observation(
        replace(SNAPSHOT, fds=(Fd(12, 3, "socket", b"socket:[9]", 9, 2, 0, (("pos", "0"),)),),
                threads=(Thread(12, 12, b"t", "S", "epoll_wait", on_fd=7),)),
        details={LISTENER.key: detail}, moves={LISTENER.key: RowMove(move, move, move, "app")}, findings=(finding,),
    )
    document = as_json(observation)
    socket = document["sockets"][0]
    assert socket["move"]["since_s"] == 9.5 and socket["turn"] == "app"
    assert document["sockets"][1]["move"]["party"] == "none"
    assert socket["waiters"][0]["call"] == "epoll_wait" and socket["watches"][0]["trigger"] == "edge"
    assert socket["holders"][0]["nonblocking"] is True
    assert document["findings"][0]["about"] == {"kind": "process", "process": "12", "port": "80"}
    assert document["findings"][0]["sockets"] == [socket["cookie"]]
    assert document["fds"][0]["facts"] == {"pos": "0"} and document["threads"][0]["on"] == [{"fd": 7, "events": None}]


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_jq_reads_it() -> None:
    stream = io.BytesIO()
    write_json(stream, Observation(SNAPSHOT), list(SNAPSHOT.sockets.values()))
    done = subprocess.run(["jq", "-r", ".sockets[].inode"], input=stream.getvalue(), capture_output=True, check=True)
    assert done.stdout.split() == [b"9", b"10"]


def test_ndjson_is_a_record_a_line() -> None:
    stream = io.BytesIO()
    write_ndjson(stream, Observation(SNAPSHOT), list(SNAPSHOT.sockets.values()))
    records = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [record["record"] for record in records] == ["snapshot", "socket", "socket", "end"]
    assert "sockets" not in records[0] and records[0]["schema"] == "sockscope.snapshot/1"
    assert records[-1] == {"record": "end", "sequence": 1, "took_s": 0.01}


def test_ndjson_changes_tell_new_changed_and_gone() -> None:
    first, kept, gone = make_socket(), make_socket("192.0.2.1:1", "192.0.2.1:2"), make_socket("192.0.2.1:3")
    before = Observation(make_snapshot(first, kept, gone))
    changed, new = replace(kept, receive_queued=5), make_socket("192.0.2.1:4")
    after = Observation(make_snapshot(first, changed, new))
    stream = io.BytesIO()
    nothing = Changes(frozenset(), frozenset(), frozenset())
    shown = write_ndjson_changes(stream, before, list(before.snapshot.sockets.values()), previous=None,
                                 shown=frozenset(), changes=nothing)
    stream.truncate(0)
    stream.seek(0)
    changes = Changes(frozenset({new.key}), frozenset({kept.key}), frozenset({gone.key}))
    shown = write_ndjson_changes(stream, after, list(after.snapshot.sockets.values()), previous=before, shown=shown,
                                 changes=changes)
    records = [json.loads(line) for line in stream.getvalue().splitlines()][1:-1]
    assert [(r["change"], r["local"]["port"]) for r in records] == [("changed", 1), ("new", 4), ("gone", 3)]
    assert shown == {first.key, kept.key, new.key}


def test_csv_has_raw_numbers_and_no_formula() -> None:
    named = replace(NAMED, local=Endpoint(path=b"=cmd()|x"))
    observation = Observation(replace(SNAPSHOT, sockets={LISTENER.key: LISTENER, named.key: named}))
    stream = io.StringIO()
    write_csv(stream, observation, [LISTENER, named])
    rows = list(csv.DictReader(io.StringIO(stream.getvalue())))
    assert list(rows[0]) == list(FIELDS)
    assert rows[0]["accept_waiting"] == "3" and rows[0]["holders"] == "12:3" and rows[0]["move"] == ""
    assert rows[0]["process"] == "ngi\\xffnx\\x7f"
    assert rows[1]["local_address"] == "'=cmd()|x"


def test_csv_takes_the_table_s_columns() -> None:
    stream = io.StringIO()
    write_csv(stream, Observation(SNAPSHOT), [LISTENER], ["process", "address"], header=True)
    assert stream.getvalue().splitlines() == [
        "process,pid,local_address,local_port,remote_address,remote_port", "ngi\\xffnx\\x7f,12,0.0.0.0,80,,"]


def test_one_look_alone_tells_no_age() -> None:
    one = Move("app", "unverified", 0.0, "", at_least=True)
    moves = {LISTENER.key: RowMove(one, one, one)}
    assert as_json(Observation(SNAPSHOT, moves=moves))["sockets"][0]["move"]["since_s"] is None
    later = Observation(replace(SNAPSHOT, sequence=2), moves=moves)
    assert as_json(later)["sockets"][0]["receive"]["move"]["since_s"] == 0.0
