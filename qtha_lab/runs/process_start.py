"""Start of runs: a scheduler process imports the libraries and forks the workers.

A run alone is forked before any import, and imports them itself. Every worker inherits the lock of
its run, and records its end in the run's directory. A worker is a new process, which imports the
libraries itself, where a fork is not safe. Processes that multiprocessing starts anew inherit no
lock, and end with a daemon's parent.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import importlib.util
import logging
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from qtha_lab.core import locks, processes
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import append_shared, read, refuse_inner_links, remove_file, shortened
from qtha_lab.core.processes import module_command
from qtha_lab.experiment.run_directory import (
    RunDir,
    checkpoints,
    exit_status,
    queue,
)
from qtha_lab.experiment.run_directory.events import EventLog, last_step, read_tail

log = logging.getLogger(__name__)

LIBRARIES = (  # imports of a CPU run before its first step
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
)
SCORERS = ("sacrebleu", "rouge_score.rouge_scorer", "sklearn.metrics")  # after its last step
DEVICES = {  # device files of the driver, by backend as in `torch.version`
    "cuda": ("/dev/nvidiactl", "/dev/dxg"),
    "hip": ("/dev/kfd", "/dev/dxg"),
    "xpu": ("/dev/dri/renderD128", "/dev/dxg"),
}
FORKABLE = {"OPENBLAS_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}  # no thread pools
POLL_SECONDS = 0.1
FORK_SAFE = {"jemalloc_bg_thd"}  # thread of pyarrow's allocator, which handles forks itself


class Forks:
    """The workers that this scheduler process has forked, by process id.

    Each has its run and a copy of the run's lock, which is released once the exit is recorded.
    """

    def __init__(self) -> None:
        self.enabled, self.loads = False, True  # loads: the libraries are imported before a fork
        self.workers: dict[int, tuple[RunDir, int]] = {}

    def enable(self, alone: bool = False) -> None:
        """Fork the workers of this process from now on, if this machine allows it.

        A run alone imports the libraries itself, once it has a slot.
        """
        self.loads = self.loads and not alone
        reason = fork_hindrance()
        if reason:
            log.info("each run imports its libraries: %s", reason)
        elif sys.platform != "win32":
            signal.signal(signal.SIGCHLD, self.reap)
            self.enabled = True

    @contextlib.contextmanager
    def in_foreground(self) -> Iterator[None]:
        """Fork the workers of a study that this process runs, unless it has other threads."""
        is_main = threading.current_thread() is threading.main_thread()
        if self.enabled or not is_main or fork_hindrance() or unsafe_threads():
            yield
            return
        self.enable()
        atexit.register(_silence_end)
        try:
            yield
            self.wait()
        finally:
            self.enabled = False  # the workers that go on are reaped as before

    def start(self, files: RunDir, lock: int) -> bool:
        """Fork the worker of a run; return False if other threads make a fork unsafe."""
        if self.loads:
            load_libraries(LIBRARIES)
        if names := unsafe_threads():
            log.warning("%s starts as a new process: threads %s", files.path.name, names)
            return False
        copy = os.dup(lock)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        try:
            pid = os.fork()
            if pid == 0:
                _become_worker(files, lock)
            self.workers[pid] = files, copy
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        log.info("process %d is forked for %s", pid, files.path.name)
        if self.loads:  # the first run has begun
            load_libraries(SCORERS)
            self.loads = False
        return True

    def wait(self) -> None:
        """Wait until the exit of each worker is recorded."""
        while self.workers:
            time.sleep(POLL_SECONDS)

    def reap(self, *_: object) -> None:
        """Record the exit of each ended worker, then release its run."""
        for pid in [*self.workers]:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                files, copy = self.workers.pop(pid)
                exit_status.record_exit(files, pid, os.waitstatus_to_exitcode(status))
                os.close(copy)


FORKS = Forks()


def _silence_end() -> None:
    """Discard what libraries write while the interpreter ends, such as reports of leaks."""
    sys.stderr.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def fork_hindrance() -> str:
    """Return the reason against forking a process with torch loaded, or "".

    A forked process cannot use a GPU driver that torch has initialised before the fork.
    """
    if sys.platform != "linux":
        return f"a process with torch loaded is forked on Linux alone, and this is {sys.platform}"
    spec = importlib.util.find_spec("torch")
    version = Path(spec.origin).with_name("version.py") if spec and spec.origin else None
    built_for = runpy.run_path(str(version)) if version and version.exists() else dict(DEVICES)
    for kind, devices in DEVICES.items():
        if built_for.get(kind) and any(Path(device).exists() for device in devices):
            return f"torch is built for {kind}, whose driver does not survive a fork"
    return ""


def load_libraries(names: Sequence[str] = (*LIBRARIES, *SCORERS)) -> None:
    """Import libraries of workers, and load the compiled kernels.

    A thread pool that a library creates at its import would prevent forks.
    """
    from qtha_lab.runs.worker import use_threads

    before = dict(os.environ)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    use_threads()
    with processes.quick_imports():
        for name in names:
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
    os.environ.clear()
    os.environ.update(before)


def unsafe_threads() -> list[str]:
    """Return the names of further threads, which would make a fork unsafe."""
    threads = [t for t in Path("/proc/self/task").iterdir() if int(t.name) != os.getpid()]
    names = [read(thread / "comm").strip() for thread in threads]
    return [name for name in names if name not in FORK_SAFE]


def _become_worker(files: RunDir, lock: int) -> None:
    """Run the worker in the child process, and exit without return.

    The child gets a session of its own and closes all files of the scheduler, whose locks it would
    hold otherwise.
    """
    code = 1
    try:
        gc.freeze()  # no file object of the scheduler may be collected and close a new descriptor
        os.setsid()
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        with append_shared(files.log) as output:
            for descriptor in (1, 2):
                os.dup2(output.fileno(), descriptor)
        os.closerange(3, lock)
        os.closerange(lock + 1, os.sysconf("SC_OPEN_MAX"))
        from qtha_lab.runs.worker import work_on

        sys.argv = ["qtha_lab.runs.worker", str(files.path)]
        code = work_on(files, lock)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException as fault:
        traceback.print_exception(fault)
        sys.stderr.flush()
    finally:
        os._exit(code)


def end_scheduler(code: int) -> NoReturn:
    """End this process without the clean-up of libraries, which would write to its log."""
    logging.shutdown()
    os._exit(code)


def start_workers(every: Sequence[RunDir], *, anew: bool = False) -> None:
    """Start a worker per run, each of which inherits its run's lock.

    A scheduler process forks them, and so does a process without other threads that runs a study.
    Any other process starts a scheduler for them, which outlives this process.

    Raises:
        Refusal: If a run already has a worker.
    """
    with contextlib.ExitStack() as held:
        taken = [
            (files, held.enter_context(taken_over(files, "starting", anew=anew))) for files in every
        ]
        if locks.INHERITS and (not FORKS.enabled or unsafe_threads()):
            _start_scheduler(taken)
        else:
            for files, lock in taken:
                start_worker(files, lock)


def start_worker(files: RunDir, lock: int) -> threading.Thread | None:
    """Fork the worker of a run, or start a process and return its waiting thread."""
    if FORKS.enabled and FORKS.start(files, lock):
        return None
    return _start_process(files, lock)


def _start_scheduler(taken: Sequence[tuple[RunDir, int]]) -> None:
    """Start a scheduler process that inherits the locks of its runs."""
    arguments = [word for files, lock in taken for word in (str(files.path), str(lock))]
    with append_shared(taken[0][0].log) as output:
        scheduler = subprocess.Popen(
            module_command("qtha_lab.runs.scheduler", *arguments),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[lock for _, lock in taken],
            start_new_session=True,
        )
    threading.Thread(target=scheduler.wait, daemon=True).start()  # no zombie


@contextlib.contextmanager
def taken_over(files: RunDir, message: str, *, anew: bool = False) -> Iterator[int]:
    """Hold the lock of a run before its worker starts, and queue the run.

    A stop request is cleared.

    Yields:
        The descriptor that holds the run's lock, which no worker has signed yet.

    Raises:
        Refusal: If the run already has a worker, or was deleted.
    """
    try:
        lock = queue.hold(files.lock, patience=5)
    except FileNotFoundError:
        raise Refusal(
            f"Run {shortened(files.path.name)} is not in its folder. Restore it from the trash."
        ) from None
    if lock is None:
        pid = queue.holder(files.lock)
        raise Refusal(
            f"Run {files.path.name} must have one worker, got a second one. Stop process {pid} "
            "first."
        )
    try:
        refuse_inner_links(files.path)
        remove_file(files.stop)
        if anew:
            _forget_checkpoints(files)
        record_status(files, "queued", message)
        with append_shared(files.log) as output:
            output.write(f"{exit_status.BEGIN}\n".encode())
        os.ftruncate(lock, 0)
        yield lock
    finally:
        os.close(lock)


def _start_process(files: RunDir, lock: int) -> threading.Thread:
    """Start a worker as a new process that imports its libraries itself.

    Until its exit is recorded, this process holds a copy of the lock. A run whose lock no process
    can inherit counts as sent.
    """
    held = os.dup(lock) if locks.INHERITS else queue.hold(files.sent)
    with append_shared(files.log) as output:
        worker = locks.start_holding(
            module_command("qtha_lab.runs.worker", str(files.path)),
            lock,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    if locks.INHERITS:
        queue.sign(lock, worker.pid)

    def wait() -> None:
        exit_status.record_exit(files, worker.pid, worker.wait())
        if held is not None:
            os.close(held)

    thread = threading.Thread(target=wait, daemon=True, name=files.path.name)
    thread.start()
    return thread


def record_status(files: RunDir, state: str, message: str) -> None:
    """Append a status event at the last step of the log."""
    events = EventLog(files.events)
    events.append("status", state=state, step=last_step(read_tail(files.events)), message=message)
    events.close()


def _forget_checkpoints(files: RunDir) -> None:
    """Set all checkpoints aside, and record a restart at step 0 in the log."""
    for path in checkpoints.by_step(files.checkpoints).values():
        checkpoints.set_aside(path)
    events = EventLog(files.events)
    events.append("note", step=0, message="begun again at step 0 on request")
    events.append("checkpoint", step=0)
    events.close()
