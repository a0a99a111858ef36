"""Runs sockscope with lesser rights than ours, from a copy that anybody may read, inside a target's network namespace."""

from __future__ import annotations

import atexit
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

NOBODY = 65534
ROOT = Path(__file__).parents[2]
RIGHTS: dict[str, tuple[str, ...] | None] = {
    "root": None, "nobody": (), "net_admin": ("net_admin",), "sys_ptrace": ("sys_ptrace",),
    "sys_ptrace and dac_read_search": ("sys_ptrace", "dac_read_search"),
}


def become(capabilities: Sequence[str] | None) -> list[str]:
    """The command that makes what follows it nobody's, with these capabilities only; None: root as we are."""
    if capabilities is None:
        return []
    kept = ",".join(f"+{name}" for name in capabilities)
    ambient = ["--inh-caps", kept, "--ambient-caps", kept] if kept else []
    return ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", *ambient]


@cache
def copied() -> Path:
    """The package, msgspec and the scenes in a folder that anybody may read: a clone can lie in a closed home."""
    folder = Path(tempfile.mkdtemp(prefix="sockscope-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "sockscope", folder / "sockscope", ignore=ignored)
    shutil.copytree(Path(msgspec.__file__).parent, folder / "msgspec", ignore=ignored)
    shutil.copy(Path(__file__).with_name("every_family.py"), folder)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


@cache
def python_for_all() -> str | None:
    """An interpreter of our version that nobody may start: ours can lie in a home closed to others."""
    again = "os.execv(sys.executable, [sys.executable, '-c', ''])"  # nobody itself, not setpriv, must be able to
    probe = f"import os, sys, msgspec; assert sys.version_info[:2] == {sys.version_info[:2]}; {again}"
    for path in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        if Path(path).exists():
            done = subprocess.run([*become(()), path, "-c", probe], env=environment(), cwd="/", capture_output=True,
                                  check=False)
            if done.returncode == 0:
                return path
    return None


def environment() -> dict[str, str]:
    return {"PYTHONPATH": str(copied()), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


def inside(pid: int) -> list[str]:
    """The command that runs what follows it in the network namespace of a process."""
    return ["nsenter", f"--net=/proc/{pid}/ns/net"]


def run_sockscope(
    *words: str, rights: Sequence[str] | None = None, within: int | None = None,
) -> subprocess.CompletedProcess[str]:
    """One run of the command."""
    python = python_for_all() if rights is not None else sys.executable
    assert python is not None
    prefix = inside(within) if within is not None else []
    done = subprocess.run(
        [*prefix, *become(rights), python, "-m", "sockscope", *words], env=environment(), cwd="/", capture_output=True,
        text=True, check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    return done


def document(*words: str, rights: Sequence[str] | None = None, within: int | None = None) -> dict[str, Any]:
    """What `--json` says."""
    done = run_sockscope("--json", *words, rights=rights, within=within)
    assert done.returncode in (0, 1), done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said
