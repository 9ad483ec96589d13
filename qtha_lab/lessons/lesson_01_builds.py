"""Predictions and builds of lesson 1: a LoRA layer, and its place in a model."""

from typing import Any

import torch
from torch import nn

from qtha_lab.lessons.builds import build_task
from qtha_lab.lessons.predictions import prediction

prediction(
    "1.a",
    "LoRA has r = 8. Before the first step, how many singular values of ΔW are above zero?",
    options=("8", "1", "0"),
    misconceptions={
        "8": "that bound holds after training; B = 0 makes the whole product zero",
        "1": "a single value would need one column of B that is not zero",
    },
)
prediction(
    "1.b",
    "An update has one large and seven small singular values. Which measure is the smallest?",
    options=("numerical rank", "stable rank", "effective rank"),
    misconceptions={
        "numerical rank": "it counts every value above a tiny threshold, so it is the largest",
        "effective rank": "small values enter its entropy; squares hide them better",
    },
)
prediction(
    "1.c",
    "Full fine-tuning has no bottleneck. Is the stable rank of its change above 8 in all layers?",
    options=("yes", "no"),
    misconceptions={"yes": "many small values raise the numerical rank, not the stable rank"},
)
prediction(
    "1.d",
    "Each run has its own learning rate. Which one has the smallest similarity to the old weight?",
    options=("LoRA, r = 2", "LoRA, r = 8", "full fine-tuning"),
)
prediction(
    "1.e",
    "All changes are scaled to 0.8 of the norm of W. Which one has more intruders?",
    options=("LoRA, r = 2", "full fine-tuning"),
    misconceptions={
        "LoRA, r = 2": "a change of rank 2 has hardly more than 2 intruders per layer",
    },
)


def _layers(built):
    torch.manual_seed(0)
    base = nn.Linear(6, 4)
    return base, built(base, 2, 4), torch.randn(5, 6)


def _shape(built):
    _, layer, x = _layers(built)
    return tuple(layer(x).shape), (5, 4), "x of shape (5, 6)"


def _unchanged(built):
    base, layer, x = _layers(built)
    return layer(x), base(x), "x of shape (5, 6), before any step"


def _with_peft(built):
    """Return the reader's layer, PEFT's layer with the same factors, and an input."""
    from peft import LoraConfig, get_peft_model

    base, layer, x = _layers(built)
    copied = nn.Sequential(nn.Linear(6, 4))
    copied[0].load_state_dict(base.state_dict())
    theirs: Any = get_peft_model(copied, LoraConfig(r=2, lora_alpha=4, target_modules=["0"]))
    with torch.no_grad():
        layer.B.copy_(torch.randn(4, 2))
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
    layer(x).square().sum().backward()
    theirs(x).square().sum().backward()
    lora = theirs.base_model.model[0]
    ours = torch.cat([layer.A.grad.flatten(), layer.B.grad.flatten()])
    factors = (lora.lora_A["default"].weight, lora.lora_B["default"].weight)
    right = torch.cat([factor.grad.flatten() for factor in factors])
    return ours, right, "the gradients of A and B of the sum of squares"


def _count(built):
    _, layer, _ = _layers(built)
    trained = sum(p.numel() for p in layer.parameters() if p.requires_grad)
    return trained, 2 * (6 + 4), "the parameters with requires_grad"


LAYER = """
    class LoRALinear(torch.nn.Module):
        def __init__(self, base, r, alpha):
            super().__init__()
            self.base, self.scale = base.requires_grad_(False), alpha / r
            self.A = torch.nn.Parameter(torch.randn(r, base.in_features) / r)
            self.B = torch.nn.Parameter(torch.zeros(base.out_features, r))

        def forward(self, x):
            return self.base(x) + self.scale * (x @ self.A.T) @ self.B.T
"""
build_task(
    "1.lora",
    "LoRALinear",
    steps=(
        ("the output has shape (5, 4)", _shape),
        ("before the first step the layer is unchanged", _unchanged),
        ("the output equals PEFT's", _forward),
        ("the gradients of A and B equal PEFT's", _gradients),
        ("A and B are trained, and nothing else", _count),
    ),
    tolerance=1e-6,
    solution=LAYER,
    setup="import torch",
)


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
            nn.init.normal_(layer.B)
            _copy(theirs.get_submodule(f"base_model.model.{name}"), layer)
    return ours, theirs


def _trained(built):
    ours, theirs = _toys(built)
    counts = [
        sum(p.numel() for p in model.parameters() if p.requires_grad) for model in (ours, theirs)
    ]
    return (*counts, "the toy, r = 2")


def _logits(built):
    ours, theirs = _toys(built)
    ids = torch.arange(20, 32)[None]
    with torch.no_grad():
        return ours.eval()(ids).logits, theirs.eval()(ids).logits, "twelve token ids"


build_task(
    "1.model",
    "add_lora",
    steps=(
        ("as many parameters are trained as by PEFT", _trained),
        ("the logits equal PEFT's", _logits),
    ),
    tolerance=1e-4,
    solution="""
        def add_lora(model, r, alpha):
            model.requires_grad_(False)
            for block in model.model.layers:
                attention = block.self_attn
                attention.q_proj = LoRALinear(attention.q_proj, r, alpha)
                attention.v_proj = LoRALinear(attention.v_proj, r, alpha)
            return model
    """,
    setup="import torch\n" + LAYER.replace("\n    ", "\n"),
)
