"""Find and check the safetensors files of a model folder; no tensor is read."""

import logging
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read_json, relative_name, shortened, tensor_shapes

if TYPE_CHECKING:
    from transformers import PreTrainedModel

log = logging.getLogger(__name__)
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
OTHER_HEADS = ("embed_out.weight",)  # stored names that transformers maps to `lm_head`
Shape = tuple[int, ...]
Shapes = dict[str, Shape]


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files of a model; an empty list if one is missing."""
    try:
        content = read_json(folder / INDEX)
        files = [
            folder / relative_name(name) for name in sorted(set(content["weight_map"].values()))
        ]
    except FileNotFoundError:
        files = [folder / SINGLE]
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
    ) as reason:  # a `Refusal` is a ValueError
        log.debug("%s lists no weights: %r", folder / INDEX, reason)
        return []
    return files if all(file.is_file() for file in files) else []


def shapes_in(files: list[Path]) -> Shapes:
    """Read names and shapes from the headers of safetensors files."""
    shapes: Shapes = {}
    for file in files:
        shapes |= tensor_shapes(file)
    return shapes


def count_parameters(files: list[Path]) -> int:
    """Count the numbers in safetensors files, without position ids."""
    shapes = shapes_in(files)
    return sum(prod(shape) for name, shape in shapes.items() if "position_ids" not in name)


def check_weights(
    folder: Path, model: "PreTrainedModel", shapes: Shapes, *, generates: bool
) -> None:
    """Refuse weights that do not fit the config or lack the language-model head.

    Args:
        folder: Folder of the model.
        model: Model built from the config, on the meta device.
        shapes: Shapes of the stored weights, by name.
        generates: True for a task that generates text.
    """
    prefix = f"{model.base_model_prefix}."
    is_whole = not hasattr(model.config, "quantization_config")
    for name, tensor in model.state_dict().items() if is_whole else ():
        stored = next((shapes[n] for n in (name, name.removeprefix(prefix)) if n in shapes), None)
        if stored is not None and name != head_name(model):
            check_shape(folder, model, name, stored, tuple(tensor.shape))
    head = head_name(model)
    tied = getattr(model.config, "tie_word_embeddings", False)
    is_stored = any(name.endswith((head, *OTHER_HEADS)) for name in shapes)
    if generates and head and not tied and not is_stored:
        raise Refusal(
            f"{shortened(folder, 80)} has no weights of {head} for a task that generates text. "
            f"Save the model with its language-modelling head, or choose a task with classes."
        )


def check_shape(
    folder: Path, model: "PreTrainedModel", name: str, stored: Shape, shape: Shape
) -> None:
    """Refuse a stored tensor of another shape, except a classification head of other classes."""
    of_classes = stored[1:] == shape[1:] and name.partition(".")[0] in head_modules(model)
    if stored != shape and not of_classes:
        raise Refusal(
            f"The weights of {shortened(folder, 80)} must fit its config.json, got "
            f"{shortened(name, 60)} of shape {list(stored)}, got {list(shape)}. "
            "Copy both files from one model."
        )


def check_finite(folder: Path, model: "PreTrainedModel") -> None:
    """Refuse weights that hold NaN or infinity."""
    import torch

    for name, tensor in model.state_dict().items():
        is_plain = type(tensor) in (torch.Tensor, torch.nn.Parameter)  # not a quantised weight
        if is_plain and tensor.is_floating_point() and tensor.numel() and not tensor.is_meta:
            extremes = torch.stack(torch.aminmax(tensor))
            if not torch.isfinite(extremes).all():
                raise Refusal(
                    f"The weights of {shortened(folder, 80)} must be finite, got NaN or infinity "
                    f"in {shortened(name, 60)}. Its training diverged, or the file is damaged."
                )


def head_modules(model: "PreTrainedModel") -> list[str]:
    """Return the names of the modules outside a classifier's base that have parameters.

    Empty for a model that generates text, whose head is the output embedding.
    """
    if model.get_output_embeddings() is not None:
        return []
    base = model.base_model_prefix
    return [
        name
        for name, module in model.named_children()
        if name != base and next(module.parameters(), None) is not None
    ]


def head_name(model: "PreTrainedModel") -> str:
    """Return the name of the output-embedding weight; empty if there is none."""
    layer = model.get_output_embeddings()
    return next((f"{name}.weight" for name, module in model.named_modules() if module is layer), "")
