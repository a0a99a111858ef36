"""Makes any one kernel read of ours fail: lists them all by their place in the code, then lets each fail in turn.

A place is (function of ours, call, what is read, digits left out). Reads are met where Python makes them: open, read,
listdir, readlink, stat, getxattr, sockets' send and receive, raw system calls, getsockopt and ioctl of a borrowed fd.
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import errno
import marshal
import os
import random
import re
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Self

import sockscope.collect.live
from sockscope.collect import errands
from sockscope.kernel import calls, kcmp, pidfd, poll_sets, task_file

Place = tuple[str, str, str]
CODES = {name: getattr(errno, name) for name in ("EPERM", "EACCES", "ENOENT", "ESRCH", "EIO", "EMFILE", "ENOMEM")}
DATA = ("empty", "half", "garbage")  # faults of what is read, for calls that give data
GIVES_DATA = {"read", "pread", "file.read", "recv", "recv_into", "readlink", "listdir", "getxattr"}
_OURS = re.compile(r"sockscope[/.](kernel|collect)[/.]")


class Faults:
    """While `installed`, notes each place read from; the one named `failing` meets `fault`."""

    def __init__(self) -> None:
        self.met: Counter[Place] = Counter()
        self.failing: Place | None = None
        self.fault = ""
        self.hits = 0
        self._paths: dict[int, str] = {}
        self._chance = random.Random(3)

    def meets(self, call: str, what: object, do: Callable[[], Any]) -> Any:
        """Do it, or fail in its stead; only calls made by our own code are met."""
        place = _place(call, what)
        if place is None:
            return do()
        self.met[place] += 1
        if place != self.failing:
            return do()
        self.hits += 1
        if self.fault in CODES:
            code = CODES[self.fault]
            raise OSError(code, os.strerror(code))
        return self._spoil(do())

    def _spoil(self, value: Any) -> Any:
        if not value:  # the end of a file stays its end
            return value
        if isinstance(value, str):
            odd = "socket:[\udc80x" if self.failing is not None and self.failing[1] == "readlink" else "\ufffd\x1b[x"
            return {"empty": "", "half": value[: len(value) // 2], "garbage": odd}[self.fault]
        if isinstance(value, list):
            return {"empty": [], "half": value[: len(value) // 2], "garbage": ["x\udc80", "99999999", "-1"]}[self.fault]
        assert isinstance(value, bytes | bytearray)
        return {
            "empty": b"", "half": bytes(value[: len(value) // 2]), "garbage": self._chance.randbytes(max(8, len(value))),
        }[self.fault]

    def spoil_into(self, got: int, buffer: memoryview) -> int:
        if self.fault == "garbage":
            buffer[:got] = self._chance.randbytes(got)
        return {"empty": 0, "half": got // 2, "garbage": got}[self.fault]

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for owner, name, made in self._replacements():
                before = getattr(owner, name)
                setattr(owner, name, made)
                stack.callback(setattr, owner, name, before)
            yield

    def _replacements(self) -> Iterator[tuple[Any, str, Any]]:
        for name in ("open", "read", "pread", "listdir", "readlink", "stat", "fstat", "getxattr", "pidfd_open"):
            yield os, name, self._wrapped(name, getattr(os, name))
        real_open, real_socket = builtins.open, socket.socket
        yield builtins, "open", lambda path, *rest, **named: self._opened(path, real_open, *rest, **named)
        yield socket, "socket", type("socket", (_Socket,), {"faults": self, "real": real_socket})
        yield sockscope.collect.live, "if_nameindex", self._wrapped("if_nameindex", socket.if_nameindex)
        for module in (calls, kcmp, pidfd, poll_sets, task_file):
            yield module, "syscall", self._wrapped_syscall(module.syscall)
        yield pidfd, "_libc", _Library(self, pidfd._libc)
        real_library = ctypes.CDLL
        yield ctypes, "CDLL", lambda *given, **named: _Library(self, real_library(*given, **named))

    def _wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            what = self._what(given, named.get("dir_fd"))
            done = self.meets(name, what, lambda: real(*given, **named))
            if name == "open" and isinstance(done, int):
                self._paths[done] = what
            return done

        return call

    def _what(self, given: tuple[Any, ...], folder: int | None) -> str:
        """The path a call is about, also where it names an fd that was opened before."""
        first = given[0] if given else ""
        if isinstance(first, int):
            return self._paths.get(first, "")
        if not isinstance(first, str):
            return ""
        return f"{self._paths.get(folder, '')}/{first}" if folder is not None else first

    def _wrapped_syscall(self, real: Callable[..., Any]) -> Callable[..., Any]:
        return lambda name, *given: self.meets(f"syscall {name}", "", lambda: real(name, *given))

    def _opened(self, path: Any, real: Callable[..., Any], *rest: Any, **named: Any) -> Any:
        file = self.meets("file", path, lambda: real(path, *rest, **named))
        return _File(self, path, file) if _place("file", path) is not None else file


class _File:
    """An open file whose reading can fail."""

    def __init__(self, faults: Faults, path: str, file: Any) -> None:
        self._faults, self._path, self._file = faults, path, file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, *given: int) -> Any:
        return self._faults.meets("file.read", self._path, lambda: self._file.read(*given))

    readall = read

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class _Socket(socket.socket):
    """A socket of ours whose calls can fail."""

    faults: Faults

    def __init__(self, *given: Any, **named: Any) -> None:
        if "fileno" not in named:
            self.faults.meets("socket", "", lambda: None)
        super().__init__(*given, **named)

    def send(self, *given: Any) -> int:
        return int(self.faults.meets("send", "", lambda: super(_Socket, self).send(*given)))

    def recv(self, *given: Any) -> bytes:
        return bytes(self.faults.meets("recv", "", lambda: super(_Socket, self).recv(*given)))

    def setsockopt(self, *given: Any) -> None:
        self.faults.meets("setsockopt", "", lambda: super(_Socket, self).setsockopt(*given))

    def recv_into(self, buffer: Any, *given: Any) -> int:
        place = _place("recv_into", "")
        if place is not None and place == self.faults.failing and self.faults.fault in DATA:
            self.faults.hits += 1
            return self.faults.spoil_into(super().recv_into(buffer, *given), buffer)
        return int(self.faults.meets("recv_into", "", lambda: super(_Socket, self).recv_into(buffer, *given)))


class _Library:
    """libc, whose functions can fail as C's do: -1 and an errno."""

    def __init__(self, faults: Faults, library: Any) -> None:
        self._faults, self._library = faults, library

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._library, name)
        if name not in ("getsockopt", "ioctl", "setns"):
            return real

        def call(*given: Any) -> int:
            try:
                return int(self._faults.meets(f"libc.{name}", "", lambda: real(*given)))
            except OSError as error:
                ctypes.set_errno(error.errno or 0)
                return -1

        return call


class InProcess:
    """Stands in for the expendable helper: the same errands, here, where their reads can be met."""

    def __init__(self) -> None:
        self.starts = 0

    def ask(self, _facet: str, _key: object, errand: str, *arguments: Any) -> Any:
        kind, value = marshal.loads(marshal.dumps(errands.answer(errand, arguments)))  # noqa: S302  # our own bytes
        if kind == "os":
            raise OSError(value, os.strerror(value))
        if kind == "identity":
            raise pidfd.IdentityError(value)
        return value

    def close(self) -> None:
        return None


def _place(call: str, what: object) -> Place | None:
    """Where our code makes this call; None when it is made by others (the standard library, the test)."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back  # type: ignore[assignment]
    if frame is None or not _OURS.search(frame.f_code.co_filename):
        return None
    module = frame.f_globals["__name__"].removeprefix("sockscope.")
    text = os.fsdecode(what) if isinstance(what, str | bytes) else ""
    return (f"{module}.{frame.f_code.co_qualname}", call, re.sub(r"\d+", "N", text))
