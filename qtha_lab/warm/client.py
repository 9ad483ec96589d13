"""Asks the warm server for a worker, and sees to it that there is a server.

Never waits for libraries: a request goes into the server's queue with the run's lock, and who asked goes on.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from qtha_lab.errors import Refusal
from qtha_lab.rundir import RunDir
from qtha_lab.warm import place
from qtha_lab.warm.forking import hindrance

START_SECONDS = 20.0  # for a server to listen, which it does before it imports anything heavy
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WarmStart:
    """A worker that was asked for; first `forked`, then `wait` tell what becomes of it."""

    connection: socket.socket

    def forked(self) -> bool:
        """Wait until the server has forked the worker; False where it could not, or died before."""
        reply = b""
        try:
            while not reply.endswith(b"\n") and (chunk := self.connection.recv(4096)):
                reply += chunk
        except OSError as fault:
            log.debug("the warm server broke off: %s", fault)
        answer = json.loads(reply) if reply.endswith(b"\n") else {"fault": "the server died"}
        if "pid" not in answer:
            log.warning("no warm worker, a cold one instead: %s", answer["fault"])
            self.connection.close()
        return "pid" in answer

    def wait(self) -> None:
        """Wait until the worker has ended and its server has kept how, or the server is no more."""
        with self.connection:
            try:
                while self.connection.recv(4096):
                    pass
            except OSError as fault:
                log.debug("the warm server is no more: %s", fault)


def start(files: RunDir, lock: int, output: int) -> WarmStart | None:
    """Ask for a worker on a run directory, and return at once.

    Args:
        files: The run directory.
        lock: Descriptor that holds the run's lock; the worker gets a copy.
        output: Descriptor that takes what the worker prints; the worker gets a copy.

    Returns:
        The worker as it starts; None where there is no server and none can be: the run is to be
        started cold.
    """
    if not available():
        return None
    request = {
        "run_dir": str(files.path),
        "folder": os.getcwd(),
        "environment": dict(os.environ),
    }
    try:
        connection = _connected(place.folder())
        socket.send_fds(connection, [json.dumps(request).encode()], [lock, output])
        connection.shutdown(socket.SHUT_WR)
    except OSError as fault:
        log.warning("no warm server: %s", fault)
        return None
    return WarmStart(connection)


def prepare() -> None:
    """Begin to load the libraries, so that the first run finds them; what hinders it is said by a launch."""
    try:
        if available():
            folder = place.folder()
            try:
                _connect(folder).close()
            except OSError as reason:
                log.debug("nothing listens in %s: %s", folder, reason)
                _spawn(folder)
    except (OSError, Refusal) as fault:
        log.debug("no warm server yet: %s", fault)


def available() -> bool:
    """Whether runs are started from a warm server."""
    return not why_cold()


def why_cold() -> str:
    """Why each run imports its libraries itself here, a clause; empty where runs start from a warm server.

    Raises:
        Refusal: As `place.idle_seconds`.
    """
    return "QTHA_LAB_WARM_SECONDS is 0" if place.idle_seconds() == 0 else hindrance()


def _connected(folder: Path) -> socket.socket:
    """A connection to the server of a folder, which is started where there is none."""
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
    """Start a server; where two do so at once, the second finds the first's lock and leaves."""
    command = [sys.executable, "-m", "qtha_lab.warm.server", str(folder), str(place.idle_seconds())]
    # a library's pool of threads, begun while it is imported, would forbid the fork
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    log.info("starting a warm server in %s", folder)
    with (folder / "log").open("ab") as output:
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
