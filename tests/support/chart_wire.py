"""The way from a chart to a page, without a page."""

import json

from comm.base_comm import BaseComm

LONG = 100_000


class Wire(BaseComm):
    """Stands where the comm to a page is, and keeps what was sent over it."""

    def __init__(self):
        self.sent = []
        super().__init__(target_name="jupyter.widget")

    def publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **_):
        """Keep a message."""
        if msg_type == "comm_msg":
            self.sent.append((data, buffers or []))

    def messages(self) -> list:
        """The custom messages since the last call."""
        news = [(d["content"], b) for d, b in self.sent if d.get("method") == "custom"]
        self.sent.clear()
        return news

    def bytes(self) -> int:
        """Return the bytes of all sent messages."""
        return sum(len(json.dumps(d)) + sum(map(len, b)) for d, b in self.sent)


def line(first: int, last: int) -> list[tuple[float, float]]:
    return [(step, 5.0 - step / LONG) for step in range(first, last)]
