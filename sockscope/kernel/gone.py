"""Which errors say that what was asked about has ended meanwhile: no loss. Any other one is, and must be told."""

from __future__ import annotations

import errno

_GONE = frozenset({errno.ENOENT, errno.ESRCH, errno.EBADF, errno.ESTALE})


def is_gone(error: OSError) -> bool:
    """Whether the process, thread, fd or row is no more."""
    return error.errno in _GONE
