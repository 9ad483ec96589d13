"""Quantum-Train: all weights of the change generated from a small circuit's probabilities.

    m = out · in weights in ⌈m / c⌉ chunks of c, one per basis state of N = ⌈log₂ ⌈m / c⌉⌉ qubits
    ΔW = all chunks G(bits of i as ±1, p̃_i), minus their mean

p_i = |⟨i|ψ(params)⟩|² of L blocks of RY and an open CNOT chain without data inputs. Post-processing
gives p̃_i = (β tanh(γ 2^{N−1} p_i))^exponent − mean. With `n_blocks` = k the circuit consists of k
unentangled ones on N/k qubits each, p(i) = Π_k p_k(bits of block k) [R]. G is a small MLP, or a
matrix product state (`mps_mapping`). c = 1 is the original; c above 1 is batched generation.

The circuit has N L of the trainable parameters. The control `generator="classical"` replaces the
circuit by a log-linear distribution over the same basis states, with the same N L numbers.

The initial change is zero because the last layer (or core) of G is zero [R]: the papers train whole
networks, not changes. The change is one matrix, so it can be merged. Merge before text generation,
since every new token generates the matrix anew. Matrices above `SLAB` numbers are generated some
rows at a time, and again in the backward pass. So memory does not grow with the layer.

Trainable parameters of a layer are N L for the circuit and those of G. For `ansatz="su4"` the
circuit has 15 (N − 1) L. For `generator="mps"` p_i = |⟨i|MPS⟩|² of a matrix product state, whose
core entries count instead.

    mlp:  Σ (h_k + 1) h_{k+1},  (h_0, …) = (N + 1, *hidden, c)
    mps:  2 χ + 2 (N − 1) χ² + 2 χ c,  χ = bond_dim

Source:
    Quantum-Train, arXiv:2405.11304; MPS mapping and distributed circuits, arXiv:2409.06992; chunks,
    as in Federated Quantum-Train and QPA (arXiv:2410.09846). Hidden widths 4-20-4 without
    activation, the post-processing and the mean removal are those of a public Quantum-Train code,
    whose circuit is of U3 and controlled U3 gates; N L angles are the papers'. L = 8, χ = 4 and c =
    ⌈m / 1024⌉ (ten qubits at most) are ours [R].
"""

import dataclasses
import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from qtha_lab.adapters import basis_states, generated_weights
from qtha_lab.adapters.change import Change, Layer, TensorSpec
from qtha_lab.adapters.generated_weights import WeightGenerator
from qtha_lab.adapters.initialisation.angles import angles_setting
from qtha_lab.adapters.peft import AdapterConfig, method
from qtha_lab.circuits import Circuit
from qtha_lab.core.errors import Refusal
from qtha_lab.core.method_styles import MethodStyle
from qtha_lab.core.settings import setting
from qtha_lab.simulators import check_engine

# Largest number of weights generated at once: 64 MiB in float32.
SLAB = 2**24


@dataclasses.dataclass
class QuantumTrainConfig(AdapterConfig):
    """Settings of Quantum-Train.

    Example:
        >>> config = QuantumTrainConfig(chunk=64)  # 64 chunks: 6 qubits, 7-4-20-4-64
        >>> config.n_parameters(64, 64) == 6 * 8 + 32 + 100 + 84 + 5 * 64
        True
    """

    chunk: int | None = setting(
        None, "Weights per basis state; None is the fewest with at most ten qubits.", ge=1
    )
    n_layers: int = setting(8, "Blocks of RY and CNOT in the circuit.", ge=1, le=1024, common=True)
    n_blocks: int = setting(1, "Unentangled circuits that share the qubits.", ge=1, le=20)
    mapping: str = setting(
        "mlp",
        "Map from probabilities to weights: a network, or a matrix product state.",
        choices=("mlp", "mps"),
        common=True,
    )
    hidden: tuple = setting((4, 20, 4), "Widths of the network between bits and chunk (mlp).")
    activation: str = setting(
        "none",
        "Activation between the layers of the network (mlp); the authors' code has none.",
        choices=tuple(generated_weights.ACTIVATIONS),
    )
    bond_dim: int = setting(
        4, "Bond dimension of the matrix product state (mps).", ge=1, le=256, common=True
    )
    generator: str = setting(
        "circuit",
        "Source of the probabilities: circuit, as many classical numbers, or matrix product state.",
        choices=("circuit", "classical", "mps"),
        common=True,
    )
    ansatz: str = setting(
        "ry_chain",
        "Circuit: RY and a chain of CNOTs, or general gates on neighbours.",
        choices=basis_states.GENERATORS,
    )
    mps_bond: int = setting(2, "Bond dimension of generator mps.", ge=1, le=256)
    angles: str = angles_setting()
    train_generator: bool = setting(
        True, "Train the angles, or the numbers of a control. Off keeps their initial values."
    )
    remove_mean: bool = setting(True, "Remove the mean of all generated weights.")
    beta: float = setting(0.8, "Factor on tanh in the post-processing.", gt=0)
    gamma: float = setting(0.1, "Factor inside tanh in the post-processing.", gt=0)
    exponent: float = setting(0.3, "Power in the post-processing; 1 leaves tanh alone.", gt=0)
    engine: str = setting(
        "auto",
        "Simulation engine: the fastest one (auto), a name, or device:NAME(option=value).",
        common=True,
    )

    def __post_init__(self):
        self.hidden = generated_weights.checked_widths(self.hidden)
        super().__post_init__()
        check_engine(self.engine, basis_states.ry_chain(1, 1))
        basis_states.check_generator(self)
        if self.generator == "mps" and self.n_blocks > 1:
            raise Refusal(
                f"n_blocks must be 1 beside generator=mps, which is one block, got {self.n_blocks}."
            )

    def generator_of(self, n_weights: int) -> WeightGenerator:
        """Build the generator of `n_weights` weights with these settings."""
        chunk = self.chunk or math.ceil(n_weights / 1024)
        return WeightGenerator(n_weights, self, chunk, mapping=self.mapping, n_blocks=self.n_blocks)


@method(
    "quantum_train",
    QuantumTrainConfig,
    summary="All weights of the change generated from a small circuit's probabilities.",
    equation="ΔW = G(bits, p) for every weight",
    source="Quantum-Train, arXiv:2405.11304; MPS and blocks, arXiv:2409.06992",
    default_learning_rate=1e-2,
    style=MethodStyle("green", "dashdot", "triangle-up"),
    controls=basis_states.controls("weights"),
    examples={
        "mlp": {"chunk": 40, "n_layers": 2},
        "mps-blocks": {"chunk": 24, "n_layers": 2, "mapping": "mps", "bond_dim": 3, "n_blocks": 2},
        "classical": {"chunk": 40, "n_layers": 2, "generator": "classical", "activation": "tanh"},
        "mps": {"chunk": 40, "generator": "mps", "mps_bond": 3},
        "su4": {"chunk": 40, "ansatz": "su4", "n_layers": 1, "angles": "small"},
        "frozen-circuit": {"chunk": 40, "train_generator": False, "remove_mean": False},
    },
)
class QuantumTrain(Change):
    """Tensors and formula of Quantum-Train at one layer."""

    def __init__(self, config: QuantumTrainConfig, layer: Layer):
        super().__init__(config, layer)
        self.generator = config.generator_of(layer.out_features * layer.in_features)
        self.generator.check(
            f"a layer of {layer.in_features} inputs and {layer.out_features} outputs"
        )

    def angle_circuits(self):
        return {"params": circuits} if (circuits := self.circuits()) else {}

    def circuits(self) -> list[Circuit]:
        return self.generator.circuits()

    def n_parameters(self) -> int:
        return self.generator.n_parameters()

    def tensors(self) -> dict[str, TensorSpec]:
        return self.generator.tensors()

    def initialise(self, tensors: Mapping[str, Tensor]) -> None:
        self.generator.initialise(tensors, last_zero=self.config.init_weights)

    def parts(
        self, tensors: Mapping[str, Tensor]
    ) -> tuple[
        Float[Tensor, "n_chunks width"], Float[Tensor, "chunk width"], Float[Tensor, "chunk"]
    ]:
        """Compute the factors H, W and b of ΔW.

        Chunk i of ΔW is W H_i + b. The factors are small, whatever the size of the layer.
        """
        last, weight, bias = self.generator.parts(tensors)
        if self.config.remove_mean:
            bias = bias - self.generator.mean(last, weight, bias)
        return last, weight, bias

    def delta(
        self, tensors: Mapping[str, Tensor], x: Float[Tensor, "*batch in_features"]
    ) -> Float[Tensor, "*batch out_features"]:
        parts = self.parts(tensors)
        rows = max(1, SLAB // self.layer.in_features)
        if rows >= self.layer.out_features:
            return self._slab(0, self.layer.out_features, x, *parts)
        slabs = [
            checkpoint(
                self._slab,
                first,
                min(first + rows, self.layer.out_features),
                x,
                *parts,
                use_reentrant=False,
                preserve_rng_state=False,
            )
            for first in range(0, self.layer.out_features, rows)
        ]
        return torch.cat(slabs, -1)

    def _slab(self, first: int, stop: int, x: Tensor, *parts: Tensor) -> Tensor:
        """Compute the outputs of some rows of ΔW."""
        return torch.nn.functional.linear(x, self._rows(first, stop, *parts))

    def _rows(
        self, first: int, stop: int, last: Tensor, weight: Tensor, bias: Tensor
    ) -> Float[Tensor, "rows in_features"]:
        """Generate rows of ΔW, from the chunks that contain them."""
        n = self.layer.in_features
        chunk = self.generator.chunk
        begin, end = first * n // chunk, math.ceil(stop * n / chunk)
        weights = torch.nn.functional.linear(last[begin:end], weight, bias).flatten()
        offset = begin * chunk
        return weights[first * n - offset : stop * n - offset].reshape(stop - first, n)

    def delta_weight(
        self, tensors: Mapping[str, Tensor]
    ) -> Float[Tensor, "out_features in_features"]:
        return self._rows(0, self.layer.out_features, *self.parts(tensors))
