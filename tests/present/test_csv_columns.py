"""Every column of the table has its fields in CSV."""

from __future__ import annotations

from sockscope.present.columns import column_names
from sockscope.present.csv import EXPANDED, FIELDS


def test_every_column_expands_to_known_fields() -> None:
    for name in column_names():
        assert set(EXPANDED.get(name, (name,))) <= set(FIELDS), name
