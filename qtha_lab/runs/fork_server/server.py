"""The fork server: `python -m qtha_lab.runs.fork_server.server FOLDER IDLE_SECONDS`.

Listens before it imports libraries, so early requests wait in its queue. It forks only while it has
a single thread, and otherwise refuses. It trains nothing itself; a worker may outlive it.
"""

import importlib
import json
import logging
import os
import re
import select
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from qtha_lab.core import locks
from qtha_lab.core.errors import Refusal
from qtha_lab.core.gc_freeze import frozen_garbage
from qtha_lab.core.io import open_shared, parse_json, read, shortened
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory import exit_status as ending
from qtha_lab.runs.worker import use_threads, work_on

log = logging.getLogger(__name__)

LIBRARIES = [  # all imports of a CPU run before its first step
    "qtha_lab.training.finetune",
    "qtha_lab.adapters",
    "qtha_lab.models.model_card",
    "qtha_lab.simulators.cpu.engine",
    "transformers.models.llama.modeling_llama",
    "transformers.models.bert.modeling_bert",
    "transformers.generation.utils",
    "transformers.trainer",
    "peft.tuners.lora",
    "torch._dynamo",
    "sacrebleu",
    "rouge_score.rouge_scorer",
    "sklearn.metrics",
]
FORK_SAFE = {"jemalloc_bg_thd"}  # thread of pyarrow's allocator, which handles forks itself
MOST_BYTES = 1 << 22  # maximum size of a request
TICKET = re.compile(r"ticket-[0-9a-f]{16}")


class Server:
    """A server that forks a worker for every request at a socket.

    Args:
        folder: Holds `socket`, `lock` (held while the server runs) and `log`.
        idle_seconds: Seconds without request and worker after which the server ends.
    """

    def __init__(self, folder: Path, idle_seconds: float) -> None:
        self.folder, self.idle_seconds = folder, idle_seconds
        self.workers: dict[int, tuple[socket.socket, RunDir]] = {}
        address = folder / "socket"
        address.unlink(missing_ok=True)  # left by a dead server, whose lock was free
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(address))
        self.listener.listen(128)
        self.ears, self.bell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self.bell, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        """Handle requests until the server has been idle for `idle_seconds`."""
        last = time.monotonic()
        while self.workers or time.monotonic() < last + self.idle_seconds:
            ready, _, _ = select.select([self.listener, self.ears], [], [], 1.0)
            if self.ears in ready:
                os.read(self.ears, 4096)
            self.reap()
            if self.listener in ready:
                self.answer()
            if ready or self.workers:
                last = time.monotonic()
        (self.folder / "socket").unlink(missing_ok=True)

    def answer(self) -> None:
        """Accept one request and fork its worker; reply with the process id or the fault."""
        try:
            connection, _ = self.listener.accept()
        except OSError as fault:  # the caller has ended, or no descriptor is free
            log.warning("a request cannot be accepted: %s", fault)
            time.sleep(0.1)
            return
        descriptors: list[int] = []
        try:
            connection.settimeout(5)
            message, descriptors = _received(connection)
            if not message:  # the caller only checked for a server
                connection.close()
                return
            request = _checked(message, descriptors)
            if names := unsafe_threads():
                raise RuntimeError(f"with threads {names} beside it no process is forked safely")
            (
                self.folder / request["ticket"]
            ).unlink()  # fails if the caller has started the worker itself
            pid = os.fork()
            if pid == 0:
                self.become_worker(request, *descriptors)
            self.workers[pid] = connection, RunDir(Path(request["run_dir"]))
            log.info("process %d is forked for %s", pid, request["run_dir"])
            _send(connection, {"pid": pid})
        except Exception as fault:
            _send(connection, {"fault": f"{type(fault).__name__}: {fault}"})
            connection.close()
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def become_worker(self, request: dict, lock: int, output: int) -> None:
        """Run the worker in the child process, and exit without return.

        The child gets a session of its own, and the caller's variables and working folder.

        Args:
            request: `run_dir`, the run's directory; `folder`, the working folder; `searched`, True
                if modules are imported from that folder; `environment`, the variables.
            lock: Descriptor that holds the run's lock.
            output: Descriptor of the worker's output.
        """
        code = 1
        try:  # in any case, this process must not return to the server loop
            os.setsid()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self.listener.close()
            for connection, _ in self.workers.values():
                connection.close()
            for descriptor in (1, 2):
                os.dup2(output, descriptor)
            os.close(output)
            os.environ.clear()
            os.environ.update(request["environment"])
            os.chdir(request["folder"])
            own = 0 if sys.flags.safe_path else 1  # the working folder of the server
            sys.path[:own] = [request["folder"]] if request["searched"] else []
            run = RunDir(Path(request["run_dir"]))
            sys.argv = ["qtha_lab.runs.worker", str(run.path)]
            code = work_on(run, lock)
            sys.stdout.flush()
            sys.stderr.flush()
        except BaseException as fault:
            traceback.print_exception(fault)
            sys.stderr.flush()
        finally:
            os._exit(code)

    def reap(self) -> None:
        """Record the exit codes of ended workers, and close the connections of their callers."""
        while self.workers:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError as fault:
                log.warning("no worker is left to wait for: %s", fault)
                for connection, _ in self.workers.values():
                    connection.close()
                self.workers.clear()
                return
            if pid == 0:
                return
            if pid in self.workers:
                connection, run = self.workers.pop(pid)
                ending.record_exit(run, pid, os.waitstatus_to_exitcode(status))
                connection.close()


def _received(connection: socket.socket) -> tuple[bytes, list[int]]:
    """Read a whole request of limited size, and its file descriptors."""
    message, descriptors, _, _ = socket.recv_fds(connection, MOST_BYTES, 2)
    try:
        while len(message) <= MOST_BYTES and (chunk := connection.recv(MOST_BYTES)):
            message += chunk
        if len(message) > MOST_BYTES:
            raise ValueError(f"a request must have at most {MOST_BYTES} bytes")
    except BaseException:
        for descriptor in descriptors:
            os.close(descriptor)
        raise
    return message, descriptors


def _checked(message: bytes, descriptors: list[int]) -> dict[str, Any]:
    """Parse a request and check everything that a worker needs.

    After the fork, an error would occur in two processes.

    Raises:
        Refusal: If a field, a variable or a descriptor is missing.
    """
    request = parse_json(message)
    fields = {"run_dir": str, "folder": str, "searched": bool, "environment": dict, "ticket": str}
    for name, kind in fields.items():
        if not isinstance(request, dict) or not isinstance(request.get(name), kind):
            raise Refusal(
                f"A request must have the field {name}, a {kind.__name__}, got another form."
            )
    if not all(isinstance(value, str) for value in request["environment"].values()):
        raise Refusal("Environment variables of a request must be text, got other values.")
    if not TICKET.fullmatch(request["ticket"]):
        raise Refusal(
            "ticket must be ticket- and 16 hexadecimal digits,"
            f" got {shortened(request['ticket'], 40)}."
        )
    if len(descriptors) != 2:
        raise Refusal(f"A request must come with 2 descriptors, got {len(descriptors)}.")
    return request


def unsafe_threads() -> list[str]:
    """Return the names of further threads, which would make a fork unsafe."""
    task = Path("/proc/self/task")
    threads = (thread for thread in task.iterdir() if int(thread.name) != os.getpid())
    names = [read(thread / "comm").strip() for thread in threads]
    return [name for name in names if name not in FORK_SAFE]


def _send(connection: socket.socket, reply: dict) -> None:
    try:
        connection.sendall(json.dumps(reply).encode() + b"\n")
    except OSError as fault:  # the caller has ended; the worker goes on
        log.debug("the reply %s was not received: %s", reply, fault)


def load_libraries() -> None:
    """Import the libraries of workers, and load the compiled kernels."""
    for name in LIBRARIES:
        try:
            module = importlib.import_module(name)
            if hasattr(module, "load_kernels"):
                module.load_kernels()
        except Exception as fault:  # a worker that needs the module will report the error
            log.debug("%s is not loaded: %r", name, fault)
    try:  # a table of a thousand patterns, which each worker would compile
        from transformers.conversion_mapping import get_checkpoint_conversion_mapping

        get_checkpoint_conversion_mapping("llama")
    except Exception as fault:
        log.debug("weight names are not prepared: %r", fault)


def main(folder: str, idle_seconds: str) -> int:
    """Serve from a folder, unless another server does."""
    path = Path(folder)
    lock = open_shared(path / "lock", os.O_RDWR)
    try:
        locks.acquire_within(lock, path / "lock", locks.PROBE_SECONDS)  # a client may look at it
        locks.sign(lock, os.getpid())
    except BlockingIOError:
        return 0
    use_threads()
    server = Server(path, float(idle_seconds))
    with frozen_garbage():
        load_libraries()
    server.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
