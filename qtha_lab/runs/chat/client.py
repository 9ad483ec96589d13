"""A client of the chat process for an event loop, which it never blocks.

Holds no model; `process` does.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from qtha_lab.core import paths
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import append_shared, make_folder, parse_json, write_atomically
from qtha_lab.core.processes import module_command

COMMAND = tuple(module_command("qtha_lab.runs.chat.process"))
LONGEST_LINE = 2**24  # bytes of an event


class Client:
    """A client of a chat process, which starts at the first request.

    The process ends by `close` or together with this process.

    Args:
        command: Command that starts the process.
    """

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self.command = command
        self._process: asyncio.subprocess.Process | None = None
        self._number = 0

    @property
    def alive(self) -> bool:
        """True if the process has been started and is running."""
        return self._process is not None and self._process.returncode is None

    async def ask(self, **request: Any) -> AsyncIterator[dict[str, Any]]:
        """Send a request and yield its events, until the last one (see `process.ChatServer`).

        A later request ends this one, so a caller that still waits for its events must be
        cancelled.

        Raises:
            Refusal: In the process's own words, or if the process ended before the answer.
        """
        self._number = number = self._number + 1
        process = await self._send(request | {"number": number})
        assert process.stdout is not None
        while line := await process.stdout.readline():
            event = parse_json(line)
            if event["number"] != number:  # event of an abandoned request
                continue
            if event["kind"] == "refusal":
                raise Refusal(event["sentence"])
            yield event
            if event["kind"] in ("chat_models", "end"):
                return
        code = await process.wait()
        self._process = None
        raise Refusal(
            f"The chat process must respond, got exit code {code}. Its last output is in "
            f"{paths.log_file().with_name('talking.log')}."
        )

    async def stop(self) -> None:
        """End the current generation; its "end" event is still to come."""
        if self.alive:
            await self._send({})

    async def close(self) -> None:
        """Kill the process."""
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    async def _send(self, request: dict[str, Any]) -> asyncio.subprocess.Process:
        process = self._process
        if process is None or not self.alive:
            process = self._process = await self._started()
        assert process.stdin is not None
        process.stdin.write(json.dumps(request).encode() + b"\n")
        await process.stdin.drain()
        return process

    async def _started(self) -> asyncio.subprocess.Process:
        words = paths.log_file().with_name("talking.log")
        make_folder(words.parent)
        write_atomically(words, "")
        with append_shared(words) as stderr:
            return await asyncio.create_subprocess_exec(
                *self.command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                limit=LONGEST_LINE,
            )
