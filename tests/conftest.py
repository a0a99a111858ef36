"""Puts tests/ on the path, so that `builders` and `field.servers` can be imported from any test."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

# A shell that starts us in the background without job control has SIGINT and SIGQUIT ignored, nohup SIGHUP, and every
# child would inherit that: the tests send them to children of theirs, which must then be able to hear them.
for number in (signal.SIGQUIT, signal.SIGHUP):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
