"""Code of hostile targets: sizes and speeds that no sane server has (run by live.targets.target)."""

from __future__ import annotations

# A thread polls alternately the array [a a a a] and the array [b b b b] in the same memory; half of each never occurs.
CHANGING = """
libc = ctypes.CDLL(None)
class Entry(ctypes.Structure):
    _fields_ = [("fd", ctypes.c_int), ("events", ctypes.c_short), ("revents", ctypes.c_short)]
s, c = pair(); t, d = pair(); N = 512; array = (Entry * N)()
def turn():
    while True:
        for fd in (s.fileno(), t.fileno()):
            for entry in array: entry.fd, entry.events = fd, 1
            libc.poll(array, N, 1)
turning = thread(turn)
tell(tid=turning.native_id, a=s.fileno(), b=t.fileno()); stay()
"""
MANY_THREADS = """
import resource
threading.stack_size(65536)
s = listener(); gate = threading.Event()
for _ in range(999): thread(gate.wait)
thread(s.accept); tell(inode=inode(s)); stay()
"""
# COUNT eventfds in one epoll set; COUNT is defined by who runs it.
LARGE = """
import resource
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
s, c = pair(); e = select.epoll(); e.register(s, 1)
def fill(count):
    for _ in range(count): e.register(os.eventfd(0), 1)
# More than one process may have fds open is registered by children that share the set.
share = min(COUNT, hard - 64); ready, write = os.pipe(); children = []
for _ in range(-(-COUNT // share) - 1):
    children.append(os.fork())
    if not children[-1]:
        signal.alarm(120); fill(share); os.write(write, b"x"); signal.pause()
fill(share); [os.read(ready, 1) for _ in children]
thread(e.poll); tell(inode=inode(s), count=share * (1 + len(children)) + 1, set=e.fileno(), children=children); stay()
"""
