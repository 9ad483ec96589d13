"""A circuit with named angles: `x0` is an input angle, `p0` a trained one.

The circuit explorer holds its angles here. The class is immutable: `with_value` returns a new
object.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

from qtha_lab.analysis.circuits.circuit_trace import CircuitTrace, trace_circuit
from qtha_lab.analysis.circuits.random_angles import draw_angles
from qtha_lab.circuits import Circuit, ansatze
from qtha_lab.core.errors import Refusal

DIGITS = 3  # decimals of an angle, so that the printed Python gives the same numbers
CODE = """from qtha_lab.analysis.circuits.circuit_trace import trace_circuit

circuit = ansatze.build({name!r}, {n_qubits}, {n_layers}, reupload={reupload})
trace = trace_circuit(circuit, {inputs}, {params}, {observable!r})
circuit_state(**trace.at_the_end())"""


@dataclass(frozen=True)
class CircuitAtAngles:
    """An ansatz with values for all of its angles.

    Args:
        name: An ansatz, one of `ansatze.names()`.
        n_qubits: Number of wires.
        n_layers: Number of blocks.
        reupload: True if the data enter every layer.
        inputs: One sample, in radians; if empty, drawn at random.
        params: Trainable angles, in radians; if empty, drawn at random.
        seed: Seed of random angles, uniform in ±π.

    Example:
        >>> changed = CircuitAtAngles("qtha", 2, 1).with_value("p3", 0.5)
        >>> changed["p3"], changed.angles[:3], changed.observables
        (0.5, ['x0', 'x1', 'p0'], ['Z0', 'Z1', 'Z0 Z1'])

    Raises:
        Refusal: If there is no such circuit, or the number of angles is wrong.
    """

    name: str
    n_qubits: int
    n_layers: int
    reupload: bool = True
    inputs: tuple[float, ...] = ()
    params: tuple[float, ...] = ()
    seed: int = 0

    def __post_init__(self):
        sizes = {"inputs": self.circuit.n_inputs, "params": self.circuit.n_params}
        for kind, size in sizes.items():
            angles = rounded(getattr(self, kind)) or self._random_angles(kind)
            if len(angles) != size:
                raise Refusal(f"{kind} must hold {size} angles, got {len(angles)}.")
            object.__setattr__(self, kind, angles)

    @property
    def circuit(self) -> Circuit:
        """The gates of the circuit."""
        return ansatze.build(self.name, self.n_qubits, self.n_layers, reupload=self.reupload)

    def zero(self) -> Self:
        """Return the circuit with all angles set to zero."""
        return replace(self, inputs=(0.0,) * len(self.inputs), params=(0.0,) * len(self.params))

    @property
    def angles(self) -> list[str]:
        """The names of the angles, inputs first."""
        return [f"{kind}{k}" for kind in "xp" for k in range(len(self._of(kind)))]

    @property
    def observables(self) -> list[str]:
        """Z of each wire, and the product of Z over all wires."""
        single = [f"Z{wire}" for wire in range(self.n_qubits)]
        return list(dict.fromkeys([*single, " ".join(single)]))

    def __getitem__(self, angle: str) -> float:
        return self._of(angle[0])[int(angle[1:])]

    def with_value(self, angle: str, value: float) -> Self:
        """Return the circuit with one angle changed."""
        kind = "inputs" if angle[0] == "x" else "params"
        angles = list(getattr(self, kind))
        angles[int(angle[1:])] = value
        return replace(self, **{kind: tuple(angles)})

    def trace(self, observable: str) -> CircuitTrace:
        """Trace the circuit gate by gate for one observable."""
        return trace_circuit(self.circuit, self.inputs, self.params, observable)

    def code(self, observable: str) -> str:
        """Return Python that gives the same figure, with the values written out."""
        angles = {"inputs": list(self.inputs), "params": list(self.params)}
        return CODE.format(**{**vars(self), **angles}, observable=observable)

    def _of(self, kind: str) -> tuple[float, ...]:
        return self.inputs if kind == "x" else self.params

    def _random_angles(self, kind: str) -> tuple[float, ...]:
        angles = draw_angles(self.circuit, 1, "uniform", self.seed)
        return rounded(getattr(angles, kind)[0].tolist())


def rounded(values: Iterable[float]) -> tuple[float, ...]:
    """Round angles to the digits that are stored and written."""
    return tuple(round(float(value), DIGITS) for value in values)
