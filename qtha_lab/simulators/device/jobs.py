"""Execution of tapes in jobs, with retries, time limit and cache.

The results of a job are written to the cache before the next job starts.
"""

import functools
import hashlib
import itertools
import logging
import queue
import threading
import time
from collections.abc import Iterable

import numpy as np

from qtha_lab.core.errors import Refusal
from qtha_lab.simulators.device import cache, plugins
from qtha_lab.simulators.device.options import Spec
from qtha_lab.simulators.device.tapes import TapeRows, Tapes

log = logging.getLogger(__name__)


class JobFailure(Refusal, RuntimeError):  # noqa: N818  a failure report of a device
    """Failure of a device to run a job after all retries."""


def run_rows(tapes: Tapes, blocks: Iterable[TapeRows], total: int) -> np.ndarray:
    """Run circuits on a device.

    Args:
        tapes: Circuit, device and options.
        blocks: Numbers of the circuits, generated on demand.
        total: Total number of circuits.

    Returns:
        Measurement results, (circuits, numbers per circuit).

    Raises:
        JobFailure: If a job fails after all retries; the message states the number of finished
            circuits.

    Example:
        >>> from qtha_lab.circuits import Angle, Circuit, Gate, Readout
        >>> from qtha_lab.simulators.device.options import parse_engine
        >>> flip = Circuit(1, [Gate("RX", 0, Angle.param(0))])
        >>> tapes = Tapes(flip, Readout.z(1), parse_engine("device:default.qubit"))
        >>> run_rows(tapes, [TapeRows(np.array([[0.0], [np.pi]]))], 2).round(6)
        array([[ 1.],
               [-1.]])
    """
    work = _Work(tapes, total)
    size = tapes.spec.options.batch_size
    for block in blocks:
        for first in range(0, len(block), size):
            work.add(tapes.finish(block.take(slice(first, first + size))))
    work.submit(least=1)
    return np.stack([work.results[name] for name in work.order])


class _Work:
    """Circuits of one call: pending circuits and known results."""

    def __init__(self, tapes: Tapes, total: int):
        self.tapes, self.spec, self.total = tapes, tapes.spec, total
        self.order: list[str] = []
        self.results: dict[str, np.ndarray] = {}
        self.waiting: dict[str, TapeRows] = {}

    def add(self, rows: TapeRows) -> None:
        """Look up rows in the cache, queue the others, and run all full jobs."""
        if self.spec.is_cached:
            names = self.tapes.names(rows)
            self.results |= cache.cached_results(set(names) - self.results.keys())
        else:  # equal circuits run separately, each with its own shots
            names = [str(len(self.order) + i) for i in range(len(rows))]
        self.order += names
        for i, name in enumerate(names):
            if name not in self.results and name not in self.waiting:
                self.waiting[name] = rows.take([i])
        self.submit(least=self.spec.options.batch_size)

    def submit(self, least: int) -> None:
        """Run jobs while at least `least` circuits are pending."""
        while len(self.waiting) >= least:
            self._submit_job()

    def _submit_job(self) -> None:
        """Run one job and store its results."""
        names = list(itertools.islice(self.waiting, self.spec.options.batch_size))
        rows = joined([self.waiting[name] for name in names])
        log.debug("%s: a job of %d circuits", self.spec.device, len(names))
        try:
            measured = _tried(self.tapes, rows)
        except Exception as reason:
            raise JobFailure(self._failure(reason)) from reason
        results = dict(zip(names, measured, strict=True))
        if self.spec.is_cached:
            cache.keep(results, self.spec.device)
        self.results |= results
        for name in names:
            del self.waiting[name]

    def _failure(self, reason: Exception) -> str:
        done = sum(key in self.results for key in self.order)
        words = " ".join(str(reason).split()) or type(reason).__name__
        after = (
            "they are stored, and the same call continues"
            if self.spec.is_cached
            else "they are lost, since cache=false"
        )
        return (
            f"PennyLane device {self.spec.device!r} failed with {done:,} "
            f"of {self.total:,} circuits "
            f"done ({after}): {words}"
        )


def _tried(tapes: Tapes, rows: TapeRows) -> np.ndarray:
    """Run one job; retry with exponential backoff, except on a local simulator."""
    options, local = tapes.spec.options, plugins.is_local(tapes.spec.device)
    tries = 1 if local else 1 + options.retries
    for attempt in itertools.count(1):
        try:
            started = _device_for(tapes, rows, fresh=attempt > 1)
            return _in_time(options.time_limit, functools.partial(_run_job, tapes, rows, started))
        except Exception as reason:
            if attempt == tries:
                raise
            pause = options.backoff * 2 ** (attempt - 1)
            log.warning("%s: try %d of %d failed: %s", tapes.spec.device, attempt, tries, reason)
            time.sleep(pause)
    raise AssertionError("the count has no end")


def _run_job(tapes: Tapes, rows: TapeRows, started) -> np.ndarray:
    """Run one list of tapes, which a plugin sends as one job."""
    import pennylane as qml

    return tapes.measured(qml.execute(tapes.tapes(rows), started, diff_method=None, cache=False))


def _in_time(limit: float | None, work):
    """Return the result of `work`, or raise TimeoutError after the limit.

    A call that hangs stays in its daemon thread.
    """
    if limit is None:
        return work()
    box: queue.SimpleQueue = queue.SimpleQueue()

    def run() -> None:
        try:
            box.put((work(), None))
        except Exception as reason:
            box.put((None, reason))

    threading.Thread(target=run, daemon=True, name="qtha-device").start()
    try:
        result, reason = box.get(timeout=limit)
    except queue.Empty:
        raise TimeoutError(f"a job took longer than time_limit={limit:g} s") from None
    if reason is not None:
        raise reason
    return result


def _device_for(tapes: Tapes, rows: TapeRows, fresh: bool):
    """Return the device of a job.

    With the option `seed` it is a new device, seeded by this seed and the circuits.
    """
    spec, n_qubits = tapes.spec, tapes.circuit.n_qubits
    if spec.options.seed is not None:
        text = "\n".join(tapes.names(rows))  # every name depends on the seed
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
        return plugins.start_device(spec.device, n_qubits, spec.own, seed)
    if fresh:
        return plugins.start_device(spec.device, n_qubits, spec.own)
    return device(spec, n_qubits)


@functools.lru_cache(maxsize=64)
def device(spec: Spec, n_qubits: int):
    """Return a device, cached for further calls."""
    return plugins.start_device(spec.device, n_qubits, spec.own)


def joined(parts: list[TapeRows]) -> TapeRows:
    """Concatenate rows."""
    starts = [part.starts for part in parts if part.starts is not None]
    numbers = np.concatenate([part.numbers for part in parts])
    return TapeRows(numbers, np.concatenate(starts) if starts else None)
