"""A namespace's counters and limits as one flat mapping of names to numbers: what findings about the host rest on.

Names: the kernel's own for netstat, snmp and snmp6 ("TcpExt.ListenDrops", "Udp.RcvbufErrors", "Udp6.RcvbufErrors");
"sockstat.TCP.orphan"; "softnet.dropped" (all CPUs); "conntrack.count", ".max", ".drop", ".early_drop"; "sysctl.*";
"fs.file-nr.used", ".max". A file that this kernel or this user does not have gives no name: unknown, not 0.

/proc/sys/net and sockstat's `mem` and `orphan` are the reader's namespace, or the whole host's (findings.md section 2).
"""

from __future__ import annotations

from sockscope.kernel import proc_net
from sockscope.kernel.digits import hexadecimal, is_decimal
from sockscope.kernel.malformed import MalformedError
from sockscope.model.snapshot import Counters

SYSCTLS = (
    ("sysctl.somaxconn", "net/core/somaxconn"),
    ("sysctl.tcp_tw_reuse", "net/ipv4/tcp_tw_reuse"),
    ("sysctl.tcp_max_orphans", "net/ipv4/tcp_max_orphans"),
    ("sysctl.tcp_notsent_lowat", "net/ipv4/tcp_notsent_lowat"),
    ("conntrack.count", "net/netfilter/nf_conntrack_count"),
    ("conntrack.max", "net/netfilter/nf_conntrack_max"),
)
SOFTNET_DROPPED = 1  # second column of /proc/net/softnet_stat (net/core/net-procfs.c softnet_seq_show)


def read_counters(netns: int, proc: str = "/proc") -> Counters:
    """Read the reader's own namespace. Raises OSError only where /proc/net/netstat itself cannot be read."""
    net, sysctl = f"{proc}/self/net", f"{proc}/sys"
    values = proc_net.read_counters(net)
    values |= parse_snmp6(_read(f"{net}/snmp6"))
    values |= parse_sockstat(_read(f"{net}/sockstat"))
    values |= parse_softnet(_read(f"{net}/softnet_stat"))
    values |= parse_conntrack(_read(f"{net}/stat/nf_conntrack"))
    for name, path in SYSCTLS:
        values |= _named(_read(f"{sysctl}/{path}"), name)
    values |= _named(
        _read(f"{sysctl}/net/ipv4/ip_local_port_range"), "sysctl.ip_local_port_range.low",
        "sysctl.ip_local_port_range.high",
    )
    values |= _named(
        _read(f"{sysctl}/net/ipv4/tcp_mem"), "sysctl.tcp_mem.low", "sysctl.tcp_mem.pressure", "sysctl.tcp_mem.high",
    )
    values |= _named(_read(f"{sysctl}/fs/file-nr"), "fs.file-nr.used", "fs.file-nr.free", "fs.file-nr.max")
    reserved = _read(f"{sysctl}/net/ipv4/ip_local_reserved_ports")
    if reserved is not None:
        low, high = (values.get(f"sysctl.ip_local_port_range.{end}", 0) for end in ("low", "high"))
        values["sysctl.ip_local_reserved_ports.count"] = count_reserved(reserved, low, high)
    return Counters(netns, values)


def parse_snmp6(text: bytes | None) -> dict[str, int]:
    """Name "Udp6RcvbufErrors 12" as "Udp6.RcvbufErrors": prefix up to the 6, as snmp has it for version 4."""
    values: dict[str, int] = {}
    for line in (text or b"").splitlines():
        fields = line.split()
        if len(fields) == 2 and is_decimal(fields[1]):
            prefix, six, name = fields[0].decode("ascii", "replace").partition("6")
            if six and name:
                values[f"{prefix}6.{name}"] = int(fields[1])
    return values


def parse_sockstat(text: bytes | None) -> dict[str, int]:
    """Name "TCP: inuse 1 orphan 0 ..." as "sockstat.TCP.inuse" and so on."""
    values: dict[str, int] = {}
    for line in (text or b"").splitlines():
        kind, _, rest = line.partition(b":")
        fields = rest.split()
        for name, number in zip(fields[::2], fields[1::2], strict=False):
            if is_decimal(number):
                values[f"sockstat.{_text(kind)}.{_text(name)}"] = int(number)
    return values


def parse_softnet(text: bytes | None) -> dict[str, int]:
    """Sum what every CPU's input queue dropped; hexadecimal columns, one line a CPU."""
    rows = [line.split() for line in (text or b"").splitlines()]
    try:
        return {"softnet.dropped": sum(hexadecimal(row[SOFTNET_DROPPED]) for row in rows)} if rows else {}
    except (MalformedError, IndexError):
        return {}


def parse_conntrack(text: bytes | None) -> dict[str, int]:
    """Sum `drop` and `early_drop` over the CPUs; columns are found by name, they differ between kernels."""
    lines = (text or b"").splitlines()
    names = [name.decode("ascii", "replace") for name in lines[0].split()] if lines else []
    values: dict[str, int] = {}
    for name in ("drop", "early_drop"):
        if name not in names:
            continue
        at = names.index(name)
        try:
            values[f"conntrack.{name}"] = sum(hexadecimal(line.split()[at]) for line in lines[1:])
        except (MalformedError, IndexError):
            continue
    return values


def count_reserved(text: bytes, low: int, high: int) -> int:
    """Count the reserved ports within the range: "8080,9000-9010"."""
    count = 0
    for part in text.strip().split(b","):
        first, _, last = part.partition(b"-")
        if is_decimal(first) and (not last or is_decimal(last)):
            count += max(0, min(high, int(last or first)) - max(low, int(first)) + 1)
    return count


def _named(text: bytes | None, *names: str) -> dict[str, int]:
    fields = (text or b"").split()
    return {name: int(field) for name, field in zip(names, fields, strict=False) if is_decimal(field)}


def _text(name: bytes) -> str:
    return name.decode("ascii", "replace")


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb", 0) as file:  # noqa: PTH123 (pathlib costs 4 ms to import; this runs in every one-shot)
            return file.readall()
    except OSError:
        return None
