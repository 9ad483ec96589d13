"""Checks of lesson 1: singular values of a product, initial factors, and LoRA against PEFT's."""

from typing import Any

import torch
from torch import nn

from qtha_lab.lessons import grading
from qtha_lab.lessons.graders.shared import flat_gradient, n_trained


def _factors():
    random = torch.Generator().manual_seed(0)
    for rows, r, columns in ((6, 2, 4), (300, 8, 200)):
        B = torch.randn(rows, r, generator=random, dtype=torch.float64)
        A = torch.randn(r, columns, generator=random, dtype=torch.float64)
        yield (B, A), torch.linalg.svdvals(B @ A)[:r]


_product_values = grading.Function(
    _factors, label=lambda B, A: f"B of {tuple(B.shape)} and A of {tuple(A.shape)}"
)


def _forms_no_product(answer) -> bool:
    from qtha_lab.lessons.peak_memory import largest_array

    random = torch.Generator().manual_seed(1)  # of full rank: a Gram matrix must be invertible
    B = torch.randn(600, 2, generator=random, dtype=torch.float64)
    A = torch.randn(2, 500, generator=random, dtype=torch.float64)
    return largest_array(answer, B, A) < len(B) * A.shape[1] // 2


def _has_factor_shapes(answer) -> bool:
    return [tuple(factor.shape) for factor in answer(2, 12, 6)] == [(2, 12), (6, 2)]


def _leaves_model(answer) -> bool:
    A, B = answer(2, 12, 6)
    return not (B @ A).any()


def _moves(answer) -> bool:
    return any(factor.any() for factor in answer(2, 12, 6))


def _has_all_directions(answer) -> bool:
    return any(torch.linalg.matrix_rank(f.detach()) == 2 for f in answer(2, 12, 6))


def _layers(built):
    torch.manual_seed(0)
    base = nn.Linear(6, 4)
    return base, built(base, 2, 4), torch.randn(5, 6)


def _shape(built):
    _, layer, x = _layers(built)
    shapes = [tuple(tensor.shape) for tensor in (layer(x), layer.A, layer.B)]
    return tuple(shapes), ((5, 4), (2, 6), (4, 2)), "x of shape (5, 6), r = 2: y, A and B"


def _unchanged(built):
    base, layer, x = _layers(built)
    return layer(x), base(x), "x of shape (5, 6), before any step"


def _start(built):
    layer = _layers(built)[1]
    are_zero = tuple(not bool(torch.as_tensor(factor).any()) for factor in (layer.A, layer.B))
    return are_zero, (False, True), "a new layer: is A zero, is B zero?"


def _with_peft(built):
    """Return the reader's layer, PEFT's layer with the same factors, and an input."""
    from peft import LoraConfig, get_peft_model

    base, layer, x = _layers(built)
    copied = nn.Sequential(nn.Linear(6, 4))
    copied[0].load_state_dict(base.state_dict())
    theirs: Any = get_peft_model(copied, LoraConfig(r=2, lora_alpha=4, target_modules=["0"]))
    with torch.no_grad():
        draws = torch.Generator().manual_seed(1)  # whatever the reader's start has drawn
        layer.A.copy_(torch.randn(2, 6, generator=draws))
        layer.B.copy_(torch.randn(4, 2, generator=draws))
        _copy(theirs.base_model.model[0], layer)
    return layer, theirs, x


def _copy(target: Any, layer) -> None:
    target.lora_A["default"].weight.data.copy_(layer.A)
    target.lora_B["default"].weight.data.copy_(layer.B)


def _forward(built):
    layer, theirs, x = _with_peft(built)
    return layer(x), theirs(x), "x of shape (5, 6), random A and B, r = 2 and α = 4"


def _gradients(built):
    layer, theirs, x = _with_peft(built)
    lora = theirs.base_model.model[0]
    factors = lora.lora_A["default"].weight, lora.lora_B["default"].weight
    ours = flat_gradient(layer(x).square().sum(), (layer.A, layer.B))
    right = flat_gradient(theirs(x).square().sum(), factors)
    return ours, right, "the gradients of A and B of the sum of squares"


def _count(built):
    return n_trained(_layers(built)[1]), 2 * (6 + 4), "the parameters with requires_grad"


def _toys(built):
    """Return the toy with the reader's layers, and with PEFT's at the same factors."""
    from peft import LoraConfig

    from qtha_lab.adapters import add_adapter
    from qtha_lab.models import load_model

    ours = load_model("tiny").model
    ours = built(ours, 2, 4) or ours
    config = LoraConfig(r=2, lora_alpha=4, target_modules=["q_proj", "v_proj"])
    theirs = add_adapter(load_model("tiny").model, config)
    torch.manual_seed(0)
    layer: Any
    for name, layer in ours.named_modules():
        if hasattr(layer, "A") and hasattr(layer, "B"):
            nn.init.normal_(layer.A, std=0.5)
            nn.init.normal_(layer.B)
            _copy(theirs.get_submodule(f"base_model.model.{name}"), layer)
    return ours, theirs


def _trained(built):
    ours, theirs = _toys(built)
    return n_trained(ours), n_trained(theirs), "the toy, r = 2"


def _logits(built):
    ours, theirs = _toys(built)
    ids = torch.arange(20, 32)[None]
    with torch.no_grad():
        return ours.eval()(ids).logits, theirs.eval()(ids).logits, "twelve token ids"
