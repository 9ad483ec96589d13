"""The process of one run: `python -m qtha_lab.runs.worker RUN_DIR`.

Holds the run's lock while it runs, waits for a slot, fine-tunes and records its state as events. It
imports torch only once it has a slot; the fine-tuning itself is in `qtha_lab.training.finetune`.
"""

from __future__ import annotations

import argparse
import faulthandler
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path

from qtha_lab.core import fault_log, paths, processes
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import remove_file, whole_number
from qtha_lab.experiment.run_directory import (
    RunDir,
    disk,
    processors,
    queue,
)
from qtha_lab.experiment.run_directory.events import EventLog, last_step, read_tail
from qtha_lab.experiment.run_directory.processors import FreeThreads

log = logging.getLogger(__name__)

EXIT_CODES = {"finished": 0, "stopped": 0, "failed": 1, "diverged": 1}
REFUSED, INTERRUPTED = 2, 3
NICENESS = 5  # notebook and kernel have priority over training


class StopRequest:
    """A test for a stop request: the file `stop`, SIGTERM or Ctrl-C.

    Raises:
        Refusal: If the run's directory or its log no longer exists.
    """

    def __init__(self, run: RunDir) -> None:
        self.run, self.signalled = run, False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: object) -> None:
        self.signalled = True

    def __call__(self) -> bool:
        for file in (self.run.experiment_file, self.run.events):
            if not file.exists() and not disk.wait_until_reachable(self.run):
                raise Refusal(
                    f"{file} must stay in place during the run, got a file that was moved or "
                    "deleted."
                )
        return self.signalled or self.run.stop.exists()


def main(arguments: list[str] | None = None) -> int:
    """Run the worker of one run directory, and return the exit code.

    The code is 0 if the run finished or stopped on request.
    """
    parser = argparse.ArgumentParser(description="Work on one run directory.")
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--lock", type=int, help="inherited descriptor that holds the run's lock")
    parser.add_argument("--tether", action="store_true", help="die when standard input closes")
    options = parser.parse_args(arguments)
    run = RunDir(options.run_dir)
    if not run.exists:
        parser.exit(REFUSED, f"{run.path} is not a run directory: it has no experiment.yaml\n")
    if options.tether:
        threading.Thread(target=_die_with, args=(_tether(),), daemon=True).start()
    if processes.rank() > 0:
        return assist(run)
    lock = queue.hold(run.lock, patience=1) if options.lock is None else options.lock
    if lock is None:
        pid = queue.holder(run.lock)
        parser.exit(REFUSED, f"a worker is already at {run.path} (process {pid})\n")
    os.set_inheritable(lock, False)
    if processes.world_size() > 1:
        remove_file(run.stop)  # to start torchrun again is to resume
    return work_on(run, lock)


def _tether() -> int:
    """Return a copy of standard input, which is empty from then on."""
    tether, nothing = os.dup(0), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return tether


def _die_with(tether: int) -> None:
    """Kill this process when the one at the other end of a pipe has ended."""
    os.read(tether, 1)
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


def _be_nice() -> None:
    """Lower the priority of this process, where the system has this call."""
    if sys.platform != "win32":
        os.nice(NICENESS)


def assist(run: RunDir) -> int:
    """Train a run beside its worker, which alone receives stop requests.

    The exit code is 0 when the worker ends.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    faulthandler.enable()
    _be_nice()
    use_threads()
    with processes.quick_imports():
        from qtha_lab.training.finetune import assist as take_steps

    take_steps(run, int(os.environ["OMP_NUM_THREADS"]))
    return 0


def work_on(run: RunDir, lock: int) -> int:
    """Work on a run in this process, and return the exit code.

    The code is 0 if the run finished or stopped on request.
    """
    start = time.monotonic()
    spare = disk.Spare(run.path)
    faulthandler.enable()
    _be_nice()
    stop = StopRequest(run)
    state = "failed"
    try:
        queue.sign(lock, os.getpid())
        events = EventLog(run.events)
        state = _work(run, events, stop, spare)
        events.close()
    except OSError as error:
        if not disk.is_full(error):
            raise
        _print(str(disk.full(run.path)))
    spare.free()
    os.close(lock)
    code = EXIT_CODES[state]
    if state == "stopped" and processes.world_size() > 1:
        code = INTERRUPTED  # the others may wait for this process; torchrun ends them
    _print(f"worker ended with code {code} after {time.monotonic() - start:.1f} s")
    return code


def _print(sentence: str) -> None:
    try:
        sys.stdout.write(f"{sentence}\n")
        sys.stdout.flush()
    except OSError as reason:  # the run's log is on the full disk
        log.info("%s is not printed: %s", sentence, reason)


def _work(run: RunDir, events: EventLog, stop: StopRequest, spare: disk.Spare) -> str:
    """Wait for slots and fine-tune; record and return the end state."""
    try:
        training = run.experiment.training
        chosen = training.threads
        threads = max(queue.n_threads(chosen), processes.world_size(local=True))
        is_chosen, own = queue.is_chosen(chosen), queue.slots_of(threads)
        folder = queue.shared_folder(paths.runs_dir(), run.path.parent)
        held = _wait_for_slots(run, events, folder, own, stop)
        if held is None:
            state, step, message = "stopped", _last_step(run), "stopped while it waited for a slot"
        else:
            threads //= processes.world_size(local=True)
            use_threads(threads)
            log.info("%s: loading libraries, %d threads", run.path.name, threads)
            events.append("status", state="loading", step=_last_step(run), message="libraries")
            with processes.quick_imports():
                from qtha_lab.training.finetune import fine_tune

            state, step, message = fine_tune(
                run,
                events,
                stop,
                threads,
                None if is_chosen else FreeThreads(folder, own),
                queue=folder if queue.is_counted() else None,
                beside=lambda: queue.computing(folder) > own,
            )
    except BaseException as error:  # a plugin may raise SystemExit or KeyboardInterrupt
        spare.free()
        error = disk.full(run.path) if disk.is_full(error) else error
        state, step, message = "failed", _last_step(run), fault_log.fault_sentence(error, run.log)
    log.info("%s: %s at step %d; %s", run.path.name, state, step, message)
    spare.free()
    events.append("status", state=state, step=step, message=message)
    return state


def _wait_for_slots(
    run: RunDir, events: EventLog, folder: Path, count: int, stop: StopRequest
) -> dict[Path, int] | None:
    """Return the locks of the requested slots and GPUs, or None if stopped first.

    If there are GPUs, each process of the run takes one.
    """
    files = queue.queue_places(folder)
    by_file = processors.visible_gpus(folder) if queue.is_counted() else {}
    n_cards = min(len(by_file), processes.world_size(local=True))
    of = f"{'one' if count == 1 else count} of {len(files)} slots"
    on = f" and {n_cards} of {len(by_file)} cards" if by_file else ""
    events.append("status", state="queued", step=_last_step(run), message=f"waiting for {of}{on}")
    held = queue.Queue(folder).wait_in_line(
        run.path.name, lambda: queue.take([(files, count), (list(by_file), n_cards)]), stop
    )
    if held is not None and by_file:
        processors.use([name for file, name in by_file.items() if file in held])
    return held


SPINS = 5000  # spins before an idle thread sleeps


def use_threads(threads: int | None = None) -> None:
    """Set the variables that libraries read at import: threads and reproducible products.

    Results of products then do not depend on the number of threads. An idle thread of torch spins
    on a core that the circuit kernel needs; here it sleeps after `SPINS` iterations.
    """
    threads = threads or whole_number(os.environ.get("OMP_NUM_THREADS", "")) or os.cpu_count() or 1
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = str(threads)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))


def _last_step(run: RunDir) -> int:
    return last_step(read_tail(run.events))


if __name__ == "__main__":
    sys.exit(main())
