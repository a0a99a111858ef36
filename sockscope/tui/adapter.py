"""The feed's results as Textual messages: the one door between its thread and the screens."""

from __future__ import annotations

from collections.abc import Callable

from textual.message import Message
from textual.message_pump import MessagePump

from sockscope.feed.result import FeedResult


class FeedDelivered(Message, bubble=False):
    """A result came. A newer one replaces one that waits to be handled."""

    def __init__(self, result: FeedResult) -> None:
        super().__init__()
        self.result = result

    def can_replace(self, message: Message) -> bool:
        """Whether a waiting message may be dropped for this one."""
        return isinstance(message, FeedDelivered)


class Said(Message, bubble=False):
    """What came of an action, from its own thread. `text` is safe to show."""

    def __init__(self, text: str, *, is_error: bool) -> None:
        super().__init__()
        self.text, self.is_error = text, is_error


def post_to(pump: MessagePump) -> Callable[[FeedResult], None]:
    """Return what the feed calls, from its own thread: post_message is Textual's thread-safe door."""

    def deliver(result: FeedResult) -> None:
        pump.post_message(FeedDelivered(result))

    return deliver
