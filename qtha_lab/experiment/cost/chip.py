"""Budget of a circuit on a chip: depth, signal, shots and hours.

Estimates from counts, without a simulation of noise. `analysis.circuits.noise` simulates.
"""

from __future__ import annotations

import dataclasses
import functools
import math

from qtha_lab.circuits import Circuit, HardwareCost, ansatze
from qtha_lab.circuits.hardware import compile_for
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.cost.step import count_circuit, get_quantum_processor, quantum_seconds

ANSATZ = "qtha"


@dataclasses.dataclass(frozen=True)
class ChipBudget:
    """Cost and quality of one training step on a chip.

    Attributes:
        hardware: Gates and steps of the compiled circuit.
        signal: Estimated share of ⟨Z⟩ that is left, mean over the wires.
        scatter: Largest standard error of ⟨Z⟩ by shots, as a share of the signal.
        runs: Circuit runs of one step: values, and gradients by shifts.
        hours: Hours of one step with these shots; None if the chip has too few qubits.
    """

    hardware: HardwareCost
    signal: float
    scatter: float
    runs: int
    hours: float | None


def chip_budget(
    n_qubits: int,
    n_layers: int,
    *,
    topology: str = "ring",
    cz_error: float = 0.01,
    shots: int = 1000,
    samples: int = 12_000,
    processor: str = "superconducting",
) -> ChipBudget:
    """Estimate one training step of QTHA's circuit on a chip.

    Raises:
        Refusal: If the error is no probability, or another value is out of range.

    Example:
        >>> budget = chip_budget(4, 1, topology="ring", cz_error=0.1)
        >>> budget.hardware.two_qubit_gates, round(budget.signal, 2)
        (16, 0.23)
        >>> budget.runs // 12_000  # one value, and 2 · 12 + 4 · 8 of gradients
        57
    """
    if not 0 <= cz_error < 1:
        raise Refusal(f"cz_error must be at least 0 and below 1, got {cz_error:g}.")
    circuit = ansatze.build(ANSATZ, n_qubits, n_layers)
    counted = count_circuit(circuit, topology)
    runs = samples * (1 + counted.gradient_circuits)
    seconds = quantum_seconds(shots, get_quantum_processor(processor), {counted: runs})
    signal = _signal(circuit, topology, cz_error)
    return ChipBudget(
        hardware=counted.hardware,
        signal=signal,
        scatter=1 / math.sqrt(shots) / signal,
        runs=runs,
        hours=None if seconds is None else seconds / 3600,
    )


def _signal(circuit: Circuit, topology: str, cz_error: float) -> float:
    """Estimate the share of ⟨Z⟩ that is left.

    Each CZ in the light cone of a wire multiplies the mean of the wire by 1 − p [R]. An observable
    that leaves a qubit of the cone alone loses less, so the estimate is a lower one.
    """
    counts = light_cones(circuit, topology)
    return sum((1 - cz_error) ** count for count in counts) / len(counts)


@functools.lru_cache(maxsize=256)
def light_cones(circuit: Circuit, topology: str) -> tuple[int, ...]:
    """Count the CZ gates that can change ⟨Z⟩ of each wire, after compilation.

    Example:
        >>> from qtha_lab.circuits import Gate
        >>> light_cones(Circuit(3, [Gate("CZ", (0, 1)), Gate("CZ", (1, 2))]), "line")
        (1, 2, 2)
    """
    compiled = compile_for(circuit, topology)
    gates = [step.wires for step in compiled.steps if len(step.wires) == 2]
    counts = []
    for wire in range(circuit.n_qubits):
        cone, count = {compiled.last[wire]}, 0
        for wires in reversed(gates):
            if cone & set(wires):
                cone |= set(wires)
                count += 1
        counts.append(count)
    return tuple(counts)
