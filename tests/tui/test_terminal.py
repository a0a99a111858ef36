"""However the live view ends, the terminal is left as it was: on a real pseudo-terminal, with real sockets."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable

import pytest

RUN = "import sys; from sockscope.tui.app import run_app; from sockscope.tui.options import TuiOptions; "
PLAIN = RUN + "sys.exit(run_app(TuiOptions()))"
FAILING = RUN + (
    "from sockscope.tui.screens.sockets import SocketsRoom\n"
    "def fail(self): raise ValueError('on purpose')\n"
    "SocketsRoom.action_reverse = fail\n"
    "sys.exit(run_app(TuiOptions()))"
)


class Terminal:
    """A child on a pseudo-terminal, and everything it wrote."""

    def __init__(self, code: str) -> None:
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, 80))
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        environment = {**os.environ, "TERM": "xterm-256color", "HOME": "/nonexistent", "XDG_STATE_HOME": "/nonexistent"}
        self.child = subprocess.Popen(
            [sys.executable, "-c", code], stdin=slave, stdout=slave, stderr=slave, env=environment,
        )
        self.output = b""

    def read_until(self, is_enough: Callable[[], bool], limit_s: float = 30.0) -> None:
        end_s = time.monotonic() + limit_s
        while not is_enough():
            assert time.monotonic() < end_s, self.output[-400:]
            if select.select([self.master], [], [], 0.05)[0]:
                self.output += os.read(self.master, 65_536)

    def wait(self) -> int:
        self.read_until(lambda: self.child.poll() is not None)
        while select.select([self.master], [], [], 0.05)[0]:
            self.output += os.read(self.master, 65_536)
        return self.child.returncode

    def is_clean(self) -> bool:
        """Main screen, cursor shown, mouse off, line mode as before."""
        output = self.output
        return (
            output.rindex(b"\x1b[?1049l") > output.rindex(b"\x1b[?1049h")
            and output.rindex(b"\x1b[?25h") > output.rindex(b"\x1b[?25l")
            and output.rindex(b"\x1b[?1000l") > output.rindex(b"\x1b[?1000h")
            and termios.tcgetattr(self.slave) == self.before
        )

    def close(self) -> None:
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def start():
    made: list[Terminal] = []

    def begin(code: str) -> Terminal:
        terminal = Terminal(code)
        made.append(terminal)
        terminal.read_until(lambda: b"listening" in terminal.output and b" ms" in terminal.output)
        return terminal

    yield begin
    for terminal in made:
        terminal.close()


@pytest.mark.parametrize("keys", [b"q", b"\x03", b"\x11"])
def test_quitting_leaves_the_terminal_clean(start, keys):
    terminal = start(PLAIN)
    os.write(terminal.master, keys)
    assert terminal.wait() == 0
    assert terminal.is_clean()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_clean(start, number):
    terminal = start(PLAIN)
    terminal.child.send_signal(number)
    assert terminal.wait() == 128 + number
    assert terminal.is_clean()


def test_an_exception_leaves_the_terminal_clean_and_is_told(start):
    terminal = start(FAILING)
    os.write(terminal.master, b"S")
    assert terminal.wait() == 1
    assert terminal.is_clean()
    assert b"on purpose" in terminal.output


def test_a_terminal_that_is_gone_ends_it():
    """A real hangup: the session's terminal is closed at its other end, and the kernel sends SIGHUP and SIGCONT."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    code = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n" + PLAIN
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color", "HOME": "/nonexistent", "XDG_STATE_HOME": "/nonexistent"},
    )
    try:
        os.close(slave)
        output = b""
        end_s = time.monotonic() + 30
        while b"listening" not in output:
            assert time.monotonic() < end_s, output[-400:]
            if select.select([master], [], [], 0.05)[0]:
                output += os.read(master, 65_536)
        os.close(master)
        assert child.wait(30) == 128 + signal.SIGHUP
    finally:
        child.kill()
        child.wait()
