"""The house keeps its shape: floors import only downwards, files and functions stay small, outside text has one door."""

from __future__ import annotations

import ast
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "sockscope"
FILES = sorted(PACKAGE.rglob("*.py"))
LONGEST_FILE = 500
LONGEST_FUNCTION = 60


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def test_floors_import_only_downwards():
    """import-linter's contracts in pyproject.toml hold; they see imports inside functions too."""
    linter = Path(sysconfig.get_path("scripts")) / "lint-imports"
    done = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_fit(path: Path):
    """No file over 500 lines, no function over 60."""
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= LONGEST_FILE
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(parse(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION
    ]
    assert not long


def test_only_the_thread_boundary_catches_everything():
    """A catch-all hides bugs; only the feed's threads may have one, and they deliver what they caught."""
    found = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in FILES
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or getattr(node.type, "id", "") in {"Exception", "BaseException"})
    ]
    assert [place for place in found if not place.startswith("feed/")] == []


def test_no_screen_parses_markup():
    """A process may be called `evil[/x]`: nothing in tui/ builds text by parsing markup."""
    found = [
        f"{path.relative_to(PACKAGE)}: {word}"
        for path in (PACKAGE / "tui").rglob("*.py")
        for word in ("from_markup", "markup=True")
        if word in path.read_text(encoding="utf-8")
    ]
    assert found == []


def test_nothing_below_the_command_line_prints():
    """cli owns stdout and stderr (the lab is a wing of its own)."""
    found = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in FILES
        if path.relative_to(PACKAGE).parts[0] not in {"cli", "cli.py", "lab"}
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
    ]
    assert found == []


def test_package_imports_on_every_module():
    """Each module can be imported on its own, first: no hidden order, no cycle."""
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in FILES
        if path.name != "__main__.py" and "lab" not in path.parts
    ]
    script = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    for key in [k for k in sys.modules if k.split('.')[0] == 'sockscope']:\n"
        "        del sys.modules[key]\n"
        "    importlib.import_module(name)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, *names], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
