"""PennyLane device `qtha.cpu`: batches and adjoint gradients by engine `cpu`.

The device is a subclass of PennyLane's `default.qubit`. This simulates everything that the engine
does not support: states, samples, variances, channels, and circuits of 25 wires and more.
"""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from pennylane import math
from pennylane.devices import DefaultQubit, ExecutionConfig
from pennylane.devices.modifiers import simulator_tracking, single_tape_support
from pennylane.exceptions import DeviceError
from pennylane.queuing import QueuingManager
from pennylane.tape import QuantumScript
from pennylane.transforms import decompose
from pennylane.transforms.core import transform
from pennylane.wires import Wires

from qtha_lab.simulators.pennylane_device.graphs import (
    TapeGraph,
    TapeGraphs,
    TapeRequest,
    holds,
    is_native,
    is_readable,
    native_names,
    request_of_tape,
)

OURS = "device"  # PennyLane's name for a device's own gradient method
CHOOSABLE = ("best", "adjoint", "device")
DEFAULT = {  # methods of default.qubit without the tracking, which this class adds itself
    name: inspect.unwrap(getattr(DefaultQubit, name))
    for name in (
        "execute",
        "compute_vjp",
        "execute_and_compute_vjp",
        "compute_derivatives",
        "execute_and_compute_derivatives",
    )
}


@simulator_tracking
@single_tape_support
class QthaCpu(DefaultQubit):
    """Device `default.qubit` with expectation values and probabilities by qtha-lab's engine `cpu`.

    Takes the arguments of `default.qubit`. The engine computes expectation values of sums of Pauli
    strings, and probabilities, without shots. One forward and one backward pass gives the first
    derivatives of a whole batch.

    Example:
        >>> import pennylane as qml
        >>> device = QthaCpu(wires=2)
        >>> @qml.qnode(device)
        ... def circuit(angles):
        ...     qml.RY(angles, 0)
        ...     qml.CNOT([0, 1])
        ...     return qml.expval(qml.Z(0) @ qml.Z(1)), qml.expval(qml.Z(1))
        >>> [value.round(3).tolist() for value in circuit(np.array([0.0, np.pi / 2, np.pi]))]
        [[1.0, 1.0, 1.0], [1.0, 0.0, -1.0]]
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._graphs = TapeGraphs()

    @property
    def name(self) -> str:
        return "qtha.cpu"

    def supports_derivatives(self, execution_config=None, circuit=None) -> bool:
        method = execution_config.gradient_method if execution_config else None
        first = execution_config is not None and execution_config.derivative_order == 1
        if method == OURS or (
            method == "adjoint" and circuit is not None and fits(circuit, self.wires)
        ):
            return first and (circuit is None or fits(circuit, self.wires))
        return super().supports_derivatives(execution_config, circuit)

    def setup_execution_config(self, config=None, circuit=None) -> ExecutionConfig:
        config = config or ExecutionConfig()
        is_open = config.gradient_method in CHOOSABLE and config.derivative_order == 1
        is_open = is_open and not config.use_device_jacobian_product  # PennyLane asks twice
        if is_open and circuit is not None and fits(circuit, self.wires):
            config = replace(
                config,
                gradient_method=OURS,
                use_device_gradient=True,
                use_device_jacobian_product=True,
                grad_on_execution=False,
            )
        return super().setup_execution_config(config, circuit)

    def preprocess_transforms(self, execution_config=None):
        config = execution_config or ExecutionConfig()
        program = super().preprocess_transforms(config)
        if config.gradient_method not in ("backprop", "adjoint"):
            program.add_transform(_to_native)
        return program

    def execute(self, circuits, execution_config=None):
        config = execution_config or ExecutionConfig()
        keep = config.gradient_method == OURS
        results = []
        for tape in circuits:
            request = None if config.gradient_method == "backprop" else request_of_tape(tape)
            if request is None:
                results.extend(DEFAULT["execute"](self, (tape,), config))
                continue
            values = self._graphs.compute(request).values if keep else request.values()
            results.append(_as_result(request, values))
        return tuple(results)

    def compute_vjp(self, circuits, cotangents, execution_config=None):
        if _is_ours(execution_config):
            pairs = zip(circuits, cotangents, strict=True)
            return tuple(self._vjp(tape, cotangent) for tape, cotangent in pairs)
        return DEFAULT["compute_vjp"](self, circuits, cotangents, execution_config)

    def execute_and_compute_vjp(self, circuits, cotangents, execution_config=None):
        if _is_ours(execution_config):
            results = self.execute(circuits, execution_config)
            return results, self.compute_vjp(circuits, cotangents, execution_config)
        return DEFAULT["execute_and_compute_vjp"](self, circuits, cotangents, execution_config)

    def compute_derivatives(self, circuits, execution_config=None):
        if _is_ours(execution_config):
            return tuple(self._jacobian(tape) for tape in circuits)
        return DEFAULT["compute_derivatives"](self, circuits, execution_config)

    def execute_and_compute_derivatives(self, circuits, execution_config=None):
        if _is_ours(execution_config):
            results = self.execute(circuits, execution_config)
            return results, self.compute_derivatives(circuits, execution_config)
        return DEFAULT["execute_and_compute_derivatives"](self, circuits, execution_config)

    def supports_jvp(self, execution_config=None, circuit=None) -> bool:
        return not _is_ours(execution_config) and super().supports_jvp(execution_config, circuit)

    def _graph(self, tape) -> tuple[TapeRequest, TapeGraph]:
        """Return a tape for the engines, and its values with their autograd graph."""
        request = request_of_tape(tape)
        if request is None:
            raise DeviceError(f"qtha.cpu has no derivatives of its own for {tape}")
        return request, self._graphs.of(request)

    def _vjp(self, tape, cotangent):
        request, graph = self._graph(tape)
        parts = (cotangent,) if len(graph.values) == 1 else cotangent
        weights = [
            torch.as_tensor(np.array(math.to_numpy(part)), dtype=value.dtype).reshape(value.shape)
            for part, value in zip(parts, graph.values, strict=True)
        ]
        return Gradients(_gradients(request, graph, tape, graph.values, weights))

    def _jacobian(self, tape):
        """Compute the Jacobian, nested by measurement and trainable parameter as in PennyLane."""
        request, graph = self._graph(tape)
        rows = []
        for value in graph.values:
            flat = value.flatten()
            columns = []
            for number in range(len(flat)):
                unit = [torch.ones(())]
                columns.append(_gradients(request, graph, tape, [flat[number]], unit))
            shape = tuple(value.shape if request.is_batched else value.shape[1:])
            row = tuple(np.reshape(column, shape) for column in zip(*columns, strict=True))
            rows.append(row[0] if len(row) == 1 else row)
        return rows[0] if len(rows) == 1 else tuple(rows)


class Gradients(tuple):
    """Gradients of batched and of scalar parameters in one tuple.

    PennyLane's torch interface squeezes a tuple of gradients into one array to get its shape; these
    have no common shape.
    """

    def squeeze(self, axis=None) -> np.ndarray:
        return np.empty(len(self))


def fits(tape: QuantumScript, wires: Wires | None = None) -> bool:
    """Return True if the engine supports a tape and its gradients after decomposition.

    Args:
        tape: Tape of a QNode.
        wires: Wires of the device, which a measurement without wires uses; None if undeclared.
    """
    last = len(tape.operations)
    owners = [tape.par_info[position]["op_idx"] for position in tape.trainable_params]
    of_gates = set(owners) <= set(range(last))  # no trainable parameter of an observable
    reads_all = wires is not None and not all(m.wires for m in tape.measurements)
    touched = Wires.all_wires([tape.wires, wires]) if reads_all else tape.wires
    return of_gates and _can_be_read(tape) and holds(len(touched))


def _can_be_read(tape: QuantumScript) -> bool:
    if tape.shots or not tape.measurements or not all(map(is_readable, tape.measurements)):
        return False
    return holds(len(tape.wires)) and all(map(_comes_apart, tape.operations))


def _comes_apart(operation, depth: int = 0) -> bool:
    if is_native(operation):
        return True
    if depth > 40 or not operation.has_decomposition:
        return False
    with QueuingManager.stop_recording():
        return all(_comes_apart(part, depth + 1) for part in operation.decomposition())


@transform
def _to_native(tape):
    """Decompose a tape into supported gates, if that is possible for the whole tape."""
    if all(map(is_native, tape.operations)) or not _can_be_read(tape):
        return (tape,), _first
    taken_apart: Any = decompose(tape, gate_set=native_names(), stopping_condition=is_native)
    return taken_apart[0], _first


def _first(results):
    return results[0]


def _is_ours(config: ExecutionConfig | None) -> bool:
    return config is not None and config.gradient_method == OURS


def _as_result(request: TapeRequest, values: list[torch.Tensor]):
    arrays = [value.detach().numpy() for value in values]
    if not request.is_batched:
        arrays = [array[0] for array in arrays]
    return arrays[0] if len(arrays) == 1 else tuple(arrays)


def _gradients(request: TapeRequest, graph: TapeGraph, tape, values, weights) -> list[np.ndarray]:
    """Compute the gradients of weighted values by each trainable parameter of a tape."""
    leaves = graph.inputs, graph.params
    by_leaf = torch.autograd.grad(
        values, leaves, weights, retain_graph=True, allow_unused=True, materialize_grads=True
    )
    by_source = dict(zip(("input", "param"), by_leaf, strict=True))
    gradients = []
    for position in tape.trainable_params:
        source, index = request.sources[position]
        table = by_source[source]
        if index >= table.shape[-1]:  # a global phase has gradient 0
            gradients.append(np.zeros(len(request.inputs)) if source == "input" else np.zeros(()))
        else:
            gradients.append(table[..., index].numpy())
    return gradients
