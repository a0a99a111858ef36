"""The kernel's port filter lets exactly the ports through that were asked for."""

from __future__ import annotations

import struct
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sockscope.kernel.sock_diag import port_bytecode

PORTS = st.integers(0, 65535)
RANGES = st.lists(st.tuples(PORTS, PORTS).map(lambda pair: (min(pair), max(pair))), min_size=1, max_size=6)
JMP, S_GE, S_LE, D_GE, D_LE = 1, 2, 3, 4, 5


def run(program: bytes, source: int, target: int) -> bool:
    """inet_diag.c inet_diag_bc_run."""
    at = 0
    while at < len(program):
        code, yes, no = struct.unpack_from("=BBH", program, at)
        operand = struct.unpack_from("=BBH", program, at + 4)[2] if code != JMP else 0
        passes = {
            JMP: False, S_GE: source >= operand, S_LE: source <= operand, D_GE: target >= operand,
            D_LE: target <= operand,
        }[code]
        at += yes if passes else no
    return at == len(program)


def audit(program: bytes) -> bool:
    """inet_diag.c inet_diag_bc_audit and valid_cc: jumps stay inside, and land on the chain of `yes`."""
    chain, at = set(), 0
    while at < len(program):
        chain.add(at)
        code, yes, _ = struct.unpack_from("=BBH", program, at)
        if yes < (4 if code == JMP else 8) or yes % 4:
            return False
        at += yes
    for at in chain:
        code, _, no = struct.unpack_from("=BBH", program, at)
        left = len(program) - at
        if no < (4 if code == JMP else 8) or no > left + 4 or no % 4 or (no < left and at + no not in chain):
            return False
    return at <= len(program)


@given(RANGES, PORTS, PORTS)
def test_filter_passes_what_lies_in_a_range(ranges: Any, source: Any, target: Any) -> None:
    program = port_bytecode(ranges)
    assert audit(program)
    assert run(program, source, target) == any(low <= port <= high for low, high in ranges for port in (source, target))
