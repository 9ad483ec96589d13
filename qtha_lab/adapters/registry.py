"""Methods by name, their classical controls, and their table."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from qtha_lab.adapters.adapted_model import count_trainable
from qtha_lab.adapters.method import Control, Method
from qtha_lab.adapters.none import HEAD_ALONE
from qtha_lab.adapters.peft import OUR_METHODS
from qtha_lab.adapters.peft_methods import PEFT_METHODS
from qtha_lab.core.settings import unknown


def method_names() -> list[str]:
    """List all methods that change a layer: ours first, then PEFT's."""
    return [*OUR_METHODS, *PEFT_METHODS]


def get_method(name: str) -> Method:
    """Return the method of a name, or `none`, training without an adapter.

    Raises:
        Refusal: If the name is unknown, with the nearest name.
    """
    method = OUR_METHODS.get(name) or PEFT_METHODS.get(name)
    if name == HEAD_ALONE.name:
        return HEAD_ALONE
    if method is None:
        raise unknown("method", str(name), [*method_names(), HEAD_ALONE.name])
    return method


def method_of(config) -> Method | None:
    """Return the method of a PEFT config, or None for an unlisted method."""
    for name in (*method_names(), HEAD_ALONE.name):
        candidate = get_method(name)
        if isinstance(config, candidate.config_class) and candidate.owns(config):
            return candidate
    return None


__all__ = ["Control", "controlled_methods", "controls_of"]


def controlled_methods() -> list[str]:
    """List the methods that declare controls, those with most controls first.

    Example:
        >>> controlled_methods()[:5]
        ['qtha', 'qtha_gradient', 'qpa', 'qtha_shared', 'quantum_train']
    """
    controlled = [name for name in method_names() if get_method(name).controls]
    return sorted(controlled, key=lambda name: -len(get_method(name).controls))


def controls_of(method: str, options: Mapping[str, Any]) -> list[Control]:
    """List the controls of a method with the given options; empty for other methods.

    Args:
        method: Name of the method.
        options: Options as for `Method.make_config`; a control keeps those that it does not change.

    Returns:
        The controls with all their options, without controls that change nothing here.

    Example:
        >>> [control.options for control in controls_of("qtha", {"r": 4})][:2]
        [{'r': 4, 'use_circuit': False}, {'r': 4, 'use_circuit': False, 'use_linear': False}]
    """
    if method not in method_names():
        return []
    controls, of = [], get_method(method)
    defaults = {name: setting.default for name, setting in of.settings().items()}
    for control in of.controls:
        rest = {name: value for name, value in options.items() if name not in control.without}
        changed = {**rest, **control.options}
        if defaults | changed != defaults | dict(options):
            controls.append(dataclasses.replace(control, method=method, options=changed))
    return controls


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
