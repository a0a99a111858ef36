"""Acting on the machine: signals and closed sockets, each only on the very process or socket that was meant."""

from __future__ import annotations

import signal

from sockscope.collect.expendable import Expendable, NotAnsweredError
from sockscope.collect.row_id import FAMILIES, PROTOCOLS, netns_path, row_id
from sockscope.kernel import pidfd
from sockscope.model.process import Process
from sockscope.model.socket import Socket
from sockscope.model.source import ActionError


class LiveActor:
    """Actor for this machine. Its caller has asked and got a yes."""

    def signal(self, process: Process, number: int) -> None:
        """Send it through a pidfd whose start time is the expected one. Raises ActionError, and then nobody got it."""
        who = f"process {process.pid}"
        if process.start_ticks is None:
            raise ActionError(f"nothing sent: when {who} started is not known, so another may have its number")
        try:
            pidfd.send_signal(process.pid, process.start_ticks, number)
        except pidfd.IdentityError:
            raise ActionError(f"nothing sent: {who} is gone and its number belongs to another process") from None
        except ProcessLookupError:
            raise ActionError(f"nothing sent: {who} is gone") from None
        except PermissionError:
            raise ActionError(f"nothing sent: not permitted to signal {who}") from None
        except OSError as error:
            raise ActionError(f"nothing sent: {_name(number)} to {who}: {error.strerror}") from error

    def destroy(self, socket: Socket) -> None:
        """SOCK_DESTROY by exact cookie. Raises ActionError, and then no socket was closed.

        It waits for the socket's lock, so it runs in a helper process of its own; if that gets no answer the socket
        may still be closed once its owner lets go, and the message says so.
        """
        if socket.protocol not in PROTOCOLS or socket.family not in FAMILIES:
            raise ActionError(f"not closed: the kernel can close TCP and UDP sockets only, not {socket.protocol}")
        identity = row_id(socket)
        if identity is None:
            raise ActionError("not closed: its cookie is not known, so another may have its address")
        helper = Expendable()
        try:
            helper.ask("destroy", socket.key, "destroy", netns_path(socket), *identity)
        except NotAnsweredError as error:
            if error.gap.reason == "timed_out":
                raise ActionError("not closed yet: its owner holds its lock; it closes when it lets go") from None
            raise ActionError(f"not closed: {error.gap.detail}") from None
        except PermissionError:
            raise ActionError("not closed: that needs CAP_NET_ADMIN (run as root)") from None
        except FileNotFoundError:
            raise ActionError("not closed: it is gone") from None
        except OSError as error:
            raise ActionError(f"not closed: {error.strerror}") from error
        finally:
            helper.close()


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
