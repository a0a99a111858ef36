"""/proc/PID/cgroup (cgroups(7)): where a process stands, and which container that names."""

from __future__ import annotations

import re

# What runtimes call a container's cgroup. The innermost match counts: containers may run in containers.
_ID = re.compile(
    rb"(?:docker|libpod|cri-containerd|crio|nerdctl|containerd|cri-o)[-:]([0-9a-f]{12,64})(?:\.scope)?"
    rb"|(?:[a-z0-9.-]+\.slice:[a-z-]+:)([0-9a-f]{64})"  # containerd with the systemd driver: slice:prefix:id
    rb"|([0-9a-f]{64})"  # /docker/ID, /kubepods/…/podUID/ID, /ecs/TASK/ID, /default/ID (ctr)
)
_LXC = re.compile(rb"lxc\.payload\.(.+)")
_MACHINE = re.compile(rb"machine-(.+)\.scope|systemd-nspawn@(.+)\.service")
_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")


def parse_cgroup(text: bytes) -> bytes | None:
    """Give the one path that tells most: of cgroup v2 unless that is "/", else the longest of v1. None if garbled."""
    unified: bytes | None = None
    named: bytes | None = None
    longest: bytes | None = None
    for line in text.split(b"\n"):
        number, _, rest = line.partition(b":")
        controllers, separator, path = rest.partition(b":")
        if not separator or not path.startswith(b"/"):
            continue
        if number == b"0" and not controllers:
            unified = path
        elif controllers == b"name=systemd":
            named = path
        elif longest is None or len(path) > len(longest):
            longest = path
    candidates = [path for path in (unified, named, longest) if path is not None]
    return next((path for path in candidates if path != b"/"), candidates[0] if candidates else None)


def container_of(text: bytes) -> str | None:
    """Find the container that any line names, by id (docker, podman, containerd, CRI-O, kubepods) or name (lxc)."""
    for line in text.split(b"\n"):
        found = container_of_path(line.split(b":", 2)[-1])
        if found is not None:
            return found
    return None


def container_of_path(path: bytes) -> str | None:
    """Read one path, from its innermost part outwards."""
    parts = path.split(b"/")
    for at in range(len(parts) - 1, 0, -1):
        part = parts[at]
        match = _ID.fullmatch(part)
        if match:
            return (match[1] or match[2] or match[3]).decode("ascii")
        match = _LXC.fullmatch(part)
        if match:
            return _text(match[1])
        if parts[at - 1] in (b"lxc", b"lxc.payload") and part:
            return _text(part)
        match = _MACHINE.fullmatch(part)
        if match:
            return _text(match[1] or match[2])
    return None


def _text(name: bytes) -> str:
    r"""Undo systemd's escapes ("my\\x2dbox"); systemd-nspawn and lxc allow host names only, others may not."""
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), name).decode("utf-8", "backslashreplace")
