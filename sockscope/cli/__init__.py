"""The command line: the only owner of stdout, stderr and exit codes.

The live screens are imported in the one branch that needs them: `--json` imports neither textual nor rich.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

if os.name == "posix" and os.geteuid() == 0:
    # Root must not leave bytecode behind in a user's installation.
    sys.dont_write_bytecode = True

if "msgspec" not in sys.modules and "typing_extensions" not in sys.modules:
    # msgspec asks it for what typing has had since 3.11, and it loads inspect, ast and dis: 10 ms of every one-shot.
    sys.modules["typing_extensions"] = None  # type: ignore[assignment]  # "not there" to whoever imports it now
    try:
        import msgspec  # noqa: F401
    finally:
        del sys.modules["typing_extensions"]

from sockscope.cli.errors import CANNOT_READ, FOUND, INTERRUPTED, USAGE, CannotReadError, UsageError, say
from sockscope.model.source import SourceLostError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code. Errors are one line on stderr, never a traceback."""
    words = list(sys.argv[1:] if argv is None else argv)
    was_collecting = gc.isenabled()
    gc.disable()  # nothing that is imported becomes garbage; what goes on for longer turns it on again
    try:
        code = _run(words)
    except UsageError as error:
        say(str(error))
        code = USAGE
    except (CannotReadError, SourceLostError) as error:
        say(str(error))
        code = CANNOT_READ
    except BrokenPipeError:  # `| head` has seen enough
        code = FOUND
    except KeyboardInterrupt:
        code = INTERRUPTED
    finally:
        if was_collecting and argv is not None:  # else the process ends, and one collection would cost 3 ms
            gc.enable()
    code = _finish(code)
    if argv is None and "sockscope.cli.oneshot" in sys.modules:
        with suppress(OSError, ValueError, AttributeError):  # closed, or none
            sys.stderr.flush()
        os._exit(code)  # everything is written and given back: taking 10,000 sockets apart would cost 10 ms more
    return code


def _run(words: list[str]) -> int:
    if words[:1] == ["lab"]:
        gc.enable()
        from sockscope.cli.staging import run_staged  # noqa: PLC0415  # the lab's wing opens only when asked for

        return run_staged(words[1:])
    if words[:1] == ["doctor"]:
        gc.enable()
        from sockscope.cli.doctor import run_doctor  # noqa: PLC0415  # reads what nobody else needs

        return run_doctor(words[1:])
    from sockscope.cli.command import run  # noqa: PLC0415  # the lab and doctor need no parser

    return run(words)


def _finish(code: int) -> int:
    """Flush; what cannot be delivered any more must not end in a traceback when the interpreter closes."""
    if sys.stdout is None:
        return code
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_the_rest()
    except (OSError, ValueError) as error:
        if code != CANNOT_READ:  # else it was said already
            say(f"cannot write: {error.strerror if isinstance(error, OSError) else error}")
        code = CANNOT_READ
        _discard_the_rest()
    return code


def _discard_the_rest() -> None:
    """Let what is still buffered go nowhere: the interpreter flushes once more at its end."""
    with suppress(OSError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)
