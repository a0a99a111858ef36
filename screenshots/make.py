"""`make screenshots`: start the town of stage.py, look at it with the real program, save pictures beside this file."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import NamedTuple

from stage import staged

from sockscope.collect.sources import open_source
from sockscope.model.snapshot import Scope
from sockscope.tui.app import SockscopeApp
from sockscope.tui.options import TuiOptions

HERE = Path(__file__).parent
LOOKS = 14  # a stalled queue needs some refreshes to be told from a busy one


class Picture(NamedTuple):
    """One file: the options it is taken with, the keys pressed when the town has settled, and its size."""

    name: str
    options: TuiOptions
    keys: tuple[str, ...] = ()
    size: tuple[int, int] = (120, 36)


def pictures(pids: dict[str, int]) -> list[Picture]:
    """List what README shows."""
    everything = Scope()
    api = Scope(ports=((8080, 8080),))
    return [
        Picture("sockets", TuiOptions(scope=everything)),
        Picture("socket", TuiOptions(scope=everything, query="process:shop-api receive:1.."), ("j", "enter")),
        Picture("listener", TuiOptions(scope=everything, query="process:billing state:listen"), ("j", "enter")),
        Picture("port", TuiOptions(scope=api, query="port:8080", opening="port", subject=8080)),
        Picture("process", TuiOptions(scope=everything, opening="process", subject=pids["shop-api"])),
        Picture("findings", TuiOptions(scope=everything), ("f",)),
        Picture("narrow", TuiOptions(scope=everything), (), (80, 24)),
        Picture("light", TuiOptions(scope=everything, theme="textual-light")),
    ]


async def take(picture: Picture) -> None:
    """Run the app without a terminal, wait for its looks, press the keys, save the picture."""
    app = SockscopeApp(picture.options, open_source(None))
    async with app.run_test(size=picture.size) as pilot:
        await looks(app, LOOKS)
        for key in picture.keys:
            await pilot.press(key)
            await pilot.pause()
        if picture.keys:
            await looks(app, LOOKS + 4)
        app.save_screenshot(f"{picture.name}.svg", path=str(HERE))
    app.session.feed.close()


async def looks(app: SockscopeApp, number: int) -> None:
    """Wait until the app has shown that many snapshots."""
    while (seen := app.session.observation) is None or seen.snapshot.sequence < number:  # noqa: ASYNC110 (no event for it)
        await asyncio.sleep(0.1)


def main() -> int:
    """Take all of them, or those named on the command line."""
    with staged() as pids:
        for picture in pictures(pids):
            if sys.argv[1:] and picture.name not in sys.argv[1:]:
                continue
            asyncio.run(take(picture))
            sys.stdout.write(f"screenshots/{picture.name}.svg\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
