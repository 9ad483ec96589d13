"""QTHA: a bottleneck between two tensor-network maps, with a quantum circuit inside it.

    h = A · M_A x        q = ⟨Z⟩ of the circuit at h        Δy = s · M_B · B · z(h, q)
    z = W_q q + W_c h    (fusion "sum"; "hadamard": z = (W_q q) ⊙ (W_c h))

M_A, M_B are matrix product operators to and from a `waist`; s = alpha / r. Switching branches off
gives the authors' other architectures (A, AB, B, C, BC). With a circuit the change is not linear in
x, so it cannot be merged; without one it can. No change at the start (`qtha_start`): B is zero, or
the last core of M_B is (`init="paper"`, as published, and where there is no B).

Trainable parameters of a layer with everything on (methods.md 1.5), P the sizes of the cores:

    P(in, waist) + P(waist, out) + 2 · waist · r + 2 r² + 4 r L

Source:
    arXiv:2503.12790 (abstracts) and the authors' code; the product of version 1 is our
    reconstruction [R]: which vectors it multiplies is not published.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab import ansatze, mpo
from qtha_lab.adapters.branches import READOUTS, STAND_INS, CircuitBranch, branch_of
from qtha_lab.adapters.method import Change, Control, Layer, TensorSpec
from qtha_lab.adapters.peft import RankConfig, method
from qtha_lab.adapters.qtha_start import STARTS, start_maps, start_operator
from qtha_lab.circuits import Circuit
from qtha_lab.errors import Refusal
from qtha_lab.looks import Look
from qtha_lab.settings import setting
from qtha_lab.simulators import check_engine


@dataclasses.dataclass
class QthaConfig(RankConfig):
    """Settings of QTHA; the defaults are the authors' but for the start (`init="paper"` is theirs).

    Example:
        >>> config = QthaConfig(r=10, n_layers=1)
        >>> config.n_parameters(3584, 3584) + config.n_parameters(3584, 512)
        26880
    """

    r: int = setting(8, "Bottleneck size, and qubits of the circuit.", ge=1, le=256, common=True)
    alpha: float | None = setting(
        None, "Scaling: the change is times alpha / r; None is 2 r.", gt=0, common=True
    )
    use_mpo: bool = setting(
        True, "Map to and from a waist by tensor networks (else A and B alone)."
    )
    waist: int = setting(256, "Width between the tensor networks and A, B.", ge=1, common=True)
    bond_dim: int = setting(8, "Bond dimension of both tensor networks.", ge=1, common=True)
    n_sites: int = setting(4, "Cores of each tensor network.", ge=1, le=12)
    in_dims: tuple | None = setting(None, "Factors of in_features; None finds balanced ones.")
    out_dims: tuple | None = setting(None, "Factors of out_features; None finds balanced ones.")
    use_circuit: bool = setting(True, "Use the quantum branch, W_q · ⟨Z⟩, or its stand-in.")
    stand_in: str = setting(
        "none", "Classical map in the circuit's place, as a control: SiLU layers, cosines, a phase.",
        choices=tuple(STAND_INS),
    )  # fmt: skip
    stand_in_layers: int = setting(
        2, "Layers of stand-in 'silu': 2, 3, 4 are the authors' BD, BE, BF.", ge=2, le=4
    )
    ansatz: str = setting(
        "qtha", "Circuit of the quantum branch.", choices=ansatze.ANSATZE, common=True
    )
    n_layers: int | None = setting(
        None, "Layers of the circuit; None is r.", ge=1, le=1024, common=True
    )
    reupload: bool = setting(True, "Encode the bottleneck in every layer of the circuit.")
    input_scale: float = setting(1.0, "Factor on the bottleneck before it becomes angles.")
    readout: str = setting(
        "z", "What is read: ⟨Z_i⟩ as published; ours, past rank r: all ⟨Z_i Z_j⟩ too, or 2^r probabilities.",
        choices=READOUTS,
    )  # fmt: skip
    engine: str = setting("auto", "What simulates the circuit.", common=True)
    train_circuit: bool = setting(True, "Train the angles; off keeps them at their random start.")
    use_linear: bool = setting(True, "Use the linear branch, W_c · h.")
    fusion: str = setting(
        "sum", "How the branches join: added (v2, code) or multiplied (v1).",
        choices=("sum", "hadamard"),
    )  # fmt: skip
    classical_layers: int = setting(
        0, "Blocks of the model that get plain LoRA instead (layer mixing).", ge=0
    )
    classical_end: str = setting(
        "first", "Which blocks these are.", choices=("first", "last")
    )  # fmt: skip
    init: str = setting(
        "balanced", "Start: a first step as far as LoRA's; operators of singular values near 1; as published.",
        choices=STARTS, common=True,
    )  # fmt: skip
    init_scale: float = setting(
        1.0, "Factor on the initial tensor networks (on A where there are none).", gt=0
    )

    def __post_init__(self):
        self.in_dims = tuple(self.in_dims) if self.in_dims is not None else None
        self.out_dims = tuple(self.out_dims) if self.out_dims is not None else None
        super().__post_init__()
        if not (self.use_mpo or self.use_circuit or self.use_linear):
            raise Refusal("use_mpo, use_circuit and use_linear are all off: nothing to train")
        if self.fusion == "hadamard" and not (self.use_circuit and self.use_linear):
            raise Refusal(
                "fusion 'hadamard' multiplies two branches: use_circuit and use_linear must be on"
            )
        if self.stand_in != "none" and self.readout != "z":
            raise Refusal(
                f"readout {self.readout!r} reads a circuit, and stand_in={self.stand_in!r} replaces it: "
                "leave one of them out"
            )
        if self.runs_circuit:
            least = ansatze.get(self.ansatz).min_qubits
            if self.r < least:
                raise Refusal(
                    f"r must be at least {least}, not {self.r}: the circuit has r qubits, and "
                    f"ansatz {self.ansatz!r} needs {least}"
                )
            check_engine(self.engine, self.circuit(), CircuitBranch.readout_of(self))

    @property
    def runs_circuit(self) -> bool:
        """Whether a circuit runs at every adapted layer."""
        return self.use_circuit and self.stand_in == "none"

    @property
    def architecture(self) -> str:
        """The authors' letters: A = tensor networks, B = linear branch, C = circuit."""
        on = (self.use_mpo, self.use_linear, self.use_circuit)
        return "".join(letter for letter, is_on in zip("ABC", on, strict=True) if is_on)

    @property
    def scale(self) -> float:
        """The factor alpha / r, or alpha / √r."""
        return self.scaling(2 * self.r if self.alpha is None else self.alpha)

    def circuit(self) -> Circuit:
        """The circuit of the quantum branch."""
        return ansatze.build(self.ansatz, self.r, self.n_layers or self.r, self.reupload)

    @classmethod
    def for_budget(cls, model, **request) -> "QthaConfig":
        """The config that comes as near as possible under a number of trainable parameters.

        See `qtha_lab.adapters.budget.for_budget` for what can be asked.
        """
        from qtha_lab.adapters.budget import for_budget

        if request.get("classical_layers"):
            raise Refusal(
                "for_budget counts the same adapter at every block: classical_layers must be 0, "
                f"not {request['classical_layers']}"
            )
        return for_budget(cls, model, **request)


# Settings that only the circuit reads: a control without one does not carry them along.
_CIRCUIT_ONLY = ("ansatz", "readout", "engine", "reupload", "train_circuit")


def _stand_in(title: str, shows: str, **options: Any) -> Control:
    return Control(title, shows, options, without=_CIRCUIT_ONLY)


_NON_LINEAR = "circuit or any non-linearity"
CONTROLS = (
    _stand_in("no circuit", "what the circuit adds to the linear branch", use_circuit=False),
    _stand_in(
        "tensor networks alone",
        "what the bottleneck adds to the two operators",
        use_circuit=False,
        use_linear=False,
    ),
    Control("no entanglement", "what the entangling gates add", {"ansatz": "product"}),
    Control("frozen angles", "what training the circuit adds", {"train_circuit": False}),
    _stand_in("two SiLU layers (BD)", _NON_LINEAR, stand_in="silu"),
    _stand_in("three SiLU layers (BE)", _NON_LINEAR, stand_in="silu", stand_in_layers=3),
    _stand_in("four SiLU layers (BF)", _NON_LINEAR, stand_in="silu", stand_in_layers=4),
    _stand_in("cosines", "circuit or its cosines without qubits", stand_in="cosine"),
    _stand_in("Hilbert phase", "circuit or a classical phase", stand_in="hilbert"),
)


@method(
    "qtha",
    QthaConfig,
    summary="Tensor-network maps around a small quantum circuit and a linear branch.",
    equation="Δy = s·M_B B (W_q ⟨Z⟩(h) + W_c h), h = A M_A x",
    source="arXiv:2503.12790 and its authors' code",
    default_learning_rate=5e-3,
    look=Look("blue", "solid", "circle"),
    controls=CONTROLS,
    beside_lora=True,
    other_learning_rates={("init", "paper"): 3e-3, ("init", "isometric"): 3e-3},  # as in 0.2.0
    examples={
        "ABC": {"r": 3, "waist": 12, "bond_dim": 2, "n_sites": 3, "n_layers": 2},
        "ABC-product": {"r": 2, "waist": 8, "bond_dim": 3, "n_sites": 2, "fusion": "hadamard"},
        "ABC-paper": {"r": 2, "waist": 8, "bond_dim": 2, "init": "paper"},
        "ABC-isometric": {
            "r": 2,
            "waist": 8,
            "bond_dim": 2,
            "init": "isometric",
            "input_scale": 2.0,
        },
        "ABC-pairs": {"r": 3, "waist": 12, "bond_dim": 2, "n_layers": 1, "readout": "z+zz"},
        "ABC-probs": {"r": 2, "waist": 8, "bond_dim": 2, "n_layers": 1, "readout": "probs"},
        "ABC-mixed": {"r": 2, "waist": 8, "bond_dim": 2, "n_layers": 1, "classical_layers": 1},
        "ABC-frozen-circuit": {"r": 2, "waist": 8, "bond_dim": 2, "train_circuit": False},
        "AB": {"r": 2, "waist": 8, "bond_dim": 2, "use_circuit": False},
        "A": {"waist": 8, "bond_dim": 2, "use_circuit": False, "use_linear": False},
        "BD": {"r": 3, "use_mpo": False, "stand_in": "silu"},
        "ABF": {"r": 3, "waist": 8, "bond_dim": 2, "stand_in": "silu", "stand_in_layers": 4},
        "cosine": {"r": 3, "waist": 8, "bond_dim": 2, "n_layers": 1, "stand_in": "cosine"},
        "hilbert": {"r": 4, "waist": 8, "bond_dim": 2, "stand_in": "hilbert"},
        "BC": {"r": 3, "n_layers": 1, "use_mpo": False},
        "B": {"r": 3, "use_mpo": False, "use_circuit": False},
        "C": {"r": 2, "n_layers": 2, "use_mpo": False, "use_linear": False},
    },
)
class Qtha(Change):
    """Tensors and formula of QTHA at one layer."""

    gentle_start = "init=balanced"

    def __init__(self, config: QthaConfig, layer: Layer):
        super().__init__(config, layer)
        self.plain = _is_plain(config, layer)
        self.use_mpo = config.use_mpo and not self.plain
        self.bottleneck = self.plain or config.use_linear or config.use_circuit
        self.branch = branch_of(config) if config.use_circuit and not self.plain else None
        self.wide = self.branch is not None and config.readout != "z"
        self.z_size = self.branch.size if self.wide else config.r
        self.down = self.up = None
        if self.use_mpo:
            self.down, self.up = _operators(config, layer)

    @classmethod
    def is_linear(cls, config: QthaConfig) -> bool:
        return not config.use_circuit

    def n_parameters(self) -> int:
        config, r = self.config, self.config.r
        edge = (self.layer.in_features, self.layer.out_features)
        cores = self.down.n_parameters + self.up.n_parameters if self.use_mpo else 0
        if not self.bottleneck:
            return cores
        inner = (config.waist, config.waist) if self.use_mpo else edge
        maps = r * inner[0] + self.z_size * inner[1]
        if self.plain:
            return maps
        linear = r * self.z_size if config.use_linear else 0
        if self.branch is None:
            return cores + maps + linear
        own = sum(math.prod(s.shape) for s in self.branch.tensors().values() if s.trainable)
        return cores + maps + linear + own + (r**2 if self._has_w_q else 0)

    @property
    def _has_w_q(self) -> bool:
        """Wide readouts go straight to B; the SiLU layers take W_q's place."""
        return self.branch is not None and not self.wide and self.config.stand_in != "silu"

    def tensors(self) -> dict[str, TensorSpec]:
        config, r = self.config, self.config.r
        inner = (self.layer.in_features, self.layer.out_features)
        specs = {}
        if self.use_mpo:
            inner = (config.waist, config.waist)
            for side, shape in (("in", self.down), ("out", self.up)):
                for k, core in enumerate(shape.core_shapes):
                    specs[f"mpo_{side}_{k}"] = TensorSpec(core)
        if self.bottleneck:
            specs["A"], specs["B"] = (
                TensorSpec((r, inner[0])),
                TensorSpec((inner[1], self.z_size)),
            )
        if config.use_linear and not self.plain:
            specs["W_c"] = TensorSpec((self.z_size, r))
        if self._has_w_q:
            specs["W_q"] = TensorSpec((r, r))
        return specs | (self.branch.tensors() if self.branch else {})

    def initialise(self, tensors: Mapping[str, Tensor]) -> None:
        config = self.config
        if self.plain:  # as peft's LoRA does
            torch.nn.init.kaiming_uniform_(tensors["A"], a=math.sqrt(5))
            torch.nn.init.kaiming_uniform_(tensors["B"], a=math.sqrt(5))
        else:
            self._start(tensors)
        if config.init_weights:
            last_core_zero = self.use_mpo and (config.init == "paper" or not self.bottleneck)
            zeroed = _cores(tensors, "out")[-1] if last_core_zero else tensors["B"]
            zeroed.zero_()

    def _start(self, tensors: Mapping[str, Tensor]) -> None:
        config = self.config
        widening = self.layer.in_features / config.waist if self.use_mpo else 1.0
        # a wide readout goes to B as it is, so that M_B makes up for its norm
        narrow, wide = 1 / math.sqrt(self.z_size), self.wide and self.use_mpo
        multiplied = config.fusion == "hadamard"
        start_maps(config.init, tensors, widening, 1.0 if wide else narrow, multiplied)
        if self.branch:
            self.branch.initialise(tensors)
        if not self.use_mpo:
            tensors["A"].mul_(config.init_scale)
            return
        for side, shape, rms in (
            ("in", self.down, widening if self.bottleneck else 1.0),
            ("out", self.up, narrow if wide else 1.0),
        ):
            cores = _cores(tensors, side)
            start_operator(config.init, cores, shape, rms)
            cores[0].mul_(config.init_scale)

    def delta(
        self, tensors: Mapping[str, Tensor], x: Float[Tensor, "*batch in_features"]
    ) -> Float[Tensor, "*batch out_features"]:
        config = self.config
        if not self.bottleneck:
            waist = mpo.apply(_cores(tensors, "in"), self.down, x)
            return mpo.apply(_cores(tensors, "out"), self.up, waist * config.scale)
        first, last = self._outer(tensors)
        h = torch.nn.functional.linear(x, first)
        return (self._middle(tensors, h) * config.scale) @ last

    def _outer(
        self, tensors: Mapping[str, Tensor]
    ) -> tuple[Float[Tensor, "r in_features"], Float[Tensor, "r out_features"]]:
        """A · M_A and (M_B · B)ᵀ, made once a step, so that a token costs no more than in LoRA."""
        first, last = tensors["A"], tensors["B"].mT
        if self.use_mpo:
            first = mpo.apply_transposed(_cores(tensors, "in"), self.down, first)
            last = mpo.apply(_cores(tensors, "out"), self.up, last)
        return first, last

    def linear_factors(self, tensors: Mapping[str, Tensor]) -> tuple[Tensor, ...] | None:
        """M_B · B, s · W_c and A · M_A: the W_c path, which is the whole change without a circuit."""
        if self.plain:
            return tensors["B"], self.config.scale * tensors["A"]
        if not self.config.use_linear or self.config.fusion != "sum":
            return None
        first, last = self._outer(tensors)
        return last.mT, self.config.scale * tensors["W_c"], first

    def operators(
        self, tensors: Mapping[str, Tensor]
    ) -> dict[str, tuple[list[Tensor], mpo.MpoShape]]:
        """M_A and M_B."""
        if not self.use_mpo:
            return {}
        return {
            "M_A": (_cores(tensors, "in"), self.down),
            "M_B": (_cores(tensors, "out"), self.up),
        }

    def _middle(
        self, tensors: Mapping[str, Tensor], h: Float[Tensor, "*batch r"]
    ) -> Float[Tensor, "*batch z"]:
        """z: the two branches over the bottleneck, joined."""
        if self.plain:
            return h
        linear = None
        if self.config.use_linear:
            linear = torch.nn.functional.linear(h, tensors["W_c"])
        if self.branch is None:
            return linear
        q = self.branch.apply(tensors, h)
        if self._has_w_q:
            q = torch.nn.functional.linear(q, tensors["W_q"])
        if linear is None:
            return q
        return q * linear if self.config.fusion == "hadamard" else q + linear

    def circuits(self) -> list[Circuit]:
        return [self.config.circuit()] if self.config.runs_circuit and not self.plain else []

    @classmethod
    def why_not_linear(cls, config: QthaConfig) -> str:
        what = "circuit" if config.stand_in == "none" else f"stand-in {config.stand_in!r}"
        return (
            f"the {what} makes QTHA's change depend on the input, so no weight equals it. Keep the "
            "adapter beside the model (save_pretrained), go back to the base model with unload(), or "
            "train with use_circuit=False, which is linear and merges"
        )


def _is_plain(config: QthaConfig, layer: Layer) -> bool:
    """Whether the layer lies in a block that is left to plain LoRA.

    Raises:
        ValueError: If that would be all of them.
    """
    count = config.classical_layers
    if not count or layer.block is None:
        return False
    if layer.n_blocks and count >= layer.n_blocks:
        raise Refusal(
            f"classical_layers must be below the model's {layer.n_blocks} blocks, not {count}"
        )
    first = config.classical_end == "first"
    return layer.block < count if first else layer.block >= (layer.n_blocks or 0) - count


def _operators(config: QthaConfig, layer: Layer) -> tuple[mpo.MpoShape, mpo.MpoShape]:
    """Shapes of M_A (in → waist) and M_B (waist → out)."""
    return _operator_shapes(
        layer.in_features, layer.out_features, config.waist, config.bond_dim, config.n_sites,
        config.in_dims, config.out_dims,
    )  # fmt: skip


@functools.lru_cache(maxsize=4096)
def _operator_shapes(in_features, out_features, waist, bond_dim, n_sites, in_dims, out_dims):
    ins = mpo.factorise(in_features, n_sites, in_dims)
    outs = mpo.factorise(out_features, n_sites, out_dims, name="out_dims", size_name="out_features")
    waists = mpo.factorise(waist, n_sites, size_name="waist")
    return (
        mpo.MpoShape.uniform(ins, waists, bond_dim),
        mpo.MpoShape.uniform(waists, outs, bond_dim),
    )


def _cores(tensors: Mapping[str, Tensor], side: str) -> list[Tensor]:
    prefix = f"mpo_{side}_"
    return [tensor for name, tensor in tensors.items() if name.startswith(prefix)]
