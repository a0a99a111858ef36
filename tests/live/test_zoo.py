"""While a zoo of hostile processes runs: nothing of it reaches a terminal raw, nothing is missing, JSON loses nothing."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from live.lesser import inside
from live.targets import look
from live.zoo import LONG, NAMES
from tui.fake_source import ScriptedApp

from sockscope.collect.detail import PROCESS_FACETS, SOCKET_FACETS, LiveDetailReader
from sockscope.model.detail import ProcessDetail, SocketDetail, Wanted
from sockscope.model.snapshot import Snapshot
from sockscope.model.socket import Socket

ZOO = Path(__file__).with_name("zoo.py")
Animals = list[dict[str, Any]]


@contextmanager
def zoo() -> Iterator[dict[str, Any]]:
    keeper = subprocess.Popen([sys.executable, str(ZOO)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert keeper.stdout is not None
        yield json.loads(keeper.stdout.readline())
    finally:
        keeper.communicate("")


@pytest.fixture(scope="module")
def kept() -> Iterator[dict[str, Any]]:
    with zoo() as made:
        yield made


def run(kept: dict[str, Any], *words: str) -> bytes:
    """What the command prints, in the zoo's network."""
    own = Path("/proc/self/ns/net").stat().st_ino == Path(f"/proc/{kept['pid']}/ns/net").stat().st_ino
    done = subprocess.run(
        [*([] if own else inside(kept["pid"])), sys.executable, "-m", "sockscope", *words], capture_output=True,
        check=False, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}, cwd=ZOO.parents[2],
    )
    assert b"Traceback" not in done.stderr, done.stderr[-3000:]
    assert done.returncode in (0, 1, 4), done.stderr  # 1: nobody has to act
    assert_clean(done.stderr.decode())
    return done.stdout


def assert_clean(text: str) -> None:
    """No control character but line ends, no override of direction, no separator that a terminal acts on."""
    odd = {character for character in text if character not in "\n\r" and not is_plain(character)}
    assert not odd, [hex(ord(character)) for character in odd]


def is_plain(character: str) -> bool:
    return character == " " or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp", "Cn")


def every_inode(animals: Animals) -> set[int]:
    return {inode for animal in animals for inode in animal["inodes"]}


def raw(record: dict[str, Any], field: str) -> bytes:
    """The bytes a name was, from JSON."""
    whole = record.get(f"{field}_base64")
    text: str = record[field]
    return base64.b64decode(whole) if whole is not None else text.encode()


@pytest.mark.parametrize("words", [("--once",), ("--once", "-x"), ("--once", "--ascii"), ("--why", "--for", "0s"), ("--findings", "--for", "0s")], ids=" ".join)
def test_texts_are_clean(kept: dict[str, Any], words: tuple[str, ...]) -> None:
    text = run(kept, *words, "--color", "never").decode()
    assert_clean(text)
    coloured = run(kept, *words, "--color", "always").decode()
    assert_clean(re.sub(r"\x1b\[[0-9;]*m", "", coloured))


def test_a_process_with_its_files_is_clean_and_whole(kept: dict[str, Any]) -> None:
    for animal in kept["animals"]:
        text = run(kept, "--once", "-p", str(animal["pid"])).decode()
        assert_clean(text)
        assert text.count("LISTEN") >= 3, text  # two unix, one TCP: the holder is known whatever else it has open


def test_no_row_is_missing(kept: dict[str, Any]) -> None:
    table = run(kept, "--once", "--columns", "process,state,inode,local").decode()
    csv = run(kept, "--csv", "--columns", "inode,process,local").decode()
    assert_clean(csv)
    for inode in every_inode(kept["animals"]):
        assert re.search(rf"\b{inode}\b", csv)
        assert re.search(rf"\b{inode}\b", table)


def test_json_gives_the_bytes_back(kept: dict[str, Any]) -> None:
    text = run(kept, "--json", "--deep")
    assert text.isascii() and b"\x7f" not in text
    said = json.loads(text)
    assert msgspec.json.decode(text) == said
    if shutil.which("jq"):
        inner = subprocess.run(["jq", "-c", "."], input=text, capture_output=True, check=True).stdout
        assert json.loads(inner) == said
    check_document(said, kept["animals"])


def check_document(said: dict[str, Any], animals: Animals) -> None:
    rows = {row["inode"]: row for row in said["sockets"]}
    processes = {process["pid"]: process for process in said["processes"]}
    for animal in animals:
        name = bytes.fromhex(animal["name"])
        process = processes[animal["pid"]]
        assert raw(process, "name") == name[:15]
        assert raw(process, "command").rstrip(b"\0").endswith(name)
        for inode in animal["inodes"]:
            assert [holder["pid"] for holder in rows[inode]["holders"]] == [animal["pid"]]
            assert raw(rows[inode]["holders"][0], "process") == name[:15]
        for inode, path in animal["paths"].items():
            assert raw(rows[int(inode)]["local"], "path") == bytes.fromhex(path)


def test_records_and_one_process_as_json(kept: dict[str, Any]) -> None:
    records = [json.loads(line) for line in run(kept, "--ndjson").splitlines()]
    assert every_inode(kept["animals"]) <= {record["inode"] for record in records if record["record"] == "socket"}
    for animal, name in zip(kept["animals"], (*NAMES, LONG), strict=True):
        said = json.loads(run(kept, "--json", "--deep", "-p", str(animal["pid"])))
        targets = [raw(fd, "target") for fd in said["fds"]]
        if name != LONG:
            assert any(target.endswith(name.replace(b"/", b"_") + b".open") for target in targets)
        assert name[:15][::-1] in [raw(thread, "name") for thread in said["threads"]]


def details_of(snapshot: Snapshot, animals: Animals) -> tuple[SocketDetail | ProcessDetail, ...]:
    keys = tuple(one.key for one in snapshot.sockets.values() if one.inode in every_inode(animals))
    wanted = Wanted(0, keys, tuple(animal["pid"] for animal in animals), SOCKET_FACETS | PROCESS_FACETS, 20.0)
    with closing(LiveDetailReader()) as reader:
        return tuple(reader.read(wanted, snapshot, lambda: False))


async def test_every_screen_is_clean(kept: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pilots walk all screens and dialogs for each animal; each picture is one printable line a row, of its width."""
    monkeypatch.chdir(tmp_path)
    snapshot = look()
    animals = kept["animals"]
    mine: list[Socket] = [one for one in snapshot.sockets.values() if one.inode in every_inode(animals)]
    assert len(mine) == len(every_inode(animals))
    details = details_of(snapshot, animals)
    pids = ",".join(str(animal["pid"]) for animal in animals)
    app = ScriptedApp(snapshot, details=lambda _: details, query=f"pid:{pids}", readonly=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        for keys in (("v", "escape"), ("s", "escape"), ("question_mark", "escape"), ("4", "escape"), ("c",), ("w", "enter")):
            for key in keys:
                await pilot.press(key)
                assert_screen(app)
        for key in ("asterisk", "down", "enter"):
            await pilot.press(key)
            assert_screen(app)
        await pilot.press("slash", "ctrl+u", *f"pid:{pids}", "enter")
        table = app.screen.table  # type: ignore[attr-defined]
        assert table.table.matched == len(mine)
        for one in mine:
            assert table.move_to(one.key)
            for walk in ("enter 3 tab", "2"):
                for key in walk.split():
                    await pilot.press(key)
                    assert_screen(app)
                await back_to_the_table(pilot, app, table)
    written = contents(tmp_path)
    assert written
    assert all(b"\x1b" not in text for text in written)


def contents(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.iterdir()]


async def back_to_the_table(pilot: Any, app: ScriptedApp, table: Any) -> None:
    for _ in range(8):
        if table.screen is app.screen:
            return
        await pilot.press("escape")
    raise AssertionError("no way back")


def assert_screen(app: ScriptedApp) -> None:
    for strip in app.screen._compositor.render_strips():
        assert_clean(strip.text)
        assert strip.cell_length == app.screen.size.width, strip.text
