"""Every scenario: its name, what it shows, and what to look at. One line here makes a new file known."""

from __future__ import annotations

from typing import NamedTuple


class Scenario(NamedTuple):
    """`name` is what one types; `module` the file. `expected` is the rule that must find it, None for healthy ones.

    `look` is one paragraph of what to look at. `own_namespace`: it runs in a network namespace of its own (root).
    """

    name: str
    module: str
    title: str
    expected: str | None
    look: str
    own_namespace: bool = False


_ALL = (
    Scenario("fork-per-connection", "fork_per_connection", "a process per connection, blocking", None,
             "The server waits in accept(); each connection has a child of its own, blocked in recv() on that one "
             "socket. Three clients, three children."),
    Scenario("thread-per-connection", "thread_per_connection", "a thread per connection, blocking", None,
             "One process, one thread in accept(), and one thread in recv() for each connection."),
    Scenario("select", "select_loop", "an event loop by select()", None,
             "One thread waits in select() for all sockets at once: more connections than waiting threads."),
    Scenario("poll", "poll_loop", "an event loop by poll()", None,
             "One thread waits in poll(); its array of fds lies in the program's memory, read without stopping it."),
    Scenario("epoll-level", "epoll_level", "an event loop by epoll, level-triggered", None,
             "One thread waits in epoll_wait(); the kernel keeps the set. Level: told for as long as bytes are there."),
    Scenario("epoll-edge", "epoll_edge", "an event loop by epoll, edge-triggered, drained right", None,
             "Edge: told once per arrival. This one reads until EAGAIN each time, so the receive queue is empty."),
    Scenario("epoll-edge-missed", "epoll_edge_missed", "edge-triggered, and the drain was missed", "receive-stalled",
             "The receive queue holds bytes, the thread sleeps in epoll_wait(), and the watch is edge-triggered: the "
             "edge was spent when it read only a part. Mend: read until EAGAIN, or drop EPOLLET."),
    Scenario("oneshot-spent", "oneshot_spent", "EPOLLONESHOT that nobody armed again", "receive-stalled",
             "The watch is one-shot and fired: it is off until epoll_ctl(EPOLL_CTL_MOD). The second message waits."),
    Scenario("accept-queue-full", "accept_queue_full", "more clients than the accept queue holds", "accept-stalled",
             "The accept queue shows 8 of 7: full is backlog + 1. Further clients stay in SYN_SENT, and the listener's "
             "drops rise."),
    Scenario("never-accepts", "never_accepts", "a listener that never accepts", "accept-stalled",
             "Five ESTABLISHED rows without any process: the kernel shook hands, the program did not call accept()."),
    Scenario("slow-reader", "slow_reader", "a reader that does not read (zero window)", "receive-stalled",
             "The reader's receive buffer is full, so its window is 0 and the writer's send buffer is full too. It is "
             "the reader's move at both ends."),
    Scenario("low-water-mark", "low_water_mark", "bytes below SO_RCVLOWAT", "receive-stalled",
             "10,000 B queued, mark 50,000 B: poll() says not readable. Both sides wait."),
    Scenario("io-uring", "io_uring", "requests handed to the kernel (io_uring)", None,
             "One thread sleeps in io_uring_enter(); accept and recv are pending in the ring. No epoll set, no thread "
             "waits on a socket: the kernel does not tell which request waits on which."),
    Scenario("notsent-mark", "notsent_mark", "TCP_NOTSENT_LOWAT keeps the queue short", None,
             "The send buffer is nearly empty, yet poll() says not writable: unsent bytes are above half the mark."),
    Scenario("udp-overflow", "udp_overflow", "datagrams thrown away", "udp-drops",
             "The UDP receive queue is full and `drops` rises by 180 a second: UDP has no window to close."),
    Scenario("unix-stream", "unix_stream", "a unix stream, healthy", None,
             "One buffer per direction, charged to the writer: the reader's fill is the writer's send buffer."),
    Scenario("unix-stuck", "unix_stuck", "a unix stream whose reader sleeps", "receive-stalled",
             "The writer is blocked in sendto(): its own buffer is charged full with what the other has not read."),
    Scenario("unix-dgram", "unix_dgram", "unix datagrams, healthy", None,
             "The queue is counted in messages (net.unix.max_dgram_qlen); a full one blocks the sender."),
    Scenario("close-wait-leak", "close_wait_leak", "sockets never closed", "close-wait-leak",
             "CLOSE_WAIT rises: the clients are gone, the server keeps their fds. No timeout ends this."),
    Scenario("half-open", "half_open", "handshakes that are never finished", None,
             "SYN_RECV rows without owner: the SYN queue. Its limit is the listener's backlog.", own_namespace=True),
    Scenario("port-exhaustion", "port_exhaustion", "ephemeral ports running out", "port-exhaustion",
             "196 of 200 local ports are taken towards one remote; the next connect() fails with EADDRNOTAVAIL.",
             own_namespace=True),
    Scenario("thundering-herd", "thundering_herd", "one connection wakes eight workers", "thundering-herd",
             "Eight epoll sets watch one listener, none exclusive: the workers wake far more often than they accept."),
    Scenario("fd-limit", "fd_limit", "a program out of file descriptors", "accept-stalled",
             "64 of 64 fds are open, accept() fails with EMFILE, and the accept queue stands."),
)
SCENARIOS: dict[str, Scenario] = {scenario.name: scenario for scenario in _ALL}
