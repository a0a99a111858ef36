"""`sockscope lab`: start a scenario, hand it to a view or hold it, and end everything it started, whatever happens."""

from __future__ import annotations

import argparse
import difflib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple, NoReturn

from sockscope.lab import namespace
from sockscope.lab.catalogue import SCENARIOS, Scenario
from sockscope.lab.stage import NotHereError

LONGEST_HOLD_S = 3600.0
STEP_S = 0.1
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "": 1.0}


class Staged(NamedTuple):
    """A scenario that runs: pids by role, the ports it listens on."""

    scenario: Scenario
    pids: Mapping[str, int]
    ports: Sequence[int]


View = Callable[[Staged], int]
Write = Callable[[str], object]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        _complain(message)
        raise SystemExit(2)


def _complain(message: str) -> None:
    with suppress(OSError, ValueError, AttributeError):  # stderr gone, closed, or None since start
        sys.stderr.write(f"sockscope lab: {message}\n")


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def main(argv: Sequence[str], open_view: View | None = None, write: Write = _print) -> int:
    """Run `lab [SCENARIO] [--hold TIME]`. Without a name it lists them; without a view it holds until Ctrl+C.

    Exit codes: 0, 2 for a wrong word, 3 where this machine cannot show the scenario. What `write` raises goes through.
    """
    parser = _Parser(prog="sockscope lab", description="stage one I/O model or one fault on loopback, to learn by")
    parser.add_argument("scenario", nargs="?", metavar="SCENARIO")
    parser.add_argument("--hold", metavar="TIME", type=_seconds, help="run it that long without a view; prints JSON")
    chosen = parser.parse_args(argv)
    if chosen.scenario is None:
        write(list_scenarios())
        return 0
    scenario = SCENARIOS.get(chosen.scenario)
    if scenario is None:
        near = difflib.get_close_matches(chosen.scenario, SCENARIOS, 1)
        hint = f"did you mean {near[0]}?" if near else "`sockscope lab` lists them"
        _complain(f"no scenario is called '{chosen.scenario}': {hint}")
        return 2
    try:
        with staged(scenario) as running:
            if open_view is not None and chosen.hold is None:
                return open_view(running)
            write(_facts(running))
            return _hold(chosen.hold)
    except NotHereError as error:
        _complain(f"{scenario.name}: {error}")
        return 3
    except (KeyboardInterrupt, SystemExit):
        return 0


def list_scenarios() -> str:
    """One line each, the faults marked."""
    width = max(map(len, SCENARIOS))
    lines = [f"  {'!' if one.expected else ' '} {one.name:{width}}  {one.title}" for one in SCENARIOS.values()]
    return "\n".join(["sockscope lab SCENARIO   (! is a fault that a finding must name)", *lines, ""])


@contextmanager
def staged(scenario: Scenario) -> Iterator[Staged]:
    """Run the scenario in a process of its own; on the way out it has ended with all its roles.

    It gets SIGTERM by the kernel when we die. Raises NotHereError if it cannot be shown here.
    """
    if scenario.own_namespace:
        namespace.enter()  # here, not only there: the view must see what it is shown
    previous = signal.signal(signal.SIGTERM, _leave)
    process = subprocess.Popen(
        [sys.executable, "-m", f"sockscope.lab.{scenario.module}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env={**os.environ, "SOCKSCOPE_LAB_PARENT": str(os.getpid())}, start_new_session=True,
    )
    try:
        assert process.stdout is not None  # noqa: S101 (it was asked for above)
        assert process.stderr is not None  # noqa: S101
        line = process.stdout.readline()
        if not line:
            raise NotHereError((process.stderr.read().strip().splitlines() or ["it ended at once"])[-1])
        told = json.loads(line)
        yield Staged(scenario, told["pids"], told["ports"])
    finally:
        process.terminate()
        try:
            process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        signal.signal(signal.SIGTERM, previous)


def _facts(running: Staged) -> str:
    scenario = running.scenario
    facts = {
        "name": scenario.name, "pids": dict(running.pids), "ports": list(running.ports), "expected": scenario.expected,
        "look": scenario.look,
    }
    return json.dumps(facts) + "\n"


def _hold(hold_s: float | None) -> int:
    """Sleep in short steps: a signal just before a sleep is answered only after it."""
    end_s = time.monotonic() + (LONGEST_HOLD_S if hold_s is None else hold_s)
    while (left_s := end_s - time.monotonic()) > 0:
        time.sleep(min(left_s, STEP_S))
    return 0


def _leave(_number: int, _frame: object) -> None:
    raise SystemExit(0)


def _seconds(text: str) -> float:
    number = text.rstrip("ms")
    try:
        value = float(number) * UNITS[text[len(number):]]
    except (ValueError, KeyError):
        raise argparse.ArgumentTypeError(f"'{text}' is no time: 30s, 500ms, 2m") from None
    if not 0 < value <= LONGEST_HOLD_S:
        raise argparse.ArgumentTypeError(f"'{text}' must be above 0 and at most an hour")
    return value
