"""Cost prediction of an evaluation: circuits, shots, seconds, bytes.

The circuit itself is timed for growing batches until one second is spent. Nothing is sent to a
remote backend, and nothing is written to disk.
"""

import bisect
import dataclasses
import functools
import itertools
import math
import time

import torch

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.core.errors import Refusal
from qtha_lab.simulators.device import plugins
from qtha_lab.simulators.device.engine import circuits
from qtha_lab.simulators.device.options import parse_engine
from qtha_lab.simulators.engine_selection import choose, engine_of
from qtha_lab.simulators.expval import expval_z
from qtha_lab.simulators.smaller_circuit import smaller_copy

CALIBRATION_SECONDS = 1.0
SIZES = tuple(4**k for k in range(12))  # batch sizes in samples, measured in this order
REPEATS = ((0.02, 4), (0.2, 2))  # (longest seconds, number of passes); the fastest pass counts


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Predicted cost of the values and both gradients of a batch.

    Attributes:
        engine: Engine that runs the batch; never "auto".
        circuits: Number of circuits: one per sample, plus those of the parameter-shift rule on
            devices without gradients of their own.
        seconds: Duration; None if unknown.
        bytes: Peak memory, without inputs and params.
        saved_bytes: Part of `bytes` that autograd saves between forward and backward pass.
        shots: Total number of measurement shots; None if the result is exact.
        note: Reason for an unknown value, else empty.
    """

    engine: str
    circuits: int
    seconds: float | None
    bytes: int
    shots: int | None = None
    note: str = ""
    saved_bytes: int = 0


def estimate(circuit: Circuit, batch: int, engine: str = "auto", device: str = "cpu") -> Estimate:
    """Predict the cost of `expval_z` and its gradients for a batch, in float32.

    The first estimate of a circuit takes about one second. A circuit too large for that is timed on
    fewer wires and extrapolated.

    Args:
        circuit: Circuit to run.
        batch: Number of samples.
        engine: As for `expval_z`.
        device: Device of the tensors, such as "cpu" or "cuda".

    Returns:
        Engine, circuits, seconds, bytes and shots of one forward and backward pass.

    Raises:
        Refusal: If the batch is negative, or the engine cannot run the circuit.

    Example:
        >>> from qtha_lab.circuits import Angle, Gate
        >>> rotation = Circuit(1, [Gate("RY", 0, Angle.input(0)), Gate("RY", 0, Angle.param(0))])
        >>> cost = estimate(rotation, batch=10, engine="device:default.qubit(shots=100)")
        >>> cost.circuits, cost.shots  # a sample: its value, and two shifts of each of two angles
        (50, 5000)
    """
    if batch < 0:
        raise Refusal(f"batch must be 0 or more, got {batch}.")
    readout = Readout.z(circuit.n_qubits)
    name = choose(engine, circuit, readout, device, batch=batch)
    running = engine_of(name)
    running.check(circuit, readout, name)
    n_circuits, shots = _runs(circuit, readout, name)
    n_shots = None if shots is None else shots * n_circuits * batch
    if batch == 0:
        return Estimate(name, 0, 0.0, 0, n_shots)
    working = running.working_bytes(circuit, batch, name)
    if place := _other_machine(name):
        note = (
            f"{place!r} is not a simulator of PennyLane's own: "
            "its time, and a queue before it, are not known"
        )
        return Estimate(name, n_circuits * batch, None, int(working), n_shots, note)
    small, times = smaller_copy(circuit)
    curve = _curve(small, name, device, torch.get_num_threads(), n_circuits)
    seconds = times * curve.seconds(batch)
    saved_bytes = int(times * curve.kept(batch))
    return Estimate(
        name,
        n_circuits * batch,
        seconds,
        int(working) + saved_bytes,
        n_shots,
        saved_bytes=saved_bytes,
    )


def _runs(circuit: Circuit, readout: Readout, engine: str) -> tuple[int, int | None]:
    """Return the circuits per sample and the shots per circuit.

    A single backward pass (adjoint or backpropagation) is not counted as a circuit.
    """
    if not engine.startswith("device:"):
        return 1, None
    forward, backward = circuits(circuit, readout, engine)
    shifts = backward if backward > 1 else 0
    return forward + shifts, parse_engine(engine).options.shots


def _other_machine(engine: str) -> str:
    """Return the device's name if it may be a remote backend, else an empty string."""
    if not engine.startswith("device:"):
        return ""
    device = parse_engine(engine).device
    return "" if plugins.is_local(device) else device


@functools.lru_cache(maxsize=256)
def _curve(circuit: Circuit, engine: str, device: str, threads: int, runs: int) -> "_Curve":
    return _Curve(circuit, engine, device, runs)


def forget() -> None:
    """Clear all measurements; the next estimates measure again."""
    _curve.cache_clear()


class _Curve:
    """Seconds and saved bytes as functions of the batch size, measured on demand."""

    def __init__(self, circuit: Circuit, engine: str, device: str, runs: int):
        self.circuit, self.engine, self.device = circuit, engine, device
        self.shifts = runs - 1  # parameter-shift circuits per sample; if any, only values are timed
        self.points: dict[int, tuple[float, float]] = {}  # samples -> (seconds, saved bytes)
        self.spent = 0.0

    def seconds(self, batch: int) -> float:
        """Return the seconds of a batch: measured if time permits, else interpolated."""
        self._reach(max(self.shifts, 1) * batch)
        of_values = self._on_lines(batch)
        return of_values + self._on_lines(self.shifts * batch) if self.shifts else of_values

    def kept(self, batch: int) -> float:
        """Return the bytes that autograd saves between forward and backward pass."""
        samples = max(self.points)
        return self.points[samples][1] / samples * batch

    def _reach(self, batch: int) -> None:
        """Measure growing sizes up to the batch, until the time is spent."""
        if not self.points:
            self._measure(1)  # imports, compiles, fills tables
        for samples in (*(size for size in SIZES if size < batch), batch):
            if samples in self.points:
                continue
            known = len(self.points) > 1 or self.spent > CALIBRATION_SECONDS
            if known and self.spent + self._on_lines(samples) > CALIBRATION_SECONDS:
                return
            self.points[samples] = self._best(samples)

    def _on_lines(self, batch: int) -> float:
        """Interpolate the seconds linearly between sizes; extrapolate from the last two."""
        undisturbed = self._undisturbed()
        if batch in undisturbed or len(undisturbed) == 1:
            samples = batch if batch in undisturbed else max(undisturbed)
            return undisturbed[samples] * batch / samples
        sizes = sorted(undisturbed)
        below = min(bisect.bisect(sizes, batch), len(sizes) - 1)
        (few, short), (many, long) = ((n, undisturbed[n]) for n in sizes[below - 1 : below + 1])
        gradient = (long - short) / (many - few)
        if batch > many:  # bound the gradient: extrapolation must not amplify a disturbed timing
            gradient = min(max(gradient, 0.5 * long / many), 1.5 * long / many)
        return long + gradient * (batch - many)

    def _undisturbed(self) -> dict[int, float]:
        """Return seconds by samples, each at most the time of any larger batch.

        A busy machine only adds time, so a smaller batch that took longer was disturbed.
        """
        sizes = sorted(self.points, reverse=True)
        shortest = itertools.accumulate((self.points[size][0] for size in sizes), min)
        return dict(zip(sizes, shortest, strict=True))

    def _best(self, samples: int) -> tuple[float, float]:
        """Return the seconds and saved bytes of the fastest of several passes."""
        measurements = [self._measure(samples)]
        repeats = next((times for longest, times in REPEATS if measurements[0][0] < longest), 1)
        measurements += [self._measure(samples) for _ in range(repeats - 1)]
        self.spent += sum(seconds for seconds, _ in measurements)
        seconds, saved_bytes = min(measurements)
        return seconds, saved_bytes

    def _measure(self, samples: int) -> tuple[float, float]:
        """Time one forward and backward pass, or the forward pass alone for parameter-shift.

        Angles differ between calls, because devices may cache results by their angles.
        """
        gradients = not self.shifts
        inputs, params = (
            _random(shape, self.device).requires_grad_(gradients)
            for shape in ((samples, self.circuit.n_inputs), (self.circuit.n_params,))
        )
        sizes: dict[int, int] = {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
            return tensor

        start = time.perf_counter()
        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
            values = expval_z(self.circuit, inputs, params, self.engine)
        if gradients:
            torch.autograd.grad(values.sum(), (inputs, params), allow_unused=True)
        if self.device != "cpu":
            torch.accelerator.synchronize()
        seconds = time.perf_counter() - start
        leaves = [tensor.untyped_storage().data_ptr() for tensor in (inputs, params)]
        return seconds, float(sum(size for place, size in sizes.items() if place not in leaves))


_seeds = itertools.count()


def _random(shape: tuple[int, ...], device: str) -> torch.Tensor:
    """Draw angles in [0, π) from a separate random generator."""
    generator = torch.Generator().manual_seed(time.time_ns() + next(_seeds))
    return (math.pi * torch.rand(shape, generator=generator)).to(device)
