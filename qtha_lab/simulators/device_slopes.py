"""Derivatives on devices: the adjoint walk where a device has it, else parameter-shift.

Every method gives the slope of Σ grad · values by each occurrence of an angle; the chain rule to
inputs and parameters, which may be shared and scaled, is one function.
"""

import functools

import numpy as np

from qtha_lab.simulators.device_jobs import device, flat, run_tapes
from qtha_lab.simulators.device_tapes import Slot, Tapes


def shift_slopes(
    tapes: Tapes, inputs: np.ndarray, params: np.ndarray, grad: np.ndarray, slots: list[Slot]
) -> np.ndarray:
    """Slopes by parameter-shift, (batch, slots): two circuits an angle, four of a controlled turn.

    Exact for sampled and noisy devices too: gates move one at a time, and no channel moves with them.

    Source:
        Mitarai et al. 2018, arXiv:1803.00745; Schuld et al. 2019, arXiv:1811.11184; for controlled
        turns Anselmetti et al. 2021, arXiv:2104.05695. The rules are PennyLane's.
    """
    rules = _rules(tapes, slots)

    def finished():
        for x in inputs:
            ops = tapes.ops(x, params)
            for slot, rule in zip(slots, rules, strict=True):
                yield from (tapes.finish(tapes.shifted(ops, slot, s)) for _, s in rule)

    n_terms = sum(map(len, rules))
    rows = run_tapes(tapes.spec, tapes.circuit.n_qubits, finished(), len(inputs) * n_terms)
    rows = rows.reshape(len(inputs), n_terms, -1)
    terms = np.einsum("btm,bm->bt", rows, grad[:, tapes.read])
    weighted = terms * np.array([weight for rule in rules for weight, _ in rule])
    starts = np.cumsum([0, *map(len, rules)])[:-1]
    return np.add.reduceat(weighted, starts, axis=1)


def n_shifts(tapes: Tapes, slots: list[Slot]) -> int:
    """Circuits that parameter-shift runs for one sample."""
    return sum(map(len, _rules(tapes, slots)))


def _rules(tapes: Tapes, slots: list[Slot]) -> list[tuple[tuple[float, float], ...]]:
    """For each slot the weights and shifts whose weighted sum is the slope."""
    circuit = tapes.circuit
    ops = tapes.ops(np.ones(circuit.n_inputs), np.ones(circuit.n_params))
    return [_rule(tuple(ops[s.op].parameter_frequencies[s.place])) for s in slots]


@functools.cache
def _rule(frequencies: tuple[float, ...]) -> tuple[tuple[float, float], ...]:
    from pennylane.gradients import generate_shift_rule

    return tuple((float(w), float(s)) for w, s in generate_shift_rule(frequencies))


def adjoint_slopes(
    tapes: Tapes, inputs: np.ndarray, params: np.ndarray, grad: np.ndarray
) -> np.ndarray:
    """Slopes by the device's own adjoint walk, (batch, slots)."""
    started = device(tapes.spec, tapes.circuit.n_qubits)
    scripts = [_with_slots(tapes, tapes.ops(x, params)) for x in inputs]
    config = started.setup_execution_config(_adjoint(), scripts[0])
    ready, _ = started.preprocess_transforms(config)(scripts)
    back = [tuple(row) if len(row) > 1 else row[0] for row in grad[:, tapes.read]]
    found = started.compute_vjp(ready, back, config)
    return np.stack([flat(row) for row in found]).reshape(len(inputs), len(tapes.slots))


def has_adjoint(tapes: Tapes) -> bool:
    """Whether the device can walk back through these circuits by itself."""
    circuit, options = tapes.circuit, tapes.spec.options
    exact = options.shots is None and not options.is_noisy and not options.basis
    if not exact or tapes.readout.kind != "strings":
        return False
    ops = tapes.ops(np.ones(circuit.n_inputs), np.ones(circuit.n_params))
    started = device(tapes.spec, circuit.n_qubits)
    try:
        return bool(started.supports_derivatives(_adjoint(), _with_slots(tapes, ops)))
    except Exception:  # a device's refusal takes many forms
        return False


def _adjoint():
    from pennylane.devices import ExecutionConfig

    return ExecutionConfig(
        gradient_method="adjoint", use_device_gradient=True, use_device_jacobian_product=True
    )


def _with_slots(tapes: Tapes, ops: list):
    _, script = tapes.finish(ops)
    before = np.cumsum([0, *(len(op.data) for op in script.operations)])
    script.trainable_params = [int(before[slot.op]) + slot.place for slot in tapes.slots]
    return script


def amplitude_slopes(
    tapes: Tapes, inputs: np.ndarray, params: np.ndarray, grad: np.ndarray
) -> np.ndarray:
    """Slopes by the amplitudes a circuit starts in, (batch, 2^n), by 2 · 2^n circuits a sample.

    What is read is a quadratic form f(x) = xᵀMx of a real start, also behind channels, so
    ∂f/∂x_k = (f(x + e_k) - f(x - e_k)) / 2, each f measured on the unit vector and scaled back.
    """
    batch, size = inputs.shape
    moved = inputs[:, None, None, :] + np.eye(size)[:, None, :] * np.array([1.0, -1.0])[:, None]
    squared = np.square(moved).sum(-1)
    moved[squared < 1e-12] = np.eye(size)[0]  # f(0) = 0: what is measured there counts nothing
    squared[squared < 1e-12] = 0.0
    starts = (moved / np.linalg.norm(moved, axis=-1, keepdims=True)).reshape(-1, size)
    finished = (tapes.finish(tapes.ops(x, params)) for x in starts)
    rows = run_tapes(tapes.spec, tapes.circuit.n_qubits, finished, len(starts))
    terms = np.einsum("bksm,bm->bks", rows.reshape(batch, size, 2, -1), grad[:, tapes.read])
    return (terms * squared * np.array([0.5, -0.5])).sum(-1)


def by_source(
    slots: list[Slot], slopes: np.ndarray, n_inputs: int, n_params: int
) -> tuple[np.ndarray, np.ndarray]:
    """The chain rule from angles to inputs (batch, n_inputs) and params (n_params,)."""
    of_inputs, of_params = np.zeros((len(slopes), n_inputs)), np.zeros(n_params)
    for slot, column in zip(slots, slopes.T, strict=True):
        angle = slot.angle
        if angle.source == "input":
            of_inputs[:, angle.index] += angle.scale * column
        else:
            of_params[angle.index] += angle.scale * column.sum()
    return of_inputs, of_params
