"""QTHA with one input matrix for all maps that read the same input.

    h = A x        z = h + W_q ⟨Z⟩(h)        Δy = s · B z

Query, key and value of a block read the same x, and gate and up projection do too. These maps share
A, and so h. With `circuit` they share W_q and the angles as well: one circuit per block, on the
input of the attention. Every other map has A of its own, and z = h. B always belongs to one map.

A is trained. Its rows begin at the leading right singular vectors of the gradient Σ (∂L/∂y) xᵀ,
stacked over the maps that share it. B begins at zero, so the initial change is zero.

Trainable parameters of a block with maps m in groups g, circuit on the attention's input:

    Σ_g in_g · r + Σ_m out_m · r + r² + 4 r L

Source:
    Ours [R], after LoTR (arXiv:2402.01376: factors shared by layers) and LoRA-GA (arXiv:2407.05000:
    gradient directions as initialisation).
"""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from qtha_lab.adapters.change import Change, Layer, TensorSpec, n_trained
from qtha_lab.adapters.initialisation.from_data import LayerSample, leading_directions
from qtha_lab.adapters.method import Control
from qtha_lab.adapters.peft import method
from qtha_lab.adapters.qtha_branches import CircuitBranch
from qtha_lab.adapters.qtha_gradient import GradientDirectionsConfig
from qtha_lab.adapters.qtha_operators import uniform_
from qtha_lab.circuits import Circuit, ansatze
from qtha_lab.core.errors import Refusal
from qtha_lab.core.method_styles import MethodStyle
from qtha_lab.core.settings import setting
from qtha_lab.simulators import check_engine

ATTENTION, FEED_FORWARD = "attention", "feed_forward"
GROUPS = {
    ATTENTION: {"q_proj", "k_proj", "v_proj", "query", "key", "value", "q", "k", "v"},
    FEED_FORWARD: {"gate_proj", "up_proj", "w1", "w3", "wi_0", "wi_1"},
}
CROSS = re.compile(r"cross|encdec|encoder_attn", re.IGNORECASE)  # keys read another input there


@dataclasses.dataclass
class QthaSharedConfig(GradientDirectionsConfig):
    """Settings of QTHA with one input matrix per block.

    Example:
        >>> config = QthaSharedConfig(r=1)
        >>> names = ("q_proj", "k_proj", "v_proj")
        >>> layers = [Layer(64, 64, name=f"layers.0.self_attn.{n}", block=0) for n in names]
        >>> config.n_parameters_of(layers)  # LoRA of r = 1 has 3 · (64 + 64) = 384
        256
    """

    r: int = setting(1, "Bottleneck size, and qubits of the circuit.", ge=1, le=256, common=True)
    share: bool = setting(True, "Train one A for maps that read the same input.", common=True)
    circuit: bool = setting(
        False, "Add one circuit per block, on the input of the attention.", common=True
    )
    ansatz: str = setting(
        "qtha", "Circuit.", choices=ansatze.ANSATZE, with_options=True, common=True
    )
    n_layers: int = setting(1, "Layers of the circuit.", ge=1, le=1024, common=True)
    input_scale: float = setting(1.0, "Factor on the bottleneck before it becomes angles.")
    engine: str = setting("auto", "Simulation engine, as for QTHA.", common=True)
    train_circuit: bool = setting(True, "Train the angles. Off keeps their initial values.")

    readout = "z"  # of the circuit, which QTHA's branch reads
    angles = "uniform"

    def __post_init__(self):
        super().__post_init__()
        if self.circuit and not self.share:
            raise Refusal("share must be on with circuit=true, got off. A block has one circuit.")
        if self.circuit and self.r < 2:
            raise Refusal(f"r must be at least 2 with circuit=true, got {self.r}.")
        for circuit in self.circuits():
            check_engine(self.engine, circuit, CircuitBranch.readout_of(self))

    def circuits(self) -> list[Circuit]:
        """Return the circuit of a block; empty without."""
        return [ansatze.build(self.ansatz, self.r, self.n_layers, True)] if self.circuit else []


def input_group(layer: Layer) -> str:
    """Return the group of a map's input; "" for an input of its own.

    Example:
        >>> input_group(Layer(8, 8, name="layers.3.self_attn.k_proj"))
        'attention'
        >>> input_group(Layer(8, 8, name="layers.3.self_attn.o_proj"))
        ''
    """
    parent, _, last = layer.name.rpartition(".")
    if CROSS.search(parent):
        return ""
    return next((group for group, names in GROUPS.items() if last in names), "")


_UNREAD = ("ansatz", "n_layers", "input_scale", "engine", "train_circuit")


@method(
    "qtha_shared",
    QthaSharedConfig,
    summary="One input matrix per block for all maps that read the same input.",
    equation="Δy = s·B (h + W_q ⟨Z⟩(h)), h = A x, A of a block's attention input",
    source="ours, after LoTR, arXiv:2402.01376, and LoRA-GA, arXiv:2407.05000",
    default_learning_rate=5e-3,
    style=MethodStyle("blue", "dot", "square"),
    controls=(
        Control("no circuit", "effect of the circuit beside h", {"circuit": False}, _UNREAD),
        Control(
            "A of its own for each map",
            "effect of sharing A between maps",
            {"share": False, "circuit": False},
            _UNREAD,
        ),
        Control("random input side", "effect of the gradient's directions", {"start_rows": 0}),
    ),
    examples={
        "default": {"r": 2},
        "circuit": {"r": 2, "circuit": True},
        "own": {"r": 2, "share": False},
    },
)
class QthaShared(Change):
    """Tensors of one map; shared A, W_q and angles belong to its block."""

    def __init__(self, config: QthaSharedConfig, layer: Layer):
        super().__init__(config, layer)
        group = input_group(layer) if config.share else ""
        place = re.sub(r"\W", "_", layer.name.rpartition(".")[0])
        self.suffix = f"_{group}_{place}_{layer.in_features}" if group else ""
        has_circuit = config.circuit and group == ATTENTION
        self.branch = CircuitBranch(config) if has_circuit else None

    @classmethod
    def is_linear(cls, config: QthaSharedConfig) -> bool:
        return not config.circuit

    @classmethod
    def nonlinear_reason(cls, config: QthaSharedConfig) -> str:
        return (
            "the circuit makes the change no constant matrix. Keep the adapter beside the model "
            "(save_pretrained), go back to the base model with unload(), or train with "
            "circuit=false, which merges"
        )

    def _input(self) -> dict[str, TensorSpec]:
        return {f"A{self.suffix}": TensorSpec((self.config.r, self.layer.in_features))}

    def _middle(self) -> dict[str, TensorSpec]:
        """Return W_q and the angles of the block's circuit, if this map reads it."""
        if self.branch is None:
            return {}
        specs = {"W_q": TensorSpec((self.config.r, self.branch.size))} | self.branch.tensors()
        return {name + self.suffix: spec for name, spec in specs.items()}

    def tensors(self) -> dict[str, TensorSpec]:
        output = {"B": TensorSpec((self.layer.out_features, self.config.r))}
        return output if self.suffix else self._input() | output

    def shared_tensors(self) -> dict[str, TensorSpec]:
        return self._input() | self._middle() if self.suffix else {}

    def n_parameters(self) -> int:
        return self.config.r * self.layer.out_features + (
            0 if self.suffix else n_trained(self._input().values())
        )

    def initialise(self, tensors: Mapping[str, Tensor]) -> None:
        if not self.suffix:
            uniform_(tensors["A"], 1 / math.sqrt(self.layer.in_features))
        if self.config.init_weights:
            tensors["B"].zero_()
        else:
            uniform_(tensors["B"], 1 / math.sqrt(self.config.r))

    def initialise_shared(self, tensors: Mapping[str, Tensor]) -> None:
        uniform_(tensors[f"A{self.suffix}"], 1 / math.sqrt(self.layer.in_features))
        if self.branch is not None:
            uniform_(tensors[f"W_q{self.suffix}"], 1 / self.config.r)
            self.branch.initialise({"params": tensors[f"params{self.suffix}"]})

    def sampled_with(self) -> str:
        return self.suffix or self.layer.name

    def start_from(self, tensors: Mapping[str, Tensor], samples: Sequence[LayerSample]) -> None:
        tensors[f"A{self.suffix}"].copy_(leading_directions(samples, self.config.r))

    def bottleneck_input(self, tensors: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Compute h of an input."""
        return functional.linear(x, tensors[f"A{self.suffix}"])

    def delta(
        self, tensors: Mapping[str, Tensor], x: Float[Tensor, "*batch in_features"]
    ) -> Float[Tensor, "*batch out_features"]:
        z = h = self.bottleneck_input(tensors, x)
        if self.branch is not None:
            q = self.branch.apply({"params": tensors[f"params{self.suffix}"]}, h)
            z = h + functional.linear(q, tensors[f"W_q{self.suffix}"])
        return functional.linear(z, self.config.scale * tensors["B"])

    def linear_factors(self, tensors: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Return s · B and A, the linear path, without a circuit the whole change."""
        return self.config.scale * tensors["B"], tensors[f"A{self.suffix}"]

    def circuits(self) -> list[Circuit]:
        return [] if self.branch is None else self.config.circuits()
