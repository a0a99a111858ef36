"""Every parser keeps its promise on its seeds and on some thousand mutations of them, the same ones in every run."""

from __future__ import annotations

import pytest
from fuzz.mutations import mutated
from fuzz.target import NAMES, load, seed_folder, seeds_of

MUTATIONS = 2500  # a target: all of them take some ten seconds
LARGEST_SEED = 20 * 1024


@pytest.mark.parametrize("name", NAMES)
def test_promises_hold_on_seeds_and_their_mutations(name: str) -> None:
    target, seeds = load(name), seeds_of(name)
    assert seeds
    with target.around():
        for data in (b"", *seeds, *mutated(seeds, target.tokens, name, MUTATIONS)):
            try:
                target.check(data)
            except BaseException as error:
                error.add_note(f"input of {name}: {data!r}")
                raise


def test_seeds_are_small_and_belong_to_a_target() -> None:
    folders = {path.name for path in seed_folder("").iterdir()}
    assert folders == set(NAMES)
    for name in NAMES:
        assert max(map(len, seeds_of(name))) <= LARGEST_SEED


def test_mutations_are_the_same_every_time() -> None:
    once, again = (list(mutated([b"one", b"two"], [b"!"], "name", 200)) for _ in range(2))
    assert once == again and len(set(once)) > 100
