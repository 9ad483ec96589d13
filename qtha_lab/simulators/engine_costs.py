"""Explanation of the engine choice, timings of every engine, and predicted cost of a batch.

A circuit is timed for growing batches, until the time for it is spent. Nothing is sent to a remote
backend, and nothing is written to disk.
"""

import bisect
import dataclasses
import functools
import itertools
import math
import time
from collections.abc import Collection

import torch
from torch import Tensor

from qtha_lab.circuits import Circuit, Gate, Readout
from qtha_lab.core.errors import Refusal
from qtha_lab.simulators.engine_selection import (
    automatic,
    choose,
    engine_names,
    engine_of,
    info_of,
    refusal,
    yields,
)
from qtha_lab.simulators.expval import expval_z, is_transformed

LARGE_QUBITS = 14  # from this size on the explanation states the memory
LARGEST = 2**25  # rotations times amplitudes of a timed circuit: some tenths of a second on a core
CALIBRATION_SECONDS = 1.0  # time for an estimate
SECONDS = 0.4  # for the timings of all engines together, after their libraries are imported
SIZES = tuple(4**k for k in range(12))  # batch sizes in samples, measured in this order
REPEATS = 5  # most repeats per batch; the fastest counts, since a busy machine only adds time


@dataclasses.dataclass(frozen=True)
class Explanation:
    """Selected engine and a reason per engine; prints as text.

    The engine is "" if none can run the batch.
    """

    asked: str
    batch: str
    engine: str
    reasons: dict[str, str]

    def __str__(self) -> str:
        width = max(map(len, self.reasons))
        lines = [f"{name:<{width}}  {reason}" for name, reason in self.reasons.items()]
        return "\n".join([f"engine={self.asked!r} for {self.batch}:", *lines])


def explain(
    circuit: Circuit,
    inputs: Tensor | int = 1,
    engine: str = "auto",
    readout: Readout | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    engines: Collection[str] | None = None,
) -> Explanation:
    """Explain which engine runs a batch and why each other engine does not.

    Args:
        circuit: Circuit to run.
        inputs: The batch itself, or its number of samples.
        engine: As for `expval_z`.
        readout: Read-out to compute; by default Z of every qubit.
        device: Device of the batch, if `inputs` is a number.
        dtype: Dtype of the batch, if `inputs` is a number.
        engines: Engines to list beside the selected one; by default all, which imports PennyLane.

    Returns:
        The selected engine ("" if none can run the batch) and a reason per engine; prints as text.

    Raises:
        Refusal: If there is no such engine.

    Example:
        >>> from qtha_lab.circuits.ansatze import build
        >>> why = explain(build("qtha", n_qubits=4, n_layers=1), 64, engine="torch")
        >>> print(why.batch, "→", why.engine, "·", why.reasons["cpu"])
        64 samples of 4 qubits, float32 on cpu → torch · passed over: not asked for
    """
    transformed = False
    if isinstance(inputs, Tensor):
        samples, transformed = (
            inputs.shape[:-1].numel(),
            engine == "auto" and is_transformed(inputs),
        )
        device, dtype = inputs.device, inputs.dtype
    else:
        samples = inputs
    readout = readout or Readout.z(circuit.n_qubits)
    kind = torch.device(device).type
    situation = circuit, readout, kind, transformed, samples
    chosen = choose(engine, *situation)
    engine_of(chosen)
    listed = engine_names()[1:] if engines is None else engines
    names = list(dict.fromkeys([*listed, chosen]))
    refusals = {name: refusal(name, *situation) for name in names}
    why_not = refusals
    if engine == "auto":
        earlier = automatic()[: automatic().index(chosen)]
        why_not = refusals | {
            n: other[1]
            for n in earlier
            if not refusal(n, *situation) and (other := yields(n, circuit, samples))
        }
    reasons = {n: _line(n, chosen, engine, kind, why_not[n]) for n in names}
    if engine == "auto":
        passed_over = [n for n in earlier if why_not.get(n)]
        reasons[chosen] += "".join(_instead(n, why_not[n]) for n in passed_over)
    if not refusals[chosen]:
        reasons[chosen] += _cost(chosen, circuit, readout) + _size(chosen, circuit, samples)
        reasons[chosen] += _remark(chosen)
    batch = f"{samples:,} sample{'' if samples == 1 else 's'} of {circuit.n_qubits} qubits, "
    batch += f"{_dtype(dtype)} on {kind}"
    return Explanation(engine, batch, "" if refusals[chosen] else chosen, reasons)


def _line(name: str, chosen: str, request: str, kind: str, reason: str) -> str:
    info = info_of(name)
    if reason:
        return f"{'refused' if name == request else 'passed over'}: {reason}"
    if name == chosen:
        return f"chosen: {'asked for; ' if name == request else ''}{info.strength}"
    if request != "auto":
        return "passed over: not asked for"
    if info.follows_tensors and kind == "cpu":
        return f"passed over: slower than {chosen} on CPU tensors; {info.strength}"
    return f"passed over: runs only when named; {info.strength}"


def _instead(name: str, reason: str) -> str:
    return f"; passed over {name}: {reason}"


def _cost(name: str, circuit: Circuit, readout: Readout) -> str:
    circuits = getattr(engine_of(name), "circuits", None)
    if circuits is None:
        return ""
    forward, backward = circuits(circuit, readout, name)
    return f"; {forward} circuit per sample, {backward} more for its gradients"


def _size(name: str, circuit: Circuit, samples: int) -> str:
    if circuit.n_qubits < LARGE_QUBITS:
        return ""
    needed = engine_of(name).working_bytes(circuit, max(samples, 1), name) / 2**20
    return (
        f"; {2**circuit.n_qubits:,} amplitudes per sample, {needed:,.0f} MiB at work: "
        "each qubit more "
        "doubles time and memory (`estimate` measures both)"
    )


def _remark(name: str) -> str:
    remark = getattr(engine_of(name), "remark", str)()
    return f"; {remark}" if remark else ""


def _dtype(dtype: torch.dtype) -> str:
    name = str(dtype).removeprefix("torch.")
    return name if name in ("float32", "float64") else f"{name} (computed in float32)"


@dataclasses.dataclass(frozen=True)
class Speed:
    """Timings of one engine for growing batches.

    Attributes:
        points: Pairs of samples and microseconds per sample, for values and both gradients. The
            last pair is the requested batch, or the largest that fits in the time. Empty if the
            engine refuses the circuit.
        reason: Reason why "auto" selects the engine, or does not.
    """

    points: tuple[tuple[int, float], ...]
    reason: str

    @property
    def microseconds(self) -> float | None:
        """Microseconds per sample at the largest batch; None without timings."""
        return self.points[-1][1] if self.points else None


def speeds(circuit: Circuit, batch: int, seconds: float = SECONDS) -> dict[str, Speed]:
    """Measure every engine that runs a circuit here, on CPU tensors in float32.

    Timings are cached until `forget()`. The first use of an engine imports its libraries; that time
    is not counted.

    Args:
        circuit: Circuit to run.
        batch: Number of samples.
        seconds: Approximate total duration; a slower engine is measured at fewer samples.

    Returns:
        The timings by engine name.

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
        raise Refusal(f"batch must be 1 or more, got {batch}.")
    reasons = explain(circuit, batch).reasons
    readout = Readout.z(circuit.n_qubits)
    able = [name for name in reasons if not refusal(name, circuit, readout)]
    limit, threads = seconds / max(len(able), 1), torch.get_num_threads()
    measured: dict[str, Speed] = {}
    for name, reason in reasons.items():
        points: list[tuple[int, float]] = []
        if name in able:
            curve = _curve(circuit, name, "cpu", threads, 1)
            curve.reach(batch, limit)
            points = [(n, 1e6 * curve.points[n][0] / n) for n in sorted(curve.points) if n <= batch]
        measured[name] = Speed(tuple(points), reason)
    return measured


def forget() -> None:
    """Clear all timings; the next call measures again."""
    _curve.cache_clear()


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
    n_circuits, shots, place = _runs(circuit, readout, name)
    n_shots = None if shots is None else shots * n_circuits * batch
    if batch == 0:
        return Estimate(name, 0, 0.0, 0, n_shots)
    working = running.working_bytes(circuit, batch, name)
    if place:
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


def _runs(circuit: Circuit, readout: Readout, engine: str) -> tuple[int, int | None, str]:
    """Return circuits per sample, shots per circuit, and a remote device.

    A single backward pass (adjoint or backpropagation) is not counted as a circuit.
    """
    if not engine.startswith("device:"):
        return 1, None, ""
    from qtha_lab.simulators.device import options
    from qtha_lab.simulators.device.engine import circuits
    from qtha_lab.simulators.device.options import parse_engine

    forward, backward = circuits(circuit, readout, engine)
    spec = parse_engine(engine)
    shifts = backward if backward > 1 else 0
    place = "" if options.is_local(spec.device) else spec.device
    return forward + shifts, spec.options.shots, place


@functools.lru_cache(maxsize=256)
def _curve(circuit: Circuit, engine: str, device: str, threads: int, runs: int) -> "_Curve":
    return _Curve(circuit, engine, device, runs)


class _Curve:
    """Seconds and saved bytes as functions of the batch size, measured on demand."""

    def __init__(self, circuit: Circuit, engine: str, device: str, runs: int):
        self.circuit, self.engine, self.device = circuit, engine, device
        self.shifts = runs - 1  # parameter-shift circuits per sample; if any, only values are timed
        self.points: dict[int, tuple[float, float]] = {}  # samples -> (seconds, saved bytes)
        self.spent = 0.0

    def seconds(self, batch: int) -> float:
        """Return the seconds of a batch: measured if time permits, else interpolated."""
        self.reach(max(self.shifts, 1) * batch)
        of_values = self._on_lines(batch)
        return of_values + self._on_lines(self.shifts * batch) if self.shifts else of_values

    def kept(self, batch: int) -> float:
        """Return the bytes that autograd saves between forward and backward pass."""
        samples = max(self.points)
        return self.points[samples][1] / samples * batch

    def reach(self, batch: int, limit: float = CALIBRATION_SECONDS) -> None:
        """Measure growing sizes up to the batch, until the time is spent."""
        if not self.points:
            self._measure(1)  # imports, compiles, fills tables
        for samples in (*(size for size in SIZES if size < batch), batch):
            if samples in self.points:
                continue
            known = len(self.points) > 1 or self.spent > limit
            if known and self.spent + self._on_lines(samples) > limit:
                return
            self.points[samples] = self._best(samples, limit)

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

    def _best(self, samples: int, limit: float) -> tuple[float, float]:
        """Return the seconds and saved bytes of the fastest of several passes."""
        measured = [self._measure(samples)]
        while len(measured) < REPEATS and (len(measured) + 1) * measured[-1][0] < limit / 8:
            measured.append(self._measure(samples))
        self.spent += sum(seconds for seconds, _ in measured)
        return min(measured)

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


@functools.lru_cache(maxsize=256)
def smaller_copy(circuit: Circuit) -> tuple[Circuit, int]:
    """Return a reduced copy of a circuit and the ratio of state sizes.

    A circuit that is small enough is returned unchanged, with ratio 1.

    Example:
        >>> from qtha_lab.circuits.ansatze import build
        >>> small, times = smaller_copy(build("qtha", n_qubits=20, n_layers=20))
        >>> small.n_qubits, times
        (13, 128)
    """
    widest = max((len(gate.wires) for gate in circuit.gates), default=1)
    rotations = sum(kind in "YZ" for gate in circuit.gates for kind, _, _ in gate.parts())
    wires = circuit.n_qubits
    while wires > max(widest, 2) and rotations * 2**wires > LARGEST:
        wires -= 1
    if wires == circuit.n_qubits:
        return circuit, 1
    gates = [_moved(gate, wires) for gate in circuit.gates]
    return Circuit(wires, gates, circuit.start), 2 ** (circuit.n_qubits - wires)


def _moved(gate: Gate, wires: int) -> Gate:
    """Map a gate to wires modulo `wires`; on a collision take the next free wire."""
    places: list[int] = []
    for wire in gate.wires:
        place = wire % wires
        while place in places:
            place = (place + 1) % wires
        places.append(place)
    return Gate(gate.name, tuple(places), gate.angles, gate.matrix)
