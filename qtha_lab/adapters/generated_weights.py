"""Generation of weights from a small circuit's probabilities, one chunk per basis state.

    m weights in ⌈m / c⌉ chunks of c, one per basis state of N = ⌈log₂ ⌈m / c⌉⌉ qubits
    chunk i = G(bits of i as ±1, p̃_i)

p̃ is `basis_states.generated_values`; G is a small MLP (`mlp_mapping`) or a matrix product state
(`mps_mapping`). Independent of layers and networks: `quantum_train` generates changes of weight,
`qpa` factors, `generated_network` all weights of a network. A generator holds no tensor, so it can
be copied and pickled with its owner.

Trained parameters: N L of the circuit if trained (15 (N − 1) L for `ansatz="su4"`; the core entries
for `generator="mps"`), and

    mlp:  Σ (h_k + 1) h_{k+1},  (h_0, …) = (N + 1, *hidden, c)
    mps:  2 χ + 2 (N − 1) χ² + 2 χ c,  χ = bond_dim

Source:
    Quantum-Train, arXiv:2405.11304; chunks, as in Federated Quantum-Train, arXiv:2409.02763, and
    QPA, arXiv:2410.09846.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from qtha_lab.adapters import basis_states
from qtha_lab.adapters.change import TensorSpec
from qtha_lab.circuits import Circuit
from qtha_lab.core.errors import Refusal

MOST_QUBITS = 20


class WeightGenerator:
    """Generator of `n_weights` numbers from one circuit and one mapping.

    Args:
        n_weights: Number m of generated weights.
        config: Config of Quantum-Train or QPA; reads circuit, post-processing and network.
        chunk: Number c of weights per basis state.
        mapping: "mlp", or "mps", which reads `config.bond_dim`.
        n_blocks: Number of unentangled circuits that share the qubits.

    Example:
        >>> from qtha_lab.adapters.quantum_train import QuantumTrainConfig
        >>> generator = WeightGenerator(1000, QuantumTrainConfig(n_layers=2), chunk=16)  # 63 chunks
        >>> generator.n_qubits, generator.n_parameters()  # 6 · 2 and 7-4-20-4-16
        (6, 308)
        >>> generator.weights(generator.start()).shape
        torch.Size([1000])
    """

    def __init__(
        self, n_weights: int, config: Any, chunk: int, *, mapping: str = "mlp", n_blocks: int = 1
    ):
        self.n_weights, self.config, self.chunk = n_weights, config, chunk
        self.mapping, self.n_blocks = mapping, n_blocks
        self.n_chunks = math.ceil(n_weights / chunk)
        self.n_qubits = basis_states.n_qubits_for(self.n_chunks)
        self.widths = (self.n_qubits + 1, *config.hidden, chunk)

    def check(self, owner: str) -> None:
        """Refuse more than `MOST_QUBITS` qubits."""
        if self.n_qubits > MOST_QUBITS:
            least = math.ceil(self.n_weights / 2**MOST_QUBITS)
            raise Refusal(
                f"chunk must be at least {least} for {owner}, got {self.chunk}. It would take "
                f"{self.n_qubits} qubits."
            )

    def circuits(self) -> list[Circuit]:
        """Return the circuits that run once per use of the weights; none for controls."""
        return basis_states.generator_circuits(self.n_qubits, self.config, self.n_blocks)

    def n_numbers(self) -> int:
        """Count the generator's numbers: angles, control weights or MPS core entries."""
        return basis_states.n_numbers(self.n_qubits, self.config, self.n_blocks)

    def n_parameters(self) -> int:
        """Count the trained parameters by the formula of the module."""
        angles = self.n_numbers() * self.config.train_generator
        if self.mapping == "mps":
            return angles + n_core_entries(self.n_qubits, self.config.bond_dim, self.chunk)
        return angles + n_mlp_parameters(self.widths)

    def tensors(self) -> dict[str, TensorSpec]:
        """Return names and shapes: angles as `params`, and tensors of the mapping."""
        config = self.config
        specs = {"params": TensorSpec((self.n_numbers(),), config.train_generator)}
        if self.mapping == "mps":
            return specs | mps_tensors(self.n_qubits, config.bond_dim, self.chunk)
        return specs | mlp_tensors(self.widths)

    def initialise(self, tensors: Mapping[str, Tensor], last_zero: bool = False) -> None:
        """Fill tensors at random in place; `last_zero` makes every generated weight zero."""
        basis_states.initialise_generator(tensors["params"], self.config, self.circuits())
        fill = initialise_cores if self.mapping == "mps" else initialise_mlp
        fill(tensors, last_zero=last_zero)

    def start(self, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """Make and initialise all tensors."""
        tensors = {name: torch.empty(s.shape, dtype=dtype) for name, s in self.tensors().items()}
        with torch.no_grad():
            self.initialise(tensors)
        return tensors

    def parts(
        self, tensors: Mapping[str, Tensor], states: Int[Tensor, "n_chunks"] | None = None
    ) -> tuple[
        Float[Tensor, "n_chunks width"], Float[Tensor, "chunk width"], Float[Tensor, "chunk"]
    ]:
        """Compute the factors of the weights: H, W and b.

        Chunk i of the weights is W H_i + b. The factors are small, however many weights there are.

        Args:
            tensors: Tensors with the names of `tensors`.
            states: Basis states whose bits label the chunks (mlp); None is 0, 1, 2, …
        """
        values = basis_states.generated_values(
            tensors["params"], self.n_qubits, self.n_chunks, self.config, self.n_blocks
        )
        if self.mapping == "mps":
            weight = tensors["core_last"]
            return (contracted_cores(tensors, values), weight, weight.new_zeros(self.chunk))
        if states is None:
            states = torch.arange(self.n_chunks, device=values.device)
        bits = basis_states.signs_of_bits(states, self.n_qubits, values.dtype)
        features = torch.cat([bits, values.unsqueeze(1)], 1)
        last = hidden_values(tensors, features, self.config.activation)
        return last, *last_layer(tensors)

    def mean(self, last: Tensor, weight: Tensor, bias: Tensor) -> Float[Tensor, ""]:
        """Compute the mean of all weights without generating them.

        Args:
            last: H from `parts`.
            weight: W from `parts`.
            bias: b from `parts`.
        """
        rest = self.n_weights - (self.n_chunks - 1) * self.chunk
        whole = last[:-1].sum(0) @ weight.sum(0) + (self.n_chunks - 1) * bias.sum()
        partial = weight[:rest].sum(0) @ last[-1] + bias[:rest].sum()
        return (whole + partial) / self.n_weights

    def weights(
        self, tensors: Mapping[str, Tensor], states: Int[Tensor, "n_chunks"] | None = None
    ) -> Float[Tensor, "n_weights"]:
        """Generate all weights, chunk by chunk, minus their mean if the config says so."""
        weights = torch.nn.functional.linear(*self.parts(tensors, states))
        weights = weights.flatten()[: self.n_weights]
        has_mean = self.config.remove_mean and self.n_weights > 1  # a single weight would stay zero
        return weights - weights.mean() if has_mean else weights


ACTIVATIONS = {
    "none": lambda x: x,
    "relu": torch.relu,
    "silu": torch.nn.functional.silu,
    "tanh": torch.tanh,
}


def checked_widths(hidden: Sequence[int]) -> tuple[int, ...]:
    """Return the hidden widths as a tuple, after validation."""
    is_list = isinstance(hidden, (list, tuple)) and len(hidden) > 0
    if not is_list or any(not isinstance(width, int) or width < 1 for width in hidden):
        raise Refusal(
            f"hidden must be a list of whole numbers above 0, such as [32, 16], got {hidden!r}."
        )
    return tuple(hidden)


def mlp_tensors(sizes: Sequence[int]) -> dict[str, TensorSpec]:
    """Return names and shapes of weights and biases for these layer sizes.

    Example:
        >>> {name: spec.shape for name, spec in mlp_tensors((3, 2)).items()}
        {'map_0_weight': (2, 3), 'map_0_bias': (2,)}
    """
    specs = {}
    for layer, (ins, outs) in enumerate(itertools.pairwise(sizes)):
        specs[f"map_{layer}_weight"] = TensorSpec((outs, ins))
        specs[f"map_{layer}_bias"] = TensorSpec((outs,))
    return specs


def n_mlp_parameters(sizes: Sequence[int]) -> int:
    """Count Σ (ins + 1) · outs parameters."""
    return sum((ins + 1) * outs for ins, outs in itertools.pairwise(sizes))


def initialise_mlp(tensors: Mapping[str, Tensor], last_zero: bool = False) -> None:
    """Initialise like torch's Linear, uniform within 1/√fan_in; optionally zero the last layer."""
    layers = _layers(tensors)
    for weight, bias in layers:
        bound = 1 / math.sqrt(weight.shape[1])
        weight.uniform_(-bound, bound)
        bias.uniform_(-bound, bound)
    if last_zero:
        for tensor in layers[-1]:
            tensor.zero_()


def hidden_values(
    tensors: Mapping[str, Tensor], x: Float[Tensor, "states ins"], activation: str
) -> Float[Tensor, "states width"]:
    """Apply all layers but the last.

    Args:
        tensors: Weights and biases with the names of `tensors_of`.
        x: One row per basis state.
        activation: Name of the activation after every layer, from `ACTIVATIONS`.

    Example:
        >>> specs = mlp_tensors((2, 3, 1))
        >>> tensors = {name: torch.ones(spec.shape) for name, spec in specs.items()}
        >>> hidden_values(tensors, torch.tensor([[1.0, -4.0]]), "relu")  # 1 − 4 + 1 is below 0
        tensor([[0., 0., 0.]])
    """
    for weight, bias in _layers(tensors)[:-1]:
        x = ACTIVATIONS[activation](torch.nn.functional.linear(x, weight, bias))
    return x


def last_layer(tensors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Return weight and bias of the last layer, which gives the weights of a chunk."""
    return _layers(tensors)[-1]


def _layers(tensors: Mapping[str, Tensor]) -> list[tuple[Tensor, Tensor]]:
    numbers = itertools.takewhile(lambda k: f"map_{k}_weight" in tensors, itertools.count())
    return [(tensors[f"map_{k}_weight"], tensors[f"map_{k}_bias"]) for k in numbers]


def mps_tensors(n_qubits: int, bond_dim: int, chunk: int) -> dict[str, TensorSpec]:
    """Return shapes of the qubit cores (2, left, right) and of the last core.

    The last core is a matrix (chunk, 2 · bond).

    Example:
        >>> {name: spec.shape for name, spec in mps_tensors(2, 3, 5).items()}
        {'core_0': (2, 1, 3), 'core_1': (2, 3, 3), 'core_last': (5, 6)}
    """
    lefts = [1] + [bond_dim] * (n_qubits - 1)
    cores = {f"core_{k}": TensorSpec((2, left, bond_dim)) for k, left in enumerate(lefts)}
    return cores | {"core_last": TensorSpec((chunk, 2 * bond_dim))}


def n_core_entries(n_qubits: int, bond_dim: int, chunk: int) -> int:
    """Count 2 χ + 2 (N − 1) χ² + 2 χ c core entries.

    Example:
        >>> n_core_entries(2, 3, 5)  # 6 + 18 + 30
        54
    """
    return 2 * bond_dim + 2 * (n_qubits - 1) * bond_dim**2 + 2 * bond_dim * chunk


def initialise_cores(tensors: Mapping[str, Tensor], last_zero: bool = False) -> None:
    """Fill with numbers of variance 1 / bond, so that products keep their size [R]."""
    for name, tensor in tensors.items():
        if name.startswith("core_"):
            tensor.normal_(std=tensor.shape[1] ** -0.5)
    if last_zero:
        tensors["core_last"].zero_()


def contracted_cores(
    tensors: Mapping[str, Tensor], values: Float[Tensor, "states"]
) -> Float[Tensor, "states two_bonds"]:
    """Contract all cores but the last with (1, p̃), the input of the last core."""
    products = values.new_ones(1, 1)
    for k in itertools.takewhile(lambda k: f"core_{k}" in tensors, itertools.count()):
        core = tensors[f"core_{k}"]
        grown = torch.einsum("sl,blr->sbr", products, core)
        products = grown.reshape(-1, core.shape[-1])
    products = products[: len(values)]
    return torch.cat([products, values.unsqueeze(1) * products], 1)
