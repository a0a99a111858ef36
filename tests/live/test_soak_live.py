"""The whole app against the kernel under churn: memory with all helpers, fds and threads of our own stay flat.

25 s here; SOCKSCOPE_SOAK_S=600 makes it the ten minutes of the README.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parents[1] / "benchmarks" / "soak.py"


@pytest.mark.slow
def test_memory_fds_and_threads_stay_flat_under_churn() -> None:
    seconds = os.environ.get("SOCKSCOPE_SOAK_S", "25")
    done = subprocess.run([sys.executable, str(SOAK), seconds], capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    print(told)
    assert done.returncode == 0, (told, done.stderr[-3000:])
    assert told["looks"] > 5
    assert told["rows"][1] > 200  # there was churn to look at
