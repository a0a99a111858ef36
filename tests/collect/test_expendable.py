"""The helper process: started when needed, left behind when silent, off after too many losses, gone with its parent."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from live.targets import wait_for

from sockscope.collect.expendable import MOST_RESTARTS, QUARANTINE_S, Expendable, NotAnsweredError
from sockscope.kernel.pidfd import IdentityError

ROOT = Path(__file__).parents[2]


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def helper(clock: Clock) -> Iterator[Expendable]:
    made = Expendable(silence_s=0.2, clock=clock)
    yield made
    made.close()


def silence(helper: Expendable, facet: str, key: str) -> str:
    """Ask a helper that is stopped just before; gives the gap's reason."""
    helper.ask("warm", "up", "hello")
    os.kill(helper._pid, signal.SIGSTOP)
    with pytest.raises(NotAnsweredError) as refused:
        helper.ask(facet, key, "hello")
    return refused.value.gap.reason


def test_it_starts_on_first_use_and_only_once(helper: Expendable) -> None:
    assert helper.starts == 0
    for _ in range(3):
        assert helper.ask("tcp_info", "key", "hello") is None
    assert helper.starts == 1


def test_the_kernel_s_refusals_come_back_as_they_are(helper: Expendable) -> None:
    with pytest.raises(FileNotFoundError):
        helper.ask("memory", "key", "read", "/proc/self/no-such-file")
    with pytest.raises(PermissionError):
        helper.ask("memory", "key", "read", "/etc/passwd")  # it reads /proc only
    near, far = socket.socketpair()
    with near, far:
        inode = os.fstat(near.fileno()).st_ino
        assert helper.ask("marks", "key", "marks", os.getpid(), near.fileno(), inode, None, False)[0] == 1
        with pytest.raises(IdentityError):
            helper.ask("marks", "key", "marks", os.getpid(), near.fileno(), inode + 1, None, False)
        with pytest.raises(IdentityError):
            helper.ask("marks", "key", "marks", os.getpid(), near.fileno(), inode, 12345, False)
    assert helper.starts == 1


def test_a_silent_one_is_left_behind_and_its_key_is_let_alone_for_a_minute(helper: Expendable, clock: Clock) -> None:
    assert silence(helper, "tcp_info", "stuck") == "timed_out"
    assert helper.ask("tcp_info", "other", "hello") is None
    assert helper.ask("marks", "stuck", "hello") is None  # another facet of the same socket may be read
    starts = helper.starts
    with pytest.raises(NotAnsweredError):
        helper.ask("tcp_info", "stuck", "hello")
    assert helper.starts == starts
    clock.now_s += QUARANTINE_S + 1
    assert helper.ask("tcp_info", "stuck", "hello") is None


def test_after_too_many_losses_the_facet_is_off_and_only_that(helper: Expendable) -> None:
    for place in range(MOST_RESTARTS + 1):
        assert silence(helper, "tcp_info", f"stuck {place}") == "timed_out"
    with pytest.raises(NotAnsweredError) as refused:
        helper.ask("tcp_info", "healthy", "hello")
    assert refused.value.gap.reason == "off" and refused.value.gap.what == "tcp_info"
    assert helper.ask("marks", "healthy", "hello") is None


def test_one_that_died_while_idle_is_replaced_without_a_word(helper: Expendable) -> None:
    helper.ask("tcp_info", "key", "hello")
    first = helper._pid
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    assert helper.ask("tcp_info", "key", "hello") is None
    assert helper._pid != first


def test_it_may_be_asked_from_a_thread_that_did_not_start_it(helper: Expendable) -> None:
    """PR_SET_PDEATHSIG means the thread that started it, so its end ends the helper; the next question starts one."""
    thread = threading.Thread(target=helper.ask, args=("tcp_info", "key", "hello"))
    thread.start()
    thread.join()
    assert helper.ask("tcp_info", "key", "hello") is None


def test_closed_it_answers_no_more_and_leaves_no_process(helper: Expendable) -> None:
    helper.ask("tcp_info", "key", "hello")
    pid = helper._pid
    helper.close()
    helper.close()
    with pytest.raises(NotAnsweredError):
        helper.ask("tcp_info", "key", "hello")
    wait_for(lambda: is_reaped(helper, pid))


def is_reaped(helper: Expendable, pid: int) -> bool:
    helper.close()
    return not Path(f"/proc/{pid}").exists()


def test_it_dies_with_its_parent_even_stopped() -> None:
    code = """
import os, signal, sys
from sockscope.collect.expendable import Expendable
helper = Expendable(); helper.ask("a", "b", "hello")
print(helper._pid, flush=True); os.kill(helper._pid, signal.SIGSTOP); sys.stdin.read()
"""
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout is not None and parent.stdin is not None
    pid = int(parent.stdout.readline())
    assert Path(f"/proc/{pid}").exists()
    parent.kill()
    parent.communicate()
    wait_for(lambda: not Path(f"/proc/{pid}").exists() or b") Z " in Path(f"/proc/{pid}/stat").read_bytes())


def test_it_takes_nothing_from_the_environment_or_the_current_folder(tmp_path: Path) -> None:
    """As root it must not run what lies in somebody's folder."""
    (tmp_path / "socket.py").write_text("raise SystemExit('taken')", encoding="ascii")
    code = (
        "from sockscope.collect.expendable import Expendable\nimport os\n"
        f"os.chdir({str(tmp_path)!r}); os.environ['PYTHONPATH'] = {str(tmp_path)!r}\n"
        "helper = Expendable(); print(helper.ask('a', 'b', 'hello')); helper.close()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "None\n", done.stderr


def test_it_needs_nothing_but_the_standard_library() -> None:
    """msgspec alone would cost a third of its start."""
    code = "import sys; sys.path.append(sys.argv[1]); import sockscope.collect.errands; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(ROOT)], capture_output=True, text=True, check=True
    )
    assert not {"msgspec", "psutil", "textual", "subprocess"} & set(done.stdout.split())
