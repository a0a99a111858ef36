"""A finding keeps its name over the looks, and names who must act, whatever folds into it later."""

from __future__ import annotations

from builders import make_snapshot
from msgspec import structs

from sockscope.model.finding import Finding
from sockscope.model.observation import Observation
from sockscope.model.process import Process
from sockscope.tui.pictures.finding_lines import finding_key, list_lines, who_of

STALLED = Finding("receive-stalled", "warning", "reader 14590 has not read 5 B", (), (),
                  about=(("process", "14590"), ("port", "18081")))
FOLDED = structs.replace(STALLED, cause="unwatched", also=("send-stalled",),
                         about=(*STALLED.about, ("process", "14755"), ("port", "40000")))


def test_the_other_end_that_folds_in_neither_renames_it_nor_takes_the_blame():
    assert finding_key(STALLED) == finding_key(FOLDED)
    seen = Observation(make_snapshot(processes={14590: Process(14590, 1, b"reader"), 14755: Process(14755, 1, b"writer")}))
    assert who_of(FOLDED, seen) == "reader 14590"


def test_nobody_has_to_act_is_said_only_when_the_rules_could_have_told():
    def told(watched_s: float) -> str:
        (one,) = list_lines(Observation(make_snapshot(), findings=()), [], 100.0, watched_s, 80)
        return "".join(text for text, _ in one.parts)

    assert "Nothing found yet" in told(4.0)
    assert told(10.0) == "✓ nobody has to act"
