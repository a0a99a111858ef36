"""What cannot be right is refused with one line that says what would be; what is not there is said once."""

from __future__ import annotations

import os

import pytest
from live.lesser import python_for_all, run_sockscope

from sockscope.cli import main

REFUSED = {
    ("-i", "@::1"): "-i: an IPv6 address needs brackets, as in @[::1]:80: '@::1'",
    ("-itcp@fe80::1:80",): "-i: an IPv6 address needs brackets, as in @[::1]:80: 'tcp@fe80::1:80'",
    ("-i", ":"): "-i: a port is missing after : in ':'",
    ("-i@:80",): "-i: an address is missing after @ in '@:80'",
    ("--once", "--theme", "nosuch"): "--theme: 'nosuch' is no theme; allowed: ",
    ("--json", "--theme", "nosuch"): "--theme: 'nosuch' is no theme; allowed: ",
    ("--once", "--user", "no such user"): "--user: 'no such user' is no user here; allowed: a name or a uid",
}


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_refused_by_name(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(list(words)) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"sockscope: {REFUSED[words]}")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("words", [("--user", "root"), ("--user", "ROOT,4294967294"), ("-i", "@[::1]")])
def test_taken(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", *words]) in (0, 1)
    assert capsys.readouterr().out.startswith("{")


@pytest.mark.parametrize("words", [(), ("--json",), ("--csv",)])
def test_a_process_that_is_not_there_is_said_once(words: tuple[str, ...], capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--once", *words, "-p", "4194303"]) == 1
    assert capfd.readouterr().err == "sockscope: no process 4194303\n"


def test_a_process_that_may_not_be_read_is_said_once() -> None:
    if os.geteuid() != 0 or python_for_all() is None:
        pytest.skip("needs root to become nobody, and a python that nobody may start")
    done = run_sockscope("--once", "-p", str(os.getpid()), rights=())
    assert done.returncode == 1
    assert done.stderr == f"sockscope: the open files of process {os.getpid()} may not be read; see sockscope doctor\n"
