"""Facts of a classification head, checked with its example on random features."""

import torch
from torch import Tensor, nn

from qtha_lab.adapters.heads import HeadInfo, head_named
from qtha_lab.core.call_syntax import parse_call
from qtha_lab.testing.facts import expect, expect_effect, expect_text, fact

FEATURES, CLASSES, ROWS, TOKENS = 24, 5, 4, 6


def _module(text: str, randomised: bool = False) -> nn.Module:
    torch.manual_seed(0)
    module = head_named(text).module(FEATURES, CLASSES).eval()
    if randomised:
        with torch.no_grad():
            for p in module.parameters():
                if not p.any():
                    p.normal_(std=0.3)
    return module


def _input(info: HeadInfo) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    if not info.make.reads_tokens:
        return (torch.randn(ROWS, FEATURES, generator=generator),)
    mask = torch.ones(ROWS, TOKENS, dtype=torch.long)
    mask[1:, 4:] = 0
    return torch.randn(ROWS, TOKENS, FEATURES, generator=generator), mask


@fact("head", "its summary, equation and source have text")
def head_texts(info: HeadInfo) -> None:
    """Check that summary, equation and source have text, and that the example names the head."""
    expect_text(info, "summary", "equation", "source")
    text = head_named(info.example).text
    expect(head_named(text).text == text, f"the call {text} is another head when it is read")


@fact("head", "its initial logits are finite and equal for all classes")
@torch.no_grad()
def head_unbiased(info: HeadInfo) -> None:
    """Check shape and values of the logits of a new head."""
    logits = _module(info.example)(*_input(info))
    expect(
        logits.shape == (ROWS, CLASSES),
        f"the logits have the shape {tuple(logits.shape)}, not {(ROWS, CLASSES)}",
    )
    expect(bool(logits.isfinite().all()), "the initial logits are not finite")
    spread = (logits - logits[:, :1]).abs().max().item()
    expect(spread < 1e-5, f"the initial logits of the classes differ by {spread:.3g}")


@fact("head", "the number of trained parameters equals its formula, and gradients reach all")
def head_counted(info: HeadInfo) -> None:
    """Check `n_parameters`, and that every trained tensor has a gradient."""
    module = _module(info.example, randomised=True)
    trained = sum(p.numel() for p in module.parameters() if p.requires_grad)
    formula = head_named(info.example).n_parameters(FEATURES, CLASSES)
    expect(trained == formula, f"{trained:,} train, n_parameters gives {formula:,}")
    module(*_input(info)).square().sum().backward()
    for name, p in module.named_parameters():
        reached = not p.requires_grad or (p.grad is not None and bool(p.grad.abs().max() > 0))
        expect(reached, f"no gradient reaches {name}")


@fact("head", "a row alone gives the row's logits, and two forward passes are equal")
@torch.no_grad()
def head_separate(info: HeadInfo) -> None:
    """Check that other rows and padding change no logit, and that passes and builds repeat."""
    module, inputs = _module(info.example, randomised=True), _input(info)
    logits = module(*inputs)
    expect(torch.equal(module(*inputs), logits), "two forward passes differ")
    again = _module(info.example, randomised=True)
    expect(torch.equal(again(*inputs), logits), "two builds with one seed differ")
    far = (module(*(part[1:2] for part in inputs)) - logits[1:2]).abs().max().item()
    expect(far < 1e-5, f"one row of a batch changes the logits of another by {far:.3g}")
    if info.make.reads_tokens:
        states, mask = inputs
        padded = states + 9 * (1 - mask).unsqueeze(-1)
        far = (module(padded, mask) - logits).abs().max().item()
        expect(far < 1e-5, f"padding changes the logits by {far:.3g}")


@fact("head", "its logits are finite for large features, and its state restores it")
@torch.no_grad()
def head_finite(info: HeadInfo) -> None:
    """Check features of 10⁴, and a head that loads the state of another."""
    module, (features, *mask) = _module(info.example, randomised=True), _input(info)
    large = module(1e4 * features, *mask)
    expect(bool(large.isfinite().all()), "the logits of features of 10⁴ are not finite")
    torch.manual_seed(7)
    other = head_named(info.example).module(FEATURES, CLASSES).eval()
    other.load_state_dict(module.state_dict())
    same = torch.equal(other(features, *mask), module(features, *mask))
    expect(same, "a head with the saved tensors gives other logits")


@fact("head", "every setting changes something")
def head_effective(info: HeadInfo) -> None:
    """Check that some value of each setting changes tensors or logits."""

    def signature(options: dict) -> list:
        head = info.make(**options)
        head.check()
        torch.manual_seed(0)
        module = head.module(FEATURES, CLASSES).eval()
        with torch.no_grad():
            for p in module.parameters():
                if not p.any():
                    p.normal_()
            logits = module(*_input(info))
        trained = {name: p.requires_grad for name, p in module.named_parameters()}
        return [trained, dict(module.state_dict()), logits]

    expect_effect(info.settings, [parse_call(info.example, "head")[1]], signature)
