"""What a dialog asks can be read whole at every width: the chosen option is always among those shown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sockscope.present.width import cell_len
from sockscope.tui.actions import SIGNALS
from sockscope.tui.pictures.parts import line
from sockscope.tui.screens.dialogs import arranged, shown_options


@given(st.integers(0, len(SIGNALS) - 1), st.integers(6, 80))
def test_the_chosen_option_is_shown_and_the_row_fits(at: int, room: int):
    shown = shown_options(SIGNALS, at, room)
    assert SIGNALS[at] in shown
    assert sum(len(name) + 2 for name in shown) <= room


def test_all_are_shown_where_there_is_room():
    assert shown_options(SIGNALS, 0, 80) == SIGNALS


@given(st.integers(24, 80), st.integers(4, 30))
def test_how_to_answer_is_always_in_sight_and_nothing_is_cut(width: int, height: int):
    told = [line(" tcp 192.0.2.1:80 of nginx 1201"), line(), line(" Its owner's accept() fails from then on, and more.")]
    lines = arranged(told, [line(" y close it   Esc cancel")], width, height)
    texts = ["".join(text for text, _ in one.parts) for one in lines]
    assert any("y close it" in text for text in texts[:height])
    assert all(cell_len(text) < width for text in texts if "Esc" not in text)
    assert "accept() fails from then on, and more." in " ".join(" ".join(texts).split())
