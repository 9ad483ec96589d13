"""Profile of an ansatz: size, chip cost, expressibility, entanglement, gradients, Lie algebra.

Combines the results of the other modules, and compares several ansatze in a table.
"""

import dataclasses
import logging
import math
from collections.abc import Mapping

from qtha_lab.analysis.circuits.entanglement import (
    EntanglingCapability,
    entangling_capability,
    haar_entropy_bits,
)
from qtha_lab.analysis.circuits.expressibility import Expressibility, expressibility_of
from qtha_lab.analysis.circuits.lie_algebra import LieAlgebra, lie_algebra_of
from qtha_lab.analysis.circuits.random_angles import Inputs
from qtha_lab.analysis.circuits.trainability import (
    GradientVariance,
    gradient_variance_of,
    two_design_variance,
)
from qtha_lab.circuits import Circuit, HardwareCost, hardware_cost
from qtha_lab.core.errors import Refusal

log = logging.getLogger(__name__)

KL, Q, CUT, LIE = "KL to Haar, nats", "Meyer-Wallach Q", "middle cut, bits", "Lie algebra dim."
ROUNDING = 1e-9  # a smaller number and its error are shown as 0


@dataclasses.dataclass(frozen=True)
class AnsatzProfile:
    """Hardware cost, expressibility, entanglement and gradients of one circuit.

    The class of each measurement states its limits. None determines which ansatz fits a task best.

    Attributes:
        lie_algebra: None where its closure failed: too many qubits, or too large.
    """

    circuit: Circuit
    hardware: HardwareCost
    expressibility: Expressibility
    entangling: EntanglingCapability
    gradient: GradientVariance
    lie_algebra: LieAlgebra | None


def profile_ansatz(
    circuit: Circuit,
    n_samples: int = 1000,
    inputs: Inputs = "zeros",
    seed: int = 0,
    observable: str = "Z0",
    topology: str = "grid",
) -> AnsatzProfile:
    """Compute the profile of a circuit, with trainable angles uniform in ±π.

    Args:
        circuit: Circuit of any ansatz.
        n_samples: Number of draws per sampled measurement.
        inputs: The data: "zeros", "uniform" or one sample (see `draw_angles`).
        seed: Seed of the draws.
        observable: Pauli string whose gradient is measured.
        topology: Chip topology (see `compile_for`).

    Example:
        >>> from qtha_lab.circuits.ansatze import build
        >>> profile = profile_ansatz(build("qtha", 3, 1), n_samples=50)
        >>> profile.lie_algebra.dimension, profile.hardware.topology
        (63, 'grid')
    """
    sampled = (n_samples, inputs, seed)
    return AnsatzProfile(
        circuit,
        hardware_cost(circuit, topology),
        expressibility_of(circuit, *sampled),
        entangling_capability(circuit, *sampled),
        gradient_variance_of(circuit, observable, *sampled),
        _lie_algebra(circuit),
    )


def _lie_algebra(circuit: Circuit) -> LieAlgebra | None:
    try:
        return lie_algebra_of(circuit)
    except ValueError as reason:
        log.debug("the profile has no Lie algebra: %s", reason)
        return None


def profile_table(profiles: Mapping[str, AnsatzProfile]) -> list[tuple[str, ...]]:
    """Return a text table: one column per ansatz, then one for random states.

    The heading comes first. The last column also holds random gates. Depths assume reordering of
    commuting gates. The chip's depths are after routing, in CZ.

    Args:
        profiles: Profiles by name, all with the same number of qubits.

    Raises:
        Refusal: If there are no profiles, or they differ in qubits, chip or observable.

    Example:
        >>> from qtha_lab.circuits.ansatze import build
        >>> table = profile_table({"qtha": profile_ansatz(build("qtha", 3, 1), n_samples=50)})
        >>> table[0], table[1]
        (('measurement', 'qtha', 'at random'), ('trainable angles', '12', ''))
    """
    rows = list(profiles.values())
    shapes = {(p.circuit.n_qubits, p.hardware.topology, p.gradient.observable) for p in rows}
    if len(shapes) != 1:
        raise Refusal(
            f"Compared profiles must share qubits, chip and observable, got {sorted(shapes)}."
        )
    columns = [dict(_cells(profile)) for profile in rows]
    random = _at_random(rows[0])
    return [
        ("measurement", *profiles, "at random"),
        *((name, *(c[name] for c in columns), random.get(name, "")) for name in columns[0]),
    ]


def _cells(profile: AnsatzProfile) -> list[tuple[str, str]]:
    circuit, chip = profile.circuit, profile.hardware
    n_two_qubit_gates = sum(len(gate.wires) == 2 for gate in circuit.gates)
    entangling, gradient = profile.entangling, profile.gradient
    cells = [
        ("trainable angles", str(circuit.n_params)),
        ("gates (2-qubit)", f"{len(circuit.gates)} ({n_two_qubit_gates})"),
        ("depth (2-qubit)", f"{circuit.depth(True)} ({circuit.two_qubit_depth(True)})"),
        (f"CZ (SWAPs), {chip.topology}", f"{chip.two_qubit_gates} ({chip.swaps})"),
        (f"CZ depth, {chip.topology}", str(chip.two_qubit_depth)),
        (KL, with_error(profile.expressibility.kl, profile.expressibility.error)),
        (Q, with_error(entangling.meyer_wallach, entangling.error)),
    ]
    if circuit.n_qubits > 1:
        middle = circuit.n_qubits // 2 - 1
        entropy = entangling.cut_entropy_bits[middle], entangling.cut_errors[middle]
        cells.append((CUT, with_error(*entropy)))
    algebra = profile.lie_algebra
    return [
        *cells,
        (f"Var ∂⟨{gradient.observable}⟩", with_error(gradient.mean, gradient.error)),
        (LIE, f"{algebra.dimension:,}" if algebra else "not closed"),
    ]


def _at_random(profile: AnsatzProfile) -> dict[str, str]:
    """Return the values of uniformly random states, of a two-design and of all gates."""
    n_qubits = profile.circuit.n_qubits
    random = {
        KL: f"{profile.expressibility.floor:.3g}",
        Q: f"{profile.entangling.haar:.3g}",
        f"Var ∂⟨{profile.gradient.observable}⟩": f"{two_design_variance(n_qubits):.3g}",
        LIE: f"{4**n_qubits - 1:,}",
    }
    if n_qubits > 1:
        entropy = haar_entropy_bits(n_qubits, n_qubits // 2)
        random[CUT] = f"{entropy:.3g}"
    return random


def with_error(value: float, error: float) -> str:
    """Format a number with its standard error, which has one digit.

    Example:
        >>> with_error(0.68987, 0.0052), with_error(1234.0, 20.0), with_error(1e-17, 1e-18)
        ('0.690 ± 0.005', '1234 ± 20', '0')
    """
    if abs(value) < ROUNDING and error < ROUNDING:
        return "0"
    if not error > ROUNDING:
        return f"{value:.4g}"
    digits = max(0, -math.floor(math.log10(error)))
    return f"{value:.{digits}f} ± {error:.{digits}f}"
