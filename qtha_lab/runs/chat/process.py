"""The chat process: `python -m qtha_lab.runs.chat.process`, JSON lines in and out.

Only the newest request counts: a request that arrives during a generation ends that generation. The
process ends with its standard input. Output of libraries goes to standard error.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from qtha_lab.core import fault_log
from qtha_lab.core.io import parse_json

if TYPE_CHECKING:
    from qtha_lab.runs.chat.models import ChatModels


NEWS_SECONDS = 0.05  # between two events of the same answer
Event = dict[str, Any]


class ChatServer:
    """A handler of requests, one after the other.

    Every event has the `number` of its request. `{"runs": [path, …]}` loads runs and is answered by
    one event that lists the chat models. `{"messages": […], "decoding": {…}, "weights": {…}, "of":
    [id, …]}` is answered by events "text" and at last "end". `{}` only ends the current generation.

    Args:
        send: Receives the events.
        is_waiting: Returns True if another request has arrived.
    """

    def __init__(self, send: Callable[[Event], object], is_waiting: Callable[[], bool]) -> None:
        self.send, self.is_waiting = send, is_waiting
        self.chat_models: ChatModels | None = None
        self._number = 0

    def take(self, request: dict[str, Any]) -> None:
        """Handle a request; an error becomes an event "refusal" with a sentence."""
        self._number = request.pop("number", 0)
        try:
            if "runs" in request:
                self._load(request["runs"])
            elif "messages" in request:
                self._answer(**request)
        except Exception as error:
            self._tell("refusal", sentence=fault_log.fault_sentence(error))

    def _tell(self, kind: str, **facts: Any) -> None:
        self.send({"kind": kind, "number": self._number, **facts})

    def _load(self, paths: list[str]) -> None:
        from qtha_lab.runs.chat.models import ChatModels

        self.chat_models = None  # free the memory first
        self.chat_models = chat_models = ChatModels(paths)
        self._tell(
            "chat_models",
            chat_models=[{"id": s.id, "title": s.title, "note": s.note} for s in chat_models.all],
            prompts=[asdict(prompt) for prompt in chat_models.held_out()],
        )

    def _answer(
        self,
        messages: list[dict[str, str]],
        decoding: dict[str, Any] | None = None,
        weights: dict[str, float] | None = None,
        of: list[str] | None = None,
    ) -> None:
        from qtha_lab.core.errors import Refusal
        from qtha_lab.runs.generation.decoding import Decoding

        if self.chat_models is None:
            raise Refusal("The chat has no run.")
        stopped, last = False, {}
        how = Decoding(**decoding or {})
        for chat_model, stream in self.chat_models.answers(messages, how, weights, of or ()):
            now = time.monotonic()
            stopped = stopped or self.is_waiting()
            if stream.end or stopped or now - last.get(chat_model.id, 0) > NEWS_SECONDS:
                last[chat_model.id] = now
                facts = {"speaker": chat_model.id, "text": stream.text, "tokens": len(stream.ids)}
                self._tell("text", **facts, end=stream.end)
            if stopped:
                break
        self._tell("end", stopped=stopped)


def serve() -> None:
    """Read requests and write events until standard input ends."""
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    output = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # no library output between the events

    def read() -> None:
        for line in sys.stdin:
            requests.put(parse_json(line))
        os._exit(0)  # the client has ended

    threading.Thread(target=read, daemon=True, name="requests").start()
    server = ChatServer(
        lambda event: output.write(json.dumps(event) + "\n"), lambda: not requests.empty()
    )
    while True:
        server.take(requests.get())


if __name__ == "__main__":
    serve()
