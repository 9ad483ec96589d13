"""Engine `device:NAME(option=value, …)`: any PennyLane device by name, with shots and noise.

Slow but independent: it checks the other engines, samples, and runs on hardware. Each circuit is a
`qml.QNode` with `diff_method`, shots and a `qml.NoiseModel`. Always computes in float64. PennyLane
refuses parameter-shift for batches and for initial amplitudes. So batches are split into circuits,
and the gradients of amplitudes follow from a formula (`_StartGradients`).
"""

import contextlib
import functools
import hashlib
import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pennylane
import torch
from autograd import make_vjp
from pennylane.devices import ExecutionConfig
from pennylane.tape import QuantumScript
from torch import Tensor

from qtha_lab.circuits import Angle, Circuit, Gate, Readout, to_pennylane
from qtha_lab.core.errors import Refusal
from qtha_lab.simulators.device.options import (
    Spec,
    in_rotations_and_cz,
    is_local,
    mark_u3,
    noise_model,
    parse_engine,
    start_device,
    takes_seed,
)
from qtha_lab.simulators.engine_selection import check_memory

qml: Any = pennylane  # its transforms have no types
memory_log = logging.getLogger(__name__)
_queue = threading.RLock()  # all threads of a process share PennyLane's queue of operations
_BROADCASTING = ("default.qubit", "default.mixed")  # a whole batch is one circuit for these
_TOGETHER_AMPLITUDES = 2**22  # most amplitudes of a circuit with a whole batch: 64 MB


@contextlib.contextmanager
def _pennylane(spec: Spec | None = None) -> Iterator[None]:
    """Run circuits in one thread at a time; refuse if the device fails."""
    with _queue, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "To copy construct from a tensor")  # PennyLane 0.45
        warnings.filterwarnings("ignore", "Output seems independent of input")
        try:
            yield
        except Exception as reason:  # a device's failure takes many forms
            if spec is None or isinstance(reason, Refusal):
                raise
            words = " ".join(str(reason).split()) or type(reason).__name__
            raise Refusal(
                f"PennyLane device {spec.device!r} must run these circuits, got: {words:.200}"
            ) from reason


def check(circuit: Circuit, readout: Readout, name: str) -> None:
    """Refuse unknown devices, unknown or unsupported options, and too large circuits."""
    if readout.kind == "state":
        raise Refusal(
            f"readout must be expectations or probabilities for engine {name!r}, got the state. "
            "Use engine='torch'."
        )
    spec = parse_engine(name)
    check_memory(name, circuit.n_qubits, 1, working_bytes(circuit, 1, name))
    with _pennylane():
        _check_options(circuit, spec)


def _check_options(circuit: Circuit, spec: Spec) -> None:
    options = spec.options
    if options.basis and circuit.start == "amplitudes":
        raise Refusal(
            f"start must be zero for basis {options.basis!r}, got amplitudes. Give the noise as "
            "numbers, or start in zero."
        )
    if options.seed is not None and not takes_seed(spec.device):
        raise Refusal(
            f"seed must not be given for PennyLane device {spec.device!r}, got {options.seed}."
        )
    device(spec, circuit.n_qubits)
    if options.is_noisy and not _has_channels(spec.device):
        raise Refusal(
            f"noise must be used on a device that simulates it, such as device:default.mixed, got "
            f"{spec.device!r}."
        )


@functools.lru_cache(maxsize=64)
def _has_channels(device: str) -> bool:
    started = start_device(device, 1, ())
    if hasattr(started, "target_device"):  # plugins written for PennyLane before 0.33
        return "QubitChannel" in started.target_device.operations
    flip = QuantumScript([qml.QubitChannel([np.eye(2)], 0)], [qml.expval(qml.Z(0))])
    try:
        started.preprocess_transforms(started.setup_execution_config(None, flip))([flip])
    except Exception as reason:
        memory_log.debug("%s takes no channel: %r", device, reason)
        return False
    return True


def working_bytes(circuit: Circuit, batch: int, name: str) -> int:
    """Return the bytes of three complex128 states per simultaneous sample.

    The result is 0 for a device that is not PennyLane's or Lightning's.

    The memory of third-party plugins is unknown; a remote backend needs none on the host.
    """
    spec = parse_engine(name)
    if not is_local(spec.device):
        return 0
    together = min(batch, _samples_together(spec, circuit.n_qubits))
    return 3 * 16 * _amplitudes(spec, circuit.n_qubits) * together


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
    run = DeviceRun(circuit, readout, parse_engine(name))
    if not run.read or run.method == "backprop":
        return 1, 1
    of_start = 2 * circuit.n_inputs if circuit.start == "amplitudes" else 0
    with _pennylane():
        is_shift = run.method == "parameter-shift"
        shifts = len(qml.gradients.param_shift(run.tape_of_sample)[0]) if is_shift else 1
    return 1, shifts + of_start


def run(circuit: Circuit, inputs: Tensor, params: Tensor, readout: Readout, name: str) -> Tensor:
    """Compute the read-out of every sample in float64, on the host or on the device."""
    dtype, device = inputs.dtype, inputs.device
    inputs, params = inputs.to("cpu", torch.float64), params.to("cpu", torch.float64)
    return _run(circuit, readout, parse_engine(name)).values(inputs, params).to(device, dtype)


class DeviceRun:
    """Circuit on a device, as a QNode.

    Attributes:
        read: Indices of the values that are measured; all others are the identity.
    """

    def __init__(self, circuit: Circuit, readout: Readout, spec: Spec):
        self.spec, self.readout, self.n_qubits = spec, readout, circuit.n_qubits
        self.circuit = in_rotations_and_cz(circuit) if spec.options.basis else circuit
        self.n_values = readout.size(circuit.n_qubits)
        strings = readout.strings if readout.kind == "strings" else [(0,)] * self.n_values
        self.read = [i for i, wires in enumerate(strings) if wires]

    def tape(self, inputs: Tensor, params: Tensor) -> QuantumScript:
        """Return the circuit as a tape, in which numbers that require gradients are trainable."""
        tape = QuantumScript(
            to_pennylane(self.circuit, inputs, params),
            self._measurements(),
            shots=self.spec.options.shots,
        )
        for transform in self._transforms():
            (tape,), _ = transform(tape)
        numbers = enumerate(tape.get_parameters(trainable_only=False))
        tape.trainable_params = [i for i, n in numbers if getattr(n, "requires_grad", False)]
        return tape

    @functools.cached_property
    def tape_of_sample(self) -> QuantumScript:
        """Tape of one sample, with all of its angles trainable."""
        shapes = (self.circuit.n_inputs,), (self.circuit.n_params,)
        inputs, params = (torch.ones(n, dtype=torch.float64, requires_grad=True) for n in shapes)
        return self.tape(inputs.requires_grad_(self.circuit.start == "zero"), params)

    def _transforms(self) -> list[Any]:
        options = self.spec.options
        if not options.is_noisy:
            return []
        model = noise_model(options, self.n_qubits)
        noisy = functools.partial(qml.add_noise, noise_model=model)
        return [mark_u3, noisy] if options.basis else [noisy]

    @functools.cached_property
    def method(self) -> str:
        """Differentiation method of PennyLane, such as "backprop" or "parameter-shift"."""
        options, started = self.spec.options, device(self.spec, self.n_qubits)
        is_best = options.gradients == "best" and options.shots is None
        if is_best and (self.spec.device in _BROADCASTING or not options.is_noisy):
            config = ExecutionConfig(gradient_method="best")
            try:
                with _pennylane():
                    if started.supports_derivatives(config, self.tape_of_sample):
                        return started.setup_execution_config(
                            config, self.tape_of_sample
                        ).gradient_method
            except Exception as reason:  # a device's refusal takes many forms
                memory_log.debug("no gradients on %s: %r", self.spec.device, reason)
        return "parameter-shift"

    def values(self, inputs: Tensor, params: Tensor) -> Tensor:
        """Compute the read-out, (batch, n_values), with gradients in both tensors."""
        if not self.read:
            return inputs.new_ones(len(inputs), self.n_values)
        if not torch.is_grad_enabled():
            inputs, params = inputs.detach(), params.detach()
        needed = inputs.requires_grad or params.requires_grad
        if self.spec.device in _BROADCASTING and (not needed or self.method == "backprop"):
            values = self.together(inputs, params)
            if needed:  # a gradient also of tensors on which no value depends
                values = values + 0.0 * (inputs.sum() + params.sum())
        else:
            of_start = inputs.requires_grad and self.circuit.start == "amplitudes"
            function = _Shifted if self.spec.device in _BROADCASTING else _OneByOne
            values = function.apply(inputs.detach() if of_start else inputs, params, self)
            if of_start:
                values = values + _StartGradients.apply(inputs, params, self)
        values = values.expand(len(inputs), -1)
        if len(self.read) == self.n_values:
            return values
        ones = values.new_ones(len(inputs), self.n_values)
        return ones.index_copy(1, torch.tensor(self.read), values)

    def together(self, inputs: Tensor, params: Tensor) -> Tensor:
        """Evaluate the samples as batches of one QNode, through which torch differentiates."""
        circuit, constants = _constants_as_params(self.circuit)
        params, values = torch.cat([params, params.new_tensor(constants)]), []
        with _pennylane(self.spec):
            node = self._node(circuit, inputs, params, "torch")
            for rows in self.rows(inputs, _samples_together(self.spec, self.n_qubits)):
                # PennyLane 0.45 loses a batch of one at the first diagonal gate of a qubit, and
                # computes single angles of some gates on default.mixed in float32
                pair = rows.repeat(2, 1) if len(rows) == 1 else rows
                results = node(pair, params.expand(len(pair), -1))
                values.append(self._as_rows(results)[: len(rows)])
        return torch.cat(values)

    def function(self, inputs: np.ndarray, params: np.ndarray) -> Callable:
        """Return the function of both arrays that runs one circuit per sample."""
        node = self._node(self.circuit, inputs, params, "autograd")

        def values(inputs, params):
            results = [node(rows, params) for rows in self.rows(inputs, len(inputs))]
            if self.readout.kind == "probs":
                shape = -1, self.n_values
                return qml.numpy.concatenate([np.reshape(probs, shape) for (probs,) in results])
            columns = zip(*results, strict=True)
            return qml.numpy.stack([qml.numpy.hstack(column) for column in columns], -1)

        return values

    def rows(self, inputs: Any, most: int) -> list[Any]:
        """Split a batch into the inputs of single calls of the QNode."""
        if self.circuit.n_inputs:
            return [inputs[first : first + most] for first in range(0, len(inputs), most)]
        # every sample is the same, but has shots of its own
        return [inputs[:1]] * (len(inputs) if self.spec.options.shots else 1)

    def _node(self, circuit: Circuit, inputs: Any, params: Any, interface: str) -> Any:
        """Return the QNode of inputs and params that measures the circuit."""
        options, is_density = self.spec.options, interface == "torch" and self._reads_density

        def quantum_function(inputs, params):
            to_pennylane(circuit, inputs, params)
            return self._measurements(is_density)

        method = self.method if interface == "autograd" or self.method == "backprop" else None
        started = self.device(inputs, params)
        node: Any = qml.QNode(quantum_function, started, interface, method, cache=False)
        node = qml.set_shots(node, shots=options.shots)
        for transform in self._transforms():
            node = transform(node)
        return node if interface == "torch" else qml.transforms.broadcast_expand(node)

    def device(self, *of_call: Tensor | str) -> Any:
        """Return the device; with the option `seed` it is new, seeded also by the call."""
        spec = self.spec
        if spec.options.seed is None:
            return device(spec, self.n_qubits)
        call = [part if isinstance(part, str) else part.tolist() for part in of_call]
        text = repr((spec.options.seed, *call)).encode()
        seed = int.from_bytes(hashlib.sha256(text).digest()[:4], "big")
        return start_device(spec.device, self.n_qubits, spec.own, seed)

    @property
    def _reads_density(self) -> bool:
        """True if the values follow from the density matrix.

        PennyLane 0.45 computes expectation values of `default.mixed` by the square root of
        probabilities, whose gradient is nan at probability zero, as for an angle of zero.
        """
        return self.spec.device == "default.mixed" and self.method == "backprop"

    def _measurements(self, is_density: bool = False) -> list:
        wires = range(self.n_qubits)
        if is_density:
            return [qml.density_matrix(wires)]
        if self.readout.kind == "probs":
            return [qml.probs(wires=wires)]
        strings = [self.readout.strings[i] for i in self.read]
        return [qml.expval(qml.prod(*map(qml.Z, string))) for string in strings]

    def _as_rows(self, results: list[Tensor]) -> Tensor:
        """Convert the results of the QNode to (rows, read values)."""
        if self._reads_density:
            size = 2**self.n_qubits
            chances = results[0].reshape(-1, size, size).diagonal(dim1=1, dim2=2).real
            return chances @ self._readings.T
        if self.readout.kind == "probs":
            return results[0].reshape(-1, self.n_values)
        return torch.stack([result.reshape(-1) for result in results], -1)

    @functools.cached_property
    def _readings(self) -> Tensor:
        """Weights of the basis states in every value that is read, (values, 2^n_qubits)."""
        if self.readout.kind == "probs":
            return torch.eye(self.n_values, dtype=torch.float64)
        wires = torch.arange(self.n_qubits).flip(0)
        signs = 1.0 - 2.0 * (torch.arange(2**self.n_qubits)[:, None] >> wires & 1)
        strings = (self.readout.strings[i] for i in self.read)
        return torch.stack([signs[:, list(string)].prod(1) for string in strings]).double()


class _OneByOne(torch.autograd.Function):
    """Values of a device that runs one circuit per sample, in one list per batch.

    PennyLane's torch interface would round numbers of plugins to float32, so NumPy carries them.
    """

    @staticmethod
    def forward(ctx, inputs: Tensor, params: Tensor, run: DeviceRun) -> Tensor:
        ctx.run, arrays = run, [tensor.numpy() for tensor in (inputs, params)]
        ctx.needed = [i for i, is_needed in enumerate(ctx.needs_input_grad[:2]) if is_needed]
        with _pennylane(run.spec):
            function = run.function(*arrays)
            if not ctx.needed:
                return torch.from_numpy(function(*arrays))
            with_vjp: Any = make_vjp
            ctx.vjp, values = with_vjp(function, ctx.needed)(*arrays)
        return torch.from_numpy(values)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor):
        with _pennylane(ctx.run.spec):
            gradients = dict(zip(ctx.needed, ctx.vjp(grad.numpy()), strict=True))
        both = (gradients.get(number) for number in range(2))
        return *(None if g is None else torch.from_numpy(np.array(g)) for g in both), None


class _Shifted(torch.autograd.Function):
    """Values of whole batches, with gradients by parameter-shift.

    PennyLane shifts the circuit with angles 0; then each circuit is run with the batch's angles.
    """

    @staticmethod
    def forward(ctx, inputs: Tensor, params: Tensor, run: DeviceRun) -> Tensor:
        ctx.save_for_backward(inputs, params)
        ctx.run = run
        return run.together(inputs, params)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor):
        run, needed = ctx.run, ctx.needs_input_grad[:2]
        pairs = zip(ctx.saved_tensors, needed, strict=True)
        inputs, params = (tensor.detach().requires_grad_(each) for tensor, each in pairs)
        leaves = [tensor for tensor in (inputs, params) if tensor.requires_grad]
        most = _samples_together(run.spec, run.n_qubits)
        with _pennylane(run.spec), torch.enable_grad():
            device = run.device(inputs, params, "gradients")
            parts = [
                _shift_gradients(run.tape(rows[0] if len(rows) == 1 else rows, params), device, g)
                for rows, g in zip(inputs.split(most), grad.split(most), strict=True)
            ]
            total: Any = sum(
                (numbers * of_numbers).sum() for part in parts for numbers, of_numbers in part
            )
            total = total + 0.0 * sum(leaf.sum() for leaf in leaves)
        gradients = iter(torch.autograd.grad(total, leaves))
        return *(next(gradients) if each else None for each in needed), None


def _shift_gradients(tape: QuantumScript, device: Any, grad: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return the trainable numbers of a tape, each with its gradient per sample."""
    numbers: Any = tape.get_parameters()
    if not numbers:
        return []
    zeros = tape.bind_new_parameters([0.0] * len(numbers), tape.trainable_params)
    shifted, combine = qml.gradients.param_shift(zeros)
    places, tapes = tape.trainable_params, []
    (tape,), _ = qml.transforms.convert_to_numpy_parameters(tape)
    arrays = tape.get_parameters(trainable_only=False)
    for each in shifted:
        shifts = each.get_parameters(trainable_only=False)
        angles = [arrays[place] + shifts[place] for place in places]
        tapes.append(tape.bind_new_parameters(angles, places))
    jacobian = combine(qml.execute(tapes, device, None, None, cache=False))
    jacobian = (jacobian,) if len(tape.measurements) == 1 else jacobian
    jacobian = [(row,) if len(numbers) == 1 else row for row in jacobian]
    shape = len(jacobian), len(numbers), -1, grad.shape[1] // len(jacobian)
    weights = grad.T.reshape(len(jacobian), 1, shape[3], -1).mT
    gradients = (torch.from_numpy(np.array(jacobian)).reshape(shape) * weights).sum((0, 3))
    return list(zip(numbers, gradients, strict=True))


class _StartGradients(torch.autograd.Function):
    """Gradients of the read-out by the initial amplitudes, from 2 · 2^n circuits.

    The read-out is a quadratic form f(x) = xᵀMx of a real initial state, also with noise channels.
    So ∂f/∂x_k = (f(x + e_k) - f(x - e_k)) / 2, with each f measured on the unit vector and
    rescaled.
    """

    @staticmethod
    def forward(ctx, inputs: Tensor, params: Tensor, run: DeviceRun) -> Tensor:
        ctx.save_for_backward(inputs, params)
        ctx.run = run
        return inputs.new_zeros(len(inputs), run.n_values)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor):
        inputs, params = ctx.saved_tensors
        units = torch.eye(inputs.shape[1], dtype=inputs.dtype)
        starts = inputs[:, None, None] + torch.stack([units, -units], 1)  # (batch, k, sign, size)
        squared = starts.square().sum(-1, keepdim=True)
        starts = torch.where(squared < 1e-12, units[0], starts)  # f(0) = 0: any state, weight 0
        values = ctx.run.values(starts.flatten(0, 2), params.detach())
        values = squared * values.reshape(*starts.shape[:3], -1)
        by_amplitude = 0.5 * (values[:, :, 0] - values[:, :, 1])
        return torch.einsum("bkm,bm->bk", by_amplitude, grad), None, None


def _constants_as_params(circuit: Circuit) -> tuple[Circuit, list[float]]:
    """Append the constant angles to the parameters, one of each per sample."""
    constants: list[float] = []

    def as_param(angle: Angle) -> Angle:
        if angle.source != "const":
            return angle
        constants.append(angle.offset)
        return Angle.param(circuit.n_params + len(constants) - 1)

    gates = [
        gate if gate.matrix else Gate(gate.name, gate.wires, [as_param(a) for a in gate.angles])
        for gate in circuit.gates
    ]
    return Circuit(circuit.n_qubits, gates, circuit.start), constants


@functools.lru_cache(maxsize=64)
def _run(circuit: Circuit, readout: Readout, spec: Spec) -> DeviceRun:
    return DeviceRun(circuit, readout, spec)


@functools.lru_cache(maxsize=64)
def device(spec: Spec, n_qubits: int) -> Any:
    """Return a device, cached for further calls."""
    return start_device(spec.device, n_qubits, spec.own)


def _amplitudes(spec: Spec, n_qubits: int) -> int:
    """Return the amplitudes or matrix entries of one circuit's state during simulation.

    A density matrix counts once per Kraus operator, of which a two-qubit depolarizing channel has
    16.
    """
    if ".mixed" not in spec.device:
        return 2**n_qubits
    return 4**n_qubits * (16 if spec.options.depolarizing_2q else 1)


def _samples_together(spec: Spec, n_qubits: int) -> int:
    """Return the most samples of one circuit."""
    if spec.device not in _BROADCASTING:
        return 1
    return max(1, _TOGETHER_AMPLITUDES // _amplitudes(spec, n_qubits))
