"""Explanation of the engine choice for a batch, with a reason per engine."""

import dataclasses
from collections.abc import Collection

import torch
from torch import Tensor

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.simulators.engine_selection import (
    automatic,
    choose,
    engine_names,
    engine_of,
    info_of,
    refusal,
    yields,
)
from qtha_lab.simulators.expval import is_transformed
from qtha_lab.simulators.registry import CountsCircuits, HasRemark

LARGE_QUBITS = 14  # from this size on the explanation states the memory


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
    running = engine_of(name)
    if not isinstance(running, CountsCircuits):
        return ""
    forward, backward = running.circuits(circuit, readout, name)
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
    running = engine_of(name)
    remark = running.remark() if isinstance(running, HasRemark) else ""
    return f"; {remark}" if remark else ""


def _dtype(dtype: torch.dtype) -> str:
    name = str(dtype).removeprefix("torch.")
    return name if name in ("float32", "float64") else f"{name} (computed in float32)"
