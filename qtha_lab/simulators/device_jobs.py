"""Runs tapes on a device in jobs: batches, further tries, a time limit, and nothing lost.

What a job brings home is in the cache before the next one starts.
"""

import functools
import hashlib
import queue
import threading
import time
from collections.abc import Iterable

import numpy as np

from qtha_lab.simulators import device_cache, device_plugins
from qtha_lab.simulators.device_options import Spec


def run_tapes(
    spec: Spec, n_qubits: int, finished: Iterable[tuple[str, object]], total: int
) -> np.ndarray:
    """Run finished tapes (see `Tapes.finish`).

    Args:
        spec: Where and how.
        n_qubits: Qubits of the device.
        finished: Names and tapes, made as they are needed.
        total: How many there are.

    Returns:
        What was measured, (tapes, numbers a tape).

    Raises:
        RuntimeError: If a job fails for good, with how much is done.
    """
    work = _Work(spec, n_qubits, total)
    for number, (key, tape) in enumerate(finished):
        work.add(key if spec.is_cached else f"{key} {number}", tape)
    work.submit()
    return np.stack([work.results[key] for key in work.order])


class _Work:
    """One call's tapes: which wait, and what is known."""

    def __init__(self, spec: Spec, n_qubits: int, total: int):
        self.spec, self.n_qubits, self.total = spec, n_qubits, total
        self.order: list[str] = []
        self.results: dict[str, np.ndarray] = {}
        self.seen: dict[str, object] = {}  # not yet looked up
        self.waiting: dict[str, object] = {}  # looked up in vain

    def add(self, key: str, tape) -> None:
        self.order.append(key)
        if key not in self.results and key not in self.waiting:
            self.seen[key] = tape
        if len(self.seen) >= self.spec.options.batch_size:
            self.look_up()
        while len(self.waiting) >= self.spec.options.batch_size:
            self.submit_some()

    def submit(self) -> None:
        self.look_up()
        while self.waiting:
            self.submit_some()

    def look_up(self) -> None:
        if self.spec.is_cached:
            self.results |= device_cache.look_up(self.seen)
        self.waiting |= {key: t for key, t in self.seen.items() if key not in self.results}
        self.seen.clear()

    def submit_some(self) -> None:
        """Run one job, and keep what it brings."""
        keys = list(self.waiting)[: self.spec.options.batch_size]
        try:
            rows = _tried(self.spec, self.n_qubits, [self.waiting[key] for key in keys], keys)
        except Exception as reason:
            raise RuntimeError(self._failure(reason)) from reason
        brought = dict(zip(keys, rows, strict=True))
        if self.spec.is_cached:
            device_cache.keep(brought, self.spec.device)
        self.results |= brought
        for key in keys:
            del self.waiting[key]

    def _failure(self, reason: Exception) -> str:
        done = sum(key in self.results for key in self.order)
        words = " ".join(str(reason).split()) or type(reason).__name__
        after = (
            "they are kept, and the same call goes on from there"
            if self.spec.is_cached
            else "they are lost, since cache=false"
        )
        return (
            f"PennyLane device {self.spec.device!r} failed with {done:,} of {self.total:,} circuits "
            f"done ({after}): {words}"
        )


def _tried(spec: Spec, n_qubits: int, tapes: list, keys: list[str]) -> list[np.ndarray]:
    """Run one job, again after a growing wait if it fails; simulators here fail only once."""
    tries = 1 if device_plugins.is_local(spec.device) else 1 + spec.options.retries
    for attempt in range(tries):
        try:
            device = _device_for(spec, n_qubits, keys, fresh=attempt > 0)
            return _in_time(spec.options.time_limit, lambda: _run_job(device, tapes))  # noqa: B023
        except Exception:
            if attempt == tries - 1:
                raise
            time.sleep(spec.options.backoff * 2**attempt)
    raise AssertionError


def _run_job(device, tapes: list) -> list[np.ndarray]:
    """One list of tapes, which a plugin sends as one job."""
    import pennylane as qml

    found = qml.execute(tapes, device, diff_method=None, cache=False)
    return [flat(row) for row in found]


def flat(found) -> np.ndarray:
    """The numbers of one tape, which PennyLane gives as a number, an array or a tuple of them."""
    parts = found if isinstance(found, tuple) else (found,)
    return np.concatenate([np.atleast_1d(part) for part in parts]).astype(np.float64)


def _in_time(limit: float | None, work):
    """The result of `work`, waited for no longer than the limit; what hangs is left behind."""
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
        found, reason = box.get(timeout=limit)
    except queue.Empty:
        raise TimeoutError(f"a job took longer than time_limit={limit:g} s") from None
    if reason is not None:
        raise reason
    return found


def _device_for(spec: Spec, n_qubits: int, keys: list[str], fresh: bool):
    """The device of a job; with a seed a new one, whose samples depend on seed and circuits."""
    seed = spec.options.seed
    if seed is not None:
        text = "\n".join([str(seed), *keys])
        drawn = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
        return device_plugins.start(spec.device, n_qubits, spec.own, drawn)
    if fresh:
        return device_plugins.start(spec.device, n_qubits, spec.own)
    return device(spec, n_qubits)


@functools.lru_cache(maxsize=64)
def device(spec: Spec, n_qubits: int):
    """A started device, kept for further calls."""
    return device_plugins.start(spec.device, n_qubits, spec.own)
