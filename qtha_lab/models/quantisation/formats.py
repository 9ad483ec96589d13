"""Base models of fewer bits: formats that are stored so, and ways that round and store nothing smaller.

`int8` and `int4` are formats of a library: torchao on the CPU, bitsandbytes on CUDA. Every other name is one of
`qtha_lab.models.quantisation.schemes`, fake-quantised. Heads and embeddings stay whole.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import nearest
from qtha_lab.models.quantisation.schemes import BITS, Rounding, rounding_named

if TYPE_CHECKING:
    from torch import nn

STORED = ("none", "int8", "int4")
GROUP = 32  # weights that share a scale at 4 bits on the CPU


def quantizations() -> list[str]:
    """What a form offers: the stored formats, and an example of every way to round."""
    return [*STORED, *(info.example for info in BITS.values())]


def rounding_of(quantization: str) -> Rounding | None:
    """The way to round that a text names; None for a stored format.

    Raises:
        Refusal: If the name, a setting or a value is unknown.
    """
    if quantization in STORED:
        return None
    name = quantization.partition("(")[0].strip()
    if name in STORED or name not in {*BITS, *BITS.broken}:
        close = nearest(name, [*STORED, *BITS])
        hint = f": did you mean {close!r}?" if close and close != name else ""
        raise Refusal(
            f"quantization must be one of {', '.join([*STORED, *BITS])}, not {quantization!r}{hint}"
        )
    return rounding_named(quantization)


def weight_bits(quantization: str) -> int | None:
    """Bits of a weight of the base; None where it is whole or the way has no one number of them.

    Example:
        >>> weight_bits("int4"), weight_bits("outliers(w=3)"), weight_bits("none")
        (4, 3, None)
    """
    rounding = rounding_of(quantization)
    if rounding is not None:
        return getattr(rounding, "w", None)
    return {"int8": 8, "int4": 4}.get(quantization)


def fake_quantised_sentence(quantization: str) -> str | None:
    """What a person should know of a way that rounds and stores nothing smaller; None for a stored format."""
    if rounding_of(quantization) is None:
        return None
    return (
        f"quantization {quantization} is fake-quantised: the base computes with the numbers of few bits and keeps "
        "them in its own precision, so no memory is saved and no step is quicker"
    )


def check_quantization(quantization: str, model: nn.Module | None = None) -> None:
    """Refuse a kind that is unknown, whose library is not installed, or whose bits a layer cannot take.

    Args:
        quantization: A stored format, or a call of a way to round.
        model: The base, if it is known; may be on the meta device.

    Raises:
        Refusal: With the package to install, or the layer.
    """
    if (rounding := rounding_of(quantization)) is not None:
        if model is not None:
            rounding.check(model)
        return
    library = _library()
    if quantization != "none" and importlib.util.find_spec(library) is None:
        place = "on CUDA" if library == "bitsandbytes" else "on the CPU"
        raise Refusal(
            f"quantization {quantization!r} {place} needs {library}, which is not installed: "
            f"pip install {library}"
        )


def quantization_config(quantization: str) -> Any:
    """What `from_pretrained` takes for a stored format; None for "none" and for a way to round."""
    check_quantization(quantization)
    if quantization not in STORED[1:]:
        return None
    if _library() == "bitsandbytes":
        from transformers import BitsAndBytesConfig

        return BitsAndBytesConfig(
            load_in_8bit=quantization == "int8",
            load_in_4bit=quantization == "int4",
            bnb_4bit_quant_type="nf4",
        )
    import torch
    from torchao.quantization import Int8WeightOnlyConfig, IntxWeightOnlyConfig
    from torchao.quantization.granularity import PerGroup
    from transformers import TorchAoConfig

    config = Int8WeightOnlyConfig()
    if quantization == "int4":
        config = IntxWeightOnlyConfig(
            weight_dtype=getattr(torch, "int4"),  # noqa: B009  torch's stub lacks it
            granularity=PerGroup(GROUP),
        )
    return TorchAoConfig(config, modules_to_not_convert=["lm_head", "score", "classifier"])


def _library() -> str:
    import torch

    return "bitsandbytes" if torch.cuda.is_available() else "torchao"
