"""The configuration file and what is kept between runs. Read for the live screens only, never for one-shot output.

interval = "2s"            # or 0.5
theme = "nord"
columns = ["move", "process", "address", "queue"]
sort = "-receive"
[keys]
pause = "space"            # action -> key, or a list of keys
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import platformdirs
from msgspec import Struct

from sockscope.present.text import sanitise

_LONGEST_MESSAGE = 500
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}
_KNOWN = ("interval", "theme", "columns", "sort", "keys", "ascii", "mouse", "names")


class SettingsError(Exception):
    """The file cannot be used; the message names the file, the place and what is allowed, in one line."""


class Settings(Struct, frozen=True):
    """What the file says; None where it says nothing. `keys`: an action's name -> the keys that do it."""

    interval_s: float | None = None
    theme: str | None = None
    columns: tuple[str, ...] | None = None
    sort: str | None = None
    keys: dict[str, tuple[str, ...]] = {}
    ascii: bool = False
    mouse: bool = True
    names: bool = False


def settings_path() -> Path:
    """Where the file is looked for on this system."""
    return platformdirs.user_config_path("sockscope", appauthor=False) / "config.toml"


def state_path() -> Path:
    """Where the theme last chosen is kept."""
    return platformdirs.user_state_path("sockscope", appauthor=False) / "theme"


def read_settings(path: Path | None = None) -> Settings:
    """Read it; a file that is not there says nothing. Raises SettingsError."""
    path = path or settings_path()
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, PermissionError):  # `sudo -u nobody` keeps a HOME it may not enter
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise _fault(path, f"not readable: {error}") from error
    except ValueError as error:  # TOMLDecodeError, and what int() says of a number of 5,000 digits
        raise _fault(path, str(error)) from error
    except RecursionError as error:  # tomllib has no limit of its own
        raise _fault(path, "brackets nested too deep") from error
    unknown = [name for name in data if name not in _KNOWN]
    if unknown:
        raise _fault(path, f"'{unknown[0]}' is no setting; allowed: {' '.join(_KNOWN)}")
    try:
        return Settings(
            _interval(data.get("interval")), _text(data, "theme"), _texts(data.get("columns"), "columns"),
            _text(data, "sort"), _keys(data.get("keys", {})), ascii=_flag(data, "ascii", default=False),
            mouse=_flag(data, "mouse", default=True), names=_flag(data, "names", default=False),
        )
    except ValueError as error:
        raise _fault(path, str(error)) from error


def _fault(path: Path, message: str) -> SettingsError:
    """One line, whatever names and values the file holds."""
    return SettingsError(sanitise(f"{path}: {message}", _LONGEST_MESSAGE))


def _interval(value: Any) -> float | None:
    if value is None:
        return None
    text = str(value).strip()
    for unit in ("ms", "s", "m", ""):
        number = text.removesuffix(unit)
        if unit and number == text:
            continue
        try:
            seconds = float(number) * _UNITS.get(unit, 1.0)
        except ValueError:
            break
        if 0.05 <= seconds <= 3600:
            return seconds
        break
    raise ValueError(f"interval: '{text}' is no time from 50ms to 60m (1s, 500ms, 2)")


def _text(data: dict[str, Any], name: str) -> str | None:
    value = data.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name}: {value!r} is no text in quotes")
    return value


def _texts(value: Any, name: str) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        raise ValueError(f'{name}: a list of texts is wanted, as ["move", "process"]')
    return tuple(value)


def _flag(data: dict[str, Any], name: str, *, default: bool) -> bool:
    value = data.get(name, default)
    if not isinstance(value, bool):
        raise ValueError(f"{name}: {value!r} is neither true nor false")  # noqa: TRY004  # one kind of error for all
    return value


def _keys(value: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, dict):
        raise ValueError("keys: a table is wanted, as [keys]")  # noqa: TRY004  # one kind of error for all
    made: dict[str, tuple[str, ...]] = {}
    for action, keys in value.items():
        chosen = [keys] if isinstance(keys, str) else keys
        made[action] = _texts(chosen, f"keys.{action}") or ()
    return made


def read_theme() -> str | None:
    """Return the theme chosen last; None if none was."""
    try:
        return state_path().read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def keep_theme(name: str) -> None:
    """Keep it for the next run; a folder that cannot be written keeps nothing."""
    path = state_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError:
        return
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(name + "\n")
