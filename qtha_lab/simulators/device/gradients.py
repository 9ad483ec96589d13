"""Gradients on devices: backpropagation or the adjoint method if available, else parameter-shift.

Every method computes the gradient of Σ grad · values by each occurrence of an angle. One function
applies the chain rule to inputs and parameters, which may be shared and scaled.
"""

import functools
import logging
import warnings

import numpy as np
import torch

from qtha_lab.simulators.device.jobs import device, run_rows
from qtha_lab.simulators.device.options import Spec
from qtha_lab.simulators.device.tapes import Slot, TapeRows, Tapes, amplitudes_of

log = logging.getLogger(__name__)

_SAVED_AMPLITUDES = 2**22  # most amplitudes that autograd saves over all gates: 64 MB


def shift_gradients(
    tapes: Tapes, batch: TapeRows, grad: np.ndarray, slots: list[Slot]
) -> np.ndarray:
    """Compute gradients by parameter-shift: two circuits per angle, four per controlled rotation.

    Unbiased for sampled devices, and exact with noise: one gate is shifted at a time, and no
    channel depends on its angle.

    Args:
        tapes: The circuit on its device.
        batch: The angles of every sample, (batch, angles), in radians.
        grad: Gradient of the loss by the read-out, (batch, readout size).
        slots: The angles to shift, at least one.

    Returns:
        Gradient of the loss by each slot, (batch, slots).

    Raises:
        JobFailure: If the device fails after all retries.

    Source:
        Mitarai et al. 2018, arXiv:1803.00745; Schuld et al. 2019, arXiv:1811.11184; for controlled
        rotations Anselmetti et al. 2021, arXiv:2104.05695. The rules are PennyLane's.
    """
    terms = [(slot.column, *term) for slot in slots for term in _rule(slot.frequencies)]
    columns, weights, amounts = (np.array(part) for part in zip(*terms, strict=True))
    shifts = np.zeros((len(terms), batch.numbers.shape[1]))
    shifts[np.arange(len(terms)), columns] = amounts
    blocks = (_spread(batch.take([i]), shifts) for i in range(len(batch)))
    measured = run_rows(tapes, blocks, len(batch) * len(terms))
    measured = measured.reshape(len(batch), len(terms), -1)
    weighted = np.einsum("btm,bm->bt", measured, grad[:, tapes.read]) * weights
    starts = np.cumsum([0] + [len(_rule(slot.frequencies)) for slot in slots])[:-1]
    return np.add.reduceat(weighted, starts, axis=1)


def _spread(row: TapeRows, shifts: np.ndarray) -> TapeRows:
    """Return one row per shift."""
    starts = None if row.starts is None else row.starts.repeat(len(shifts), 0)
    return TapeRows(row.numbers + shifts, starts)


def n_shifts(slots: list[Slot]) -> int:
    """Count the circuits of parameter-shift per sample."""
    return sum(len(_rule(slot.frequencies)) for slot in slots)


@functools.cache
def _rule(frequencies: tuple[float, ...]) -> tuple[tuple[float, float], ...]:
    """Return the weights and shifts of the parameter-shift rule."""
    from pennylane.gradients import generate_shift_rule

    return tuple((float(w), float(s)) for w, s in generate_shift_rule(frequencies))


def adjoint_gradients(tapes: Tapes, batch: TapeRows, grad: np.ndarray) -> np.ndarray:
    """Compute gradients by the device's own adjoint method (see `has_adjoint`).

    Args:
        tapes: The circuit on its device.
        batch: The angles of every sample, (batch, angles), in radians.
        grad: Gradient of the loss by the read-out, (batch, readout size).

    Returns:
        Gradient of the loss by every slot of the tapes, (batch, slots).
    """
    started = device(tapes.spec, tapes.circuit.n_qubits)
    scripts = _with_slots(tapes, batch)
    config = started.setup_execution_config(_adjoint(), scripts[0])
    ready, _ = started.preprocess_transforms(config)(scripts)
    back = [tuple(row) if len(row) > 1 else row[0] for row in grad[:, tapes.read]]
    gradients = started.compute_vjp(ready, back, config)
    return np.array(gradients, dtype=np.float64).reshape(len(batch), len(tapes.slots))


def has_adjoint(tapes: Tapes) -> bool:
    """Return True if the device has an adjoint method for these circuits."""
    circuit, options = tapes.circuit, tapes.spec.options
    exact = options.shots is None and not options.is_noisy and not options.basis
    if not exact or tapes.readout.kind != "strings":
        return False
    batch = tapes.rows(np.ones((1, circuit.n_inputs)), np.ones(circuit.n_params))
    started = device(tapes.spec, circuit.n_qubits)
    try:
        return bool(started.supports_derivatives(_adjoint(), _with_slots(tapes, batch)[0]))
    except Exception as reason:  # a device's refusal takes many forms
        log.debug("no adjoint on %s: %r", tapes.spec.device, reason)
        return False


def _adjoint():
    from pennylane.devices import ExecutionConfig

    return ExecutionConfig(
        gradient_method="adjoint", use_device_gradient=True, use_device_jacobian_product=True
    )


def _with_slots(tapes: Tapes, batch: TapeRows) -> list:
    """Return one tape per row, with the slots as trainable parameters."""
    scripts = tapes.tapes(tapes.finish(batch), together=False)
    places, at = [], int(batch.starts is not None)
    for operation in tapes.final_operations:
        places += range(at, at + operation.n_numbers)
        at += operation.n_numbers or int(operation.matrix is not None)
    for script in scripts:
        script.trainable_params = [places[slot.column] for slot in tapes.slots]
    return scripts


def backprop_gradients(
    tapes: Tapes, batch: TapeRows, grad: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Compute gradients by backpropagation through the simulator (see `has_backprop`).

    Rows are processed in chunks, so that saved tensors do not grow with the batch.

    Args:
        tapes: The circuit on its device.
        batch: The angles of every sample, (batch, angles), in radians, and its initial state, if
            any.
        grad: Gradient of the loss by the read-out, (batch, readout size).

    Returns:
        Gradients of the loss by every slot of the tapes, (batch, slots), and by the initial
        amplitudes, (batch, 2^n); None for these if the circuit starts in |0…0⟩.
    """
    amplitudes = amplitudes_of(tapes.spec, tapes.circuit.n_qubits)
    step = max(1, _SAVED_AMPLITUDES // (amplitudes * max(1, len(tapes.operations))))
    blocks = [slice(first, first + step) for first in range(0, len(batch), step)]
    gradients = [_backward_pass(tapes, batch.take(block), grad[block]) for block in blocks]
    numbers = np.concatenate([of_numbers for of_numbers, *_ in gradients])
    starts = [of_starts for _, *rest in gradients for of_starts in rest]
    columns = [slot.column for slot in tapes.slots]
    return numbers[:, columns], np.concatenate(starts) if starts else None


def _backward_pass(tapes: Tapes, rows: TapeRows, grad: np.ndarray) -> list[np.ndarray]:
    """Backpropagate some rows; return gradients of their numbers and of initial states, if any."""
    import pennylane as qml

    if len(rows) == 1:  # PennyLane 0.45 loses a batch of one at the first diagonal gate of a qubit
        pair = np.concatenate([grad, np.zeros_like(grad)])
        return [gradients[:1] for gradients in _backward_pass(tapes, rows.take([0, 0]), pair)]
    arrays = [rows.numbers] if rows.starts is None else [rows.numbers, rows.starts]
    leaves = [torch.tensor(array, requires_grad=True) for array in arrays]
    started = device(tapes.spec, tapes.circuit.n_qubits)
    with torch.enable_grad(), warnings.catch_warnings():
        # PennyLane 0.45 copies angles of phases the way torch advises against
        warnings.filterwarnings("ignore", message="To copy construct from a tensor")
        script = tapes.through(TapeRows(*leaves))
        (density,) = qml.execute(
            [script], started, diff_method="backprop", interface="torch", cache=False
        )
        chances = density.reshape(len(rows), *density.shape[-2:]).diagonal(dim1=1, dim2=2).real
        total = (chances * torch.from_numpy(grad @ tapes.readings)).sum()
    gradients = torch.autograd.grad(total, leaves, materialize_grads=True)
    return [gradient.numpy() for gradient in gradients]


def has_backprop(spec: Spec) -> bool:
    """Return True if torch can backpropagate through the device, a density-matrix simulator."""
    return spec.options.shots is None and spec.device == "default.mixed"


def amplitude_gradients(tapes: Tapes, batch: TapeRows, grad: np.ndarray) -> np.ndarray:
    """Compute gradients by the initial amplitudes, with 2 · 2^n circuits per sample.

    The read-out is a quadratic form f(x) = xᵀMx of a real initial state, also with noise channels.
    So ∂f/∂x_k = (f(x + e_k) - f(x - e_k)) / 2, with each f measured on the unit vector and
    rescaled.

    Args:
        tapes: The circuit on its device.
        batch: Angles, (batch, angles), in radians, and initial states, (batch, 2^n), of every
            sample.
        grad: Gradient of the loss by the read-out, (batch, readout size).

    Returns:
        Gradient of the loss by each amplitude, (batch, 2^n).

    Raises:
        JobFailure: If the device fails after all retries.
    """
    count, size = batch.starts.shape
    signed = np.stack([np.eye(size), -np.eye(size)], 1)  # (k, sign, size)
    starts = batch.starts[:, None, None, :] + signed
    squared = np.square(starts).sum(-1)
    is_zero = squared < 1e-12
    starts[is_zero], squared[is_zero] = np.eye(size)[0], 0.0  # f(0) = 0: use any state, weight 0
    blocks = (
        TapeRows(np.tile(batch.numbers[i], (2 * size, 1)), starts[i].reshape(-1, size))
        for i in range(count)
    )
    measured = run_rows(tapes, blocks, count * 2 * size).reshape(count, size, 2, -1)
    terms = np.einsum("bksm,bm->bks", measured, grad[:, tapes.read])
    return (terms * squared * np.array([0.5, -0.5])).sum(-1)


def by_source(
    slots: list[Slot], gradients: np.ndarray, n_inputs: int, n_params: int
) -> tuple[np.ndarray, np.ndarray]:
    """Apply the chain rule from angles to inputs and params.

    Args:
        slots: Angles that are not constant.
        gradients: Gradient of the loss by each slot, (batch, slots).
        n_inputs: Number of inputs of the circuit.
        n_params: Number of parameters of the circuit.

    Returns:
        Gradients of inputs, (batch, n_inputs), and of params, summed over the batch, (n_params,).

    Example:
        >>> from qtha_lab.circuits import Angle
        >>> slots = [Slot(0, Angle.input(0, scale=2.0), (1.0,)), Slot(1, Angle.param(0), (1.0,))]
        >>> of_inputs, of_params = by_source(slots, np.array([[1.0, 3.0], [2.0, 4.0]]), 1, 1)
        >>> of_inputs.tolist(), of_params.tolist()
        ([[2.0], [4.0]], [7.0])
    """
    of_inputs, of_params = np.zeros((len(gradients), n_inputs)), np.zeros(n_params)
    for slot, column in zip(slots, gradients.T, strict=True):
        angle = slot.angle
        if angle.source == "input":
            of_inputs[:, angle.index] += angle.scale * column
        else:
            of_params[angle.index] += angle.scale * column.sum()
    return of_inputs, of_params
