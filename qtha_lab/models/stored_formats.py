"""Quantised weights in a model folder, and the package that reads them."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened

PACKAGES = {
    "aqlm": "aqlm",
    "awq": "gptqmodel",
    "bitsandbytes": "bitsandbytes",
    "compressed-tensors": "compressed_tensors",
    "gptq": "gptqmodel",
    "hqq": "hqq",
    "torchao": "torchao",
}
OTHER = "Choose a folder of unquantised weights; the setting quantization=int4 quantises them."


def stored_format(config: Mapping[str, Any]) -> str:
    """Return the quantisation of the stored weights; empty for plain ones.

    Example:
        >>> stored_format({"quantization_config": {"load_in_4bit": True}}), stored_format({})
        ('bitsandbytes', '')
    """
    settings = config.get("quantization_config")
    if not isinstance(settings, Mapping):
        return ""
    named = settings.get("quant_method")
    return shortened(named, 40) if isinstance(named, str) else "bitsandbytes"


def check_stored_format(config: Mapping[str, Any], folder: Path) -> None:
    """Refuse quantised weights whose package is not installed."""
    name = stored_format(config)
    package = PACKAGES.get(name)
    if package is not None and importlib.util.find_spec(package) is None:
        raise Refusal(
            f"The weights of {shortened(folder, 60)} are quantised by {name}; {package} must be "
            f"installed, got none. Run pip install {package.replace('_', '-')}. {OTHER}"
        )
