"""How fast each engine runs a circuit on this machine now, beside each other, in a few tenths of a second.

What one engine will cost a run is `cost.estimate`; which of them "auto" takes, and why, is `explain`.
"""

import dataclasses
import functools
import itertools
import time
from collections.abc import Callable

import torch

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.core.errors import Refusal
from qtha_lab.simulators.engine_choice import explain
from qtha_lab.simulators.engine_selection import refusal
from qtha_lab.simulators.expval import expval_z

SECONDS = 0.4  # of all engines together, once their libraries are loaded
GROWTH = 8  # from one batch to the next that is tried
REPEATS = 5  # of a batch at most, of which the fastest counts: a busy machine only adds time
Points = tuple[tuple[int, float], ...]


@dataclasses.dataclass(frozen=True)
class Speed:
    """An engine at growing batches.

    Attributes:
        points: Samples, and microseconds per sample of values and both gradients. The last is the batch
            asked for, or the largest that there was time for; none if the engine refuses it.
        reason: Whether "auto" takes the engine, and why, or why not.
    """

    points: Points
    reason: str

    @property
    def microseconds(self) -> float | None:
        """Per sample, at the largest batch."""
        return self.points[-1][1] if self.points else None


def speeds(circuit: Circuit, batch: int, seconds: float = SECONDS) -> dict[str, Speed]:
    """Measure every engine that runs a circuit here, on CPU tensors in float32.

    What was measured is remembered until `forget()`. The first time that an engine is met its libraries
    are loaded, which is not timed.

    Args:
        circuit: What is to be run.
        batch: Samples.
        seconds: About how long it may take; an engine that needs longer for the batch is measured at fewer samples.

    Returns:
        By engine.

    Raises:
        Refusal: If the batch is below 1.

    Example:
        >>> from qtha_lab.circuits.ansatze import build
        >>> measured = speeds(build("qtha", n_qubits=2, n_layers=1), batch=4, seconds=0.01)
        >>> measured["cpu"].reason
        'chosen: the fastest on CPU tensors'
        >>> measured["cpu"].microseconds > 0
        True
    """
    if batch < 1:
        raise Refusal(f"batch must be 1 or more, not {batch}")
    reasons = explain(circuit, batch).reasons
    readout = Readout.z(circuit.n_qubits)
    able = [name for name in reasons if not refusal(name, circuit, readout)]
    share = seconds / max(len(able), 1)
    threads = torch.get_num_threads()
    return {
        name: Speed(_measured(circuit, batch, name, share, threads) if name in able else (), reason)
        for name, reason in reasons.items()
    }


def forget() -> None:
    """Throw away what was measured."""
    _measured.cache_clear()


@functools.lru_cache(maxsize=1024)
def _measured(circuit: Circuit, batch: int, engine: str, seconds: float, threads: int) -> Points:
    """Growing batches of one engine, as far as the next fits into the time."""
    spent, points = 0.0, []
    _rotation(circuit, 1, engine)()  # imports, compiles, fills tables
    for samples in [*itertools.takewhile(lambda size: size < batch, _sizes()), batch]:
        if points and spent + points[-1][1] * samples / 1e6 > seconds:
            break
        rotation, times = _rotation(circuit, samples, engine), []
        while len(times) < REPEATS and (not times or sum(times) + times[-1] < seconds / 8):
            times.append(rotation())
        spent += sum(times)
        points.append((samples, 1e6 * min(times) / samples))
    return tuple(points)


def _sizes():
    return (GROWTH**k for k in itertools.count())


def _rotation(circuit: Circuit, samples: int, engine: str) -> Callable[[], float]:
    """Seconds of values and both gradients of a batch."""
    generator = torch.Generator().manual_seed(samples)
    inputs = torch.rand(samples, circuit.n_inputs, generator=generator).requires_grad_()
    params = torch.rand(circuit.n_params, generator=generator).requires_grad_()

    def rotation() -> float:
        began = time.perf_counter()
        with torch.enable_grad():
            values = expval_z(circuit, inputs, params, engine)
        torch.autograd.grad(values.sum(), (inputs, params), allow_unused=True)
        return time.perf_counter() - began

    return rotation
