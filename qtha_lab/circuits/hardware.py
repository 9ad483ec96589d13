"""Reordering of commuting gates to reduce the number of steps."""

import dataclasses
import functools

from qtha_lab.circuits.circuit import Circuit
from qtha_lab.circuits.composite_gates import preparation
from qtha_lab.circuits.drawing import start_times
from qtha_lab.circuits.native_gates import NativeStep, native_steps
from qtha_lab.circuits.routing import Topology, route
from qtha_lab.core.errors import Refusal


def reordered(circuit: Circuit) -> Circuit:
    """Move commuting gates so that the two-qubit gates take few steps.

    Example:
        >>> from qtha_lab.circuits import Gate
        >>> ring = [Gate("CZ", (i, (i + 1) % 4)) for i in range(4)]
        >>> [gate.wires for gate in reordered(Circuit(4, ring)).gates]
        [(0, 1), (2, 3), (1, 2), (3, 0)]
    """
    starts = start_times(circuit.gates, True, lambda gate: len(gate.wires) - 1)
    order = sorted(range(len(starts)), key=lambda number: (starts[number], number))
    return Circuit(circuit.n_qubits, [circuit.gates[i] for i in order], circuit.start)


@dataclasses.dataclass(frozen=True)
class HardwareCost:
    """Gates and steps on a chip with U3 and CZ; a SWAP has three CZ."""

    topology: str
    chip_qubits: int
    one_qubit_gates: int
    two_qubit_gates: int
    swaps: int
    depth: int
    two_qubit_depth: int


@dataclasses.dataclass(frozen=True)
class Compiled:
    """Compiled circuit; `first` and `last` map its qubits to chip qubits.

    `first` holds the positions before the circuit, `last` those after it.
    """

    circuit: Circuit
    steps: tuple[NativeStep, ...]
    first: tuple[int, ...]
    last: tuple[int, ...]
    swaps: int


def compile_for(circuit: Circuit, topology: str = "grid", reorder: bool = True) -> Compiled:
    """Order, route and decompose a circuit for a chip, equal up to a phase.

    Args:
        circuit: Circuit to compile; it must start in |0…0⟩.
        topology: "line", "ring", "all-to-all", "grid" (4×5 qubits) or as "grid:3x4".
        reorder: Let commuting gates change places, so that a ring of CRZ takes few steps.

    Returns:
        The circuit on the chip's qubits, its steps of U3 and CZ, the first and last positions,
        and the number of SWAPs.

    Raises:
        Refusal: If the chip is unknown or too small, or the circuit starts in amplitudes.

    Example:
        >>> from qtha_lab.circuits import Gate
        >>> triangle = Circuit(3, [Gate("CZ", wires) for wires in ((0, 1), (1, 2), (0, 2))])
        >>> compile_for(triangle, "line").swaps, compile_for(triangle, "ring").swaps
        (1, 0)
    """
    chip = Topology.named(topology, circuit.n_qubits)
    if circuit.start != "zero":
        raise Refusal(
            "A circuit for a chip must start in |0…0⟩, got a start in amplitudes. "
            "Put preparation(n_qubits, amplitudes) first."
        )
    routed = route(reordered(circuit) if reorder else circuit, chip)
    steps = native_steps(routed.circuit)
    gates = [gate for step in steps for gate in step.gates]
    placed = Circuit(chip.n_qubits, gates)
    return Compiled(placed, tuple(steps), routed.first, routed.last, routed.swaps)


@functools.lru_cache(maxsize=256)
def hardware_cost(circuit: Circuit, topology: str = "grid", reorder: bool = True) -> HardwareCost:
    """Count the gates and steps of a circuit on a chip (see `compile_for`).

    Preparing amplitudes takes 2^n - 1 rotations and the CNOTs between them, which are counted.

    Args:
        circuit: Circuit to count; it may start in amplitudes.
        topology: "line", "ring", "all-to-all", "grid" (4×5 qubits) or as "grid:3x4".
        reorder: Let commuting gates change places, so that a ring of CRZ takes few steps.

    Returns:
        Numbers of gates, SWAPs and steps; measurement is not counted.

    Raises:
        Refusal: If the chip is unknown or too small.

    Example:
        >>> from qtha_lab.circuits.ansatze import build
        >>> hardware_cost(build("qtha", n_qubits=4, n_layers=1), "ring").two_qubit_gates
        16
    """
    if circuit.start == "amplitudes":
        generic = [1.0 + 0.1 * i**0.5 for i in range(2**circuit.n_qubits)]
        circuit = Circuit(circuit.n_qubits, preparation(circuit.n_qubits, generic) + circuit.gates)
    compiled = compile_for(circuit, topology, reorder)
    two_qubit = sum(len(step.wires) == 2 for step in compiled.steps)
    return HardwareCost(
        topology=topology,
        chip_qubits=compiled.circuit.n_qubits,
        one_qubit_gates=len(compiled.steps) - two_qubit,
        two_qubit_gates=two_qubit,
        swaps=compiled.swaps,
        depth=_steps_in_time(compiled.steps),
        two_qubit_depth=compiled.circuit.two_qubit_depth(),
    )


def _steps_in_time(steps: tuple[NativeStep, ...]) -> int:
    ends: dict[int, int] = {}
    for step in steps:
        end = 1 + max(ends.get(wire, 0) for wire in step.wires)
        ends.update(dict.fromkeys(step.wires, end))
    return max(ends.values(), default=0)
