"""What the main screens look like, at four sizes, dark, light and ansi. Accept a change with --snapshot-update."""

from __future__ import annotations

import pytest
from tui.fake_source import ScriptedApp, sick_details, sick_script

SIZES = [(80, 24), (120, 36), (200, 50), (40, 10)]
WAYS = {
    "sockets": [],
    "port": ["2"],
    "process": ["slash", *"node", "enter", "3"],
    "socket": ["slash", *"pid:23118 state:established", "enter", "enter"],
    "listener": ["slash", *"pid:23118 state:listen", "enter", "enter"],
    "findings": ["4"],
}


def app(**options):
    return ScriptedApp(*sick_script(12), details=sick_details, **options)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("way", WAYS)
def test_screen(snap_compare, way, size):
    assert snap_compare(app(), press=WAYS[way], terminal_size=size)


@pytest.mark.parametrize("theme", ["textual-light", "ansi-dark"])
@pytest.mark.parametrize("way", ["sockets", "socket"])
def test_theme(snap_compare, way, theme):
    assert snap_compare(app(theme=theme), press=WAYS[way], terminal_size=(120, 36))


def test_help(snap_compare):
    assert snap_compare(app(), press=["question_mark"], terminal_size=(80, 24))


def test_nothing_on_the_port(snap_compare):
    assert snap_compare(app(opening="port", subject=8080), terminal_size=(80, 24))


def test_grouped_by_process(snap_compare):
    assert snap_compare(app(), press=["v", "down", "enter"], terminal_size=(80, 24))


def test_query_error(snap_compare):
    assert snap_compare(app(), press=["slash", *"prot:80", "enter"], terminal_size=(80, 24))


@pytest.mark.parametrize("size", [(120, 36), (200, 50), (40, 10)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_help_at(snap_compare, size):
    assert snap_compare(app(), press=["question_mark"], terminal_size=size)
