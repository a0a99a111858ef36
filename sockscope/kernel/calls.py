"""Raw system calls through ctypes, for those that os lacks.

`PyDLL` keeps the interpreter's lock during the call: a borrowed fd must not wait for other threads of ours between two
calls (getting the lock back can take 5 ms and more). Only calls that cannot sleep long are made this way.
"""

from __future__ import annotations

import ctypes
import os

from sockscope.kernel.syscalls import own_number

_libc = ctypes.PyDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def syscall(name: str, *arguments: int | ctypes.Array[ctypes.c_char] | ctypes.Structure | bytes | None) -> int:
    """Give the call's result. Raises OSError with the kernel's errno, ENOSYS on a machine whose numbers are not known.

    Integers are passed as C longs: ctypes would pass them as 32-bit ints and leave the upper half undefined.
    """
    number = own_number(name)
    if number is None:
        raise OSError(38, f"{name}: no system call number known for {os.uname().machine}")
    passed = [
        ctypes.c_long(argument) if isinstance(argument, int)
        else ctypes.byref(argument) if isinstance(argument, ctypes.Structure)
        else argument
        for argument in arguments
    ]
    result: int = _libc.syscall(ctypes.c_long(number), *passed)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def current_core() -> int:
    """Tell the core that this thread runs on right now (sched_getcpu(3)); -1 where nobody knows."""
    try:
        return int(_libc.sched_getcpu())
    except AttributeError:  # a C library without it
        return -1
