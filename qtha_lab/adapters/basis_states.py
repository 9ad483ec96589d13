"""A number for every basis state of a small circuit, from which weights are generated.

Used by QPA and Quantum-Train. The circuit reads no data, so it runs once per step and layer; how the
numbers become weights is `mlp_mapping` and `mps_mapping`.
"""

import functools
import itertools
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from qtha_lab.adapters.initialisation import angles as starts
from qtha_lab.adapters.initialisation.angles import born_mps
from qtha_lab.adapters.method import Control
from qtha_lab.circuits import Angle, Circuit, Gate, ansatze
from qtha_lab.simulators import probs

# Below this a probability is taken as this, since small powers have infinite slope at zero [R].
SMALLEST = 1e-12
GENERATORS = ("ry_chain", "su4")


def controls(product: str) -> tuple[Control, ...]:
    """The controls of a method that generates numbers from a circuit's probabilities.

    Args:
        product: What is generated, such as "weights".
    """
    return (
        Control(
            "classical hypernetwork",
            f"what the circuit adds to generated {product}",
            {"generator": "classical"},
            without=("angles",),
        ),
        Control(
            "matrix product state",
            f"what a circuit adds to {product} that a small tensor network generates",
            {"generator": "mps"},
            without=("angles",),
        ),
        Control("frozen angles", "what training the circuit adds", {"train_generator": False}),
    )


def n_qubits_for(count: int) -> int:
    """Qubits of the smallest circuit with at least `count` basis states.

    Example:
        >>> n_qubits_for(1), n_qubits_for(192), n_qubits_for(256)
        (1, 8, 8)
    """
    return max(1, (count - 1).bit_length())


@functools.lru_cache(maxsize=256)
def ry_chain(n_qubits: int, n_layers: int) -> Circuit:
    """Blocks of RY on all qubits and an open chain of CNOTs; N · L angles, no data.

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
    """Qubits of each block, as equal as can be; never more blocks than qubits.

    Example:
        >>> block_sizes(7, 3), block_sizes(2, 5)
        ([3, 2, 2], [1, 1])
    """
    n_blocks = min(n_blocks, n_qubits)
    small, remainder = divmod(n_qubits, n_blocks)
    return [small + (block < remainder) for block in range(n_blocks)]


def generator_circuits(n_qubits: int, config: Any, n_blocks: int = 1) -> list[Circuit]:
    """The circuits behind `generated_values`, one per block; none for the classical control.

    Args:
        n_qubits: Of all blocks together.
        config: Of QPA or Quantum-Train: `generator`, `ansatz` and `n_layers` are read.
        n_blocks: Unentangled blocks, as equal as can be.

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
    """A circuit without data.

    Args:
        ansatz: One of `GENERATORS`.
        n_qubits: Qubits.
        n_layers: Repeated blocks.

    Raises:
        Refusal: If there are too few qubits for it.
    """
    if ansatz == "ry_chain":
        return ry_chain(n_qubits, n_layers)
    return ansatze.build_without_inputs(ansatz, n_qubits, n_layers)


def check_generator(config: Any) -> None:
    """Refuse angles that the generator of QPA or Quantum-Train has no use for.

    Raises:
        Refusal: With one sentence.
    """
    circuits = generator_circuits(2, config)
    starts.check_initialisation(config.angles, circuits, f"generator={config.generator!r}")


def n_numbers(n_qubits: int, config: Any, n_blocks: int = 1) -> int:
    """Numbers that the generator trains: angles, as many classical weights, or those in the cores.

    Args:
        n_qubits: Of all blocks together.
        config: Of QPA or Quantum-Train: `generator`, `ansatz`, `n_layers` and `mps_bond` are read.
        n_blocks: Unentangled blocks.

    Example:
        >>> from types import SimpleNamespace
        >>> n_numbers(5, SimpleNamespace(generator="classical", ansatz="ry_chain", n_layers=2))
        10
    """
    if config.generator == "mps":
        return born_mps.n_numbers(n_qubits, config.mps_bond)
    return sum(circuit.n_params for circuit in _circuits(n_qubits, config, n_blocks))


def circuit_probs(
    params: Float[Tensor, "n_params"],
    n_qubits: int,
    n_layers: int,
    n_blocks: int = 1,
    engine: str = "auto",
    ansatz: str = "ry_chain",
) -> Float[Tensor, "two_to_the_n_qubits"]:
    """|⟨i|ψ⟩|² of a circuit, or of unentangled blocks of it: p(i) = Π_k p_k(bits of block k).

    Args:
        params: Angles in radians, one block after another; n_qubits · n_layers of them for `ry_chain`.
        n_qubits: Of all blocks together.
        n_layers: Of every block.
        n_blocks: Unentangled blocks, as equal as can be; the first holds the most significant bits.
        ansatz: One of `GENERATORS`.
        engine: What runs the circuits (see `qtha_lab.simulators.probs`).

    Example:
        >>> p = circuit_probs(torch.tensor([torch.pi, 0.0]), 2, 1, engine="torch")
        >>> p.argmax()  # wire 0 rotated, then a CNOT: |11⟩
        tensor(3)

    Source:
        The circuit is QPA's (methods.md 2.4), and that it is split, Quantum-Train's with MPS mapping,
        arXiv:2409.06992; the product over blocks is our reconstruction [R] (methods.md 2.3).
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
    """The classical control: softmax over basis states of weighted parities of their bits.

    p(i) ∝ exp Σ_k w_k (−1)^{parity of the bits of i in mask k}, the masks of fewest bits first. As
    many weights as the circuit has angles; beyond 2^n − 1 masks are used again. Ours, no paper's.

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
    """The bits of basis states as −1 and +1, wire 0 (the most significant) first.

    Args:
        states: Indices from 0 to 2^n_qubits − 1.
        n_qubits: Bits of each.
        dtype: Of the result.

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
    """(β tanh(γ 2^{n−1} p))^exponent, minus its mean.

    A small exponent lifts small probabilities, and their rounding errors with them.

    Args:
        p: Probabilities of basis states.
        n_qubits: The n of the formula.
        beta: What large probabilities saturate at, before the power.
        gamma: How soon they do.
        exponent: Of the power.

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
    """p̃ of the first basis states, by what a config says of `generator` and post-processing.

    Args:
        params: Angles in radians of the circuit, or as many weights of the classical control.
        n_qubits: Of all blocks together.
        n_states: How many values are wanted, 2^n_qubits at most; the mean is taken off over all.
        config: Of QPA or Quantum-Train: `generator`, `ansatz`, `n_layers`, `mps_bond`, `engine`, `beta`,
            `gamma` and `exponent` are read.
        n_blocks: Unentangled blocks of the circuit.
    """
    if config.generator == "circuit":
        shape = (n_qubits, config.n_layers, n_blocks)
        p = circuit_probs(params, *shape, config.engine, config.ansatz)
    elif config.generator == "mps":
        p = born_mps.amplitudes(params, n_qubits, config.mps_bond).square()
    else:
        p = log_linear_probs(params, n_qubits)
    lifted = postprocess(
        p, n_qubits, beta=config.beta, gamma=config.gamma, exponent=config.exponent
    )
    return lifted[:n_states]


def start(params: Float[Tensor, "n_params"], config: Any, circuits: list[Circuit]) -> None:
    """Angles as `angles` says; cores normal; weights of the classical control so that logits have variance 1 [R].

    Args:
        params: What to fill.
        config: Of QPA or Quantum-Train.
        circuits: Whose angles they are, if they are any's.
    """
    if config.generator == "circuit":
        starts.draw(params, config.angles, circuits)
    elif config.generator == "mps":
        params.normal_()
    else:
        params.normal_(std=len(params) ** -0.5)
