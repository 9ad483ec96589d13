"""Settings of the methods whose input matrix A begins at directions of the gradient."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.adapters.change import Change, Layer, TensorSpec, n_trained
from qtha_lab.adapters.initialisation.angles import angles_setting, check_angle_setting
from qtha_lab.adapters.initialisation.from_data import LayerSample, leading_directions
from qtha_lab.adapters.method import Control
from qtha_lab.adapters.peft import RankConfig, method
from qtha_lab.adapters.qtha_bottleneck import Bottleneck, Branches, LinearBranch, LowRank
from qtha_lab.adapters.qtha_branches import CircuitBranch
from qtha_lab.adapters.qtha_operators import start_maps, uniform_
from qtha_lab.circuits import Circuit, ansatze
from qtha_lab.core.method_styles import MethodStyle
from qtha_lab.core.settings import setting
from qtha_lab.simulators import check_engine
from qtha_lab.tensor_networks import mpo
from qtha_lab.tensor_networks.factors import factorise


@dataclasses.dataclass
class GradientDirectionsConfig(RankConfig):
    """Settings that methods with gradient-initialised A have in common.

    Source: ours, after LoRA-GA (arXiv:2407.05000).
    """

    r: int = setting(4, "Bottleneck size, and qubits of the circuit.", ge=1, le=256, common=True)
    alpha: float | None = setting(
        None, "Scaling: the change is times alpha / r; None is 2 r.", gt=0, common=True
    )
    start_rows: int = setting(
        64,
        "Training rows whose gradient initialises A; 0 initialises A at random.",
        ge=0,
        common=True,
    )

    @property
    def scale(self) -> float:
        """Factor alpha / r, or alpha / √r."""
        return self.scaling(2 * self.r if self.alpha is None else self.alpha)


STAND_INS = ("bias", "silu", "cosine")
MIDDLES = {
    "circuit": Branches,
    **dict.fromkeys(STAND_INS, Branches),
    "linear": LinearBranch,
    "none": LowRank,
}


@dataclasses.dataclass
class QthaGradientConfig(GradientDirectionsConfig):
    """Settings of QTHA with gradient-aware operators.

    Example:
        >>> QthaGradientConfig(r=4).n_parameters(192, 192)  # 192 · 4 + 2 · 4² + 4 · 4
        816
    """

    train_input: bool = setting(False, "Train A too. Off keeps its initial values.", common=True)
    bond_dim: int | None = setting(
        None, "Bond dimension of A as a tensor train; None keeps it whole.", ge=1
    )
    n_sites: int = setting(4, "Cores of the tensor train.", ge=1, le=12)
    middle: str = setting(
        "circuit",
        "Between A and B: circuit, bias, SiLU layers or cosines beside W_c, W_c alone, nothing.",
        choices=tuple(MIDDLES),
        common=True,
    )
    share: str = setting(
        "none",
        "Tensors that all layers of a size share: none, A, or A and B.",
        choices=("none", "input", "both"),
        common=True,
    )
    ansatz: str = setting(
        "qtha", "Circuit.", choices=ansatze.ANSATZE, with_options=True, common=True
    )
    n_layers: int = setting(1, "Layers of the circuit.", ge=1, le=1024, common=True)
    input_scale: float = setting(1.0, "Factor on the bottleneck before it becomes angles.")
    engine: str = setting("auto", "Simulation engine, as for QTHA.", common=True)
    train_circuit: bool = setting(True, "Train the angles. Off keeps their initial values.")
    angles: str = angles_setting()

    # settings that QTHA's bottleneck reads
    readout = "z"
    fusion = "sum"
    init = "balanced"
    use_linear = True
    stand_in_layers = 2

    def __post_init__(self):
        super().__post_init__()
        for circuit in self.circuits():
            check_engine(self.engine, circuit, CircuitBranch.readout_of(self))
        check_angle_setting(self.angles, self.circuits(), f"middle={self.middle!r}")

    @property
    def stand_in(self) -> str:
        """Value of QTHA's setting `stand_in` for the bottleneck."""
        return self.middle if self.middle in STAND_INS else "none"

    def circuits(self) -> list[Circuit]:
        """Return the circuit; empty if `middle` is not "circuit"."""
        if self.middle != "circuit":
            return []
        return [ansatze.build(self.ansatz, self.r, self.n_layers, True)]


def _without_circuit(title: str, shows: str, **options) -> Control:
    unread = ("ansatz", "n_layers", "input_scale", "engine", "train_circuit", "angles")
    return Control(title, shows, options, without=unread)


@method(
    "qtha_gradient",
    QthaGradientConfig,
    summary="QTHA whose input side starts at the leading directions of the layer's gradient.",
    equation="Δy = s·B (W_q ⟨Z⟩(h) + W_c h), h = A x, A from Σ (∂L/∂y) xᵀ",
    source="ours, after LoRA-GA, arXiv:2407.05000, and LoRA-XS, arXiv:2405.17604",
    default_learning_rate=5e-3,
    style=MethodStyle("blue", "dash", "diamond"),
    controls=(
        _without_circuit("no circuit", "effect of the circuit beside W_c", middle="linear"),
        _without_circuit("bias", "effect of the circuit beyond a constant", middle="bias"),
        _without_circuit("SiLU layers", "effect of the circuit beyond two layers", middle="silu"),
        Control(
            "cosines",
            "effect of entanglement",
            {"middle": "cosine"},
            without=("ansatz", "engine", "train_circuit", "angles"),
        ),
        Control("frozen angles", "effect of training the circuit", {"train_circuit": False}),
        _without_circuit(
            "LoRA with this initialisation",
            "effect of the initialisation",
            middle="none",
            train_input=True,
        ),
        Control("random input side", "effect of the gradient's directions", {"start_rows": 0}),
        Control("no entanglement", "effect of the entangling gates", {"ansatz": "product"}),
    ),
    examples={
        "frozen": {"r": 3},
        "trained": {"r": 2, "train_input": True},
        "train": {"r": 2, "bond_dim": 2, "n_sites": 2, "train_input": True},
        "frozen-train": {"r": 2, "bond_dim": 2, "n_sites": 2},
        "linear": {"r": 2, "middle": "linear"},
        "bias": {"r": 2, "middle": "bias"},
        "silu": {"r": 2, "middle": "silu"},
        "cosine": {"r": 2, "middle": "cosine"},
        "lora": {"r": 2, "middle": "none", "train_input": True},
    },
)
class QthaGradient(Change):
    """Tensors A, B and the bottleneck between them at one layer."""

    def __init__(self, config: QthaGradientConfig, layer: Layer):
        super().__init__(config, layer)
        self.bottleneck: Bottleneck = MIDDLES[config.middle](
            config, (layer.in_features, layer.out_features)
        )
        self.shape = _shape(config, layer.in_features)

    @classmethod
    def is_linear(cls, config: QthaGradientConfig) -> bool:
        return config.middle in ("linear", "none")

    @classmethod
    def nonlinear_reason(cls, config: QthaGradientConfig) -> str:
        part = {"silu": "SiLU", "cosine": "cosine"}.get(config.middle, config.middle)
        return (
            f"the {part} makes the change no constant matrix. Keep the adapter beside the model "
            "(save_pretrained), go back to the base model with unload(), or train with "
            "middle=linear, which merges"
        )

    def _input(self) -> dict[str, TensorSpec]:
        trained, suffix = self.config.train_input, self._size_suffix(self.layer.in_features)
        if self.shape is None:
            return {f"A{suffix}": TensorSpec((self.config.r, self.layer.in_features), trained)}
        shapes = enumerate(self.shape.core_shapes)
        return {f"A{suffix}_{k}": TensorSpec(core, trained) for k, core in shapes}

    def _output(self) -> dict[str, TensorSpec]:
        suffix = self._size_suffix(self.layer.out_features) if self.config.share == "both" else ""
        return {f"B{suffix}": TensorSpec((self.layer.out_features, self.config.r))}

    def _size_suffix(self, size: int) -> str:
        """Return a suffix that distinguishes shared tensors by size."""
        return "" if self.config.share == "none" else f"_{size}"

    def tensors(self) -> dict[str, TensorSpec]:
        share, between = self.config.share, self.bottleneck.between()
        outer = self._input() if share == "none" else {}
        return outer | (self._output() if share != "both" else {}) | between

    def shared_tensors(self) -> dict[str, TensorSpec]:
        if self.config.share == "none":
            return {}
        return self._input() | (self._output() if self.config.share == "both" else {})

    def n_parameters(self) -> int:
        r, share = self.config.r, self.config.share
        inside = n_trained(self.bottleneck.between().values())
        reads = n_trained(self._input().values()) if share == "none" else 0
        return inside + reads + (self.layer.out_features * r if share != "both" else 0)

    def initialise(self, tensors: Mapping[str, Tensor]) -> None:
        self._start_outer(tensors)
        if isinstance(self.bottleneck, LowRank):
            return
        between = {name: tensors[name] for name in self.bottleneck.between()}
        start_maps("balanced", between, 1.0, 1 / math.sqrt(self.config.r), False)
        if isinstance(self.bottleneck, Branches):
            self.bottleneck.branch.initialise(tensors)

    def initialise_shared(self, tensors: Mapping[str, Tensor]) -> None:
        self._start_outer(tensors)

    def _start_outer(self, tensors: Mapping[str, Tensor]) -> None:
        """Initialise A at random for inputs of unit variance, and B to zero, if present."""
        if self._input().keys() <= tensors.keys():
            some = next(iter(tensors.values()))
            rows = torch.empty(self.config.r, self.layer.in_features, dtype=some.dtype)
            uniform_(rows, 1 / math.sqrt(self.layer.in_features))
            self._put(tensors, rows)
        for name in self._output().keys() & tensors.keys():
            if self.config.init_weights:
                tensors[name].zero_()
            else:
                uniform_(tensors[name], 1 / math.sqrt(self.config.r))

    def start_from(self, tensors: Mapping[str, Tensor], samples: Sequence[LayerSample]) -> None:
        rows = leading_directions(samples, self.config.r)
        self._put(tensors, rows)

    def _put(self, tensors: Mapping[str, Tensor], rows: Float[Tensor, "r in_features"]) -> None:
        names = list(self._input())
        if self.shape is None:
            tensors[names[0]].copy_(rows)
            return
        cores, shape = mpo.from_matrix(
            rows, self.shape.out_dims, self.shape.in_dims, max_bond=self.config.bond_dim
        )
        if shape.bonds != self.shape.bonds:  # fewer directions than requested
            rows = rows + 1e-6 * rows.abs().max() * torch.randn_like(rows)
            cores, _ = mpo.from_matrix(
                rows, self.shape.out_dims, self.shape.in_dims, max_bond=self.config.bond_dim
            )
        for name, core in zip(names, cores, strict=True):
            tensors[name].copy_(core)

    def _reading(self, tensors: Mapping[str, Tensor]) -> Float[Tensor, "r in_features"]:
        names = list(self._input())
        if self.shape is None:
            return tensors[names[0]]
        return mpo.dense([tensors[name] for name in names], self.shape)

    def _writing(self, tensors: Mapping[str, Tensor]) -> Float[Tensor, "out_features r"]:
        (name,) = self._output()
        return tensors[name]

    def bottleneck_input(self, tensors: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Compute h of an input."""
        return torch.nn.functional.linear(x, self._reading(tensors))

    def delta(
        self, tensors: Mapping[str, Tensor], x: Float[Tensor, "*batch in_features"]
    ) -> Float[Tensor, "*batch out_features"]:
        z = self.bottleneck.z(tensors, self.bottleneck_input(tensors, x))
        return torch.nn.functional.linear(z, self.config.scale * self._writing(tensors))

    def linear_factors(self, tensors: Mapping[str, Tensor]) -> tuple[Tensor, ...] | None:
        """Return s · B, W_c and A, the linear path.

        Without circuit and bias this path is the whole change.
        """
        ends = self.config.scale * self._writing(tensors), self._reading(tensors)
        path = self.bottleneck.linear_path(tensors)
        return ends if path is None else (ends[0], path, ends[1])

    def operators(
        self, tensors: Mapping[str, Tensor]
    ) -> dict[str, tuple[list[Tensor], mpo.MpoShape]]:
        """Return A if it is a tensor train."""
        if self.shape is None:
            return {}
        return {"A": ([tensors[name] for name in self._input()], self.shape)}

    def circuits(self) -> list[Circuit]:
        return self.config.circuits()

    def angle_circuits(self):
        return {"params": circuits} if (circuits := self.circuits()) else {}


def _shape(config: QthaGradientConfig, in_features: int) -> mpo.MpoShape | None:
    """Return the shape of A as a tensor train from the inputs to r numbers."""
    if config.bond_dim is None:
        return None
    ins = factorise(in_features, config.n_sites, None)
    outs = factorise(config.r, config.n_sites, size_name="r")
    sizes = [i * o for i, o in zip(ins, outs, strict=True)]
    most = [min(math.prod(sizes[:k]), math.prod(sizes[k:])) for k in range(len(sizes) + 1)]
    bonds = tuple(min(config.bond_dim, limit) for limit in most)  # limits of the TT-SVD
    return mpo.MpoShape(ins, outs, bonds)
