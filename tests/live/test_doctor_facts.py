"""doctor's facts are what is so: as root everything that works works, as nobody what is refused is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sockscope.collect.capabilities import held_capabilities, read_capabilities


def test_tables_answer_here() -> None:
    found = {fact.name: fact for fact in read_capabilities()}
    assert found["sock_diag tcp"].works
    assert found["sock_diag unix"].works
    assert {fact.area for fact in found.values()} == {
        "tables", "families", "owners", "details", "rights", "namespaces",
    }
    assert all(fact.detail for fact in found.values())


def test_rights_are_those_of_the_process() -> None:
    rights = {fact.name for fact in read_capabilities() if fact.area == "rights" and fact.works}
    assert rights == held_capabilities()


def test_nobody_is_told_what_is_missing_and_how_to_get_it() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to become nobody")
    script = (
        "import json\n"
        "from sockscope.collect.capabilities import read_capabilities\n"
        "print(json.dumps([[f.name, f.works, f.remedy] for f in read_capabilities()]))\n"
    )
    done = subprocess.run(
        ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", sys.executable, "-c", script],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    found = {name: (works, remedy) for name, works, remedy in json.loads(done.stdout)}
    assert found["sock_diag tcp"][0]
    works, remedy = found["open files of other processes"]
    assert not works
    assert remedy.startswith("sudo ")
    assert not found["CAP_SYS_PTRACE"][0]
    assert not found["BPF task_file iterator"][0]
