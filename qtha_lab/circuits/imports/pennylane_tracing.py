"""Trace of a quantum function or tape as supported PennyLane operations.

Determines each angle as a polynomial of the inputs and parameters. `imports.pennylane` makes gates
of the result.
A tape of PennyLane holds numbers, not the expressions of which its angles are computed.
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from qtha_lab.circuits.gate_kinds import GATES
from qtha_lab.circuits.gates import UNITARY
from qtha_lab.circuits.polynomial import polynomial_of
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened

BRANCHES = (
    "The gates must not depend on the values of inputs or params, "
    "got a function that branches on them. "
    "Write one circuit per branch."
)
NUMPY = (
    "The angles must be computed by torch or pennylane.math, got a function that gives them to "
    "NumPy. An angle is a sum of parameters and of products of an input and another number."
)
_TO_NUMPY = ("numpy", "array")
STATES = ("AmplitudeEmbedding", "StatePrep")
_NOTHING = ("GlobalPhase", "Identity", "Barrier", "WireCut", "Snapshot")
SIDES = (-100.0, -7.0, -3.5, -1.75, -0.75, -0.3, -0.01, 0.01, 0.3, 0.75, 1.75, 3.5, 7.0, 100.0)
"""Values that each leaf takes, so that a condition such as `x > 0.5` is met and not met."""
CONDITIONS = {
    "gt", "lt", "ge", "le", "eq", "ne", "greater", "less", "greater_equal", "less_equal",
    "equal", "not_equal", "isclose", "allclose", "bool", "float", "int", "index", "item",
    "tolist", "where", "clamp", "clip", "minimum", "maximum", "min", "max", "sign", "floor",
    "ceil", "round", "trunc", "heaviside", "relu", "fmod", "remainder", "argmax", "argmin",
    "sort", "argsort", "detach",
}  # fmt: skip
"""Functions of torch that read the value of a number, or choose by it."""
LIBRARIES = ("pennylane", "autoray")
_STRIDE = 5
_DEEPEST = 60  # deepest nesting of decompositions


@dataclasses.dataclass
class Script:
    """Tape as a function of its leaves.

    Attributes:
        leaves: Inputs and parameters that the tape reads, (source, index) each.
        at: Returns the tape for values of the leaves.
        n_points: Number of points at which the tape is traced; more for a function, which may
            branch.
    """

    leaves: list[tuple[str, int]]
    at: Callable[[Any], Any]
    n_points: int = 2


def script_of(source, args: tuple, kwargs: dict, inputs) -> Script:
    """Read a QNode, quantum function, tape or list of operations (see `Circuit.from_pennylane`).

    Returns:
        The tape as a function of its leaves, the inputs and parameters that it reads.

    Raises:
        Refusal: If the source has another type, or `inputs` names a missing or non-float value.
    """
    import pennylane as qml
    from pennylane.tape import QuantumScript

    if isinstance(source, QuantumScript):
        return _of_tape(source, inputs)
    if isinstance(source, Iterable) and not isinstance(source, str):
        operations = list(source)
        for operation in operations:
            if not isinstance(operation, qml.operation.Operator):
                raise Refusal(f"A list must hold PennyLane operations, got {shortened(operation)}.")
        return _of_tape(QuantumScript(operations), inputs)
    if not callable(source):
        raise Refusal(
            "The source must be a QNode, quantum function, tape or list of operations, "
            f"got {shortened(source)}."
        )
    return _of_function(source, args, kwargs, inputs)


def _of_function(function: Callable, args: tuple, kwargs: dict, data: str | None) -> Script:
    import pennylane as qml
    import torch
    from pennylane.tape import make_qscript

    is_node = isinstance(function, qml.QNode)
    bound = inspect.signature(function.func if is_node else function).bind(*args, **kwargs)
    # a QNode's transforms are part of it: dropping its noise, for example, would change the circuit
    taped = (
        qml.workflow.construct_tape(function, level="user") if is_node else make_qscript(function)
    )
    if data is not None and data not in bound.arguments:
        raise Refusal(f"inputs must name an argument of the function, got {data!r}.")
    leaves: list[tuple[str, int]] = []
    shapes: dict[str, torch.Size] = {}
    counted = {"input": 0, "param": 0}
    for name, value in bound.arguments.items():
        shape = _shape_of_numbers(value)
        kind = "input" if name == (data or "inputs") else "param"
        if shape is None and kind == "input":
            raise Refusal(f"The data in {name!r} must be floats, got {shortened(value)}.")
        if shape is None:
            continue
        shapes[name] = shape
        leaves += [(kind, counted[kind] + i) for i in range(shape.numel())]
        counted[kind] += shape.numel()

    def at(values: torch.Tensor):
        chunks = values.split([shape.numel() for shape in shapes.values()])
        arrays = {n: c.reshape(s) for (n, s), c in zip(shapes.items(), chunks, strict=True)}
        bound.arguments.update(arrays)
        with _conditions_refused():
            return taped(*bound.args, **bound.kwargs)

    return Script(leaves, at, 2 + len(SIDES) if leaves else 2)


def _conditions_refused():
    """Return a context that refuses conditions on numbers with gradients in a user's function.

    Comparisons of PennyLane and torch themselves are allowed: they decide on no gate.
    """
    from torch.overrides import TorchFunctionMode

    class Conditions(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            name = getattr(function, "__name__", "").strip("_")
            if name in CONDITIONS and _reads(*args) and _caller() not in LIBRARIES:
                raise Refusal(BRANCHES)
            if name in _TO_NUMPY and _reads(*args) and _caller() not in LIBRARIES:
                raise Refusal(NUMPY)
            return function(*args, **(kwargs or {}))

    return Conditions()


def _caller() -> str:
    """Return the package of the innermost frame outside of torch and of this file."""
    frame = inspect.currentframe()
    while frame and frame.f_globals["__name__"].partition(".")[0] in ("torch", "qtha_lab"):
        frame = frame.f_back
    return frame.f_globals["__name__"].partition(".")[0] if frame else ""


def _shape_of_numbers(value):
    """Return the shape of a float, array, tensor or list of floats, else None.

    Lists may be nested.
    """
    import numpy as np
    import torch

    if isinstance(value, torch.Tensor):
        return value.shape if value.is_floating_point() else None
    try:
        array = np.asarray(value)
    except (ValueError, TypeError):
        return None
    return torch.Size(array.shape) if array.dtype.kind == "f" else None


def _of_tape(tape, inputs) -> Script:
    import torch

    data = _positions(inputs)
    operations = tape.operations
    info = [i for i in tape.par_info if i["op_idx"] < len(operations)]
    if data and max(data) >= len(info):
        raise Refusal(
            f"inputs must be positions among the tape's {len(info)} parameters, got {max(data)}."
        )
    leaves: list[tuple[str, int]] = []
    shapes: dict[int, torch.Size] = {}
    n_params = 0
    for position, at in enumerate(info):
        operation = operations[at["op_idx"]]
        shape = torch.Size(as_numpy(operation.parameters[at["p_idx"]]).shape)
        is_number = operation.name not in STATES and "Unitary" not in operation.name
        if position in data:
            leaves += [("input", data[position] + i) for i in range(shape.numel())]
        elif position in tape.trainable_params and is_number:
            leaves += [("param", n_params + i) for i in range(shape.numel())]
            n_params += shape.numel()
        else:
            continue
        shapes[position] = shape

    def at_values(values: torch.Tensor):
        chunks = values.split([shape.numel() for shape in shapes.values()])
        arrays = [chunk.reshape(s) for chunk, s in zip(chunks, shapes.values(), strict=True)]
        arrays = [
            g / g.norm() if operations[info[p]["op_idx"]].name in STATES else g
            for p, g in zip(shapes, arrays, strict=True)
        ]
        return tape.bind_new_parameters(arrays, list(shapes))

    return Script(leaves, at_values)


def _positions(inputs) -> dict[int, int]:
    """Map each position to the index of its input."""
    if inputs is None:
        return {}
    if isinstance(inputs, Mapping):
        return dict(inputs)
    if isinstance(inputs, str):
        raise Refusal(f"The inputs of a tape must be positions of its parameters, got {inputs!r}.")
    return {position: index for index, position in enumerate(inputs)}


def wire_labels(source, tape, wires: Iterable | None) -> list:
    """Return PennyLane's labels of wire 0, 1, ….

    Returns:
        One label per wire, in the order of the wires.

    Raises:
        Refusal: If the tape acts on a wire that is not among `wires` or the device's.

    Example:
        >>> import pennylane as qml
        >>> tape = qml.tape.QuantumScript([qml.CNOT([2, 0])])
        >>> wire_labels(None, tape, None), wire_labels(None, tape, [2, 1, 0])
        ([0, 2], [2, 1, 0])
    """
    tape_wires = list(tape.wires)
    if wires is not None:
        labels = list(wires)
    else:
        device = getattr(getattr(source, "device", None), "wires", None)
        labels = list(device) if device else tape_wires
        if not device and all(isinstance(label, int) for label in tape_wires):
            labels = sorted(tape_wires)
    missing = [label for label in tape_wires if label not in labels]
    if missing:
        raise Refusal(
            f"wires must list all wires of the circuit, got {labels} without {missing[0]!r}."
        )
    return labels


@dataclasses.dataclass
class Native:
    """Supported operation: name, wires, numbers, and these as polynomials of the leaves."""

    name: str
    wires: tuple[int, ...]
    numbers: list
    terms: list
    point: Any

    @property
    def key(self) -> tuple:
        """Name and wires, equal for an operation at two points."""
        return self.name, self.wires


def point_of(n_leaves: int, number: int):
    """Return the values of the leaves at one point.

    Points 0 and 1 are multiples of 1/64, so that sums of them are hardly rounded. From point 2 on
    each leaf takes every value of `SIDES` in turn.
    """
    import torch

    numbers = torch.arange(n_leaves, dtype=torch.float64)
    if number < 2:
        return ((numbers * (37, 23)[number] + (11, 29)[number]) % 61 + 3) / 64
    places = (torch.arange(n_leaves) * _STRIDE + number) % len(SIDES)
    return torch.tensor(SIDES, dtype=torch.float64)[places]


def trace(script: Script, number: int, labels: list) -> list[Native]:
    """Trace a script at one point as supported operations.

    Args:
        script: Script from `script_of`.
        number: Number of the point (see `point_of`).
        labels: PennyLane's label of each wire, as from `wire_labels`.

    Returns:
        The operations in order, each with its numbers (angles in radians) and, at point 0, the
        coefficients of every number as a polynomial of degree 2; none for an array and at the other
        points.

    Raises:
        Refusal: If an operation has a batch of angles, or cannot be expressed in our gates.

    Example:
        >>> import pennylane as qml
        >>> tape = qml.tape.QuantumScript([qml.RY(0.1, "a")])
        >>> (native,) = trace(script_of(tape, (), {}, None), 0, ["a"])
        >>> native.key, native.terms
        (('RY', (0,)), [{(0,): 1.0}])
    """
    point = point_of(len(script.leaves), number).requires_grad_()
    operations = []
    for operation in script.at(point).operations:
        if operation.batch_size:
            raise Refusal(
                f"A gate must have the angles of one sample, got {operation.batch_size} "
                f"in {operation.name}."
            )
        for native in _native(operation):
            wires = tuple(labels.index(wire) for wire in native.wires)
            numbers = list(native.parameters)
            terms = [_terms(angle, point) if number == 0 else {} for angle in numbers]
            operations.append(Native(native.name, wires, numbers, terms, point.detach()))
    return operations


def _native(operation, depth: int = 0) -> Iterator:
    """Yield the supported operations that a PennyLane operation decomposes into."""
    import pennylane as qml

    name = operation.name
    if name in _NOTHING:
        return
    fits = name == UNITARY and len(operation.wires) <= 2
    is_ours = name in GATES and GATES[name].in_pennylane
    if is_ours or fits or (name in STATES and _reads(operation.parameters[0])):
        yield operation
    elif operation.has_decomposition and depth < _DEEPEST:
        with qml.QueuingManager.stop_recording():
            parts = operation.decomposition()
        for part in parts:
            yield from _native(part, depth + 1)
    elif operation.has_matrix and len(operation.wires) <= 2 and not _reads(*operation.parameters):
        yield qml.QubitUnitary(as_numpy(operation.matrix()), wires=operation.wires)
    else:
        raise Refusal(
            f"Each operation must be expressible as gates on one or two wires, "
            f"got {name} on wires {list(operation.wires)}."
        )


def _reads(*numbers) -> bool:
    return any(getattr(number, "requires_grad", False) is True for number in numbers)


def _gradient(number, point):
    import torch

    if not (isinstance(number, torch.Tensor) and number.requires_grad) or number.dim():
        return None
    (gradient,) = torch.autograd.grad(
        number, point, retain_graph=True, create_graph=True, allow_unused=True
    )
    return gradient


def _terms(number, point) -> dict[tuple[int, ...], float]:
    """Return a number as a polynomial of degree 2 in the leaves, by their numbers."""
    import torch

    values = as_numpy(number)
    if values.ndim:
        return {}
    gradient = _gradient(number, point)
    if gradient is None:
        return {(): float(values)}
    leaves = gradient.detach().nonzero().flatten().tolist()
    hessian = []
    for leaf in leaves:
        row = _gradient(gradient[leaf], point)
        row = torch.zeros_like(point) if row is None else row.detach()
        hessian.append([float(row[other]) for other in leaves])
    gradients, at = gradient.detach()[leaves].tolist(), point.detach()[leaves].tolist()
    terms = polynomial_of(float(values), gradients, hessian, at)
    return {tuple(leaves[i] for i in key): scale for key, scale in terms.items()}


def as_numpy(number):
    """Convert a number or array to NumPy."""
    import numpy as np

    return np.asarray(number.detach().numpy() if hasattr(number, "detach") else number)
