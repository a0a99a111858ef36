"""What is new, different or gone between two snapshots: by identity first, since unchanged values are shared."""

from __future__ import annotations

from sockscope.analysis.memory import difference as compare

__all__ = ["compare"]
