"""The table's columns depend on the width alone: they sum up, never overlap, keep their order, at every width."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockscope.present.columns import COLUMNS, column_names, layout

ORDER = ["glyph", "move", "process", "state", "address", "queue", "receive", "send", "user", "why"]


@given(st.integers(0, 500))
def test_standard_layout_fits(width: int) -> None:
    placed = layout(width)
    at = 1
    for place in placed:
        assert place.x >= at and place.width > 0
        at = place.x + place.width + (place.column.name != "glyph")
    assert not placed or placed[-1].x + placed[-1].width <= width
    names = [place.column.name for place in placed]
    assert names == sorted(names, key=ORDER.index)


@given(st.integers(10, 400), st.lists(st.sampled_from(column_names()), unique=True, min_size=1, max_size=12))
def test_chosen_columns_fit_and_keep_their_order(width: int, names: list[str]) -> None:
    placed = layout(width, tuple(names))
    shown = [place.column.name for place in placed if place.column.name != "glyph"]
    assert shown == names[: len(shown)]
    assert all(left.x + left.width < right.x for left, right in pairwise(placed[1:]))
    assert placed[-1].x + placed[-1].width <= width


@pytest.mark.parametrize(("width", "expected"), [
    (40, [("glyph", 1, 1), ("move", 2, 8), ("process", 11, 10), ("address", 22, 18)]),
    (60, [("glyph", 1, 1), ("move", 3, 8), ("process", 12, 10), ("state", 23, 10), ("address", 34, 18),
          ("queue", 53, 7)]),
    (80, [("glyph", 1, 1), ("move", 3, 8), ("process", 12, 15), ("state", 28, 10), ("address", 39, 29),
          ("queue", 69, 11)]),
    (120, [("glyph", 1, 1), ("move", 3, 9), ("process", 13, 20), ("state", 34, 10), ("address", 45, 33),
           ("receive", 79, 11), ("send", 91, 10), ("why", 102, 18)]),
])
def test_the_widths_of_the_mocks(width: int, expected: list[tuple[str, int, int]]) -> None:
    assert [(place.column.name, place.x, place.width) for place in layout(width)] == expected


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 160, 200])
def test_the_whole_width_is_used(width: int) -> None:
    last = layout(width)[-1]
    assert last.x + last.width == width


@given(st.integers(60, 400))
def test_no_column_shrinks_within_a_kind_of_layout(width: int) -> None:
    """A wider terminal never makes a column much narrower unless another kind of layout begins there."""
    here = {place.column.name: place.width for place in layout(width)}
    wider = {place.column.name: place.width for place in layout(width + 1)}
    if here.keys() == wider.keys() and width + 1 != 80:
        assert all(wider[name] >= size - 4 for name, size in here.items())


def test_every_column_has_a_sort_key_that_exists() -> None:
    from sockscope.analysis.sorting import SORT_KEYS

    assert {column.sort for column in COLUMNS.values() if column.sort} <= set(SORT_KEYS)
