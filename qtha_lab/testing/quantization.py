"""Facts of a quantisation scheme, checked with its example on a two-block Llama."""

import torch
from torch import Tensor, nn

from qtha_lab.core.call_syntax import parse_call
from qtha_lab.models.quantisation.layers import matrix_of, rounded_layers
from qtha_lab.models.quantisation.schemes.registry import SchemeInfo, rounding_named
from qtha_lab.testing.facts import expect, expect_effect, expect_text, fact
from qtha_lab.testing.method import TOKENS, small_llama

BATCHES = [{"input_ids": TOKENS[:1], "attention_mask": torch.ones_like(TOKENS[:1])}]


def _rounded(text: str, seed: int = 0) -> nn.Module:
    scheme, model = rounding_named(text), small_llama()
    scheme.check(model)
    torch.manual_seed(3)
    learnt = scheme.learn(model, BATCHES) if scheme.calibrates else {}
    torch.manual_seed(seed)
    with torch.no_grad():
        scheme.apply(model, learnt)
    return model


def _matrices(model: nn.Module) -> dict[str, Tensor]:
    return {name: matrix_of(layer).clone() for name, layer in rounded_layers(model).items()}


@fact("quantization", "its summary and source have text")
def scheme_texts(info: SchemeInfo) -> None:
    """Check that summary and source have text, and that the example names the scheme."""
    expect_text(info, "summary", "source")
    text = rounding_named(info.example).text
    expect(rounding_named(text).text == text, f"the call {text} is another scheme when it is read")


@fact("quantization", "it changes weights, keeps most of their size, and the model computes")
@torch.no_grad()
def scheme_close(info: SchemeInfo) -> None:
    """Check that weights change by less than half their norm and logits are finite."""
    before, model = _matrices(small_llama()), _rounded(info.example)
    logits = model(input_ids=TOKENS).logits
    after = _matrices(model)
    changes = [(after[name] - before[name]).norm() / before[name].norm() for name in after]
    finite = bool(logits.isfinite().all()) and all(bool(c.isfinite()) for c in changes)
    expect(finite, "weights or logits are not finite")
    expect(any(change > 0 for change in changes), "no weight changes")
    worst = float(max(changes))
    expect(worst < 0.75, f"a weight loses {worst:.0%} of its norm")


@fact("quantization", "two roundings of one model are equal, bit for bit")
def scheme_repeatable(info: SchemeInfo) -> None:
    """Check two calibrations, and roundings with different random numbers."""
    first, second = (_rounded(info.example, seed).state_dict() for seed in (0, 1))
    for name, tensor in first.items():
        expect(torch.equal(tensor, second[name]), f"two roundings of one model differ in {name}")


@fact("quantization", "every setting changes something")
def scheme_effective(info: SchemeInfo) -> None:
    """Check that some value of each setting changes a weight or the logits.

    A scheme that calibrates takes too long for many calibrations.
    """
    if info.make.calibrates:
        return

    def signature(options: dict) -> list:
        model = _rounded(info.make(**options).text)
        with torch.no_grad():
            return [_matrices(model), model(input_ids=TOKENS).logits]

    expect_effect(info.settings, [parse_call(info.example, "quantization")[1]], signature)
