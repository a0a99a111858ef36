"""Lines of /proc/PID/task/TID/syscall and status: a Call or None, and whatever it is, a judgement of it."""

from __future__ import annotations

from sockscope.kernel.proc_stat import StatRecord
from sockscope.kernel.threads import judge, parse_switches, parse_syscall

TOKENS = (b"running\n", b"-1 ", b" 0x7ffd1bf88e80", b"\nvoluntary_ctxt_switches:\t", b"\nnonvoluntary_ctxt_switches:\t", b"_")
_ASLEEP = StatRecord(b"x", "S", 1, 0, 1, 1)


def check(data: bytes) -> None:
    """Parse one line."""
    call = parse_syscall(data)
    if call is not None:
        assert call.number is None or call.number >= -1
        assert len(call.arguments) in (0, 6)
        assert all(0 <= argument < 1 << 64 for argument in call.arguments), call
    for state in "SDR":
        for wchan in (None, "ep_poll", "poll_schedule_timeout"):
            name, source, arguments = judge(_ASLEEP._replace(state=state), call, wchan)
            assert source in (None, "syscall", "wchan")
            assert arguments is None or (call is not None and arguments == call.arguments)
            assert name is None or name.isascii()
    switches = parse_switches(data)
    assert switches is None or all(0 <= number < 1 << 64 for number in switches)
