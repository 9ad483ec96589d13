"""Numbers of one sample and of the parameters, for exports that insert them."""

from collections.abc import Sequence

from qtha_lab.circuits.angle import Angle
from qtha_lab.circuits.gates import Gate
from qtha_lab.circuits.preparation import preparation
from qtha_lab.circuits.protocol import CircuitLike
from qtha_lab.core.errors import Refusal


class SampleValues:
    """Inputs and parameters of an export; None leaves them as variables.

    Raises:
        Refusal: If the numbers do not fit the circuit, or its initial amplitudes are missing.
    """

    def __init__(
        self,
        circuit: CircuitLike,
        inputs: Sequence[float] | None,
        params: Sequence[float] | None,
    ):
        self.circuit = circuit
        self.inputs = _numbers("inputs", inputs, circuit.n_inputs)
        self.params = _numbers("params", params, circuit.n_params)
        if circuit.start == "amplitudes" and self.inputs is None:
            raise Refusal(
                "The inputs of a circuit that starts in amplitudes must be given for an export, "
                "got none. Pass inputs=[…] with its amplitudes."
            )

    def gates(self) -> tuple[Gate, ...]:
        """Return the gates, after those that prepare the initial amplitudes."""
        if self.circuit.start != "amplitudes" or self.inputs is None:
            return self.circuit.gates
        return (*preparation(self.circuit.n_qubits, self.inputs), *self.circuit.gates)

    def value(self, angle: Angle) -> float | None:
        """Return an angle in radians, or None if its variable has no value."""
        if angle.source == "const":
            return angle.offset
        numbers = self.inputs if angle.source == "input" else self.params
        if numbers is None:
            return None
        product = angle.scale
        for index in angle.indices:
            product *= numbers[index]
        return product + angle.offset

    def unknown_names(self) -> list[str]:
        """Return the names of all variables, x0, x1, …, p0, p1, …, without a value."""
        xs = range(self.circuit.n_inputs if self.inputs is None else 0)
        ps = range(self.circuit.n_params if self.params is None else 0)
        return [*(f"x{i}" for i in xs), *(f"p{i}" for i in ps)]


def _numbers(name: str, values, count: int) -> list[float] | None:
    if values is None:
        return None
    if hasattr(values, "detach"):
        values = values.detach()
    numbers = [float(value) for value in values]
    if len(numbers) != count:
        raise Refusal(f"{name} must hold {count} numbers, one sample, got {len(numbers)}.")
    return numbers
