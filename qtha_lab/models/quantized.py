"""Base models with 8-bit or 4-bit weights: which library makes them on which machine.

torchao on the CPU, bitsandbytes on CUDA. Only weights are quantised; heads and embeddings stay whole.
"""

import importlib.util

from qtha_lab.errors import Refusal

QUANTIZATIONS = ("none", "int8", "int4")
GROUP = 32  # weights that share a scale at 4 bits on the CPU


def check_quantization(quantization: str) -> None:
    """Refuse a kind that is unknown, or whose library is not installed.

    Raises:
        Refusal: With the package to install.
    """
    if quantization not in QUANTIZATIONS:
        raise Refusal(
            f"quantization must be one of {', '.join(QUANTIZATIONS)}, not {quantization!r}"
        )
    library = _library()
    if quantization != "none" and importlib.util.find_spec(library) is None:
        place = "on CUDA" if library == "bitsandbytes" else "on the CPU"
        raise Refusal(
            f"quantization {quantization!r} {place} needs {library}, which is not installed: "
            f"pip install {library}"
        )


def quantization_config(quantization: str):
    """What `from_pretrained` takes for a kind of quantisation; None for "none"."""
    check_quantization(quantization)
    if quantization == "none":
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
