"""QPA: the two factors of LoRA generated from the probabilities of a small circuit.

    m = r (out + in) numbers in ⌈m / c⌉ chunks of c, one per basis state of N qubits
    N = ⌈log₂ ⌈m / c⌉⌉
    p̃_i = (β tanh(γ 2^{N−1} p_i))^exponent − mean,   p_i = |⟨i|ψ(params)⟩|²
    chunk i = MLP(bits of i as ±1, p̃_i)
    all m numbers, minus their mean, are A (out × r), B (r × in)
    ΔW = s · A (B − B₀),   s = alpha / r

The circuit is L blocks of RY and an open CNOT chain, without data inputs. Circuit and MLP run once
per step and layer, not once per token. The change is one matrix, so it can be merged. Merge before
text generation, since every new token generates the factors anew.

B₀ is the frozen initial B, so the initial change is zero. It is exactly zero on the device and
engine that drew B₀, and zero up to rounding on others. This is ours: the authors' code uses
ΔW = s · A B, which is not zero initially (`start="paper"`).

Trainable parameters of a layer, with the widths h of the MLP; 32 (N+1) + 38,368 + 33 c by default:

    N L + Σ (h_k + 1) h_{k+1},   (h_0, …) = (N + 1, *hidden, c)

with 15 (N − 1) L in place of N L for `ansatz="su4"`, and the number of core entries for
`generator="mps"`.

The circuit has N L of these parameters, 56 of 106,264 in the paper's GPT-2 case. So the control
`generator="classical"` is essential: a log-linear distribution over the same basis states, with the
same N L numbers in place of the circuit.

Properties of the authors' code that a reader might not expect, each an option:

* no activation in the MLP, so a chunk is an affine function of N + 1 numbers (`activation="none"`);
* new random bit strings at every forward pass, so they do not label p_i (`bit_order="permuted"`);
  then no two uses agree, so this needs `start="paper"` and cannot be merged. Ours is a fixed order;
* removal of the mean of all generated numbers (`remove_mean`).

Source:
    QPA, arXiv:2410.09846 (ICLR 2025) and its code: circuit, post-processing, widths, L = 8, r = 4,
    alpha = 2 r, dropout 0.05, c = 2048 on GPT-2's output layer. Here each layer has one generator;
    the paper adapts one layer. For layers with fewer than 16 · 2048 numbers c is m / 16 [R].
"""

import dataclasses
import math
from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from qtha_lab.adapters import basis_states, generated_weights
from qtha_lab.adapters.change import Change, Layer, TensorSpec
from qtha_lab.adapters.generated_weights import WeightGenerator
from qtha_lab.adapters.initialisation.angles import angles_setting
from qtha_lab.adapters.peft import RankConfig, method
from qtha_lab.circuits import Circuit
from qtha_lab.core.errors import Refusal
from qtha_lab.core.method_styles import MethodStyle
from qtha_lab.core.settings import setting
from qtha_lab.simulators import check_engine


@dataclasses.dataclass
class QpaConfig(RankConfig):
    """Settings of QPA, with the authors' defaults except for bit order and initialisation.

    Example:
        >>> QpaConfig(r=4, chunk=2048).n_parameters(768, 50257)  # GPT-2's output layer
        106264
    """

    r: int = setting(4, "Inner size of the generated factors.", ge=1, le=4096, common=True)
    alpha: float | None = setting(
        None, "Scaling: the change is times alpha / r; None is 2 r.", gt=0, common=True
    )
    chunk: int | None = setting(
        None, "Numbers generated per basis state; None is 2048, or a 16th of all if less.", ge=1
    )
    n_layers: int = setting(8, "Blocks of RY and CNOT in the circuit.", ge=1, le=1024, common=True)
    hidden: tuple = setting(
        (32, 64, 128, 128, 64, 32, 32), "Widths of the MLP between bits and chunk."
    )
    activation: str = setting(
        "none",
        "Activation between the layers of the MLP; the authors' code has none.",
        choices=tuple(generated_weights.ACTIVATIONS),
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
    bit_order: str = setting(
        "fixed",
        "Order of the bit strings that label the chunks; permuted at each use in the authors' "
        "code.",
        choices=("fixed", "permuted"),
    )
    remove_mean: bool = setting(True, "Remove the mean of all generated numbers.")
    beta: float = setting(0.6, "Factor on tanh in the post-processing.", gt=0)
    gamma: float = setting(0.1, "Factor inside tanh in the post-processing.", gt=0)
    exponent: float = setting(0.15, "Power in the post-processing; 1 leaves tanh alone.", gt=0)
    start: str = setting(
        "zero",
        "Initial change: zero, by subtracting the initial B, or as in the authors' code.",
        choices=("zero", "paper"),
    )
    engine: str = setting(
        "auto",
        "Simulation engine: the fastest one (auto), a name, or device:NAME(option=value).",
        common=True,
    )

    def __post_init__(self):
        self.hidden = generated_weights.checked_widths(self.hidden)
        super().__post_init__()
        if self.bit_order == "permuted" and self.start == "zero":
            raise Refusal(
                "start must be paper beside bit_order=permuted, which generates other factors at "
                "every use, got zero."
            )
        check_engine(self.engine, basis_states.ry_chain(1, 1))
        basis_states.check_generator(self)

    @property
    def scale(self) -> float:
        """Factor alpha / r, or alpha / √r."""
        return self.scaling(2 * self.r if self.alpha is None else self.alpha)


@method(
    "qpa",
    QpaConfig,
    summary="LoRA's factors generated from a small circuit's probabilities by a classical network.",
    equation="ΔW = s·A (B − B₀), (A, B) = MLP(bits, p)",
    source="QPA, arXiv:2410.09846, and its authors' code",
    default_learning_rate=1e-3,
    style=MethodStyle("pink", "longdashdot", "x"),
    controls=basis_states.controls("factors"),
    examples={
        "circuit": {"r": 2, "chunk": 20},
        "classical": {"r": 2, "chunk": 20, "hidden": (8,), "generator": "classical"},
        "mps": {"r": 2, "chunk": 20, "hidden": (8,), "generator": "mps"},
        "su4": {
            "r": 2,
            "chunk": 20,
            "hidden": (8,),
            "ansatz": "su4",
            "n_layers": 1,
            "angles": "small",
        },
        "frozen-circuit": {
            "r": 2,
            "hidden": (8, 8),
            "activation": "tanh",
            "train_generator": False,
            "remove_mean": False,
        },
    },
)
class Qpa(Change):
    """Tensors and formula of QPA at one layer."""

    def __init__(self, config: QpaConfig, layer: Layer):
        super().__init__(config, layer)
        self.n_numbers = config.r * (layer.out_features + layer.in_features)
        chunk = config.chunk or min(2048, math.ceil(self.n_numbers / 16))
        self.generator = WeightGenerator(self.n_numbers, config, chunk)

    @classmethod
    def is_linear(cls, config: QpaConfig) -> bool:
        return config.bit_order == "fixed"

    @classmethod
    def nonlinear_reason(cls, config: QpaConfig) -> str:
        return (
            "with bit_order='permuted' every use generates another change. Keep the adapter beside "
            "the model (save_pretrained), go back to the base model with unload(), or train with "
            "bit_order='fixed', which merges"
        )

    def angle_circuits(self):
        return {"params": circuits} if (circuits := self.circuits()) else {}

    def circuits(self) -> list[Circuit]:
        return self.generator.circuits()

    def n_parameters(self) -> int:
        return self.generator.n_parameters()

    def tensors(self) -> dict[str, TensorSpec]:
        config, specs = self.config, self.generator.tensors()
        if config.start == "zero":
            specs["start"] = TensorSpec((config.r, self.layer.in_features), trainable=False)
        return specs

    def initialise(self, tensors: Mapping[str, Tensor]) -> None:
        config = self.config
        self.generator.initialise(tensors)
        if config.start == "zero":
            tensors["start"].normal_(std=0.1)
            if config.init_weights:
                self.follow_angles(tensors)

    def follow_angles(self, tensors: Mapping[str, Tensor]) -> None:
        if "start" in tensors and self.config.init_weights:
            tensors["start"].copy_(self.generated(tensors)[1])

    def generated(
        self, tensors: Mapping[str, Tensor]
    ) -> tuple[Float[Tensor, "out_features r"], Float[Tensor, "r in_features"]]:
        """Generate A and B with the circuit and the MLP."""
        numbers = self.generator.weights(tensors, self._states(tensors["params"]))
        cut = self.layer.out_features * self.config.r
        return (
            numbers[:cut].reshape(self.layer.out_features, self.config.r),
            numbers[cut:].reshape(self.config.r, self.layer.in_features),
        )

    def _states(self, like: Tensor) -> Int[Tensor, "n_chunks"] | None:
        if self.config.bit_order == "fixed":
            return None
        generator = self.generator
        return torch.randperm(2**generator.n_qubits, device=like.device)[: generator.n_chunks]

    def linear_factors(
        self, tensors: Mapping[str, Tensor]
    ) -> tuple[Float[Tensor, "out_features r"], Float[Tensor, "r in_features"]]:
        """Return s · A and B − B₀, the factors of the change of weight."""
        left, right = self.generated(tensors)
        if self.config.start == "zero":
            right = right - tensors["start"]
        return self.config.scale * left, right

    def delta(
        self, tensors: Mapping[str, Tensor], x: Float[Tensor, "*batch in_features"]
    ) -> Float[Tensor, "*batch out_features"]:
        left, right = self.linear_factors(tensors)
        return torch.nn.functional.linear(torch.nn.functional.linear(x, right), left)

    def delta_weight(
        self, tensors: Mapping[str, Tensor]
    ) -> Float[Tensor, "out_features in_features"]:
        left, right = self.linear_factors(tensors)
        return left @ right
