"""The configuration file: what it may say, and that a wrong one is one clear line."""

from __future__ import annotations

import stat

import pytest

from sockscope import settings
from sockscope.settings import Settings, SettingsError, keep_theme, read_settings, read_theme
from sockscope.tui.app import check_options
from sockscope.tui.options import TuiOptions


@pytest.fixture
def read(tmp_path):
    def write_and_read(text: str) -> Settings:
        path = tmp_path / "config.toml"
        path.write_text(text)
        return read_settings(path)

    return write_and_read


def test_everything_it_can_say(read):
    found = read('interval = "500ms"\ntheme = "nord"\ncolumns = ["move", "queue"]\nsort = "-receive"\n'
                 'ascii = true\nmouse = false\nnames = true\n[keys]\npause = "space"\nhelp = ["f1", "h"]\n')
    expected = Settings(0.5, "nord", ("move", "queue"), "-receive", {"pause": ("space",), "help": ("f1", "h")},
                        ascii=True, mouse=False, names=True)
    assert found == expected
    check_options(TuiOptions(theme=found.theme, columns=found.columns, sort=found.sort), found)


def test_no_file_says_nothing(tmp_path):
    assert read_settings(tmp_path / "absent.toml") == Settings()


@pytest.mark.parametrize(("text", "told"), [
    ("interval = ", "config.toml"), ("intervall = 1", "'intervall' is no setting"), ('interval = "soon"', "is no time"),
    ("interval = 0", "is no time"), ("theme = 1", "no text in quotes"), ("columns = 'move'", "a list of texts"),
    ("columns = [1]", "a list of texts"), ("keys = 1", "[keys]"), ("[keys]\npause = 1", "keys.pause"),
    ("ascii = 1", "neither true nor false"),
])
def test_a_wrong_file_is_a_clear_line(read, text, told):
    with pytest.raises(SettingsError) as caught:
        read(text)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("text", "told"), [
    pytest.param("theme = " + "[" * 3000, "too deep", id="lists"),
    pytest.param("theme = " + "{a=" * 1500, "too deep", id="tables"),
    pytest.param("interval = " + "9" * 5000, "digits", id="decimal"),
    pytest.param("theme = 0x" + "f" * 5000, "digits", id="hexadecimal"),
    pytest.param('"a\\nb" = 1', "is no setting", id="name"),
    pytest.param('[keys]\n"a\\nb" = 1', "keys.a", id="action"),
])
def test_what_tomllib_itself_stumbles_over_is_a_clear_line_too(read, text, told):
    """RecursionError, ValueError that is no TOMLDecodeError, and names with line feeds in them."""
    with pytest.raises(SettingsError) as caught:
        read(text)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="not readable"):
        read_settings(path)


@pytest.mark.parametrize(("options", "found", "told"), [
    (TuiOptions(theme="nope"), Settings(), "no theme"), (TuiOptions(columns=("nope",)), Settings(), "no column"),
    (TuiOptions(sort="nope"), Settings(), "does not sort"), (TuiOptions(), Settings(keys={"nope": ("x",)}), "no action"),
])
def test_what_is_not_known_is_told_with_what_is(options, found, told):
    with pytest.raises(SettingsError, match=told):
        check_options(options, found)


def test_the_theme_is_kept_for_the_owner_alone(tmp_path, monkeypatch):
    path = tmp_path / "state" / "theme"
    monkeypatch.setattr(settings, "state_path", lambda: path)
    assert read_theme() is None
    keep_theme("nord")
    assert read_theme() == "nord"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
