"""Values for the basis states of a small circuit, from which weights are generated.

Used by QPA and Quantum-Train. The circuit reads no data, so it runs once per step and layer.
`mlp_mapping` and `mps_mapping` convert the values to weights.
"""

import functools
import itertools
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from qtha_lab.adapters.initialisation import angles
from qtha_lab.adapters.initialisation.angles import mps
from qtha_lab.adapters.method import Control
from qtha_lab.circuits import Angle, Circuit, Gate, ansatze
from qtha_lab.simulators import probs

# Lower bound of a probability, since small powers have an infinite gradient at zero [R].
SMALLEST = 1e-12
GENERATORS = ("ry_chain", "su4")


def controls(product: str) -> tuple[Control, ...]:
    """Return the controls of a method that generates weights from a circuit's probabilities."""
    return (
        Control(
            "classical hypernetwork",
            f"effect of the circuit on generated {product}",
            {"generator": "classical"},
            without=("angles",),
        ),
        Control(
            "matrix product state",
            "effect of a circuit beyond a small tensor network",
            {"generator": "mps"},
            without=("angles",),
        ),
        Control("frozen angles", "effect of training the circuit", {"train_generator": False}),
    )


def n_qubits_for(count: int) -> int:
    """Return the qubits of the smallest circuit with at least `count` basis states.

    Example:
        >>> n_qubits_for(1), n_qubits_for(192), n_qubits_for(256)
        (1, 8, 8)
    """
    return max(1, (count - 1).bit_length())


@functools.lru_cache(maxsize=256)
def ry_chain(n_qubits: int, n_layers: int) -> Circuit:
    """Build blocks of RY on all qubits and an open chain of CNOTs.

    The circuit has N · L angles and no data inputs.

    Example:
        >>> print(ry_chain(2, 1))
        0: ──RY(p0)─╭●─┤
        1: ──RY(p1)─╰X─┤

    Source:
        QPA's code (methods.md 2.4).
    """
    angles = map(Angle.param, range(n_qubits * n_layers))
    gates: list[Gate] = []
    for _ in range(n_layers):
        gates += [Gate("RY", wire, next(angles)) for wire in range(n_qubits)]
        gates += [Gate("CNOT", (wire, wire + 1)) for wire in range(n_qubits - 1)]
    return Circuit(n_qubits, gates)


def block_sizes(n_qubits: int, n_blocks: int) -> list[int]:
    """Distribute qubits over blocks as equally as possible, with at most one block per qubit.

    Example:
        >>> block_sizes(7, 3), block_sizes(2, 5)
        ([3, 2, 2], [1, 1])
    """
    n_blocks = min(n_blocks, n_qubits)
    small, remainder = divmod(n_qubits, n_blocks)
    return [small + (block < remainder) for block in range(n_blocks)]


def generator_circuits(n_qubits: int, config: Any, n_blocks: int = 1) -> list[Circuit]:
    """Build the circuits behind `generated_values`, one per block; none for a control.

    Example:
        >>> from types import SimpleNamespace
        >>> config = SimpleNamespace(generator="circuit", ansatz="ry_chain", n_layers=2)
        >>> [circuit.n_params for circuit in generator_circuits(5, config, n_blocks=2)]
        [6, 4]
    """
    if config.generator != "circuit":
        return []
    return _circuits(n_qubits, config, n_blocks)


def _circuits(n_qubits: int, config: Any, n_blocks: int) -> list[Circuit]:
    sizes = block_sizes(n_qubits, n_blocks)
    return [generator_circuit(config.ansatz, size, config.n_layers) for size in sizes]


def generator_circuit(ansatz: str, n_qubits: int, n_layers: int) -> Circuit:
    """Build a circuit without data inputs."""
    if ansatz == "ry_chain":
        return ry_chain(n_qubits, n_layers)
    return ansatze.build_without_inputs(ansatz, n_qubits, n_layers)


def check_generator(config: Any) -> None:
    """Refuse initial angles that do not suit the generator of QPA or Quantum-Train."""
    circuits = generator_circuits(2, config)
    angles.check_angle_setting(config.angles, circuits, f"generator={config.generator!r}")


def n_numbers(n_qubits: int, config: Any, n_blocks: int = 1) -> int:
    """Count the numbers of the generator: angles, control weights or MPS core entries.

    Args:
        n_qubits: Qubits of all blocks together.
        config: Config of QPA or Quantum-Train; reads `generator`, `ansatz`, `n_layers` and
            `mps_bond`.
        n_blocks: Number of unentangled blocks.

    Example:
        >>> from types import SimpleNamespace
        >>> n_numbers(5, SimpleNamespace(generator="classical", ansatz="ry_chain", n_layers=2))
        10
    """
    if config.generator == "mps":
        return mps.n_numbers(n_qubits, config.mps_bond)
    return sum(circuit.n_params for circuit in _circuits(n_qubits, config, n_blocks))


def circuit_probs(
    params: Float[Tensor, "n_params"],
    n_qubits: int,
    n_layers: int,
    n_blocks: int = 1,
    engine: str = "auto",
    ansatz: str = "ry_chain",
) -> Float[Tensor, "two_to_the_n_qubits"]:
    """Compute the probabilities |⟨i|ψ⟩|² of a circuit, or of unentangled blocks.

    With several blocks p(i) = Π_k p_k(bits of block k).

    Example:
        >>> p = circuit_probs(torch.tensor([torch.pi, 0.0]), 2, 1, engine="torch")
        >>> p.argmax()  # wire 0 rotated, then a CNOT: |11⟩
        tensor(3)

    Source:
        The circuit is from QPA (methods.md 2.4). The split into blocks is from Quantum-Train with
        MPS mapping, arXiv:2409.06992; the product over blocks is our reconstruction [R] (methods.md
        2.3).
    """
    joint = params.new_ones(1)
    inputs, start = params.new_empty(0), 0
    for size in block_sizes(n_qubits, n_blocks):
        circuit = generator_circuit(ansatz, size, n_layers)
        angles = params[start : start + circuit.n_params]
        start += circuit.n_params
        joint = torch.outer(joint, probs(circuit, inputs, angles, engine)).flatten()
    return joint


def log_linear_probs(
    params: Float[Tensor, "n_params"], n_qubits: int
) -> Float[Tensor, "two_to_the_n_qubits"]:
    """Compute the control's probabilities: softmax of weighted parities of the bits.

    p(i) ∝ exp Σ_k w_k (−1)^{parity of the bits of i in mask k}, with the masks of fewest bits
    first. The control has as many weights as the circuit has angles; beyond 2^n − 1 the masks
    repeat. Ours [R].

    Example:
        >>> log_linear_probs(torch.tensor([torch.log(torch.tensor(3.0)) / 2]), 1)
        tensor([0.7500, 0.2500])
    """
    masks = _parity_masks(n_qubits, len(params), params.device)
    weights = params.new_zeros(2**n_qubits).index_add(0, masks, params)
    for wire in range(n_qubits):  # the fast Walsh–Hadamard transform
        zero, one = weights.reshape(2**wire, 2, -1).unbind(1)
        weights = torch.stack([zero + one, zero - one], 1).flatten()
    return weights.softmax(0)


@functools.lru_cache(maxsize=256)
def _parity_masks(n_qubits: int, count: int, device: torch.device) -> Int[Tensor, "count"]:
    masks = sorted(range(1, 2**n_qubits), key=lambda mask: (mask.bit_count(), -mask))
    with torch.inference_mode(False):
        return torch.tensor(list(itertools.islice(itertools.cycle(masks), count)), device=device)


def signs_of_bits(
    states: Int[Tensor, "count"], n_qubits: int, dtype: torch.dtype
) -> Float[Tensor, "count n_qubits"]:
    """Convert basis states to bits of −1 and +1, wire 0 (the most significant) first.

    Example:
        >>> signs_of_bits(torch.tensor([0, 2]), 2, torch.float32)
        tensor([[-1., -1.],
                [ 1., -1.]])
    """
    places = torch.arange(n_qubits - 1, -1, -1, device=states.device)
    return (2 * (states.unsqueeze(1) >> places & 1) - 1).to(dtype)


def postprocess(
    p: Float[Tensor, "states"], n_qubits: int, *, beta: float, gamma: float, exponent: float
) -> Float[Tensor, "states"]:
    """Compute (β tanh(γ 2^{n−1} p))^exponent, minus its mean.

    A small exponent amplifies small probabilities and their rounding errors.

    Example:
        >>> postprocess(torch.tensor([1.0, 0.0]), 1, beta=1.0, gamma=100.0, exponent=1.0)
        tensor([ 0.5000, -0.5000])

    Source:
        QPA's code has β = 0.60, γ = 0.1, exponent 0.15 (methods.md 2.4); a public Quantum-Train
        code has 0.8, 0.1, 0.3.
    """
    lifted = beta * torch.tanh(gamma * 2 ** (n_qubits - 1) * p)
    values = lifted.clamp_min(SMALLEST) ** exponent
    return values - values.mean()


def generated_values(
    params: Float[Tensor, "n_params"], n_qubits: int, n_states: int, config: Any, n_blocks: int = 1
) -> Float[Tensor, "n_states"]:
    """Compute the post-processed values p̃ of the first basis states.

    Args:
        params: Angles in radians of the circuit, or as many weights of the control.
        n_qubits: Qubits of all blocks together.
        n_states: Number of values, at most 2^n_qubits; the mean is taken over all basis states.
        config: Config of QPA or Quantum-Train; reads `generator`, `ansatz`, `n_layers`, `mps_bond`,
            `engine`, `beta`, `gamma` and `exponent`.
        n_blocks: Number of unentangled blocks of the circuit.
    """
    if config.generator == "circuit":
        shape = (n_qubits, config.n_layers, n_blocks)
        p = circuit_probs(params, *shape, config.engine, config.ansatz)
    elif config.generator == "mps":
        p = mps.amplitudes(params, n_qubits, config.mps_bond).square()
    else:
        p = log_linear_probs(params, n_qubits)
    lifted = postprocess(
        p, n_qubits, beta=config.beta, gamma=config.gamma, exponent=config.exponent
    )
    return lifted[:n_states]


def initialise_generator(
    params: Float[Tensor, "n_params"], config: Any, circuits: list[Circuit]
) -> None:
    """Initialise the generator's numbers in place.

    Angles follow the setting `angles`; MPS cores are standard normal. The weights of the classical
    control give logits of variance 1 [R].
    """
    if config.generator == "circuit":
        angles.draw_angles(params, config.angles, circuits)
    elif config.generator == "mps":
        params.normal_()
    else:
        params.normal_(std=len(params) ** -0.5)
