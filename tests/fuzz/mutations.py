"""Mutated inputs without a fuzzer: the same ones on every machine, so that what CI sees can be seen again.

Only `Random.random` is used: Python promises its sequence for a seed, and that of no other method.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

LONGEST = 2048  # bytes
_INTERESTING = (0, 1, 4, 9, 10, 13, 16, 27, 32, 127, 128, 155, 254, 255)


def mutated(seeds: Sequence[bytes], tokens: Sequence[bytes], name: str, count: int) -> Iterator[bytes]:
    """Yield `count` inputs, each one to six changes away from a seed."""
    random = Random(name)
    for _ in range(count):
        data = bytearray(_pick(random, seeds) if seeds else b"")
        for _ in range(1 + _below(random, 6)):
            _change(random, data, seeds, tokens)
            del data[LONGEST:]
        yield bytes(data)


def _change(random: Random, data: bytearray, seeds: Sequence[bytes], tokens: Sequence[bytes]) -> None:
    at = _below(random, len(data) + 1)
    length = 1 + _below(random, 1 << _below(random, 8))
    what = _below(random, 9)
    if what == 0 and at < len(data):
        data[at] ^= 1 << _below(random, 8)
    elif what == 1 and at < len(data):
        data[at] = _INTERESTING[_below(random, len(_INTERESTING))]
    elif what == 2 and at < len(data):
        data[at] = _below(random, 256)
    elif what == 3:
        del data[at:at + length]
    elif what == 4:
        data[at:at] = bytes(_below(random, 256) for _ in range(min(length, 16)))
    elif what == 5:  # a piece once more, elsewhere
        start = _below(random, len(data) + 1)
        data[at:at] = data[start:start + length]
    elif what == 6 and seeds:  # the rest of another seed
        other = _pick(random, seeds)
        data[at:] = other[_below(random, len(other) + 1):]
    elif what == 7 and at < len(data):  # the same byte many times: digits too long, brackets too deep
        data[at:at] = data[at:at + 1] * (length * 8)
    elif tokens:
        token = _pick(random, tokens)
        if _below(random, 2):
            data[at:at + len(token)] = token
        else:
            data[at:at] = token


def _below(random: Random, bound: int) -> int:
    return int(random.random() * bound)


def _pick(random: Random, choices: Sequence[bytes]) -> bytes:
    return choices[_below(random, len(choices))]
