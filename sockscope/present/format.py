"""Numbers, durations, endpoints and states as people read them: decimal prefixes, ss's short words."""

from __future__ import annotations

from sockscope.model.names import Names
from sockscope.model.process import Process
from sockscope.model.snapshot import Snapshot
from sockscope.model.socket import Endpoint, Socket
from sockscope.model.verdict import Move
from sockscope.present.text import sanitise

UNKNOWN = "?"
NOT_APPLICABLE = "–"
_WILDCARDS = {"0.0.0.0": "*", "": "*"}  # noqa: S104  # shown, not bound

_STATES = {
    "ESTABLISHED": "ESTAB", "SYN_RECV": "SYN-RECV", "SYN_SENT": "SYN-SENT", "FIN_WAIT1": "FIN-WAIT-1",
    "FIN_WAIT2": "FIN-WAIT-2", "FIN_WAIT_1": "FIN-WAIT-1", "FIN_WAIT_2": "FIN-WAIT-2", "CLOSE_WAIT": "CLOSE-WAIT",
    "LAST_ACK": "LAST-ACK", "TIME_WAIT": "TIME-WAIT", "NEW_SYN_RECV": "SYN-RECV",
}
_PARTIES = {"app": "app", "peer": "peer", "network": "net", "none": "", "unknown": UNKNOWN}


def size(number: int) -> str:
    """Return at most four characters for anything a queue can hold: 412, 9.6K, 212K, 2.5M."""
    if number < 1000:
        return str(number)
    scaled = float(number)
    for prefix in "KMGTPE":
        scaled /= 1000
        if scaled < 9.95:
            return f"{scaled:.1f}".removesuffix(".0") + prefix
        if scaled < 999.5 or prefix == "E":
            return f"{scaled:.0f}{prefix}"
    raise AssertionError(number)  # the loop ends at E


def count(number: int) -> str:
    """With thousands told apart: 10,412."""
    return f"{number:,}"


def byte_count(number: int | None) -> str:
    """Exact, with its unit: 212,004 B."""
    return UNKNOWN if number is None else f"{number:,} B"


def duration(seconds: float) -> str:
    """Return at most four characters: <1s, 12s, 4m, 2h, 3d, 2y."""
    if seconds < 1:
        return "<1s"
    for length, unit in ((60, "s"), (60, "m"), (48, "h"), (730, "d")):
        if seconds < length:
            return f"{int(seconds)}{unit}"
        seconds /= 24 if unit == "h" else 365 if unit == "d" else 60
    return f"{int(seconds)}y"


def age(move: Move) -> str:
    """How long it has been so, `≥` where that is a lower bound; "" where unknown."""
    if not move.since_s or (move.at_least and move.since_s < 1):
        return ""  # 0: just seen for the first time, or moving this instant
    return ("≥" if move.at_least else "") + duration(move.since_s)


def party(move: Move) -> str:
    """app, peer, net; `app?` where nothing proves it; "" for nobody."""
    word = _PARTIES.get(move.party, move.party)
    return word + "?" if move.condition == "unverified" and move.party in ("app", "peer", "network") else word


def state_word(state: str) -> str:
    """Return the state as `ss` writes it."""
    return _STATES.get(state) or state.replace("_", "-")


def state(socket: Socket) -> str:
    """Return what the State column says: TCP's and unix streams' states, the protocol for what has none."""
    if socket.protocol in ("tcp", "mptcp") or (socket.family == "unix" and socket.type != "dgram"):
        return state_word(socket.state)
    word = socket.type if socket.family == "unix" else socket.protocol
    return f"{word} ESTAB" if socket.state == "ESTABLISHED" and socket.is_inet else word


def address(text: str, names: Names | None = None) -> str:
    """Return an address or, where one was looked up, its host's name; IPv6 in brackets; a v4-mapped one as IPv4."""
    if text in _WILDCARDS:
        return _WILDCARDS[text]
    if names is not None and text in names.hosts:
        return sanitise(names.hosts[text], 64)
    plain = text.removeprefix("::ffff:") if "." in text else text
    return f"[{plain}]" if ":" in plain else plain


def port(number: int | None, protocol: str = "tcp", names: Names | None = None) -> str:
    """Return the number or, where one was looked up, its service; `*` for any."""
    if number is None:
        return ""
    if names is not None and (protocol, number) in names.services:
        return sanitise(names.services[(protocol, number)], 20)
    return str(number) if number else "*"


def endpoint(end: Endpoint | None, protocol: str = "tcp", names: Names | None = None) -> str:
    """`127.0.0.1:80`, `[::1]:80`, `*:80`, a path, `@abstract`; "" for none or an unnamed one."""
    if end is None:
        return ""
    if end.path is not None:
        return ("@" if end.abstract else "") + sanitise(end.path, 512)
    if end.port is None:
        return address(end.address, names) if end.address else ""
    return f"{address(end.address, names)}:{port(end.port, protocol, names)}"


def five_tuple(socket: Socket) -> str:
    """`tcp 127.0.0.1:3000 127.0.0.1:41022`: for copying, never shortened or named."""
    ends = [endpoint(socket.local) or f"inode:{UNKNOWN if socket.told_inode is None else socket.inode}"]
    if socket.remote is not None:
        ends.append(endpoint(socket.remote))
    elif socket.peer_inode:
        ends.append(f"inode:{socket.peer_inode}")
    return " ".join([socket.protocol, *ends])


def process_name(process: Process | None) -> str:
    """Return the process's own name (comm), safe to show."""
    return UNKNOWN if process is None or process.name is None else sanitise(process.name, 64)


def user(uid: int | None, names: Names) -> str:
    """Return the user's name where it was looked up, else the number."""
    if uid is None:
        return UNKNOWN
    return sanitise(names.users[uid], 32) if uid in names.users else str(uid)


def percent(fraction: float | None) -> str:
    """97%; `?` where unknown."""
    return UNKNOWN if fraction is None else f"{fraction * 100:.0f}%"


def holder_count(snapshot: Snapshot, socket: Socket) -> int:
    """How many processes have it open."""
    return len({holder.pid for holder in snapshot.holders_of(socket)})
