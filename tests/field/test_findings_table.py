"""Every fault of the lab raises its finding within 15 s and no other; every healthy scenario raises none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from field.servers import family
from field.watching import SERIOUS, watch

from sockscope.lab.catalogue import SCENARIOS, Scenario
from sockscope.lab.run import staged

FAULT_S, HEALTHY_S = 15.0, 20.0
PLAIN = [one for one in SCENARIOS.values() if not one.own_namespace]
OWN = [one for one in SCENARIOS.values() if one.own_namespace]
WATCHER = Path(__file__).with_name("watch_scenario.py")
NOTES_ONLY = {"thundering-herd"}  # its finding is a note, which is looked for then


@pytest.mark.parametrize("scenario", PLAIN, ids=lambda one: one.name)
def test_scenario_raises_what_it_should(scenario: Scenario):
    """Expected and found, printed; severity warning or above counts."""
    with staged(scenario) as running:
        pids = family(*running.pids.values())
        expected = scenario.expected
        found = watch(
            pids, FAULT_S if expected else HEALTHY_S,
            (lambda findings: any(one.rule == expected for one in findings)) if expected else (lambda _: False),
            ("severe", "warning", "note") if scenario.name in NOTES_ONLY else SERIOUS,
        )
    rules = sorted({one.rule for one in found})
    print(f"{scenario.name:24} expected {expected or 'none':18} found {', '.join(rules) or 'none'}")
    for one in found:
        print(f"    {one.severity} {one.rule} ({one.cause}): {one.summary}")
    assert rules == ([expected] if expected else [])


@pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace of its own needs root")
@pytest.mark.parametrize("scenario", OWN, ids=lambda one: one.name)
def test_scenario_in_its_own_namespace_raises_what_it_should(scenario: Scenario):
    """The same for those that need a port range or addresses of their own: the watcher goes in there with them."""
    command = [sys.executable, str(WATCHER), scenario.name, str(FAULT_S)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert "missing" not in told, told
    rules = sorted({one["rule"] for one in told["found"] if one["severity"] in SERIOUS})
    print(f"{scenario.name:24} expected {scenario.expected or 'none':18} found {', '.join(rules) or 'none'}")
    assert rules == ([scenario.expected] if scenario.expected else [])
