"""Keys that act outside the screen: signal, close, copy, write. Each asks first and says what came of it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sockscope.analysis.direction import serves
from sockscope.collect.facts import started_at
from sockscope.model.observation import Observation
from sockscope.model.process import Process
from sockscope.model.socket import Socket
from sockscope.model.source import ActionError
from sockscope.present.format import count, duration, five_tuple, process_name, user
from sockscope.present.text import sanitise
from sockscope.tui.pictures.parts import TextLine, line
from sockscope.tui.pictures.pipeline import who
from sockscope.tui.report import process_report, report, write_sockets
from sockscope.tui.screens.dialogs import ChoiceDialog, ConfirmDialog

if TYPE_CHECKING:
    from sockscope.tui.app import SockscopeApp

SIGNALS = ("TERM", "INT", "HUP", "QUIT", "USR1", "USR2", "STOP", "CONT", "KILL")


def signal_lines(process: Process, observation: Observation) -> list[TextLine]:
    """Whom it would hit: user, age, role, and how many connections would be cut."""
    snapshot = observation.snapshot
    held = [
        one for one in snapshot.sockets.values() if any(h.pid == process.pid for h in snapshot.holders_of(one))
    ]
    listeners = [one for one in held if one.is_listener]
    connections = [one for one in held if one.is_inet and one.remote is not None and one.state == "ESTABLISHED"]
    served = sum(serves(snapshot, one) is True for one in connections)
    about = [f"user {user(process.uid, observation.names)}"]
    started = process.started_at
    if started is None and process.start_ticks is not None:
        started = started_at(process.start_ticks)  # who acts is on this machine, and so is the process
    if started is not None:
        about.append(f"started {duration(max(0.0, snapshot.taken_at - started))} ago")
    lines = [line((f" {process_name(process)} {process.pid}", "title"), "   " + ", ".join(about))]
    ports = " ".join(f":{port}" for port in sorted({one.local.port for one in listeners if one.local.port}))
    shared = any(len({h.pid for h in snapshot.holders_of(one)}) > 1 for one in listeners)
    if listeners:
        role = "one of the processes of the listener" if shared else "the listener"
        lines.append(line(f" {role} {ports}"))
    elif connections:
        lines.append(line(" serves connections accepted elsewhere" if served else " a client, it listens on nothing"))
    parent = snapshot.processes.get(process.parent_pid) if process.parent_pid else None
    if parent is not None:
        lines.append(line((f" child of {process_name(parent)} {parent.pid}", "dim")))
    several = "" if len(connections) == 1 else "s"
    waiting = sum(one.receive_queued or 0 for one in listeners) if not shared else 0
    more = f" (and {count(waiting)} not yet accepted)" if waiting else ""
    lines.append(line(f" {count(len(connections))} connection{several}{more} will be cut if it ends."))
    return lines


def ask_signal(app: SockscopeApp, process: Process | None) -> None:
    """Ask which signal to send to it; only `y` sends."""
    actor, observation = app.session.actor, app.session.observation
    if actor is None:
        app.say("no signals: read-only", is_error=True)
        return
    if process is None or observation is None:
        app.say("no process under the cursor", is_error=True)
        return

    def chosen(name: str | None) -> None:
        if name is not None:
            number = signal.Signals[f"SIG{name}"]
            _act(app, lambda: actor.signal(process, number), f"sent {name} to {process_name(process)} {process.pid}")

    app.push_screen(ConfirmDialog("Signal a process", signal_lines(process, observation), "send", SIGNALS), chosen)


def destroy_lines(socket: Socket, observation: Observation | None) -> list[TextLine]:
    """Which socket, whose it is, and what owner and peer will see (tcp_abort and udp_abort of the kernel)."""
    holders = observation.snapshot.holders_of(socket) if observation is not None else ()
    held = f" of {who(holders, observation)}" if holders and observation is not None else ""
    owner = "Its owner's next call on it fails with ECONNABORTED; poll() wakes it with an error."
    peer = "The peer gets a reset." if socket.protocol == "tcp" else "The peer sees nothing."
    if socket.is_listener and socket.protocol == "tcp":
        owner = "Its owner's accept() fails with EINVAL from then on; poll() wakes it with an error."
        peer = (f"Nobody can connect to it any more. Of its connections, those not yet accepted "
                f"({count(socket.receive_queued or 0)} now) get a reset, the others stay.")
    return [line((" " + five_tuple(socket), "title"), (held, "dim")), line(),
            line(f" {owner}"), line(f" {peer}")]


def ask_destroy(app: SockscopeApp, socket: Socket | None) -> None:
    """Ask whether to close it; only `y` does."""
    actor = app.session.actor
    if actor is None:
        app.say("no closing: read-only", is_error=True)
        return
    if socket is None:
        app.say("no socket under the cursor", is_error=True)
        return

    def chosen(answer: str | None) -> None:
        if answer is not None:
            _act(app, lambda: actor.destroy(socket), f"closed {five_tuple(socket)}")

    lines = destroy_lines(socket, app.session.observation)
    app.push_screen(ConfirmDialog("Close the socket", lines, "close it"), chosen)


def _act(app: SockscopeApp, action: Callable[[], None], done: str) -> None:
    """Act in a thread of its own, since closing waits for the socket's lock, and say what came of it."""

    def run() -> None:
        try:
            action()
        except ActionError as error:
            app.post_said(sanitise(str(error)), is_error=True)
        else:
            app.post_said(done, is_error=False)
            app.session.feed.request_now()

    threading.Thread(target=run, name="sockscope-action", daemon=True).start()


def copy_report(app: SockscopeApp, socket: Socket | None, process: Process | None) -> None:
    """Copy by OSC 52; the terminal may refuse in silence, so say what was sent."""
    observation = app.session.observation
    if observation is None or (socket is None and process is None):
        app.say("nothing under the cursor to copy", is_error=True)
        return
    text = report(socket, process, observation) if socket is not None else process_report(process or Process(0))
    app.copy_to_clipboard(text)
    what = five_tuple(socket) if socket is not None else f"process {process.pid if process else ''}"
    app.say(f"sent to the clipboard (OSC 52): report of {what}, {count(len(text))} characters")


def write_view(app: SockscopeApp, sockets: list[Socket]) -> None:
    """Write a new file into the current folder, as JSON or CSV."""
    observation = app.session.observation
    if observation is None:
        return

    def chosen(kind: str | None) -> None:
        if kind is None:
            return
        path = Path.cwd() / time.strftime(f"sockscope-%Y%m%d-%H%M%S.{kind}")
        try:
            write_sockets(path, observation, sockets)
        except OSError as error:
            app.say(f"not written: {sanitise(str(error))}", is_error=True)
        else:
            app.say(f"{count(len(sockets))} sockets written to {sanitise(str(path))}, readable by you alone")

    kinds = [("json", "JSON: everything known"), ("csv", "CSV: a line for each socket")]
    app.push_screen(ChoiceDialog(f"Write {count(len(sockets))} sockets", kinds, "json"), chosen)
