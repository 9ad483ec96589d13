"""Weight quantisation of base models: stored formats and fake-quantised schemes.

`int8` and `int4` are formats of a library: torchao on the CPU, bitsandbytes on CUDA. Every other
name is a fake-quantised scheme of `qtha_lab.models.quantisation.schemes`, which saves no memory.
Heads and embeddings are not quantised.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.libraries import require_extra
from qtha_lab.core.settings import nearest
from qtha_lab.models.quantisation.schemes import BITS, Rounding, rounding_named

if TYPE_CHECKING:
    from torch import nn

STORED = ("none", "int8", "int4")
GROUP = 32  # weights that share a scale at 4 bits on the CPU


def quantizations() -> list[str]:
    """List the stored formats and one example call of every quantisation scheme."""
    return [*STORED, *(info.example for info in BITS.values())]


def rounding_of(quantization: str) -> Rounding | None:
    """Return the quantisation scheme that a text names; None for a stored format."""
    if quantization in STORED:
        return None
    name = quantization.partition("(")[0].strip()
    if name in STORED or name not in {*BITS, *BITS.broken}:
        close = nearest(name, [*STORED, *BITS])
        hint = f" Did you mean {close!r}?" if close and close != name else ""
        raise Refusal(
            f"quantization must be one of {', '.join([*STORED, *BITS])}, got "
            f"{quantization!r}.{hint}."
        )
    return rounding_named(quantization)


def weight_bits(quantization: str) -> int | None:
    """Return the bits per weight of the base model.

    Returns None for an unquantised base or a scheme without a single number of bits.

    Example:
        >>> weight_bits("int4"), weight_bits("outliers(w=3)"), weight_bits("none")
        (4, 3, None)
    """
    rounding = rounding_of(quantization)
    if rounding is not None:
        return getattr(rounding, "w", None)
    return {"int8": 8, "int4": 4}.get(quantization)


def fake_quantised_sentence(quantization: str) -> str | None:
    """Return a notice that a scheme saves no memory; None for a stored format."""
    if rounding_of(quantization) is None:
        return None
    return (
        f"quantization {quantization} is fake-quantised: the base computes with rounded "
        "numbers in its own precision, so neither memory nor time is saved."
    )


def check_quantization(quantization: str, model: nn.Module | None = None) -> None:
    """Refuse an unusable quantisation: an unknown name, a missing library, an unsuitable layer.

    Args:
        quantization: A stored format, or a call of a quantisation scheme.
        model: Base model, if known; may be on the meta device.
    """
    if (rounding := rounding_of(quantization)) is not None:
        if model is not None:
            rounding.check(model)
        return
    library = _library()
    if quantization == "none":
        return
    if library == "torchao":
        require_extra("quantized", f"Quantisation {quantization!r} on the CPU", library)
    elif importlib.util.find_spec(library) is None:
        raise Refusal(
            f"{library} must be installed for quantisation {quantization!r} on CUDA. Run pip "
            f"install {library}."
        )


def quantization_config(quantization: str) -> Any:
    """Return the `from_pretrained` quantisation config of a stored format.

    Returns None for "none" and for a fake-quantised scheme.
    """
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
