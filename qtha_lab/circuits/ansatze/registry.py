"""Registry of ansatze: declaration, discovery and construction.

Each circuit is in its own file in this package. Options common to all ansatze are here: data
encoding, and the removal of entangling gates.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any

from qtha_lab.circuits import Circuit, Gate
from qtha_lab.core import call_syntax
from qtha_lab.core.errors import Refusal
from qtha_lab.core.registry import Registry
from qtha_lab.core.settings import unknown

EMBEDDINGS = ("angle", "amplitude")
ANSATZE: Registry["AnsatzInfo"] = Registry(
    "ansatz", "qtha_lab.circuits.ansatze", group="qtha_lab.circuits.ansatze"
)


@dataclasses.dataclass(frozen=True)
class AnsatzInfo:
    """Declaration of an ansatz.

    `n_params(n_qubits, n_layers, **options)` is its stated number of angles.
    """

    name: str
    summary: str
    source: str
    n_params: Callable[..., int]
    min_qubits: int
    make: Callable[..., Circuit]

    @property
    def options(self) -> dict[str, object]:
        """Return the options besides qubits, layers and re-uploading, with defaults."""
        common = ("n_qubits", "n_layers", "reupload")
        parameters = inspect.signature(self.make).parameters.values()
        return {p.name: p.default for p in parameters if p.name not in common}


def ansatz(
    name: str, *, summary: str, source: str, n_params: Callable[..., int], min_qubits: int = 1
) -> Callable:
    """Register the decorated function as an ansatz.

    The function has the signature `(n_qubits, n_layers, reupload, **options) -> Circuit`.

    Args:
        name: Name of the ansatz in `build(name, …)`.
        summary: The circuit in one sentence.
        source: Paper, and the differences from it.
        n_params: Stated number of angles, `(n_qubits, n_layers, **options) -> int`.
        min_qubits: Least number of qubits.

    Returns:
        A decorator that returns the function unchanged.

    Raises:
        Refusal: If another file has registered the name.
    """

    def register(make: Callable[..., Circuit]) -> Callable[..., Circuit]:
        info = AnsatzInfo(name, summary, source, n_params, min_qubits, make)
        ANSATZE.add(name, info, make.__module__)
        return make

    return register


def names() -> list[str]:
    """Return the names of all ansatze, in alphabetical order."""
    return list(ANSATZE)


def get(name: str) -> AnsatzInfo:
    """Return the ansatz of that name.

    Raises:
        Refusal: If there is no such ansatz, with the nearest name.
    """
    return ANSATZE.get_or_refuse(call_syntax.parse_call(name, "ansatz")[0] if "(" in name else name)


def build(
    name: str,
    n_qubits: int,
    n_layers: int,
    reupload: bool = True,
    embedding: str = "angle",
    entangle: bool = True,
    **options: Any,
) -> Circuit:
    """Build the circuit of an ansatz; equal arguments return the same object.

    Args:
        name: One of `names()`, optionally with options: `searched(code=XYY-01)`.
        n_qubits: Number of qubits and of inputs: feature i is encoded on qubit i.
        n_layers: Repeated blocks.
        reupload: Encode the data in every layer, not only in the first.
        embedding: "angle", one feature per qubit; or "amplitude": the 2^n_qubits inputs are the
            initial state and nothing is encoded later, so reupload must be off.
        entangle: False builds a control without entanglement and with as many angles: a trainable
            two-qubit gate keeps its rotation on the second wire; CNOT and CZ are removed.
        options: Further options of the ansatz (see `get(name).options`).

    Returns:
        A circuit with n_qubits inputs (2^n_qubits for amplitudes) and as many parameters, in
        radians, as `get(name).n_params` states.

    Raises:
        Refusal: If the name or an option is unknown, there are too few qubits or layers, or
            re-uploading is combined with amplitude embedding.

    Example:
        >>> circuit = build("qtha", n_qubits=3, n_layers=2)
        >>> circuit.n_inputs, circuit.n_params
        (3, 24)
        >>> build("qtha", 3, 2, reupload=False, embedding="amplitude").n_inputs
        8
    """
    if "(" in name:
        name, written = call_syntax.parse_call(name, "ansatz")
        options = {**written, **options}
    info = get(name)
    for value, noun, least in ((n_qubits, "qubits", info.min_qubits), (n_layers, "layers", 1)):
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            least_text = f"{least} {noun if least > 1 else noun[:-1]}"
            raise Refusal(f"Ansatz {name!r} must have at least {least_text}, got {value!r}.")
    for option in options:
        if option not in info.options:
            raise unknown(f"option of ansatz {name}", option, info.options)
    if embedding not in EMBEDDINGS:
        raise Refusal(f"embedding must be one of {', '.join(EMBEDDINGS)}, got {embedding!r}.")
    if embedding == "amplitude" and reupload:
        raise Refusal(
            "reupload must be False with embedding='amplitude', got True. "
            "Amplitudes are the first state, and cannot be uploaded again."
        )
    flags = (bool(reupload), embedding, bool(entangle))
    return _build(info, n_qubits, n_layers, *flags, tuple(sorted(options.items())))


@functools.lru_cache(maxsize=256)
def _build(
    info: AnsatzInfo,
    n_qubits: int,
    n_layers: int,
    reupload: bool,
    embedding: str,
    entangle: bool,
    options: tuple,
) -> Circuit:
    circuit = info.make(n_qubits, n_layers, reupload, **dict(options))
    if not entangle:
        circuit = Circuit(n_qubits, _without_entanglers(circuit.gates))
    if embedding == "amplitude":
        circuit = Circuit(n_qubits, _without_inputs(circuit.gates), start="amplitudes")
    return circuit


def build_without_inputs(name: str, n_qubits: int, n_layers: int) -> Circuit:
    """Build the circuit of an ansatz without data: it prepares one fixed state.

    Args:
        name: One of `names()`.
        n_qubits: Number of qubits.
        n_layers: Repeated blocks.

    Raises:
        Refusal: As in `build`.

    Example:
        >>> build_without_inputs("product", 1, 1).n_inputs, build("product", 1, 1).n_inputs
        (0, 1)
    """
    return _fixed(build(name, n_qubits, n_layers))


@functools.lru_cache(maxsize=256)
def _fixed(circuit: Circuit) -> Circuit:
    return Circuit(circuit.n_qubits, _without_inputs(circuit.gates))


def _without_inputs(gates: tuple[Gate, ...]) -> tuple[Gate, ...]:
    return tuple(g for g in gates if all(a.source != "input" for a in g.angles))


def _without_entanglers(gates: tuple[Gate, ...]) -> tuple[Gate, ...]:
    local = []
    for gate in gates:
        if len(gate.wires) == 1:
            local.append(gate)
        elif gate.kind.local:
            local.append(Gate(gate.kind.local, gate.wires[1], gate.angles))
    return tuple(local)
