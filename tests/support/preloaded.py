"""A Python in which the large libraries are imported already: for tests of what a process does, not
of its start.

`[*PYTHON, "-m", "ipykernel_launcher"]` is launched as `[sys.executable, "-m",
"ipykernel_launcher"]` would be:
a client, which asks the one server of the whole suite for a fork. The fork has the client's
streams, folder,
variables and signals, and each of the two ends with the other. Ours is imported by the fork itself.
"""

import atexit
import contextlib
import fcntl
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import types
from pathlib import Path


def _is_open(descriptor: int) -> bool:
    try:
        return os.get_inheritable(descriptor)
    except OSError:
        return False


LIBRARIES = [
    "IPython.core.interactiveshell",
    "anywidget",
    "ipykernel.kernelapp",
    "ipywidgets",
    "pandas",
    "peft",
    "plotly.graph_objects",
    "sklearn.metrics",
    "torch._dynamo",
    "transformers.trainer",
    "typer",
]
PYTHON = [sys.executable, "-SE", __file__]
INHERITED = [0, 1, 2, *(n for n in map(int, os.listdir("/proc/self/fd")) if n > 2 and _is_open(n))]
KERNEL = [*PYTHON, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
IDLE_SECONDS = 300
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def program() -> str:
    """Write a Python whose scheduler processes are forked with the libraries; return its path."""
    path = folder() / f"python{os.getpid()}"
    path.write_text(
        f"#!{sys.executable} -SE\nimport os, sys\n"
        "words = sys.argv[1:]\n"
        "module = words[words.index('-m') + 1] if '-m' in words[:2] else ''\n"
        f"own = ['-SE', {__file__!r}] if module.endswith('.scheduler') else []\n"
        f"os.execv({sys.executable!r}, [{sys.executable!r}, *own, *words])\n"
    )
    path.chmod(0o700)
    return str(path)


def folder() -> Path:
    """Return the folder of this suite's server, which `conftest` made."""
    return Path(os.environ["XDG_RUNTIME_DIR"])


# the client: nothing heavy


def ask(arguments: list[str]) -> int:
    """Have a fork do what `python arguments` would; how it ended."""
    connection = connected()
    request = {"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}
    request["descriptors"] = INHERITED
    socket.send_fds(connection, [json.dumps(request).encode() + b"\n"], INHERITED)
    answers = connection.makefile()
    pid = int(answers.readline())
    for number in FORWARDED:
        signal.signal(number, lambda number, _: os.kill(pid, number))
    return int(answers.readline() or -signal.SIGKILL)


def connected() -> socket.socket:
    """A connection to the server, which is started where there is none."""
    server = None
    while server is None or server.poll() in (None, 0):
        connection = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(OSError):
            connection.connect(str(folder() / "preloaded"))
            return connection
        connection.close()
        if server is None:
            server = start_server()
        time.sleep(0.02)
    raise RuntimeError("the server of the preloaded Python ended")


def start_server() -> subprocess.Popen:
    with (folder() / "preloaded.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, __file__, "--serve"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


# the server


class Server:
    """Forks a process for every client, until the folder has gone or nobody has asked for long."""

    def __init__(self) -> None:
        self.clients: dict[socket.socket, int] = {}
        self.listener = socket.socket(socket.AF_UNIX)
        address = folder() / "preloaded"
        address.unlink(missing_ok=True)  # of a server before: its lock was free
        self.listener.bind(str(address))
        self.listener.listen(64)
        self.ears, bell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(bell, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        last = time.monotonic()
        while folder().exists() and time.monotonic() < last + IDLE_SECONDS:
            if self.clients:
                last = time.monotonic()
            ready, _, _ = select.select([self.listener, self.ears, *self.clients], [], [], 1)
            if self.ears in ready:
                os.read(self.ears, 4096)
                self.reap()
            if self.listener in ready:
                self.fork()
            for client in self.clients.keys() & ready:  # it was killed
                os.kill(self.clients[client], signal.SIGKILL)

    def fork(self) -> None:
        client, _ = self.listener.accept()
        message, streams, _, _ = socket.recv_fds(client, 1 << 20, 250)
        while not message.endswith(b"\n"):
            if not (more := client.recv(1 << 20)):  # it has gone
                return
            message += more
        pid = os.fork()
        if pid == 0:
            become(json.loads(message), streams)
        for stream in streams:
            os.close(stream)
        self.clients[client] = pid
        client.sendall(b"%d\n" % pid)

    def reap(self) -> None:
        """Tell the clients whose forks have ended how they did."""
        for client, pid in [*self.clients.items()]:
            if (ended := os.waitpid(pid, os.WNOHANG))[0]:
                with contextlib.suppress(OSError):
                    client.sendall(b"%d\n" % os.waitstatus_to_exitcode(ended[1]))
                client.close()
                del self.clients[client]


def become(request: dict, streams: list[int]) -> None:
    """Run the requested Python in the fork; never returns."""
    status = 1
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        high = [fcntl.fcntl(stream, fcntl.F_DUPFD_CLOEXEC, 500) for stream in streams]
        for stream in streams:
            os.close(stream)
        for number, stream in zip(request["descriptors"], high, strict=True):
            os.dup2(stream, number)
            os.close(stream)
        sys.stdin = os.fdopen(
            0, closefd=False
        )  # the server's own remember whether theirs could seek
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.environ.pop("JPY_PARENT_PID", None)  # a kernel would look whether that is its parent
        os.chdir(request["folder"])
        paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        searched = [""] * (request["arguments"][0] != "-P")
        sys.path[:1] = [*searched, *(path for path in paths if path and path not in sys.path)]
        status = run(*request["arguments"][not searched :])
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def run(option: str, subject: str, *arguments: str) -> int:
    """Do what `python -m module` or `python -c code` does; the exit status."""
    sys.argv = [option, *arguments]
    sys.orig_argv = [sys.executable, option, subject, *arguments]
    status = None
    try:
        if option == "-m":
            runpy.run_module(subject, run_name="__main__", alter_sys=True)
        else:
            main = sys.modules["__main__"] = types.ModuleType("__main__")
            exec(compile(subject, "<string>", "exec"), vars(main))
    except SystemExit as end:
        status = end.code
    except BaseException:
        traceback.print_exc()
        status = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    if not isinstance(status, int | None):
        print(status, file=sys.stderr)
        status = 1
    return status or 0


def main() -> None:
    if sys.argv[1:] != ["--serve"]:
        status = ask(sys.argv[1:])
        if status < 0:
            signal.signal(-status, signal.SIG_DFL)
            os.kill(os.getpid(), -status)
        sys.exit(status)
    from filelock import lock_descriptor  # the client sees no packages

    lock = os.open(folder() / "preloaded.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    if not lock_descriptor(lock, blocking=False):
        return  # another was quicker
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # no thread is begun that a fork would leave behind
    server = Server()
    for name in LIBRARIES:
        importlib.import_module(name)
    server.serve()


if __name__ == "__main__":
    main()
