"""QTHA: a bottleneck with a quantum circuit between two tensor-network maps.

    h = A · M_A x        q = ⟨Z⟩ of the circuit at h        Δy = s · M_B · B · z(h, q)
    z = W_q q + W_c h    (fusion "sum"; "hadamard": z = (W_q q) ⊙ (W_c h))

M_A, M_B are matrix product operators to and from a `waist`, with s = alpha / r. Disabled branches
give the authors' other architectures (A, AB, B, C, BC). With a circuit the change is not linear in
x and cannot be merged; without one it can. The initial change is zero (`initialisation.qtha`): B is
zero. Instead the last core of M_B is zero for `init="paper"`, as published, and without B.

Trainable parameters of a layer with everything on (methods.md 1.5), P the sizes of the cores:

    P(in, waist) + P(waist, out) + 2 · waist · r + 2 r² + 4 r L

Source:
    arXiv:2503.12790 (abstracts) and the authors' code. The product of version 1 is our
    reconstruction [R]: its factors are not published.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.adapters.change import Change, Layer, TensorSpec
from qtha_lab.adapters.initialisation.from_data import LayerSample, leading_directions
from qtha_lab.adapters.method import Control
from qtha_lab.adapters.peft import method
from qtha_lab.adapters.qtha_bottleneck import Bottleneck, Branches, LinearBranch, LowRank
from qtha_lab.adapters.qtha_config import QthaConfig
from qtha_lab.adapters.qtha_operators import Direct, Operators, OuterMaps, cores_of
from qtha_lab.circuits import Circuit
from qtha_lab.core.errors import Refusal
from qtha_lab.core.method_styles import MethodStyle
from qtha_lab.tensor_networks import mpo

__all__ = ["CONTROLS", "Qtha", "QthaConfig"]

# Settings of the circuit, dropped by controls without one.
_CIRCUIT_ONLY = ("ansatz", "readout", "engine", "reupload", "train_circuit", "angles")


def _stand_in(title: str, shows: str, **options: Any) -> Control:
    return Control(title, shows, options, without=_CIRCUIT_ONLY)


_NON_LINEAR = "circuit or any non-linearity"
CONTROLS = (
    _stand_in("no circuit", "effect of the circuit beside the linear branch", use_circuit=False),
    _stand_in(
        "tensor networks alone",
        "effect of the bottleneck between the two operators",
        use_circuit=False,
        use_linear=False,
    ),
    _stand_in("bias", "effect of the circuit beyond a constant", stand_in="bias"),
    Control("no entanglement", "effect of the entangling gates", {"ansatz": "product"}),
    Control("frozen angles", "effect of training the circuit", {"train_circuit": False}),
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
    style=MethodStyle("blue", "solid", "circle"),
    controls=CONTROLS,
    compare_with_lora=True,
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
        "ABC-gradient": {"r": 2, "waist": 8, "bond_dim": 2, "init": "gradient"},
        "ABC-pairs": {"r": 3, "waist": 12, "bond_dim": 2, "n_layers": 1, "readout": "z+zz"},
        "ABC-probs": {"r": 2, "waist": 8, "bond_dim": 2, "n_layers": 1, "readout": "probs"},
        "ABC-mixed": {"r": 2, "waist": 8, "bond_dim": 2, "n_layers": 1, "classical_layers": 1},
        "ABC-small-angles": {"r": 2, "waist": 8, "bond_dim": 2, "angles": "small"},
        "ABC-frozen-circuit": {"r": 2, "waist": 8, "bond_dim": 2, "train_circuit": False},
        "AB": {"r": 2, "waist": 8, "bond_dim": 2, "use_circuit": False},
        "A": {"waist": 8, "bond_dim": 2, "use_circuit": False, "use_linear": False},
        "bias": {"r": 3, "waist": 8, "bond_dim": 2, "stand_in": "bias"},
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
    """QTHA at one layer: outer maps, and a bottleneck unless only the maps are used."""

    small_first_step = "init=balanced"

    def __init__(self, config: QthaConfig, layer: Layer):
        super().__init__(config, layer)
        self.maps = _outer_maps(config, layer)
        self.bottleneck = _bottleneck(config, layer, self.maps.inner)

    @classmethod
    def is_linear(cls, config: QthaConfig) -> bool:
        return not config.use_circuit

    def n_parameters(self) -> int:
        inside = self.bottleneck.n_parameters() if self.bottleneck else 0
        return self.maps.n_parameters + inside

    def tensors(self) -> dict[str, TensorSpec]:
        return self.maps.tensors() | (self.bottleneck.tensors() if self.bottleneck else {})

    def initialise(self, tensors: Mapping[str, Tensor]) -> None:
        config, bottleneck, rms = self.config, self.bottleneck, (1.0, 1.0)
        if bottleneck:
            # a wide read-out goes to B directly, so M_B compensates its norm
            rescaled = bottleneck.wide and self.maps.rescales
            bottleneck.start(tensors, self.maps.widening, rescaled)
            rms = (self.maps.widening, 1 / math.sqrt(bottleneck.z_size) if rescaled else 1.0)
        self.maps.start(tensors, rms)
        if config.init_weights:
            published = config.init == "paper" and isinstance(self.maps, Operators)
            zero = tensors["B"] if bottleneck and not published else cores_of(tensors, "out")[-1]
            zero.zero_()

    def start_from(self, tensors: Mapping[str, Tensor], samples: Sequence[LayerSample]) -> None:
        rows = leading_directions(samples, self.config.r)
        self.maps.initialise_input_side(tensors, rows)
        inputs = torch.cat([sample.inputs for sample in samples]).to(tensors["A"])
        rms = (
            self.bottleneck_input(tensors, inputs).square().mean().sqrt()
        )  # 1 up to the truncation error
        tensors["A"].mul_(self.config.init_scale / rms.clamp_min(1e-12))

    def delta(
        self, tensors: Mapping[str, Tensor], x: Float[Tensor, "*batch in_features"]
    ) -> Float[Tensor, "*batch out_features"]:
        if self.bottleneck is None:
            return self.maps.alone(tensors, x, self.config.scale)
        first, last = self._outer_maps(tensors)
        h = torch.nn.functional.linear(x, first)
        return self.bottleneck.before_maps(tensors, h) @ last

    def cached_delta(self, tensors, factor):
        if self.bottleneck is None:
            return None
        first, last = self._outer_maps(tensors)
        return self.bottleneck.cached_delta(first.mT, tensors, factor * last)

    def bottleneck_input(
        self, tensors: Mapping[str, Tensor], x: Float[Tensor, "*batch in_features"]
    ) -> Float[Tensor, "*batch r"]:
        """Compute h of an input, the input of the circuit."""
        first = tensors["first"] if "first" in tensors else self.ends(tensors)[0]
        return torch.nn.functional.linear(x, first)

    def ends(
        self, tensors: Mapping[str, Tensor]
    ) -> tuple[Float[Tensor, "*layers r in_features"], Float[Tensor, "*layers z out_features"]]:
        """Compute A · M_A and s · (M_B · B)ᵀ, of one or several layers."""
        scale, last = self.config.scale, tensors["B"].mT
        return self.maps.around(tensors["A"], last if scale == 1 else scale * last, tensors)

    def _outer_maps(self, tensors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return A · M_A, and s · (M_B · B)ᵀ with the maps before it.

        Both are computed once per step, so a token costs no more than in LoRA.
        """
        products = tensors if "first" in tensors else self.products(tensors)
        return products["first"], products["last"]

    def product_sources(self) -> tuple[str, ...]:
        if self.bottleneck is None or not isinstance(self.maps, Operators):
            return ()
        return ("A", "B", *self.bottleneck.map_names(), *self.maps.core_names)

    def product_kind(self):
        return self.maps.kind, self.config.scale

    def products(self, tensors):
        """Compute A · M_A as "first" and s · (M_B · B)ᵀ as "last".

        "last" includes the linear map before it, if there is no other part in between.
        """
        if self.bottleneck is None:
            return {}
        first, last = self.ends(tensors)
        return {"first": first, "last": self.bottleneck.through_maps(last, tensors)}

    def linear_factors(self, tensors: Mapping[str, Tensor]) -> tuple[Tensor, ...] | None:
        """Return s · M_B · B, W_c and A · M_A, the linear path.

        Without a circuit this path is the whole change.
        """
        if isinstance(self.bottleneck, LowRank):
            return tensors["B"], self.config.scale * tensors["A"]
        path = self.bottleneck.linear_path(tensors) if self.bottleneck else None
        if path is None:
            return None
        first, last = self.ends(tensors)
        return last.mT, path, first

    def joins(self, before: Change) -> tuple[str, ...]:
        """Name the tensor that multiplies an added branch: W_q, W_c, bias or last SiLU layer."""
        more = self.tensors().keys() - before.tensors().keys()
        last = f"S_{self.config.stand_in_layers - 1}"
        gates = tuple(name for name in ("W_q", "W_c", "b", last) if name in more)
        return gates or super().joins(before)

    def operators(
        self, tensors: Mapping[str, Tensor]
    ) -> dict[str, tuple[list[Tensor], mpo.MpoShape]]:
        """Return M_A and M_B."""
        return self.maps.operators(tensors)

    def circuits(self) -> list[Circuit]:
        return self.bottleneck.circuits() if self.bottleneck else []

    def angle_circuits(self):
        return {"params": circuits} if (circuits := self.circuits()) else {}

    @classmethod
    def nonlinear_reason(cls, config: QthaConfig) -> str:
        part = "circuit" if config.stand_in == "none" else f"stand-in {config.stand_in!r}"
        return (
            f"the {part} makes QTHA's change depend on the input, so no weight equals it. Keep "
            "the adapter beside the model (save_pretrained), go back to the base model with "
            "unload(), or train with use_circuit=False, which is linear and merges"
        )


def _outer_maps(config: QthaConfig, layer: Layer) -> OuterMaps:
    if _is_plain(config, layer):
        return Direct(layer)
    return Operators(config, layer) if config.use_mpo else Direct(layer, config.init_scale)


def _bottleneck(config: QthaConfig, layer: Layer, inner: tuple[int, int]) -> Bottleneck | None:
    if _is_plain(config, layer):
        return LowRank(config, inner)
    if config.use_circuit:
        return Branches(config, inner)
    return LinearBranch(config, inner) if config.use_linear else None


def _is_plain(config: QthaConfig, layer: Layer) -> bool:
    """Return True if the layer is in a block that has plain LoRA."""
    count = config.classical_layers
    if not count or layer.block is None:
        return False
    if layer.n_blocks and count >= layer.n_blocks:
        raise Refusal(
            f"classical_layers must be below the model's {layer.n_blocks} blocks, got {count}."
        )
    first = config.classical_end == "first"
    return layer.block < count if first else layer.block >= (layer.n_blocks or 0) - count
