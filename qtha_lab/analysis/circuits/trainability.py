"""Gradient variance at random angles against qubits and layers (barren plateaus).

Covers one read-out and one distribution of angles, not the course of training.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float

from qtha_lab.analysis.circuits.random_angles import Inputs, check_samples, draw_angles, free_angles
from qtha_lab.circuits import Circuit, ansatze
from qtha_lab.simulators import expval

UNSEEN = 1e-24  # a smaller variance is the rounding error of a zero gradient


@dataclasses.dataclass(frozen=True)
class GradientVariance:
    """Variances of ∂⟨O⟩/∂θ_k over random angles.

    Does not show the gradient at a chosen initialisation (near zero, for instance), nor after some
    steps. A large variance does not imply a good minimum.

    Attributes:
        variances: Variance per trainable angle; `errors` are their standard errors.
        mean: Mean over the `seen` trainable angles that change the read-out at all (a product of
            qubits changes Z0 only by those of wire 0); 0 if there are none. `error`: its error.
    """

    variances: Float[np.ndarray, " n_params"]
    errors: Float[np.ndarray, " n_params"]
    mean: float
    error: float
    seen: int
    observable: str
    n_samples: int


def gradient_variance_of(
    circuit: Circuit,
    observable: str = "Z0",
    n_samples: int = 1000,
    inputs: Inputs = "zeros",
    seed: int = 0,
    engine: str = "auto",
) -> GradientVariance:
    """Measure gradients of one expectation at trainable angles uniform in ±π.

    Args:
        circuit: Circuit to run.
        observable: A Pauli string such as "Z0" (local) or "Z0 Z1 Z2" (global).
        n_samples: Number of draws.
        inputs: The data: "zeros", "uniform" or one sample (see `draw_angles`).
        seed: Seed of the draws.
        engine: Engine (see `expval_z`).

    Example:
        >>> from qtha_lab.circuits import Angle, Circuit, Gate
        >>> one = gradient_variance_of(Circuit(1, [Gate("RY", 0, Angle.param(0))]), n_samples=4000)
        >>> abs(one.mean - 0.5) < 4 * one.error  # the mean of sin²
        True

    Source:
        McClean et al. 2018, arXiv:1803.11173; that the read-out matters, Cerezo et al. 2021,
        arXiv:2001.00550.
    """
    check_samples(n_samples, least=2)
    gradients = random_gradients(circuit, observable, n_samples, inputs, seed, engine)
    squares = (gradients - gradients.mean(0)) ** 2 * (n_samples / (n_samples - 1))
    visible = squares.mean(0) > UNSEEN
    together = squares[:, visible].mean(1) if visible.any() else np.zeros(n_samples)
    root = np.sqrt(n_samples)
    return GradientVariance(
        variances=squares.mean(0),
        errors=squares.std(0) / root,
        mean=float(together.mean()),
        error=float(together.std() / root),
        seen=int(visible.sum()),
        observable=observable,
        n_samples=n_samples,
    )


def random_gradients(
    circuit: Circuit,
    observable: str,
    n_samples: int,
    inputs: Inputs = "zeros",
    seed: int = 0,
    engine: str = "auto",
) -> Float[np.ndarray, "samples n_params"]:
    """Compute ∂⟨O⟩/∂θ at every draw of the angles.

    One forward and one backward pass serve all draws.

    Args:
        circuit: Circuit to run; trainable angles are uniform in ±π.
        observable: A Pauli string such as "Z0".
        n_samples: Number of draws.
        inputs: The data: "zeros", "uniform" or one sample (see `draw_angles`).
        seed: Seed of the draws.
        engine: Engine (see `expval_z`); circuits with amplitude data run on torch.

    Returns:
        One row per draw, in units of the observable per radian; no columns without parameters.

    Raises:
        Refusal: If the inputs or the observable do not fit the circuit, or n_samples is below 1.

    Example:
        >>> from qtha_lab.circuits import Angle, Circuit, Gate
        >>> rotation = Circuit(1, [Gate("RY", 0, Angle.param(0))])
        >>> gradients = random_gradients(rotation, "Z0", 5)
        >>> np.allclose(gradients, -np.sin(draw_angles(rotation, 5).params.numpy()))  # ⟨Z⟩ = cos θ
        True
    """
    angles = draw_angles(circuit, n_samples, inputs, seed)
    params = angles.params.requires_grad_()
    if circuit.start == "amplitudes":
        run = torch.func.vmap(lambda x, p: expval(circuit, [observable], x, p, "torch"))
        values = run(angles.inputs, params)
    else:
        free = free_angles(circuit)
        together = torch.cat([angles.inputs, params], -1)[:, : free.n_inputs]
        values = expval(free, [observable], together, together.new_zeros(0), engine)
    if not values.requires_grad:
        return np.zeros((n_samples, 0))
    return torch.autograd.grad(values.sum(), params)[0].numpy()


def two_design_variance(n_qubits: int) -> float:
    """Return the variance where both sides of a Pauli rotation form a two-design.

    It is N²/(2(N + 1)(N² - 1)) with N = 2^n, near 2^-n/2, for the expectation of any Pauli string.

    Example:
        >>> two_design_variance(1)  # 4/(2·3·3)
        0.2222222222222222

    Source:
        The law is McClean et al. 2018, arXiv:1803.11173; the constant is our arithmetic [R]. With
        the gradient i⟨[H, O]⟩, H = P/2: the state gives Tr(A²)/(N(N + 1)) with A = i[H, O], the
        observable Tr(A²) = N/2 · N²/(N² - 1).
    """
    n = 2**n_qubits
    return n**2 / (2 * (n + 1) * (n**2 - 1))


def gradient_variance_points(
    name: str,
    qubits: Sequence[int],
    layers: Sequence[int],
    observable: str = "Z0",
    n_samples: int = 1000,
    inputs: Inputs = "zeros",
    seed: int = 0,
    **options,
) -> list[dict]:
    """Return an ansatz over sizes, as rows for `qtha_lab.figures.gradient_variance`.

    Variances are means over the angles.

    Args:
        name: Name of a registered ansatz.
        qubits: Numbers of qubits.
        layers: Numbers of layers; one row per pair of qubits and layers.
        observable: A Pauli string such as "Z0".
        n_samples: Number of draws of the angles per row.
        inputs: The data: "zeros" or "uniform"; one sample (see `draw_angles`) fits one number of
            qubits.
        seed: Seed of the draws, the same for every row.
        **options: Options of the ansatz (see `qtha_lab.circuits.ansatze.build`).

    Returns:
        Dictionaries with "ansatz", "n_qubits", "n_layers", "variance" and its standard "error".

    Raises:
        Refusal: If there is no such ansatz, it has no such size or option, or n_samples is below 2.

    Example:
        >>> from qtha_lab.figures.gradient_variance import gradient_variance
        >>> rows = gradient_variance_points("qtha", [2, 3], [1], n_samples=50)
        >>> gradient_variance(rows).alt
        'Variance of the gradient from 2 to 3 qubits: qtha, 1 layer: ...'
    """
    rows = []
    for n_layers in layers:
        for n_qubits in qubits:
            circuit = ansatze.build(name, n_qubits, n_layers, **options)
            result = gradient_variance_of(circuit, observable, n_samples, inputs, seed)
            size = {"ansatz": name, "n_qubits": n_qubits, "n_layers": n_layers}
            rows.append({**size, "variance": result.mean, "error": result.error})
    return rows
