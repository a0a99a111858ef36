"""Offsets kept between runs: for this user only, never trusted from another, never in another's home."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sockscope.kernel.offset_cache import cache_folder, key_of_kernel, load, save

NUMBERS = (0, 1268, 32, 64, 0, 64252)


def test_what_is_saved_is_loaded_and_private(tmp_path: Path) -> None:
    folder = str(tmp_path / "a" / "sockscope")
    assert save(folder, "k", NUMBERS)
    assert load(folder, "k", 6) == NUMBERS
    assert [path.stat().st_mode & 0o777 for path in Path(folder).iterdir()] == [0o600]


@pytest.mark.parametrize("text", ["", "k", "other\n1 2 3 4 5 6\n", "k\n1 2 3\n", "k\n1 2 3 4 5 -6\n", "k\n1 2 3 4 5 ٣\n", "k\n\xff"])
def test_another_kernels_or_garbled_numbers_are_not_used(tmp_path: Path, text: str) -> None:
    (tmp_path / "task_file.offsets").write_text(text, "utf-8")
    assert load(str(tmp_path), "k", 6) is None


def test_a_file_that_others_may_write_is_not_used(tmp_path: Path) -> None:
    save(str(tmp_path), "k", NUMBERS)
    (tmp_path / "task_file.offsets").chmod(0o622)
    assert load(str(tmp_path), "k", 6) is None


def test_a_link_or_a_fifo_in_its_place_is_not_followed(tmp_path: Path) -> None:
    real = tmp_path / "real"
    save(str(real), "k", NUMBERS)
    (tmp_path / "task_file.offsets").symlink_to(real / "task_file.offsets")
    assert load(str(tmp_path), "k", 6) is None
    (tmp_path / "task_file.offsets").unlink()
    os.mkfifo(tmp_path / "task_file.offsets")
    assert load(str(tmp_path), "k", 6) is None


def test_a_folder_that_cannot_be_made_or_a_full_disk_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    assert not save(str(tmp_path / "file" / "x"), "k", NUMBERS)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    assert not save(str(tmp_path), "k", NUMBERS)
    assert not list(tmp_path.glob("task_file*")), "nothing half written is left"


def test_no_cache_in_the_home_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == f"{tmp_path}/.cache/sockscope"
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert cache_folder() is None


def test_the_folder_named_by_the_environment_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert cache_folder() == f"{tmp_path}/x/sockscope"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.delenv("HOME")
    assert cache_folder() is None


def test_the_key_names_the_kernel_and_its_build() -> None:
    assert os.uname().release in key_of_kernel(5)
    assert "\n" not in key_of_kernel(5)
    assert key_of_kernel(5) != key_of_kernel(6)
