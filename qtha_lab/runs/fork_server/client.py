"""A client that requests workers from the fork server, and starts the server if needed.

A request carries the run's lock and a ticket, a file in the server's folder. The server deletes the
ticket before it forks. After a timeout, the caller deletes the ticket and starts the worker itself.
Only one of the two succeeds, so a server that was stopped for a while never forks a second worker.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import append_shared, parse_json, remove, write_new
from qtha_lab.core.locks import holder
from qtha_lab.core.processes import module_command, searches_working_folder
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.runs.fork_server import address as place
from qtha_lab.runs.fork_server.safety import hindrance

START_SECONDS = 20.0  # for a server to listen, before its heavy imports
LOADING_SHARE = 0.02  # CPU seconds per second that show a server at work, not a stopped one
MOST_TIMEOUTS = 5  # also a server at work is left after so many
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ForkedStart:
    """A requested worker: `forked` waits for its start, `wait` for its end."""

    connection: socket.socket
    ticket: Path

    def forked(self) -> bool:
        """Wait until the server has forked the worker.

        Returns:
            False if the server cannot, has died, or has not replied within
                `address.reply_seconds()`.
        """
        answer = self._answer()
        remove(self.ticket)
        if "pid" not in answer:
            log.warning("no fork server, the run starts by itself: %s", answer.get("fault"))
            self.connection.close()
        return "pid" in answer

    def _answer(self) -> dict[str, Any]:
        """Read the server's reply; withdraw the ticket when the server makes no progress.

        On a loaded machine a server may import and compile for longer than the timeout. A second
        process would then repeat this work beside it.
        """
        reply, seconds = b"", place.reply_seconds()
        self.connection.settimeout(seconds)
        used, timeouts = _cpu_seconds(self.connection), 0
        while not reply.endswith(b"\n"):
            try:
                chunk = self.connection.recv(4096)
            except TimeoutError as reason:
                log.debug("the fork server has not replied yet: %s", reason)
                before, used, timeouts = used, _cpu_seconds(self.connection), timeouts + 1
                if used > before + LOADING_SHARE * seconds and timeouts < MOST_TIMEOUTS:
                    continue
                if _taken_back(self.ticket):
                    return {"fault": f"the fork server has not replied for {seconds:g} s"}
                continue  # the server has just accepted the request
            except OSError as fault:
                return {"fault": f"the connection broke: {fault}"}
            if not chunk:
                return {"fault": "the server died"}
            reply += chunk
        try:
            return dict(parse_json(reply))
        except (Refusal, TypeError, ValueError) as fault:
            return {"fault": f"the reply cannot be read: {fault}"}

    def wait(self) -> None:
        """Wait until the server has recorded the worker's exit, or has died."""
        with self.connection:
            try:
                self.connection.settimeout(None)
                while self.connection.recv(4096):
                    pass
            except OSError as fault:
                log.debug("the fork server has died: %s", fault)


def _cpu_seconds(connection: socket.socket) -> float:
    """Return the CPU seconds used by the connected server; 0 if unknown."""
    try:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        times = psutil.Process(int.from_bytes(credentials[:4], sys.byteorder)).cpu_times()
    except (AttributeError, OSError, psutil.Error) as reason:
        log.debug("the CPU time of the fork server is unknown: %s", reason)
        return 0.0
    return times.user + times.system


def _taken_back(ticket: Path) -> bool:
    """Delete a ticket; return False if the server has deleted it first."""
    try:
        ticket.unlink()
    except FileNotFoundError:
        return False
    return True


def fork_worker(files: RunDir, lock: int, output: int) -> ForkedStart | None:
    """Request a worker for a run directory, and return at once.

    Args:
        files: The run directory.
        lock: Descriptor that holds the run's lock; the worker receives a copy.
        output: Descriptor of the worker's output; the worker receives a copy.

    Returns:
        The requested worker; None if no server can be used, so that the run needs a process start.
    """
    if not available():
        return None
    try:
        folder = place.folder()
        ticket = folder / f"ticket-{secrets.token_hex(8)}"
        request = {
            "run_dir": str(files.path),
            "folder": os.getcwd(),
            "searched": searches_working_folder(),
            "environment": dict(os.environ),
            "ticket": ticket.name,
        }
        connection = _connected(folder)
        write_new(ticket, b"")
    except (OSError, Refusal) as fault:
        log.warning("no fork server: %s", fault)
        return None
    try:
        connection.settimeout(place.reply_seconds())  # a stopped server reads nothing
        data = json.dumps(request).encode()
        sent = socket.send_fds(connection, [data], [lock, output])
        connection.sendall(data[sent:])
        connection.shutdown(socket.SHUT_WR)
    except OSError as fault:
        log.warning("no fork server: %s", fault)
        connection.close()
        return None if _taken_back(ticket) else ForkedStart(connection, ticket)
    return ForkedStart(connection, ticket)


def prepare() -> None:
    """Start the fork server early, for the first run; errors are only logged."""
    try:
        if available():
            folder = place.folder()
            try:
                _connect(folder).close()
            except OSError as reason:
                log.debug("nothing listens in %s: %s", folder, reason)
                _spawn(folder)
    except (OSError, Refusal) as fault:
        log.debug("no fork server yet: %s", fault)


def server_pid() -> int | None:
    """Return the process id of the fork server of this environment; None if none runs."""
    try:
        return holder(place.folder() / "lock") if available() else None
    except (OSError, Refusal) as fault:
        log.debug("no fork server: %s", fault)
        return None


def available() -> bool:
    """Return True if runs are started from a fork server."""
    return not process_start_reason()


def process_start_reason() -> str:
    """Return the reason for process starts here; "" if a fork server is used.

    The reason is a clause. With a process start, each run imports its libraries itself.

    Raises:
        Refusal: As `address.idle_seconds`.
    """
    return "QTHA_LAB_WARM_SECONDS is 0" if place.idle_seconds() == 0 else hindrance()


def _connected(folder: Path) -> socket.socket:
    """Connect to the server of a folder, and start the server if there is none."""
    end = time.monotonic() + START_SECONDS
    server = None
    while True:
        try:
            return _connect(folder)
        except OSError:
            if server is None:
                server = _spawn(folder)
            elif server.poll() not in (None, 0) or time.monotonic() > end:
                raise
            time.sleep(0.02)


def _connect(folder: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(folder / "socket"))
    except OSError:
        connection.close()
        raise
    return connection


def _spawn(folder: Path) -> subprocess.Popen:
    """Start a server.

    If two processes do so at once, the second server finds the lock of the first and exits.
    """
    module = "qtha_lab.runs.fork_server.server"
    command = module_command(module, str(folder), str(place.idle_seconds()))
    # a library's thread pool, created at import, would prevent the fork
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    log.info("starting a fork server in %s", folder)
    with append_shared(folder / "log") as output:
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environment,
        )
    threading.Thread(target=server.wait, daemon=True, name="warm server").start()  # no zombie
    return server
