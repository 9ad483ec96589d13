"""Import of circuits from Qiskit.

Each gate is one of ours, or is replaced by its definition or its matrix. Angles are polynomials of
Qiskit's parameters.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from qtha_lab.circuits.gates import Gate
from qtha_lab.circuits.imports.budget import DEEPEST, ReadingBudget
from qtha_lab.circuits.imports.program import ProgramGates
from qtha_lab.circuits.polynomial import Polynomial
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened

log = logging.getLogger(__name__)

_BRANCHES = ("if_else", "while_loop", "for_loop", "switch_case")
_HIGHEST_DEGREE = 4
STEPS_OF_A_DERIVATIVE = 10


def gates_from_qiskit(source: Any, inputs: Sequence[Any] | None = None) -> tuple[int, list[Gate]]:
    """Return the qubits and gates for `Circuit.from_qiskit`.

    Args:
        source: A `qiskit.QuantumCircuit`.
        inputs: Parameters that are data, in order, or their names; by default those of a
            `ParameterVector` x, as in ZZFeatureMap.

    Raises:
        Refusal: If an instruction or an angle cannot be expressed.
    """
    if not all(hasattr(source, name) for name in ("data", "qubits", "parameters")):
        raise Refusal(f"The source must be a qiskit.QuantumCircuit, got {type(source).__name__}.")
    variables = _variables(source, inputs)
    gates = ProgramGates(len(source.qubits))
    _add(gates, source, list(range(len(source.qubits))), variables)
    return len(source.qubits), gates.gates


def _variables(source: Any, inputs: Sequence[Any] | None) -> dict[Any, Polynomial]:
    """Return the variable of each of Qiskit's parameters."""
    parameters = list(source.parameters)  # vectors in their order, others by name
    if inputs is None:
        vectors = (getattr(each, "vector", None) for each in parameters)
        data = [
            each
            for each, vector in zip(parameters, vectors, strict=True)
            if (vector.name if vector is not None else each.name) == "x"
        ]
    else:
        by_name = {each.name: each for each in parameters}
        asked = [getattr(each, "name", each) for each in inputs]
        missing = [name for name in asked if name not in by_name]
        if missing:
            raise Refusal(
                f"inputs must name parameters of the circuit, got {shortened(missing[0])}. "
                f"It has {shortened(', '.join(by_name))}."
            )
        data = [by_name[name] for name in asked]
    params = [each for each in parameters if each not in data]
    return {
        parameter: Polynomial.variable(source, index)
        for source, chosen in (("input", data), ("param", params))
        for parameter, index in zip(chosen, _indices(chosen), strict=True)
    }


def _indices(parameters: list) -> list[int]:
    """Return the indices in a vector that holds all parameters, else their positions."""
    vectors = {getattr(each, "vector", None) for each in parameters}
    if len(vectors) == 1 and None not in vectors:
        return [each.index for each in parameters]
    return list(range(len(parameters)))


def _add(
    gates: ProgramGates, source: Any, wires: list[int], variables: Mapping, depth: int = 0
) -> None:
    """Add the gates of a circuit or of a gate's definition."""
    if depth > DEEPEST:
        raise Refusal(f"Gate definitions must nest at most {DEEPEST} deep, got more.")
    places = {qubit: wires[number] for number, qubit in enumerate(source.qubits)}
    for instruction in source.data:
        operation = instruction.operation
        of = [places[qubit] for qubit in instruction.qubits]
        name = operation.name
        gates.budget.spend(1 + len(of))
        if name in _BRANCHES or getattr(operation, "condition", None) is not None:
            raise Refusal(
                "The gates must not depend on measured values or data, got Qiskit's "
                f"{name!r}. Write one circuit per branch."
            )
        if name == "measure":
            gates.measure(of[0])
            continue
        angles = [_polynomial(number, variables, gates.budget) for number in _angles(operation)]
        if gates.add(name, of, angles):
            continue
        definition = getattr(operation, "definition", None)
        if name == "unitary" or definition is None:
            gates.add_matrix(name, _matrix(operation), of[::-1])
        else:
            _add(gates, definition, of, variables, depth + 1)


def _angles(operation: Any) -> list:
    return [] if operation.name == "unitary" else list(operation.params)


def _matrix(operation: Any) -> Any:
    try:
        return operation.to_matrix()
    except Exception as reason:  # an instruction without a matrix, such as reset
        log.debug("%s has no matrix: %s", operation.name, reason)
        return None


def _polynomial(number: Any, variables: Mapping, budget: ReadingBudget) -> Polynomial | None:
    """Return an angle as a polynomial; None for an array, such as a state."""
    parameters = getattr(number, "parameters", None)
    if parameters is None:
        try:
            return Polynomial.const(float(number))
        except (TypeError, ValueError):
            return None
    result = _taylor(number, sorted(parameters, key=str), variables, _HIGHEST_DEGREE, budget)
    _check(number, result, variables)
    return result


def _taylor(
    number: Any, parameters: list, variables: Mapping, degree: int, budget: ReadingBudget
) -> Polynomial:
    """Return the Taylor series at 0, which is the polynomial itself."""
    budget.spend(STEPS_OF_A_DERIVATIVE)
    if not hasattr(number, "parameters") or not number.parameters:
        return Polynomial.const(_real(number))
    total = Polynomial.const(_real(_bound(number, dict.fromkeys(number.parameters, 0.0))))
    if degree == 0:
        return total
    for position, parameter in enumerate(parameters):
        # terms with this parameter and none before it: the integral of the derivative
        rest = _bound(number, dict.fromkeys(parameters[:position], 0.0))
        if parameter not in rest.parameters:
            continue
        derivative = rest.gradient(parameter)
        gradient = _taylor(derivative, parameters[position:], variables, degree - 1, budget)
        total = budget.plus(total, _integral(gradient, variables[parameter]))
    return total


def _bound(number: Any, values: Mapping) -> Any:
    """Insert values; a parameter may have left the expression."""
    return number.bind(values, allow_unknown_parameters=True)


def _integral(gradient: Polynomial, variable: Polynomial) -> Polynomial:
    ((key,),) = variable.terms
    return Polynomial(
        {
            tuple(sorted((*term, key))): scale / (1 + term.count(key))
            for term, scale in gradient.terms.items()
        }
    )


def _real(number: Any) -> float:
    value = complex(number)
    if abs(value.imag) > 0:
        raise Refusal(f"An angle must be real, got {shortened(number)}.")
    return value.real


def _check(number: Any, result: Polynomial, variables: Mapping) -> None:
    """Refuse an angle that is no polynomial of a low degree."""
    values = {p: 0.37 + 0.211 * i for i, p in enumerate(sorted(number.parameters, key=str))}
    by_key = {next(iter(variables[p].terms))[0]: value for p, value in values.items()}
    fitted = 0.0
    for term, scale in result.terms.items():
        for key in term:
            scale *= by_key[key]
        fitted += scale
    exact = _real(_bound(number, values))
    if abs(fitted - exact) > 1e-9 * max(1.0, abs(exact)):
        raise Refusal(
            "An angle must be a sum of products of inputs and of parameters, "
            f"got {shortened(number)}."
        )
