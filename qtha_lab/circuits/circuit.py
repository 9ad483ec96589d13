"""A circuit is data: a tuple of gates whose angles come from an input, a parameter or a constant.

Counting, drawing and exporting read this object; running it is `qtha_lab.simulators`.
"""

import collections
import dataclasses
import functools

from qtha_lab.circuits.gates import Angle, Gate


@dataclasses.dataclass(frozen=True, eq=False)
class Circuit:
    """Gates on `n_qubits` qubits that start in |0…0⟩; wire 0 is the most significant bit.

    Raises:
        ValueError: If a gate acts on a wire the circuit does not have.

    Example:
        >>> bell = Circuit(2, [Gate("RY", 0, Angle.input(0)), Gate("CNOT", (0, 1))])
        >>> bell.n_inputs, bell.n_params, bell.depth(), bell.counts()
        (1, 0, 2, {'RY': 1, 'CNOT': 1})
        >>> print(bell.draw())
        0: ──RY(x0)─╭●─┤
        1: ─────────╰X─┤
    """

    n_qubits: int
    gates: tuple[Gate, ...]

    def __post_init__(self):
        object.__setattr__(self, "gates", tuple(self.gates))
        if not isinstance(self.n_qubits, int) or self.n_qubits < 1:
            raise ValueError(f"a circuit needs at least 1 qubit, not {self.n_qubits!r}")
        for position, gate in enumerate(self.gates):
            if not isinstance(gate, Gate):
                raise ValueError(f"gate {position} must be a Gate, not {gate!r}")
            if max(gate.wires) >= self.n_qubits:
                raise ValueError(
                    f"gate {position}, {gate}, acts on wire {max(gate.wires)}, "
                    f"but the circuit has wires 0 to {self.n_qubits - 1}"
                )

    # Equality and hash by value; the hash is kept, since engines look compiled programs up by it.
    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Circuit) and self._key == other._key

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self):
        return Circuit, self._key

    @property
    def _key(self) -> tuple[int, tuple[Gate, ...]]:
        return self.n_qubits, self.gates

    @functools.cached_property
    def _hash(self) -> int:
        return hash(self._key)

    @functools.cached_property
    def n_inputs(self) -> int:
        """Data features a sample must have: the highest index read, plus one."""
        return self._highest("input") + 1

    @functools.cached_property
    def n_params(self) -> int:
        """Trainable angles: the highest index read, plus one."""
        return self._highest("param") + 1

    def _highest(self, source: str) -> int:
        read = (a.index for gate in self.gates for a in gate.angles if a.source == source)
        return max(read, default=-1)

    def counts(self) -> dict[str, int]:
        """Number of gates of each name, in order of first use."""
        return dict(collections.Counter(gate.name for gate in self.gates))

    def depth(self) -> int:
        """Steps when gates on different wires run at once."""
        return self._depth(1)

    def two_qubit_depth(self) -> int:
        """Steps when only gates on two wires take time."""
        return self._depth(2)

    def _depth(self, least_wires: int) -> int:
        level = [0] * self.n_qubits
        for gate in self.gates:
            step = max(level[w] for w in gate.wires) + (len(gate.wires) >= least_wires)
            for wire in gate.wires:
                level[wire] = step
        return max(level)

    def draw(self, width: int = 100, max_rows: int = 6) -> str:
        """The circuit as text; x0 is input 0, p3 is parameter 3.

        Args:
            width: Most characters a line; a wider circuit goes on below.
            max_rows: Most such continuations; the rest is counted, not drawn.
        """
        from qtha_lab.circuits.drawing import draw

        return draw(self, width, max_rows)

    def __str__(self) -> str:
        return self.draw()


def to_pennylane(circuit: Circuit, inputs, params) -> list:
    """The circuit's gates as PennyLane operations, queued where called inside a quantum function.

    Args:
        circuit: What to export.
        inputs: Data, (n_inputs,) or a batch (batch, n_inputs), which PennyLane broadcasts.
        params: Trainable angles, (n_params,).
    """
    import pennylane as qml

    def value(angle: Angle):
        number = angle.value(inputs, params)
        # PennyLane's Rot cannot mix plain numbers with tensors
        return params.new_tensor(number) if isinstance(number, float) and is_torch else number

    is_torch = hasattr(params, "new_tensor")
    return [
        getattr(qml, gate.name)(*map(value, gate.angles), wires=gate.wires)
        for gate in circuit.gates
    ]
