"""The configuration file: Settings, or SettingsError in one line."""

from __future__ import annotations

from typing import Any

from sockscope.settings import Settings, SettingsError, read_settings

TOKENS = (
    b'interval = "2s"\n', b'theme = "nord"\n', b'columns = ["move"]\n', b'sort = "-receive"\n', b"[keys]\n", b"ascii = true\n",
    b'pause = ["a", "b"]\n', b"[[", b"[" * 500, b"{a=" * 400, b'"\\n" = 1\n', b"1979-05-27T07:32:00Z", b"inf", b"nan", b"0x", b"_", b'"""', b"'''",
)


class _File:
    """Stands for a path."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def read_text(self, encoding: str) -> str:
        """As Path does."""
        return self.data.decode(encoding)

    def __str__(self) -> str:
        return "config.toml"


def check(data: bytes) -> None:
    """Read one file."""
    path: Any = _File(data)
    try:
        found = read_settings(path)
    except SettingsError as error:
        _check_message(str(error))
    else:
        _check_settings(found)


def _check_message(message: str) -> None:
    assert message.startswith("config.toml: ")
    assert "\n" not in message, "more than a line"


def _check_settings(found: Settings) -> None:
    assert found.interval_s is None or 0.05 <= found.interval_s <= 3600
    assert found.columns is None or (found.columns and all(isinstance(name, str) for name in found.columns))
    assert all(keys and all(isinstance(key, str) for key in keys) for keys in (found.keys or {}).values())
    assert {type(found.ascii), type(found.mouse), type(found.names)} == {bool}
