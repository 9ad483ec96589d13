"""A circuit with the angles it is turned to, by name: `x0` a datum, `p0` a trained angle.

What the circuit explorer turns; knows no controls.
"""

from collections.abc import Iterable

from qtha_lab import ansatze
from qtha_lab.analysis.circuits.circuit_trace import CircuitTrace, trace_circuit
from qtha_lab.analysis.circuits.random_angles import draw_angles

DIGITS = 3  # of an angle, so that the line of Python gives the very same numbers
CODE = """circuit = ansatze.build({name!r}, {n_qubits}, {n_layers}, reupload={reupload})
trace = trace_circuit(circuit, {inputs}, {params}, {observable!r})
circuit_state(**trace.at_the_end())"""


class TurnedCircuit:
    """A circuit and its angles, drawn uniformly in ±π at first.

    Args:
        name: An ansatz, one of `ansatze.names()`.
        n_qubits: How many wires.
        n_layers: How many blocks.
        reupload: Whether the data enter every layer.
        seed: Of the angles drawn.
        inputs: One sample, in radians; None draws one.
        params: Trainable angles, in radians; None draws them.

    Example:
        >>> turned = TurnedCircuit("qtha", 2, 1)
        >>> turned["p3"] = 0.5
        >>> turned["p3"], turned.angles[:3], turned.observables
        (0.5, ['x0', 'x1', 'p0'], ['Z0', 'Z1', 'Z0 Z1'])

    Raises:
        Refusal: If there is no such circuit.
    """

    def __init__(
        self,
        name: str,
        n_qubits: int,
        n_layers: int,
        reupload: bool = True,
        seed: int = 0,
        inputs: Iterable[float] | None = None,
        params: Iterable[float] | None = None,
    ):
        self.circuit = ansatze.build(name, n_qubits, n_layers, reupload=reupload)
        self.options = {"name": name, "n_qubits": n_qubits, "n_layers": n_layers}
        self.options["reupload"] = reupload
        self.draw(seed)
        self.inputs = self.inputs if inputs is None else rounded(inputs)
        self.params = self.params if params is None else rounded(params)

    def draw(self, seed: int) -> None:
        """Other angles."""
        angles = draw_angles(self.circuit, 1, "uniform", seed)
        self.inputs = rounded(angles.inputs[0].tolist())
        self.params = rounded(angles.params[0].tolist())

    def zero(self) -> None:
        """No angle at all."""
        self.inputs, self.params = [0.0] * len(self.inputs), [0.0] * len(self.params)

    @property
    def angles(self) -> list[str]:
        """Their names."""
        return [f"{kind}{k}" for kind in "xp" for k in range(len(self._of(kind)))]

    @property
    def observables(self) -> list[str]:
        """Z of each wire, and of all together."""
        single = [f"Z{wire}" for wire in range(self.circuit.n_qubits)]
        return list(dict.fromkeys([*single, " ".join(single)]))

    def __getitem__(self, angle: str) -> float:
        return self._of(angle[0])[int(angle[1:])]

    def __setitem__(self, angle: str, value: float) -> None:
        self._of(angle[0])[int(angle[1:])] = round(float(value), DIGITS)

    def _of(self, kind: str) -> list[float]:
        return self.inputs if kind == "x" else self.params

    def trace(self, observable: str) -> CircuitTrace:
        """What it does, gate by gate."""
        return trace_circuit(self.circuit, self.inputs, self.params, observable)

    def code(self, observable: str) -> str:
        """Python that gives the same figure, with the values written out."""
        angles = {"inputs": self.inputs, "params": self.params}
        return CODE.format(**self.options, **angles, observable=observable)


def rounded(values: Iterable[float]) -> list[float]:
    """Angles as they are held and written."""
    return [round(float(value), DIGITS) for value in values]
