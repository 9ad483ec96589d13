"""Engine `device:NAME(option=value, …)`: any PennyLane device by name, with shots and noise.

Slow but independent: it checks the other engines, samples, and runs on hardware. `default.qubit`
without shots evaluates a batch, and torch differentiates through it. Other devices run one list of
circuits; their gradients come from the device or from parameter-shift. Always computes in float64.
"""

import functools
import logging
import threading
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qtha_lab.circuits import Circuit, Readout, to_pennylane
from qtha_lab.core.errors import Refusal
from qtha_lab.simulators.device import gradients as gradients
from qtha_lab.simulators.device import jobs, plugins
from qtha_lab.simulators.device.options import Spec, parse_engine
from qtha_lab.simulators.device.tapes import Tapes, amplitudes_of, rows_together
from qtha_lab.simulators.memory import check_memory

log = logging.getLogger(__name__)
_pennylane = threading.RLock()  # all threads of a process share its queue of operations


def check(circuit: Circuit, readout: Readout, name: str) -> None:
    """Refuse unknown devices, unknown or unsupported options, and too large circuits."""
    if readout.kind == "state":
        raise Refusal(
            f"readout must be expectations or probabilities for engine {name!r}, got the state. "
            "Use engine='torch'."
        )
    spec = parse_engine(name)
    check_memory(name, circuit.n_qubits, 1, working_bytes(circuit, 1, name))
    with _pennylane:
        _check_options(circuit, spec)


def _check_options(circuit: Circuit, spec: Spec) -> None:
    options = spec.options
    if options.basis and circuit.start == "amplitudes":
        raise Refusal(
            f"start must be zero for basis {options.basis!r}, got amplitudes. Give the noise as "
            "numbers, or start in zero."
        )
    if options.seed is not None and not plugins.takes_seed(spec.device):
        raise Refusal(
            f"seed must not be given for PennyLane device {spec.device!r}, got {options.seed}."
        )
    jobs.device(spec, circuit.n_qubits)
    if options.is_noisy and not _has_channels(spec.device):
        raise Refusal(
            f"noise must be used on a device that simulates it, such as device:default.mixed, got "
            f"{spec.device!r}."
        )


def broadcasts(name: str) -> bool:
    """Return True if the device evaluates a batch in one call."""
    return _is_plain(parse_engine(name))


def working_bytes(circuit: Circuit, batch: int, name: str) -> int:
    """Return the bytes of three complex128 states per simultaneous sample.

    The result is 0 for a device that is not PennyLane's or Lightning's.

    The memory of third-party plugins is unknown; a remote backend needs none on the host.
    """
    spec = parse_engine(name)
    if not plugins.is_local(spec.device):
        return 0
    amplitudes = amplitudes_of(spec, circuit.n_qubits)
    together = batch if _is_plain(spec) else min(batch, rows_together(spec, circuit.n_qubits))
    return 3 * 16 * amplitudes * together


def circuits(circuit: Circuit, readout: Readout, name: str) -> tuple[int, int]:
    """Count the circuits per sample of the forward and of the backward pass.

    Args:
        circuit: Circuit to run.
        readout: Read-out to compute.
        name: Engine name as requested, such as "device:default.qubit(shots=100)".

    Returns:
        Circuits forward, and backward for the gradients of inputs and params. Backpropagation and
        the adjoint method count as 1.

    Raises:
        Refusal: If `parse_engine` refuses the name.

    Example:
        >>> from qtha_lab.circuits.ansatze import build
        >>> ring = build("qtha", n_qubits=3, n_layers=1)  # 9 rotations, 6 controlled ones
        >>> circuits(ring, Readout.z(3), "device:default.qubit(shots=100)")
        (1, 42)
    """
    spec = parse_engine(name)
    if _is_plain(spec):
        return 1, 1
    tapes = _tapes(circuit, readout, spec)
    with _pennylane:
        method = _method(tapes)
    if method == "backprop":
        return 1, 1
    shifts = 1 if method == "adjoint" else gradients.n_shifts(tapes.slots)
    of_start = 2 * circuit.n_inputs if circuit.start == "amplitudes" else 0
    return 1, shifts + of_start


def run(circuit: Circuit, inputs: Tensor, params: Tensor, readout: Readout, name: str) -> Tensor:
    """Compute the read-out of every sample in float64, on the host or on the device."""
    dtype, device = inputs.dtype, inputs.device
    inputs, params = inputs.to("cpu", torch.float64), params.to("cpu", torch.float64)
    spec = parse_engine(name)
    with _pennylane:
        if _is_plain(spec):
            values = _broadcast(circuit, inputs, params, readout, spec)
        else:
            values = _OneByOne.apply(inputs, params, _tapes(circuit, readout, spec))
    return values.to(device, dtype)


def _is_plain(spec: Spec) -> bool:
    """Return True if the engine is exact `default.qubit` without any option."""
    options = spec.options
    return (
        spec.device == "default.qubit"
        and options.shots is None
        and options.gradients == "best"
        and not (options.is_noisy or options.basis or spec.is_cached or spec.own)
    )


class _OneByOne(torch.autograd.Function):
    """Autograd function for devices that run one circuit per sample, in one list per batch."""

    @staticmethod
    def forward(ctx, inputs: Tensor, params: Tensor, tapes: Tapes) -> Tensor:
        ctx.save_for_backward(inputs, params)
        ctx.tapes = tapes
        if not tapes.read:
            return inputs.new_ones(len(inputs), tapes.n_values)
        batch = tapes.rows(inputs.numpy(), params.numpy())
        measured = jobs.run_rows(tapes, [batch], len(batch))
        return torch.from_numpy(tapes.values(measured))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor):
        inputs, params = (t.numpy() for t in ctx.saved_tensors)
        with _pennylane:
            gradients_of = _gradients(ctx.tapes, inputs, params, grad.numpy(), ctx.needs_input_grad)
        return (*map(torch.from_numpy, gradients_of), None)


def _gradients(tapes: Tapes, inputs, params, grad, needed):
    """Compute the gradients of inputs and params by the cheapest method of the device."""
    sources = [n for n, is_needed in zip(("input", "param"), needed, strict=False) if is_needed]
    slots = [slot for slot in tapes.slots if slot.angle.source in sources]
    batch, of_slots, of_starts = tapes.rows(inputs, params), inputs[:, :0], None
    starts = tapes.circuit.start == "amplitudes" and "input" in sources
    if not tapes.read or not (slots or starts):
        return np.zeros_like(inputs), np.zeros_like(params)
    method = _method(tapes)
    if method == "backprop":
        slots = tapes.slots
        of_slots, of_starts = gradients.backprop_gradients(tapes, batch, grad)
    elif slots and method == "adjoint":
        slots, of_slots = tapes.slots, gradients.adjoint_gradients(tapes, batch, grad)
    elif slots:
        of_slots = gradients.shift_gradients(tapes, batch, grad, slots)
    if starts and of_starts is None:
        of_starts = gradients.amplitude_gradients(tapes, batch, grad)
    of_inputs, of_params = gradients.by_source(slots, of_slots, inputs.shape[1], len(params))
    return of_inputs if of_starts is None else of_starts, of_params


@functools.lru_cache(maxsize=64)
def _tapes(circuit: Circuit, readout: Readout, spec: Spec) -> Tapes:
    return Tapes(circuit, readout, spec)


@functools.lru_cache(maxsize=64)
def _method(tapes: Tapes) -> str:
    """Return the gradient method: "backprop", "adjoint" or "parameter-shift"."""
    if tapes.spec.options.gradients == "best":
        if gradients.has_backprop(tapes.spec):
            return "backprop"
        if gradients.has_adjoint(tapes):
            return "adjoint"
    return "parameter-shift"


@functools.lru_cache(maxsize=64)
def _has_channels(device: str) -> bool:
    import pennylane as qml
    from pennylane.tape import QuantumScript

    started = plugins.start_device(device, 1, ())
    if hasattr(started, "target_device"):  # plugins written for PennyLane before 0.33
        return "QubitChannel" in started.target_device.operations
    flip = QuantumScript([qml.QubitChannel([np.eye(2)], 0)], [qml.expval(qml.Z(0))])
    try:
        started.preprocess_transforms(started.setup_execution_config(None, flip))([flip])
    except Exception as reason:
        log.debug("%s takes no channel: %r", device, reason)
        return False
    return True


def _broadcast(
    circuit: Circuit, inputs: Tensor, params: Tensor, readout: Readout, spec: Spec
) -> Tensor:
    values = _node(circuit, readout, spec)(inputs, params)
    if readout.kind == "probs":
        return values[0].expand(len(inputs), -1)
    return torch.stack([torch.atleast_1d(v).expand(len(inputs)) for v in values], -1)


@functools.lru_cache(maxsize=64)
def _node(circuit: Circuit, readout: Readout, spec: Spec):
    import pennylane as qml

    def z_string(wires: tuple[int, ...]) -> Any:
        return qml.prod(*map(qml.PauliZ, wires)) if wires else qml.Identity(0)

    def measured(inputs, params):
        to_pennylane(circuit, inputs, params)
        if readout.kind == "probs":
            return [qml.probs(wires=range(circuit.n_qubits))]
        return [qml.expval(z_string(wires)) for wires in readout.strings]

    device = jobs.device(spec, circuit.n_qubits)
    return qml.QNode(measured, device, interface="torch", diff_method="backprop")
