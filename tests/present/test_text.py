"""The one door: nothing that leaves it moves a cursor, changes a colour, hides text or begins a line."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockscope.present.text import sanitise, to_ascii
from sockscope.present.width import cell_len, elide, elide_middle, fit


@pytest.mark.parametrize(("raw", "shown"), [
    (b"nginx", "nginx"),
    (b"evil[/x]", "evil[/x]"),
    (b"\x1b[31mred", "\\x1b[31mred"),
    (b"a\nb\tc\r", "a\\x0ab\\x09c\\x0d"),
    (b"\x7f", "\\x7f"),
    ("\x9b31m", "\\x9b31m"),
    ("abc\u202edcba", "abc\\u202edcba"),
    ("\u200bzero\ufeff", "\\u200bzero\\ufeff"),
    (b"caf\xc3\xa9", "café"),
    (b"caf\xe9", "caf\\xe9"),
    ("日本", "日本"),
    ("\u0301first", "\\u0301first"),
    ("e\u0301", "e\u0301"),
    ("\U000e0041tag", "\\U000e0041tag"),
    ("a\u00a0b", "a\\xa0b"),
    ("❤\ufe0f", "❤\\ufe0f"),
    ("\u2028", "\\u2028"),
    (b"\0abstract", "\\x00abstract"),
])
def test_what_is_shown(raw: bytes | str, shown: str) -> None:
    assert sanitise(raw) == shown


@given(st.one_of(st.binary(max_size=80), st.text(max_size=80)), st.one_of(st.none(), st.integers(-2, 60)))
def test_all_that_leaves_is_printable(raw: bytes | str, limit: int | None) -> None:
    shown = sanitise(raw, limit)
    assert all(character.isprintable() for character in shown)
    assert not any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") for character in shown)
    assert limit is None or len(shown) <= max(0, limit)
    assert to_ascii(shown).isascii()


@given(st.text(max_size=60), st.integers(0, 30))
def test_fitted_text_is_exactly_as_wide(raw: str, width: int) -> None:
    text = sanitise(raw)
    assert cell_len(fit(text, width)) == width
    assert cell_len(fit(text, width, "right")) == width
    assert cell_len(elide(text, width)) <= width
    assert cell_len(elide_middle(text, width)) <= width


@given(st.text(alphabet=" ~←→⇄…▲█▏▉│◂▸×≥–·abc", max_size=40))
def test_our_own_glyphs_are_one_cell_each(text: str) -> None:
    from rich.cells import cell_len as measure

    assert cell_len(text) == len(text) == measure(text)
    assert len(to_ascii(text)) == len(text)


def test_a_long_name_is_cut_without_reading_it_all() -> None:
    assert sanitise("x" * 4096, 10) == "x" * 9 + "…"
    assert sanitise("\x1b" * 4096, 10) == "\\x1b\\x1b\\…"
