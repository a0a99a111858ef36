"""Puts tests/ on the path, so that `builders` and `field.servers` can be imported from any test."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
