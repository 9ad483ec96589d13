"""Amplitudes of a circuit as LoRA's factors, as in the package quantum-adapter.

    v = √(2^N) · the first r (in + out) amplitudes of L blocks of RY and a ring of CNOTs on |0⟩
    A (in × r), B (r × out) = v,    ΔW = s / √(in r) · (A B)ᵀ,    N = ⌈log₂ r (in + out)⌉

s is one trained number that starts at zero, so the initial change is zero. Amplitudes of RY and
CNOT are real. The circuit reads no data and runs once per step, and the change is one matrix.

The control `generator="classical"` draws a frozen random matrix P and trains as many numbers t:
v = P t / ‖t‖. It has no circuit, as in a random subspace (arXiv:1804.08838) [R].

Trainable parameters of a layer:

    N L + 1

Source:
    quantum-adapter 0.1.1 on PyPI (Apache-2.0), method `amplitude`: r = 4, L = 10, angles uniform
    over a whole rotation, scalings. Nothing of its code is used. Its own classical control is not
    in the package.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from qtha_lab.adapters.basis_states import n_qubits_for
from qtha_lab.adapters.change import Change, Layer, TensorSpec
from qtha_lab.adapters.initialisation.angles import angles_setting, check_angle_setting, draw_angles
from qtha_lab.adapters.method import Control
from qtha_lab.adapters.peft import AdapterConfig, method
from qtha_lab.circuits import Angle, Circuit, Gate
from qtha_lab.core.method_styles import MethodStyle
from qtha_lab.core.settings import setting


@dataclasses.dataclass
class QuantumAdapterConfig(AdapterConfig):
    """Settings of quantum-adapter's amplitude method, with its defaults.

    Example:
        >>> QuantumAdapterConfig().n_parameters(768, 2304)  # GPT-2's c_attn: 14 qubits
        141
    """

    r: int = setting(4, "Inner size of the generated factors.", ge=1, le=4096, common=True)
    n_layers: int = setting(10, "Blocks of RY and CNOT in the circuit.", ge=1, le=1024, common=True)
    generator: str = setting(
        "circuit",
        "Source of the factors: circuit, or as many classical numbers times a random matrix.",
        choices=("circuit", "classical"),
        common=True,
    )
    train_generator: bool = setting(
        True, "Train the angles, or the numbers of the control. Off keeps their initial values."
    )
    angles: str = angles_setting()

    def __post_init__(self):
        super().__post_init__()
        circuits = [ry_ring(2, 1)] if self.generator == "circuit" else []
        check_angle_setting(self.angles, circuits, f"generator={self.generator!r}")


@functools.lru_cache(maxsize=256)
def ry_ring(n_qubits: int, n_layers: int) -> Circuit:
    """Build blocks of RY on all qubits and a ring of CNOTs.

    Example:
        >>> print(ry_ring(2, 1))
        0: ──RY(p0)─╭●─┤
        1: ──RY(p1)─╰X─┤
    """
    angles = map(Angle.param, range(n_qubits * n_layers))
    gates: list[Gate] = []
    for _ in range(n_layers):
        gates += [Gate("RY", wire, next(angles)) for wire in range(n_qubits)]
        gates += [Gate("CNOT", pair) for pair in _ring(n_qubits)]
    return Circuit(n_qubits, gates)


def _ring(n_qubits: int) -> list[tuple[int, int]]:
    """Return the pairs of neighbours on a ring; two qubits have one pair."""
    count = n_qubits if n_qubits > 2 else n_qubits - 1
    return [(wire, (wire + 1) % n_qubits) for wire in range(count)]


def amplitudes(
    params: Float[Tensor, "n_params"], n_qubits: int
) -> Float[Tensor, "two_to_the_n_qubits"]:
    """Compute the real amplitudes of `ry_ring`, wire 0 as the most significant bit.

    Example:
        >>> amplitudes(torch.tensor([torch.pi, 0.0]), 2).abs().argmax()  # |11⟩
        tensor(3)
    """
    state = functional.one_hot(torch.zeros((), dtype=torch.long), 2**n_qubits)
    state = state.to(params).reshape((2,) * n_qubits)
    for layer in params.reshape(-1, n_qubits):
        for wire, (cos, sin) in enumerate(zip((layer / 2).cos(), (layer / 2).sin(), strict=True)):
            zero, one = state.unbind(wire)
            state = torch.stack([cos * zero - sin * one, sin * zero + cos * one], wire)
        for wire, target in _ring(n_qubits):
            off, on = state.unbind(wire)
            state = torch.stack([off, on.flip(target - (target > wire))], wire)
    return state.flatten()


@method(
    "quantum_adapter",
    QuantumAdapterConfig,
    summary="LoRA's factors are the amplitudes of a circuit, with one trained scale.",
    equation="ΔW = s·(A B)ᵀ, (A, B) amplitudes of a circuit",
    source="quantum-adapter 0.1.1 on PyPI, method amplitude",
    default_learning_rate=1e-2,
    style=MethodStyle("pink", "dot", "cross"),
    controls=(
        Control(
            "classical numbers",
            "effect of the circuit on generated factors",
            {"generator": "classical"},
        ),
        Control("frozen angles", "effect of training the circuit", {"train_generator": False}),
    ),
    examples={
        "circuit": {"r": 2, "n_layers": 2},
        "classical": {"r": 2, "n_layers": 2, "generator": "classical"},
        "frozen-circuit": {"r": 2, "n_layers": 2, "train_generator": False},
    },
)
class QuantumAdapter(Change):
    """Tensors and formula of amplitude factors at one layer."""

    def __init__(self, config: QuantumAdapterConfig, layer: Layer):
        super().__init__(config, layer)
        self.n_numbers = config.r * (layer.in_features + layer.out_features)
        self.n_qubits = n_qubits_for(self.n_numbers)
        layer.check_rank(config.r)

    def angle_circuits(self):
        return {"params": circuits} if (circuits := self.circuits()) else {}

    def circuits(self) -> list[Circuit]:
        is_circuit = self.config.generator == "circuit"
        return [ry_ring(self.n_qubits, self.config.n_layers)] if is_circuit else []

    def n_parameters(self) -> int:
        return self.n_qubits * self.config.n_layers * self.config.train_generator + 1

    def tensors(self) -> dict[str, TensorSpec]:
        count = self.n_qubits * self.config.n_layers
        tensors = {
            "params": TensorSpec((count,), trainable=self.config.train_generator),
            "scale": TensorSpec((1,)),
        }
        if self.config.generator == "classical":
            tensors["P"] = TensorSpec((self.n_numbers, count), trainable=False)
        return tensors

    def initialise(self, tensors: Mapping[str, Tensor]) -> None:
        if "P" in tensors:
            tensors["P"].normal_()
            tensors["params"].normal_()
        else:
            draw_angles(tensors["params"], self.config.angles, self.circuits())
        tensors["scale"].fill_(0.0 if self.config.init_weights else 1.0)

    def factors(self, tensors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return A, (in, r), and s B, (r, out)."""
        params, r = tensors["params"], self.config.r
        if "P" in tensors:
            numbers = tensors["P"] @ (params / params.norm())
        else:
            numbers = amplitudes(params, self.n_qubits)[: self.n_numbers] * 2 ** (self.n_qubits / 2)
        first, last = numbers.split([r * self.layer.in_features, r * self.layer.out_features])
        left = first.reshape(-1, r) / math.sqrt(self.layer.in_features)
        return left, last.reshape(r, -1) * (tensors["scale"] / math.sqrt(r))

    def delta(
        self, tensors: Mapping[str, Tensor], x: Float[Tensor, "*batch in_features"]
    ) -> Float[Tensor, "*batch out_features"]:
        left, right = self.factors(tensors)
        return x @ left @ right

    def linear_factors(self, tensors: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Return s Bᵀ and Aᵀ; their product is the change."""
        left, right = self.factors(tensors)
        return right.mT, left.mT
