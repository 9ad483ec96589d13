"""Fits of random target functions by a circuit's family, and by a layer of cosines.

Every target has angles of its own. The batch holds the trained angles as further inputs, so one
circuit call serves all targets.
"""

import dataclasses
import functools

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.circuits import Angle, Circuit, Gate, ansatze
from qtha_lab.simulators import expval_z

TARGETS, POINTS, HIGHEST = 20, 24, 4
STEPS, RATE = 200, 0.05
COSINE = "cosine"


@dataclasses.dataclass(frozen=True)
class TargetFit:
    """Fits of all targets by one family.

    Attributes:
        family: Name of the ansatz, or "cosine".
        n_params: Trained numbers for one target.
        errors: Held-out error of each target, relative to the target's variance.
    """

    family: str
    n_params: int
    errors: Float[np.ndarray, " targets"]

    @property
    def standard_error(self) -> float:
        """Standard error of the mean over targets."""
        return float(self.errors.std(ddof=1) / len(self.errors) ** 0.5)


def random_targets(
    seed: int = 0, n: int = TARGETS
) -> tuple[Float[Tensor, "targets points"], Float[Tensor, "targets points"]]:
    """Return points in ±π and values of random Fourier sums with frequencies up to four.

    Returns:
        Points and values, half of them for the fit and half held out.
    """
    draws = torch.Generator().manual_seed(seed)
    x = (2 * torch.rand(n, 2 * POINTS, generator=draws, dtype=torch.float64) - 1) * torch.pi
    waves = torch.arange(1, HIGHEST + 1) * x[..., None]
    weights = torch.randn(n, 2 * HIGHEST, generator=draws, dtype=torch.float64)
    y = (torch.cat([waves.cos(), waves.sin()], -1) @ weights[..., None]).squeeze(-1)
    return x, y / weights.norm(dim=-1, keepdim=True) * 2**0.5


def fit_targets(
    family: str, n_layers: int = 2, n_qubits: int = 4, *, steps: int = STEPS, seed: int = 0
) -> TargetFit:
    """Fit all targets with one family by Adam, and score them on held-out points.

    Args:
        family: Name of an ansatz, or "cosine" for as many numbers as "qtha" has.
        n_layers: Circuit layers, each with the datum on every qubit.
        n_qubits: Number of qubits.
        steps: Steps of Adam.
        seed: Seed of targets and initial values.

    Example:
        >>> fit_targets("product", 1, 1, steps=2).n_params
        6
    """
    x, y = random_targets(seed)
    torch.manual_seed(seed)
    if family == COSINE:
        circuit = ansatze.build("qtha", n_qubits, n_layers)
        units = -(-(circuit.n_params + n_qubits) // 3)  # amplitude, frequency and phase of each
        trained = torch.randn(len(x), 3, units, 1, dtype=torch.float64)
        trained[:, 1] = HIGHEST * torch.rand(len(x), units, 1)  # frequencies of the targets
        read = _cosines
    else:
        circuit = ansatze.build(family, n_qubits, n_layers)
        trained = torch.randn(len(x), circuit.n_params + n_qubits, dtype=torch.float64)
        read = functools.partial(_read_out, _with_angles_as_inputs(circuit))
    offset = torch.zeros(len(x), 1, dtype=torch.float64)
    n_params = trained[0].numel() + 1
    leaves = [trained.requires_grad_(), offset.requires_grad_()]
    optimizer = torch.optim.Adam(leaves, lr=RATE)
    for _ in range(steps):
        optimizer.zero_grad()
        fitted = read(trained, x[:, :POINTS]) + offset
        (fitted - y[:, :POINTS]).square().mean(-1).sum().backward()
        optimizer.step()
    with torch.no_grad():
        rest = read(trained, x[:, POINTS:]) + offset - y[:, POINTS:]
    return TargetFit(family, n_params, _relative(rest, y))


def fit_fourier_sum(seed: int = 0) -> TargetFit:
    """Fit all targets with a Fourier sum of their frequencies by least squares, without training.

    Example:
        >>> fit = fit_fourier_sum()
        >>> fit.n_params, bool(fit.errors.max() < 1e-9)
        (9, True)
    """
    x, y = random_targets(seed)
    angles = torch.arange(HIGHEST + 1) * x[..., None]
    design = torch.cat([angles.cos(), angles[..., 1:].sin()], -1)
    fitted = torch.linalg.lstsq(design[:, :POINTS], y[:, :POINTS, None]).solution
    rest = (design[:, POINTS:] @ fitted).squeeze(-1) - y[:, POINTS:]
    return TargetFit("Fourier sum", design.shape[-1], _relative(rest, y))


def _relative(rest: Tensor, y: Tensor) -> Float[np.ndarray, " targets"]:
    """Return mean squares of held-out residuals in units of the targets' variances."""
    return (rest.square().mean(-1) / y.var(-1)).numpy()


def _cosines(values: Tensor, points: Tensor) -> Tensor:
    amplitude, frequency, phase = values.unbind(1)
    return (amplitude * torch.cos(frequency * points[:, None] + phase)).sum(1)


def _read_out(circuit: Circuit, values: Tensor, points: Tensor) -> Tensor:
    """Return weighted means of Z, the datum on every qubit."""
    n = circuit.n_qubits
    data = points[..., None].expand(-1, -1, n)
    angles = values[:, None, n:].expand(-1, points.shape[1], -1)
    means = expval_z(circuit, torch.cat([data, angles], -1), points.new_empty(0))
    return (means @ values[:, :n, None]).squeeze(-1)


def _with_angles_as_inputs(circuit: Circuit) -> Circuit:
    """Return the circuit whose trained angles are the inputs after the data."""
    shift = circuit.n_inputs
    gates = [
        Gate(gate.name, gate.wires, [_as_input(a, shift) for a in gate.angles])
        for gate in circuit.gates
    ]
    return Circuit(circuit.n_qubits, gates)


def _as_input(angle: Angle, shift: int) -> Angle:
    if angle.source != "param":
        return angle
    return dataclasses.replace(angle, source="input", index=shift + angle.index)
