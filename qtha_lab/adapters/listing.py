"""Table of all methods: equation, parameters, merging and source.

Read from the registry, and counted on one layer without weights.
"""

import functools

import torch
from torch import nn

from qtha_lab.adapters.attach import count_trainable
from qtha_lab.adapters.controls import controlled_methods, controls_of
from qtha_lab.adapters.peft import OUR_METHODS
from qtha_lab.adapters.registry import get_method, method_names

REFERENCE = (4096, 4096)  # in and out features, the query projection of an 8B Llama
HEADING = ("method", "change", "parameters, {} → {}", "merges", "source")


def methods_table(in_features: int = REFERENCE[0], out_features: int = REFERENCE[1]) -> list[tuple]:
    """Return a heading and one row per method with its defaults, for one layer size.

    Example:
        >>> heading, *rows = methods_table(64, 32)
        >>> next(row for row in rows if row[0] == "lora")[:4]
        ('lora', 'ΔW = s·B A', '768', 'yes')
    """
    heading = tuple(title.format(in_features, out_features) for title in HEADING)
    rows = [heading]
    for name in method_names():
        method = get_method(name)
        count = parameters(name, in_features, out_features)
        merges = "yes" if method.is_linear(method.make_config(None, ["layer"])) else "no"
        owner = "" if method.ours else "; peft's own"
        rows.append((name, method.equation, f"{count:,}", merges, method.source + owner))
    return rows


def controls_table() -> list[tuple]:
    """Return a heading and one row per classical control."""
    rows = [("control", "as a method", "meaning of a difference")]
    for name in controlled_methods():
        for control in controls_of(name, {}):
            options = ",".join(f"{k}={_text(v)}" for k, v in control.options.items())
            rows.append((f"{name}: {control.title}", f"{control.method}({options})", control.shows))
    return rows


def parameters(name: str, in_features: int, out_features: int) -> int:
    """Count the trainable parameters of a method with its defaults at one layer.

    Args:
        name: Name of a method, ours or PEFT's.
        in_features: Number of inputs of the layer.
        out_features: Number of outputs of the layer.

    Example:
        >>> parameters("lora", 64, 32)  # r = 8 on both sides: 8 · (64 + 32)
        768
    """
    return _parameters(name, in_features, out_features, OUR_METHODS.revision)


@functools.lru_cache(maxsize=1024)
def _parameters(name: str, in_features: int, out_features: int, revision: int) -> int:
    """Count as `parameters`; a method that is registered again has another revision."""
    with torch.device("meta"):
        model = nn.ModuleDict({"layer": nn.Linear(in_features, out_features, bias=False)})
    return count_trainable(model, get_method(name).make_config(None, ["layer"]))


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
