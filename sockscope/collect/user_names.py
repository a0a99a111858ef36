"""Names of users, which every one-shot shows; apart from the other names, which need threads (2 ms to import)."""

from __future__ import annotations

import pwd
from collections.abc import Iterable


def look_up_users(uids: Iterable[int]) -> dict[int, str]:
    """Names of these users, those that have one. Blocks: one-shot output only."""
    return {uid: name for uid in set(uids) if (name := user_name(uid)) is not None}


def user_name(uid: int) -> str | None:
    """Look the user's name up by NSS (getpwuid(3))."""
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError, OSError):
        return None


def is_user(name: str) -> bool:
    """Whether somebody has this name here, in any case of letters. Blocks likewise."""
    for spelling in (name, name.lower()):
        try:
            pwd.getpwnam(spelling)
        except (KeyError, OSError, ValueError):  # ValueError: a NUL in it
            continue
        return True
    return False
