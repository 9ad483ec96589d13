"""Path of one token through a QTHA adapter, beside that of random inputs."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.adapters.change import Layer
from qtha_lab.adapters.qtha_config import QthaConfig
from qtha_lab.adapters.qtha_operators import cores_of
from qtha_lab.core.errors import Refusal
from qtha_lab.tensor_networks import mpo

STAGES = ("x", "u = M_A x", "h = A u", "q = ⟨Z⟩", "W_q q", "W_c h", "z", "Δy")
CHANCE_SAMPLES = 64


class TokenPath(NamedTuple):
    """Values of one token at every stage.

    Attributes:
        values: Values by stage, in the order of `STAGES`; a branch that is off is left out.
        rms: Root mean square by stage.
        chance_rms: Root mean square by stage of random normal inputs as long as x.
        beyond_pi: Share of the input angles of the circuit beyond ± π.
        branch_power: Power of the circuit branch over that of the linear one; None without both.
    """

    values: dict[str, list[float]]
    rms: dict[str, float]
    chance_rms: dict[str, float]
    beyond_pi: float
    branch_power: float | None


@torch.no_grad()
def token_path(
    config: QthaConfig,
    x: Float[Tensor, " in_features"],
    out_features: int,
    tensors: Mapping[str, Tensor] | None = None,
    seed: int = 0,
) -> TokenPath:
    """Follow one token through a QTHA adapter.

    Args:
        config: Settings with tensor networks and a circuit.
        x: Input of the layer for this token.
        out_features: Outputs of the layer.
        tensors: Trained tensors of the layer by name; None initialises them.
        seed: Seed of initial values.

    Raises:
        Refusal: If the settings leave out the tensor networks or the circuit.

    Example:
        >>> config = QthaConfig(r=2, waist=8, bond_dim=2, n_layers=1)
        >>> path = token_path(config, torch.ones(16), 16)
        >>> len(path.values["h = A u"]), path.rms["Δy"]
        (2, 0.0)
    """
    if not (config.use_mpo and config.use_circuit) or config.readout != "z":
        raise Refusal("A path must pass tensor networks and a circuit with read-out z, got others.")
    x = x.detach().double().cpu()
    change: Any = config.change(Layer(len(x), out_features))
    if tensors is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            tensors = {name: torch.empty(spec.shape) for name, spec in change.tensors().items()}
            change.initialise(tensors)
    exact = {name: tensor.detach().double().cpu() for name, tensor in tensors.items()}
    random = torch.Generator().manual_seed(seed)
    noise = torch.randn(CHANCE_SAMPLES, len(x), generator=random, dtype=torch.float64)
    noise = noise * x.norm() / noise.norm(dim=-1, keepdim=True)
    own, chance = (_stages(change, exact, of) for of in (x[None], noise))
    angles = own["h = A u"] * config.input_scale
    power = None
    if "W_c h" in own:
        linear = own["W_c h"].square().sum()
        power = float(own["W_q q"].square().sum() / linear) if linear else None
    return TokenPath(
        {name: values[0].tolist() for name, values in own.items()},
        {name: _rms(values) for name, values in own.items()},
        {name: _rms(values) for name, values in chance.items()},
        float((angles.abs() > math.pi).double().mean()),
        power,
    )


def _stages(
    change: Any, tensors: Mapping[str, Tensor], x: Float[Tensor, "tokens in_features"]
) -> dict[str, Tensor]:
    """Return the values of every stage for some inputs."""
    u = mpo.apply(cores_of(tensors, "in"), change.maps.down, x)
    h = torch.nn.functional.linear(u, tensors["A"])
    parts = change.bottleneck.parts(tensors, h)
    stages = {
        "x": x,
        "u = M_A x": u,
        "h = A u": h,
        "q = ⟨Z⟩": parts.q,
        "W_q q": parts.mixed,
        "W_c h": parts.linear,
        "z": change.bottleneck.z(tensors, h),
        "Δy": change.delta(tensors, x),
    }
    return {name: stages[name] for name in STAGES if stages[name] is not None}


def _rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())


@functools.lru_cache(maxsize=4)
def toy_inputs(text: str, block: int = 2) -> dict[str, Float[Tensor, " in_features"]]:
    """Return the inputs of the toy model's q_proj in one block, by token.

    Args:
        text: Text whose tokens are returned.
        block: Index of the transformer block.

    Example:
        >>> [*toy_inputs("How are you?")][:2]
        ['1 How', '2 are']
    """
    from qtha_lab.models import load_model

    tiny = load_model("tiny")
    caught: list[Tensor] = []
    layer = tiny.model.get_submodule(f"model.layers.{block}.self_attn.q_proj")
    hook = layer.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0].detach()))
    encoded = tiny.tokenizer([text], return_tensors="pt")
    try:
        with torch.no_grad():
            tiny.model(**encoded)
    finally:
        hook.remove()
    words = [
        str(tiny.tokenizer.decode([token])).strip() for token in encoded["input_ids"][0].tolist()
    ]
    return {
        f"{k} {word}": row for k, (word, row) in enumerate(zip(words, caught[0][0], strict=True), 1)
    }
