"""Import of circuits from Qiskit.

Each gate is one of ours, or is replaced by its definition or its matrix. Angles are polynomials of
Qiskit's parameters.
PennyLane reads Qiskit by pennylane-qiskit, which accepts no Qiskit above 2.3.
"""

import functools
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from qtha_lab.circuits.gates import Gate
from qtha_lab.circuits.imports.program import ProgramGates
from qtha_lab.circuits.imports.qasm_expression import DEEPEST, HIGHEST_DEGREE, ReadingBudget
from qtha_lab.circuits.polynomial import Polynomial
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened

log = logging.getLogger(__name__)

_BRANCHES = ("if_else", "while_loop", "for_loop", "switch_case")


def gates_from_qiskit(source: Any, inputs: Sequence[Any] | None = None) -> tuple[int, list[Gate]]:
    """Return the qubits and gates for `Circuit.from_qiskit`.

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
        if name == "reset":
            gates.reset(of[0])
            continue
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
    from qiskit.circuit import Parameter

    renamed = {p: Parameter(f"v{i}") for i, p in enumerate(parameters)}
    names = {renamed[p].name: variables[p] for p in parameters}
    try:
        return _expanded(number.subs(renamed).sympify(), names, budget)
    except _NotPolynomialError:
        raise Refusal(
            "An angle must be a sum of products of inputs and of parameters, "
            f"got {shortened(number)}."
        ) from None
    except RecursionError:  # in Qiskit or SymPy
        raise Refusal(f"An angle must nest at most {DEEPEST} deep, got more.") from None


class _NotPolynomialError(Exception):
    """A function or a power of parameters that is no polynomial."""


def _expanded(
    term: Any, names: Mapping[str, Polynomial], budget: ReadingBudget, depth: int = 0
) -> Polynomial:
    """Expand a SymPy expression, within a budget of terms and steps."""
    budget.spend(1)
    if depth > DEEPEST:
        raise Refusal(f"An angle must nest at most {DEEPEST} deep, got more.")
    if not term.free_symbols:
        return Polynomial.const(_real(term))
    if term.is_Symbol:
        return names[term.name]
    if term.is_Pow and term.exp.is_Integer and 0 < term.exp <= HIGHEST_DEGREE:
        factors, combined = [term.base] * int(term.exp), budget.times
    elif term.is_Add or term.is_Mul:
        factors, combined = term.args, budget.plus if term.is_Add else budget.times
    else:
        raise _NotPolynomialError
    return functools.reduce(combined, (_expanded(of, names, budget, depth + 1) for of in factors))


def _real(number: Any) -> float:
    value = complex(number)
    if abs(value.imag) > 0:
        raise Refusal(f"An angle must be real, got {shortened(number)}.")
    return value.real
