"""The one error parsers of kernel text and bytes raise; their callers make a gap of it."""

from __future__ import annotations


class MalformedError(ValueError):
    """What the kernel (or something that looks like it) sent has not the documented shape."""
