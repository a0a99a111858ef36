"""The command as it is run: exit codes, streams, pipes, real sockets. What it prints is held against the kernel."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from field.servers import free_port

COMMAND = [sys.executable, "-m", "sockscope"]
ENVIRONMENT = {**os.environ, "NO_COLOR": "1", "PYTHONWARNINGS": "ignore"}


def run(*words: str, **how: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=False, env=ENVIRONMENT,
                          stdin=subprocess.DEVNULL, timeout=60, **how)


def shell(words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", f"{sys.executable} -m sockscope {words}"], capture_output=True,
                          text=True, check=False, env=ENVIRONMENT, timeout=60)


@contextmanager
def listener(backlog: int = 7) -> Iterator[tuple[socket.socket, int]]:
    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as server:
        yield server, server.getsockname()[1]


@pytest.mark.parametrize(("words", "code", "text"), [
    (["--port", "x"], 2, "--port: 'x' is no port"),
    (["--port", "99999"], 2, "--port: '99999' is no port"),
    (["--pid", "999999999"], 1, "no process 999999999"),
    (["prot:80"], 2, "did you mean proto?"),
    (["--bogus"], 2, "--bogus: no such option"),
    (["-ti", ":80"], 2, "--pids"),
    (["--source", "x"], 2, "allowed: netlink proc psutil"),
])
def test_bad_input_is_one_clear_line(words: list[str], code: int, text: str) -> None:
    done = run(*words)
    assert done.returncode == code
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert all(line.startswith("sockscope: ") for line in done.stderr.splitlines())


def test_help_version_columns_completion_and_manual_print_and_exit() -> None:
    assert run("--help").stdout.startswith("sockscope [OPTION | QUERY]")
    assert run("-V").stdout.startswith("sockscope 0.")
    assert "receive " in run("--columns", "help").stdout
    assert run("--completion", "tcsh").returncode == 2
    assert ".SH OPTIONS" in run("--man").stdout
    done = subprocess.run(["bash", "-n"], input=run("--completion", "bash").stdout, text=True, check=False)
    assert done.returncode == 0


def test_nothing_on_the_port_is_said_and_json_stays_valid() -> None:
    port = free_port()
    done = run("--json", "--port", str(port))
    assert done.returncode == 1
    assert f"nothing here has port {port}" in done.stderr
    assert json.loads(done.stdout)["sockets"] == []


def test_a_listener_its_queue_and_its_holder() -> None:
    with listener() as (server, port), socket.create_connection(("127.0.0.1", port)) as client:
        done = run("--json", "--port", str(port))
        assert done.returncode == 0
        rows = json.loads(done.stdout)["sockets"]
        by_state = {(row["state"], row["local"]["port"]): row for row in rows}
        listening = by_state["LISTEN", port]
        assert listening["accept_queue"] == {"length": 1, "limit": 7, "fill": 0.125}
        assert {"pid": os.getpid(), "fd": server.fileno()}.items() <= listening["holders"][0].items()
        unaccepted = by_state["ESTABLISHED", port]
        assert (unaccepted["inode"], unaccepted["holders"], unaccepted["ownership"]) == (0, [], "not-accepted")
        ours = by_state["ESTABLISHED", client.getsockname()[1]]
        assert ours["holders"][0]["fd"] == client.fileno()
        assert ours["peer"]["cookie"] == unaccepted["cookie"]


def test_lsof_s_address_syntax_finds_it() -> None:
    with listener() as (_, port):
        for words in (["-i", f":{port}"], ["-iTCP@127.0.0.1:" + str(port)], ["-nP", "-i4tcp", f":{port}"],
                      ["-tlnp", f"lport:{port}"], [f"127.0.0.1:{port}"], ["--port", str(port), "-l"]):
            done = run(*words)
            assert done.returncode == 0, words
            assert f"127.0.0.1:{port}" in done.stdout
        assert run("-i6", f":{port}").returncode == 1


def test_pids_are_for_kill() -> None:
    with listener() as (_, port):
        assert run("--pids", "-l", "--port", str(port)).stdout == f"{os.getpid()}\n"
    assert run("--pids", "--port", str(free_port())).stdout == ""


def test_pid_lists_every_fd(tmp_path: Any) -> None:
    with listener() as (server, port), (tmp_path / "a file").open("w") as file:
        done = run("--json", "--pid", str(os.getpid()))
        document = json.loads(done.stdout)
        kinds = {fd["fd"]: fd["kind"] for fd in document["fds"]}
        assert set(kinds) >= {server.fileno(), file.fileno()}
        assert (kinds[server.fileno()], kinds[file.fileno()]) == ("socket", "file")
        assert all(fd["pid"] == os.getpid() for fd in document["fds"])
        table = run("--pid", str(os.getpid())).stdout
        assert "a file" in table and f"127.0.0.1:{port}" in table


def test_csv_and_columns_and_sort() -> None:
    with listener() as (_, port), socket.create_connection(("127.0.0.1", port)) as client:
        client.send(b"x" * 300)
        rows = list(csv.DictReader(io.StringIO(run("--csv", "--port", str(port), "--sort", "receive").stdout)))
        assert rows[0]["receive_bytes"] == "300"
        done = run("--once", "-H", "--port", str(port), "--columns", "pid,local", "--sort", "local")
        assert f"{os.getpid()} 127.0.0.1:{port}" in done.stdout
        assert "Local" not in done.stdout


def test_closed_pipe_is_quiet() -> None:
    done = shell("--json | head -c 10")
    assert done.stdout == '{"schema":'
    assert done.stderr == ""


def test_closed_and_full_stdout() -> None:
    closed = shell("--json >&-")
    assert (closed.returncode, "Traceback" in closed.stderr) == (3, False)
    assert "standard output is closed" in closed.stderr
    full = shell("--csv >/dev/full")
    assert (full.returncode, full.stderr.splitlines()[-1]) == (3, "sockscope: cannot write: No space left on device")


def test_the_lab_says_so_too_when_it_cannot_print() -> None:
    for words, told in (("lab >&-", "standard output is closed"), ("lab select --hold 9 >&-", "closed"),
                        ("lab >/dev/full", "No space left")):
        done = shell(words)
        assert (done.returncode, "Traceback" in done.stderr, done.stderr.count("\n")) == (3, False, 1), words
        assert told in done.stderr
    assert shell("lab nosuch 2>&-").returncode == 2


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_locale_without_our_letters_ends_nothing(encoding: str) -> None:
    environment = {**ENVIRONMENT, "PYTHONIOENCODING": encoding}
    with socket.socket(socket.AF_UNIX) as named:
        named.bind("\0sockscope-\u2713-\u00e9")
        for words in (["--man"], ["--columns", "help"], ["--csv", "-x"], ["--once", "-x"], ["lab"], ["--help"]):
            done = subprocess.run([*COMMAND, *words], capture_output=True, check=False, env=environment, timeout=60)
            assert (done.returncode, b"Traceback" in done.stderr) == (0, False), words


def test_closed_stderr_and_stdin_change_nothing() -> None:
    done = shell("--port x 2>&- <&-")
    assert done.returncode == 2


@pytest.mark.parametrize("kind", ["netlink", "proc"])
def test_each_source_finds_the_listener(kind: str) -> None:
    with listener() as (_, port):
        document = json.loads(run("--json", "--source", kind, "--port", str(port)).stdout)
        assert [row["state"] for row in document["sockets"]] == ["LISTEN"]
        assert document["sources"]["sockets"]["tcp"] == kind


def test_ndjson_follows_until_interrupted() -> None:
    with listener() as (_, port):
        child = subprocess.Popen([*COMMAND, "--ndjson", "--changes", "--interval", "100ms", f":{port}"],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        assert child.stdout is not None
        records = []
        with socket.socket() as client:
            for line in child.stdout:
                records.append(json.loads(line))
                ends = sum(record["record"] == "end" for record in records)
                if ends == 1 and records[-1]["record"] == "end":
                    client.connect(("127.0.0.1", port))
                if ends > 1 and any(record.get("change") == "new" for record in records[3:]):
                    break
        child.send_signal(signal.SIGINT)
        assert child.wait(10) == 130
        assert child.stderr is not None and child.stderr.read() == ""
        child.stdout.close()
        child.stderr.close()
    assert records[0]["record"] == "snapshot"
    assert records[1]["change"] == "new" and records[1]["state"] == "LISTEN"


def test_json_imports_nothing_heavy() -> None:
    script = (
        "import os, sys\n"
        "os.dup2(os.open(os.devnull, os.O_WRONLY), 1)\n"
        "import sockscope.cli\n"
        "sockscope.cli.main(['--json', '--port=1'])\n"
        "heavy = ['textual', 'rich', 'psutil', 'dataclasses', 'subprocess', 'importlib.metadata', 'tomllib',\n"
        "         'platformdirs', 'asyncio', 'logging', 'difflib', 'sockscope.settings', 'typing_extensions', 'inspect',\n"
        "         'shutil']\n"
        "sys.stderr.write(' '.join(name for name in heavy if name in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=ENVIRONMENT)
    assert [line for line in done.stderr.splitlines() if not line.startswith("sockscope: ")] == []


def test_an_ascii_locale_gets_ascii() -> None:
    with listener() as (_, port), socket.create_connection(("127.0.0.1", port)):
        environment = {**ENVIRONMENT, "PYTHONIOENCODING": "ascii"}
        done = subprocess.run([*COMMAND, "--port", str(port)], capture_output=True, check=False, env=environment)
        assert done.returncode == 0
        assert done.stdout.isascii()


def test_why_names_who_must_act() -> None:
    """Bytes that nobody reads, proved within the watch."""
    with listener() as (server, port), socket.create_connection(("127.0.0.1", port)) as client:
        accepted, _ = server.accept()
        with accepted:
            client.sendall(b"x" * 5000)
            done = run("--why", "--for", "6s", "--port", str(port))
            assert done.returncode == 0, done.stderr
            line = next(line for line in done.stdout.splitlines() if f"127.0.0.1:{port} ←" in line)
            assert f" {os.getpid()} ESTAB" in line and "5,000 B unread" in line
    done = run("--why", "--for", "0", "--port", str(free_port()))
    assert (done.returncode, done.stdout) == (1, "")


def test_findings_of_nothing_wrong() -> None:
    with listener() as (_, port):
        done = run("--findings", "--for", "0", "--port", str(port))
        assert done.returncode == 0
        assert done.stdout.startswith("nothing is wrong: ")
        document = json.loads(run("--findings", "--for", "0", "--json", "--port", str(port)).stdout)
        assert document["findings"] == []


def test_deep_tells_who_waits_and_how() -> None:
    import selectors

    with listener() as (server, port), selectors.EpollSelector() as selector:
        selector.register(server, selectors.EVENT_READ)
        document = json.loads(run("--json", "--deep", "--port", str(port)).stdout)
        row = document["sockets"][0]
        assert [(watch["pid"], watch["trigger"]) for watch in row["watches"]] == [(os.getpid(), "level")]
        assert row["waiters"] == []
        assert document["servers"][0]["local"]["port"] == port


def test_doctor_and_lab() -> None:
    done = run("doctor")
    assert done.returncode == 0 and "Socket tables" in done.stdout
    assert run("doctor", "x").returncode == 2
    assert "epoll-edge-missed" in run("lab").stdout
    assert run("lab", "edge-missed").returncode == 2


HOSTILE = [b"\x1b]0;x\x07\x1b[31m", b"evil[/x]", b"a\nb\r", "\u202etxt.exe".encode(), b"\xff\xfe\x9b2J", "日本".encode()]


@pytest.mark.parametrize("words", [[], ["--csv"], ["--json"], ["--ndjson"], ["--columns", "process,command,local"]])
def test_hostile_names_come_out_harmless(words: list[str]) -> None:
    sockets = []
    try:
        for name in HOSTILE:
            named = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sockets.append(named)
            named.bind(b"\0" + name)
            named.listen()
        done = subprocess.run([*COMMAND, "-x", "--pid", str(os.getpid()), *words], capture_output=True, check=False,
                              env=ENVIRONMENT, stdin=subprocess.DEVNULL)
    finally:
        for named in sockets:
            named.close()
    assert done.returncode == 0
    text = done.stdout.decode()
    assert all(character.isprintable() for character in text if character != "\n")
    if words == ["--json"]:
        ends = [row["local"] for row in json.loads(text)["sockets"]]
        raw = {base64.b64decode(end["path_base64"]) if "path_base64" in end else end["path"].encode()
               for end in ends if end["abstract"]}
        assert raw >= set(HOSTILE)


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="becomes nobody, as root")
def test_nobody_sees_rows_and_is_told_what_is_missing() -> None:
    def as_nobody(*words: str) -> subprocess.CompletedProcess[str]:
        nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
        return subprocess.run([*nobody, *COMMAND, *words], capture_output=True, text=True, check=False,
                              env=ENVIRONMENT, stdin=subprocess.DEVNULL)

    if as_nobody("--version").returncode != 0:
        pytest.skip("nobody may not read this Python")
    with listener() as (_, port):
        done = as_nobody("--once", "--port", str(port))
        assert done.returncode == 0, done.stderr
        assert "(root)" in done.stdout
        assert "sudo" in done.stderr
        row = json.loads(as_nobody("--json", "--port", str(port)).stdout)["sockets"][0]
        assert (row["holders"], row["holders_complete"], row["ownership"]) == (None, False, "hidden")


def test_pid_as_json_has_facts_and_threads() -> None:
    said = json.loads(run("--json", "-p", str(os.getpid())).stdout)
    (process,) = said["processes"]
    assert process["argv"][1:] == Path("/proc/self/cmdline").read_text().removesuffix("\0").split("\0")[1:]
    assert process["fd_limit"] > 0 and process["started_at"] > 0
    assert os.getpid() in {thread["tid"] for thread in said["threads"]}
