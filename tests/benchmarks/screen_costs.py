"""What the live screens cost: `python screen_costs.py [--sockets 1000,5000,10000] [--seconds 10] [--churn 200]`.

The real app on a source that churns once a second, without a terminal; from a key's arrival to the paint that answers
it. Prints medians and 95th percentiles, memory and CPU.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a script: it finds its siblings from tests/

from benchmarks.churning import Churning
from textual import events

from sockscope.tui.app import SockscopeApp
from sockscope.tui.options import TuiOptions
from sockscope.tui.screens.sockets import SocketsRoom

SIZE = (120, 36)
GAP_S, LONGEST_S = 0.05, 2.0


class TimedApp(SockscopeApp):
    """Tells when it last painted."""

    painted_at = 0.0

    def _display(self, screen: Any, renderable: Any) -> None:
        super()._display(screen, renderable)
        self.painted_at = time.perf_counter()


async def time_key(app: TimedApp, key: str, answer: Callable[[], object]) -> float:
    """Milliseconds from handing over the key to the first paint after `answer()` has changed."""
    before, start = answer(), time.perf_counter()
    app.post_message(events.Key(key, key if len(key) == 1 else None))  # as the driver does
    while answer() == before and time.perf_counter() - start < LONGEST_S:  # noqa: ASYNC110 (no event tells it)
        await asyncio.sleep(0.0005)
    changed_at = time.perf_counter()
    while app.painted_at < changed_at and time.perf_counter() - start < LONGEST_S:  # noqa: ASYNC110 (likewise)
        await asyncio.sleep(0.0005)
    return (time.perf_counter() - start) * 1e3


async def measure(count: int, seconds: float, churn: int) -> dict[str, float]:
    """Keys, then a query typed and taken back, while the source churns."""
    app = TimedApp(TuiOptions(interval_s=1.0), Churning(count, churn))
    keys: list[float] = []
    typed: list[float] = []
    async with app.run_test(size=SIZE) as pilot:
        while app.session.observation is None:  # noqa: ASYNC110 (no event for the first look)
            await asyncio.sleep(0.01)
        room = app.screen
        assert isinstance(room, SocketsRoom)
        cpu, wall = time.process_time(), time.perf_counter()
        while time.perf_counter() - wall < seconds:
            keys.append(await time_key(app, "j" if len(keys) % 2 == 0 else "k", lambda: room.table.cursor_key))
            await asyncio.sleep(GAP_S)
        busy = (time.process_time() - cpu) / (time.perf_counter() - wall)
        await pilot.press("slash")
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            for key in ("8", "0", "0", "1", "backspace", "backspace", "backspace", "backspace"):
                typed.append(await time_key(app, key, lambda: room.view.query))
                await asyncio.sleep(GAP_S)
    app.session.feed.close()
    return {
        "key_ms": statistics.median(keys), "key_p95_ms": statistics.quantiles(keys, n=20)[-1],
        "typed_ms": statistics.median(typed), "typed_p95_ms": statistics.quantiles(typed, n=20)[-1],
        "cpu": busy, "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main(argv: Sequence[str]) -> int:
    """Measure each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sockets", default="1000,5000,10000")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--churn", type=int, default=200)
    chosen = parser.parse_args(argv)
    print(f"screens at {SIZE[0]}x{SIZE[1]}, {chosen.churn} of the sockets replaced each second, a key every {GAP_S} s:")
    for count in map(int, chosen.sockets.split(",")):
        told = asyncio.run(measure(count, chosen.seconds, chosen.churn))
        print(
            f"  {count:7,} sockets: key to repaint {told['key_ms']:.0f} ms, p95 {told['key_p95_ms']:.0f} ms; typing "
            f"{told['typed_ms']:.0f} ms, p95 {told['typed_p95_ms']:.0f} ms; with keys {told['cpu']:.0%} of a core; "
            f"{told['rss_mib']:.0f} MiB at most so far"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
