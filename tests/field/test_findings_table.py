"""Every fault of the lab raises its finding within 15 s and no other; every healthy scenario raises none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from field.watching import watch

from sockscope.lab.catalogue import SCENARIOS, Scenario
from sockscope.lab.run import staged

FAULT_S, HEALTHY_S = 15.0, 20.0
PLAIN = [one for one in SCENARIOS.values() if not one.own_namespace]
NOTES_ONLY = {"thundering-herd"}  # a note is no warning: it is looked for among notes


def family(pids: set[int]) -> set[int]:
    """These processes and their children."""
    found = set(pids)
    for pid in pids:
        try:
            words = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:
            continue
        found |= {int(word) for word in words}
    return found


@pytest.mark.parametrize("scenario", PLAIN, ids=lambda one: one.name)
def test_scenario_raises_what_it_should(scenario: Scenario):
    """Expected and found, printed; severity warning or above counts."""
    if scenario.name in NOTES_ONLY:
        pytest.skip("its finding is a note; tests/analysis/findings holds its rule")
    with staged(scenario) as running:
        pids = family(set(running.pids.values()))
        expected = scenario.expected
        found = watch(
            pids, FAULT_S if expected else HEALTHY_S,
            (lambda findings: any(one.rule == expected for one in findings)) if expected else (lambda _: False),
        )
    rules = sorted({one.rule for one in found})
    print(f"{scenario.name:24} expected {expected or 'none':18} found {', '.join(rules) or 'none'}")
    for one in found:
        print(f"    {one.severity} {one.rule} ({one.cause}): {one.summary}")
    assert rules == ([expected] if expected else [])


def test_lab_needs_no_root():
    """Only the scenarios with a namespace of their own need rights."""
    assert os.geteuid() == 0 or PLAIN
