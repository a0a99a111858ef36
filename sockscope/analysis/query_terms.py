"""What each field of the query language means: Term -> predicate of a socket and its observation.

A value that is unknown (None) matches no condition on it. The fields are one table, FIELDS: help, completion and the
manual page are made from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from sockscope.analysis.addresses import address_number, parse_network
from sockscope.analysis.query_parse import QueryError, Term
from sockscope.analysis.query_values import STATES, Test, number_test, parse_ports, parse_state
from sockscope.model.observation import Observation
from sockscope.model.process import Process
from sockscope.model.snapshot import Snapshot
from sockscope.model.socket import Endpoint, Socket

Predicate = Callable[[Socket, Observation], bool]
Maker = Callable[[Term, int], Predicate]
PARTIES = ("app", "peer", "network", "none", "unknown")
CONDITIONS = ("moving", "stalled", "unverified")
FAMILIES = ("inet", "inet6", "unix", "packet", "netlink", "vsock")
PROTOCOLS = ("tcp", "udp", "udplite", "mptcp", "raw", "icmp", "unix", "packet", "netlink")
TYPES = ("stream", "dgram", "raw", "seqpacket")


class Field(Struct, frozen=True):
    """One field: how its terms become predicates, what it means, and values worth completing."""

    make: Maker
    meaning: str
    samples: tuple[str, ...] = ()


def compile_term(term: Term, position: int) -> Predicate:
    """Return the predicate of one term. Raises QueryError with what would be right."""
    if not term.field:
        return _any_of([_bare(value, quoted=term.quoted) for value in term.values])
    name = ALIASES.get(term.field, term.field)
    field = FIELDS.get(name)
    if field is None:
        raise QueryError(_unknown_field(term.field), position)
    return field.make(Term(name, term.operator, term.values, term.quoted), position)


def _unknown_field(name: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415  # only to word an error

    near = get_close_matches(name, [*FIELDS, *ALIASES], 1)
    hint = f"did you mean {near[0]}?" if near else "fields: " + " ".join(FIELDS)
    return f"'{name}' is no field; {hint}  (in quotes it is text)"


def _any_of(predicates: Sequence[Predicate]) -> Predicate:
    if len(predicates) == 1:
        return predicates[0]
    return lambda socket, observation: any(each(socket, observation) for each in predicates)


def _bare(value: str, *, quoted: bool) -> Predicate:
    if quoted:
        return _text_anywhere(value)
    if value.startswith(":"):
        ports = parse_ports(value)
        if ports is not None:
            return _port_in(ports)
    elif value[:1].isdigit():
        ports = parse_ports(value)
        if value.isascii() and value.isdigit():
            return _any_of(([_port_in(ports)] if ports else []) + [_held_by(frozenset({int(value[:18])}))])
        if ports is not None:
            return _port_in(ports)
    ends = _endpoint_value(value)
    return ends if ends is not None else _text_anywhere(value)


def _endpoint_value(value: str) -> Predicate | None:
    """10.0.0.0/8, ::1, [::1]:80, 10.0.0.1:80, *:80; None for anything else."""
    network = parse_network(value)
    if network is not None:
        return _addressed(network, _both)
    host, colon, port = value.rpartition(":")
    ports = parse_ports(port) if colon and port else None
    if ports is None:
        return None
    if host == "*":
        return _port_in(ports, wildcard=True)
    network = parse_network(host)
    if network is None:
        return None
    return lambda socket, _: any(_in_network(end, network) and _in_ports(end, ports) for end in _both(socket))


# -- ends ---------------------------------------------------------------------------------------------------------

Ends = Callable[[Socket], Iterable[Endpoint]]
Ports = tuple[tuple[int, int], ...]


def _both(socket: Socket) -> tuple[Endpoint, ...]:
    return (socket.local,) if socket.remote is None else (socket.local, socket.remote)


def _local(socket: Socket) -> tuple[Endpoint, ...]:
    return (socket.local,)


def _remote(socket: Socket) -> tuple[Endpoint, ...]:
    return () if socket.remote is None else (socket.remote,)


def _in_ports(end: Endpoint, ports: Ports) -> bool:
    port = end.port
    return port is not None and any(low <= port <= high for low, high in ports)


def _in_network(end: Endpoint, network: tuple[int, int, int]) -> bool:
    number = address_number(end.address) if end.address else None
    return number is not None and number[0] == network[0] and number[1] & network[2] == network[1]


def _port_in(ports: Ports, ends: Ends = _both, *, wildcard: bool = False) -> Predicate:
    if wildcard:
        return lambda socket, _: any(
            _in_ports(end, ports) and end.address in ("0.0.0.0", "::") for end in ends(socket)  # noqa: S104
        )
    if len(ports) == 1 and ports[0][0] == ports[0][1] and ends is _both:  # the commonest, four times as fast
        wanted = ports[0][0]
        return lambda socket, _: socket.local.port == wanted or (
            socket.remote is not None and socket.remote.port == wanted
        )
    return lambda socket, _: any(_in_ports(end, ports) for end in ends(socket))


def _addressed(network: tuple[int, int, int], ends: Ends) -> Predicate:
    return lambda socket, _: any(_in_network(end, network) for end in ends(socket))


def _ports(ends: Ends) -> Maker:
    def make(term: Term, position: int) -> Predicate:
        if term.operator not in (":", "="):
            test = number_test(term.operator, term.values[0], "count", position)
            return lambda socket, _: any(end.port is not None and test(end.port) for end in ends(socket))
        ranges: list[tuple[int, int]] = []
        for value in term.values:
            ports = parse_ports(value)
            if ports is None:
                raise QueryError(f"'{value}' is no port, range or known service", position)
            ranges.extend(ports)
        return _port_in(tuple(ranges), ends)

    return make


def _addresses(ends: Ends) -> Maker:
    def make(term: Term, position: int) -> Predicate:
        _need_equality(term, position)
        return _any_of([_one_address(value, ends) for value in term.values])

    return make


def _one_address(value: str, ends: Ends) -> Predicate:
    network = parse_network(value)
    if network is not None:
        return _addressed(network, ends)
    wanted = value.lower()
    return lambda socket, observation: any(_end_has(end, wanted, observation) for end in ends(socket))


def _end_has(end: Endpoint, wanted: str, observation: Observation) -> bool:
    if end.path is not None:
        return wanted in path_text(end)
    return wanted in end.address or wanted in observation.names.hosts.get(end.address, "").lower()


def path_text(end: Endpoint) -> str:
    """Return a unix name as it is searched: lower case, `@` before an abstract one."""
    return ("@" if end.abstract else "") + (end.path or b"").decode("utf-8", "surrogateescape").lower()


# -- processes ----------------------------------------------------------------------------------------------------


def _processes(socket: Socket, observation: Observation) -> Iterable[Process]:
    table = observation.snapshot.processes
    for holder in observation.snapshot.holders_of(socket):
        process = table.get(holder.pid)
        if process is not None:
            yield process


def _held_by(pids: frozenset[int]) -> Predicate:
    return lambda socket, observation: _held(socket, observation, pids)


Pids = Callable[[Observation], frozenset[int]]


def _named(needles: Sequence[bytes]) -> Pids:
    """Find the processes once per snapshot, not once per socket: 89 -> 54 ms at 100,000 sockets."""
    memo: list[tuple[Snapshot, frozenset[int]]] = []

    def pids(observation: Observation) -> frozenset[int]:
        snapshot = observation.snapshot
        if memo and memo[0][0] is snapshot:
            return memo[0][1]
        found = frozenset(
            pid for pid, process in snapshot.processes.items()
            if process.name is not None and any(needle in process.name.lower() for needle in needles)
        )
        memo[:] = [(snapshot, found)]
        return found

    return pids


def _held(socket: Socket, observation: Observation, pids: frozenset[int]) -> bool:
    if not pids or not socket.inode:
        return False
    return any(holder.pid in pids for holder in observation.snapshot.holders.get(socket.inode, ()))


def _needle(value: str) -> bytes:
    return value.lower().encode("utf-8", "surrogatepass")


def _text_anywhere(value: str) -> Predicate:
    wanted, named = value.lower(), _named([_needle(value)])

    def matches(socket: Socket, observation: Observation) -> bool:
        if wanted == socket.protocol:
            return True
        if _held(socket, observation, named(observation)):
            return True
        if any(_end_has(end, wanted, observation) for end in _both(socket)):
            return True
        name = observation.names.users.get(socket.uid) if socket.uid is not None else None
        return name is not None and wanted == name.lower()

    return matches


def _process(term: Term, position: int) -> Predicate:
    _need_equality(term, position)
    named = _named([_needle(value) for value in term.values])
    return lambda socket, observation: _held(socket, observation, named(observation))


def _command(term: Term, position: int) -> Predicate:
    _need_equality(term, position)
    needles = [_needle(value) for value in term.values]
    return lambda socket, observation: any(
        needle in process.command.lower().replace(b"\0", b" ")
        for process in _processes(socket, observation)
        if process.command is not None
        for needle in needles
    )


def _container(term: Term, position: int) -> Predicate:
    _need_equality(term, position)
    wanted = [value.lower() for value in term.values]
    return lambda socket, observation: any(
        value in process.container.lower()
        for process in _processes(socket, observation)
        if process.container is not None
        for value in wanted
    )


def _pid(term: Term, position: int) -> Predicate:
    tests = _number_tests(term, "count", position)
    return lambda socket, observation: any(
        test(holder.pid) for holder in observation.snapshot.holders_of(socket) for test in tests
    )


def _fd(term: Term, position: int) -> Predicate:
    tests = _number_tests(term, "count", position)
    return lambda socket, observation: any(
        test(holder.fd) for holder in observation.snapshot.holders_of(socket) for test in tests
    )


def _user(term: Term, position: int) -> Predicate:
    _need_equality(term, position)
    wanted = frozenset(value.lower() for value in term.values)

    def matches(socket: Socket, observation: Observation) -> bool:
        uid = socket.uid
        if uid is None:
            return False
        name = observation.names.users.get(uid, "root" if uid == 0 else "")
        return str(uid) in wanted or name.lower() in wanted

    return matches


# -- words and numbers --------------------------------------------------------------------------------------------


def _need_equality(term: Term, position: int) -> None:
    if term.operator not in (":", "="):
        raise QueryError(f"{term.field} is no number: write {term.field}:{term.values[0]}", position)


def _wanted(term: Term, position: int, allowed: tuple[str, ...]) -> frozenset[str]:
    _need_equality(term, position)
    wanted = frozenset(value.lower().replace("_", "-") for value in term.values)
    for value in sorted(wanted - set(allowed)) if allowed else ():
        raise QueryError(f"'{value}' is no {term.field}; allowed: {' '.join(allowed)}", position)
    return wanted


def _word(get: Callable[[Socket, Observation], str | None], allowed: tuple[str, ...] = ()) -> Maker:
    def make(term: Term, position: int) -> Predicate:
        wanted = _wanted(term, position, allowed)
        return lambda socket, observation: (get(socket, observation) or "") in wanted

    return make


def _protocol(term: Term, position: int) -> Predicate:
    wanted = _wanted(term, position, PROTOCOLS)
    return lambda socket, _: socket.protocol in wanted  # -t asks every row: one call, where _word() needs two


def _state(term: Term, position: int) -> Predicate:
    _need_equality(term, position)
    wanted: set[str] = set()
    for value in term.values:
        state = parse_state(value)
        if state is None:
            raise QueryError(f"'{value}' is no state; allowed: {' '.join(STATES).lower()}", position)
        wanted |= {state, "NEW_SYN_RECV"} if state == "SYN_RECV" else {state}
    states = frozenset(wanted)
    # An idle UDP socket is CLOSE in the kernel's table; nobody who asks for closed sockets means those.
    return lambda socket, _: socket.state in states and (
        socket.state != "CLOSE" or socket.protocol in ("tcp", "mptcp") or "unconn" in term.values
    )


def _number_tests(term: Term, units: str, position: int) -> list[Test]:
    tests = []
    for value in term.values:
        operator, text = term.operator, value
        if operator == ":" and value[:1] in "<>":  # receive:>64k, as in ss
            operator = value[:2] if value[1:2] == "=" else value[:1]
            text = value[len(operator) :]
        tests.append(number_test(operator, text, units, position))
    return tests


def _number(get: Callable[[Socket, Observation], float | None], units: str) -> Maker:
    def make(term: Term, position: int) -> Predicate:
        tests = _number_tests(term, units, position)

        def matches(socket: Socket, observation: Observation) -> bool:
            number = get(socket, observation)
            return number is not None and any(test(number) for test in tests)

        return matches

    return make


def _queue(get: Callable[[Socket, Observation], float | None], fill: Callable[[Socket], float | None]) -> Maker:
    """Bytes, or with `%` the fill of the queue."""

    def make(term: Term, position: int) -> Predicate:
        if any("%" in value for value in term.values):
            plain = tuple(value.replace("%", "") for value in term.values)
            tests = _number_tests(Term(term.field, term.operator, plain), "count", position)

            def matches(socket: Socket, _: Observation) -> bool:
                full = fill(socket)
                return full is not None and any(test(full * 100) for test in tests)

            return matches
        return _number(get, "size")(term, position)

    return make


def _receive_fill(socket: Socket) -> float | None:
    from sockscope.analysis.queues import receive_fill  # noqa: PLC0415  # only a % asks for it

    return receive_fill(socket)


def _send_fill(socket: Socket) -> float | None:
    from sockscope.analysis.queues import send_fill  # noqa: PLC0415  # only a % asks for it

    return send_fill(socket)


def _received(socket: Socket, _: Observation) -> float | None:
    return None if socket.is_listener else socket.receive_queued


def _unsent(socket: Socket, _: Observation) -> float | None:
    return None if socket.is_listener else socket.send_queued


def _accepting(socket: Socket, _: Observation) -> float | None:
    return socket.receive_queued if socket.is_listener else None


def _move_word(part: str) -> Callable[[Socket, Observation], str | None]:
    def get(socket: Socket, observation: Observation) -> str | None:
        if observation.moves is None:
            return None
        move = observation.moves.get(socket.key)
        if move is None:
            return "none" if part == "party" else ""
        if part == "turn":
            return move.turn
        return move.row.party if part == "party" else move.row.condition

    return get


def _age(socket: Socket, observation: Observation) -> float | None:
    move = (observation.moves or {}).get(socket.key)
    return None if move is None else move.row.since_s


def _finding(term: Term, position: int) -> Predicate:
    _need_equality(term, position)
    wanted = frozenset(value.lower() for value in term.values)

    def matches(socket: Socket, observation: Observation) -> bool:
        return any(
            socket.key in found.sockets
            and ("any" in wanted or wanted & {found.rule, found.cause or "", found.severity})
            for found in observation.findings or ()
        )

    return matches


def _interface(term: Term, position: int) -> Predicate:
    _need_equality(term, position)
    wanted = frozenset(term.values)
    return lambda socket, observation: socket.interface is not None and (
        observation.snapshot.interfaces.get(socket.interface) in wanted or str(socket.interface) in wanted
    )


def _cookie(socket: Socket, _: Observation) -> str | None:
    return None if socket.cookie is None else f"{socket.cookie:x}"


FIELDS: dict[str, Field] = {
    "move": Field(_word(_move_word("party"), PARTIES), "whose move it is", PARTIES),
    "condition": Field(_word(_move_word("condition"), CONDITIONS), "how sure and how bad", CONDITIONS),
    "turn": Field(_word(_move_word("turn"), ("app", "peer")), "whose turn it is to speak", ("app", "peer")),
    "age": Field(_number(_age, "time"), "how long it has been so", ("10s..", "5m..")),
    "finding": Field(_finding, "part of a finding: its rule, severity, or any", ("any", "severe", "warning")),
    "state": Field(_state, "in any spelling", tuple(state.lower().replace("_", "-") for state in STATES)),
    "process": Field(_process, "part of a process name"),
    "command": Field(_command, "part of a command line (where read)"),
    "container": Field(_container, "part of a container's id"),
    "pid": Field(_pid, "a holder's pid"),
    "fd": Field(_fd, "a holder's fd"),
    "user": Field(_user, "the owner's name or uid", ("root",)),
    "port": Field(_ports(_both), "at either end: number, range, service", ("80", "8000-8010", "..1023")),
    "lport": Field(_ports(_local), "the local port"),
    "rport": Field(_ports(_remote), "the remote port"),
    "addr": Field(_addresses(_both), "at either end: address, network, part of a path or host", ("127.0.0.0/8",)),
    "local": Field(_addresses(_local), "the local address"),
    "remote": Field(_addresses(_remote), "the remote address"),
    "proto": Field(_protocol, "the protocol", PROTOCOLS),
    "family": Field(_word(lambda socket, _: socket.family, FAMILIES), "the address family", FAMILIES),
    "type": Field(_word(lambda socket, _: socket.type, TYPES), "the socket type", TYPES),
    "receive": Field(_queue(_received, _receive_fill), "bytes received and unread, or %",
                     ("1..", "64k..", "50%..")),
    "send": Field(_queue(_unsent, _send_fill), "bytes not yet acknowledged, or %",
                  ("1..", "64k..", "50%..")),
    "queue": Field(_number(_accepting, "count"), "connections waiting to be accepted", ("1..",)),
    "drops": Field(_number(lambda socket, _: socket.drop_count, "count"), "packets dropped here", ("1..",)),
    "inode": Field(_number(lambda socket, _: socket.inode, "count"), "the socket's inode"),
    "netns": Field(_number(lambda socket, _: socket.netns, "count"), "its network namespace's inode"),
    "cookie": Field(_word(_cookie), "its cookie, in hex"),
    "interface": Field(_interface, "bound to this interface"),
}

ALIASES = {
    "receive-queue": "receive", "recv": "receive", "rq": "receive", "sendq": "send", "wq": "send",
    "protocol": "proto", "name": "process", "comm": "process", "address": "addr", "path": "addr", "host": "addr",
    "sport": "lport", "dport": "rport", "src": "local", "dst": "remote", "laddr": "local", "raddr": "remote",
    "uid": "user", "accept": "queue", "rule": "finding", "party": "move", "since": "age", "dev": "interface",
}
