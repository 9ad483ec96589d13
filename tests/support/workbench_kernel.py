"""Workbenches and charts without a page."""

import asyncio
import json

from comm.base_comm import BaseComm

from widgets.workbench.workbench import Workbench


def in_a_kernel(work, start=None):
    """Run a coroutine function given a workbench made inside a running loop."""

    async def main():
        bench = Workbench(start)
        try:
            return await work(bench)
        finally:
            bench.background.stop()

    return asyncio.run(main())


async def settled(bench):
    """Wait until no task of a workbench is left."""
    while tasks := list(bench.background.tasks.values()):
        await asyncio.gather(*tasks, return_exceptions=True)


def fail(error: Exception):
    """Fault that no answer of a control may cause."""
    raise error


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
