"""Facts of a method, checked with its examples on a two-block Llama.

The model has a few thousand weights.
"""

import contextlib
import copy
import warnings
from collections.abc import Callable, Iterator

import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from qtha_lab import adapters
from qtha_lab.core.io import scratch_folder
from qtha_lab.testing.facts import expect, expect_text, fact

TARGETS = ["q_proj", "v_proj"]  # 32 → 32 and, with grouped-query attention, 32 → 16
TOKENS = torch.arange(12).view(2, 6)


def small_llama() -> nn.Module:
    """Build a random LLaMA of two layers and 32 features."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=32,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=32,
    )
    return LlamaForCausalLM(config).eval()


def _configs(method) -> Iterator:
    for options in method.examples.values():
        yield method.make_config("CAUSAL_LM", list(TARGETS), **options)


def _adapted(config, init_weights: bool) -> PeftModel:
    config.init_weights = init_weights
    base = small_llama()
    torch.manual_seed(1)
    return adapters.add_adapter(base, config)


@torch.no_grad()
def _logits(model: nn.Module, tokens: torch.Tensor = TOKENS) -> torch.Tensor:
    return model(input_ids=tokens).logits


def _whole(model: PeftModel) -> nn.Module:
    """Return the model with its adapter merged into the weights."""
    merge: Callable[[], nn.Module] = getattr(model.base_model, "merge_and_unload")  # noqa: B009
    return merge()


def _layers(model: nn.Module) -> list:
    return [module for module in model.modules() if isinstance(module, BaseTunerLayer)]


@fact("method", "its summary, equation and source have text")
def method_texts(method) -> None:
    """Check that summary, equation and source have text."""
    expect_text(method, "summary", "equation", "source")


@fact("method", "nothing changes at the start")
def unchanged_at_start(method) -> None:
    """Check that a new adapter leaves the logits of the base bit-identical."""
    for config in _configs(method):
        largest = (_logits(_adapted(config, True)) - _logits(small_llama())).abs().max().item()
        expect(largest == 0, f"logits move by up to {largest:.3g} with {_options_text(config)}")


@fact("method", "the number of trained parameters equals its formula")
def counted(method) -> None:
    """Check that `n_parameters` counts the trainable parameters."""
    for config in _configs(method):
        model = _adapted(config, True)
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
        formula = config.n_parameters_of(
            [layer.changes["default"].layer for layer in _layers(model)]
        )
        expect(
            trained == formula,
            f"{trained:,} train, n_parameters gives {formula:,}, {_options_text(config)}",
        )


@fact("method", "gradients reach every trained tensor and none of the base")
def gradients(method) -> None:
    """Check that all trained tensors have a non-zero gradient, and the base none."""
    for config in _configs(method):
        model = _adapted(config, False)
        model(input_ids=TOKENS).logits.square().sum().backward()
        for name, p in model.named_parameters():
            if p.requires_grad:
                reached = p.grad is not None and bool(p.grad.abs().max() > 0)
                expect(reached, f"no gradient reaches {name}")
            else:
                expect(p.grad is None, f"a gradient reaches the frozen {name}")


@fact("method", "with init_weights=False every tensor matters")
def random_start(method) -> None:
    """Check that logits differ from the base's with random initial weights."""
    for config in _configs(method):
        changed = not torch.equal(_logits(_adapted(config, False)), _logits(small_llama()))
        expect(
            changed,
            f"logits are those of the base with init_weights=False, {_options_text(config)}",
        )


@fact("method", "saved and loaded, it gives the same bits")
def saved(method) -> None:
    """Check that a saved and reloaded adapter gives bit-identical logits."""
    for config in _configs(method):
        model = _adapted(config, False)
        with scratch_folder() as folder:
            model.save_pretrained(folder)
            with _quiet():
                loaded = PeftModel.from_pretrained(small_llama(), folder)
        expect(
            torch.equal(_logits(loaded), _logits(model)), f"other logits, {_options_text(config)}"
        )


@fact("method", "a change declared linear is zero for an input of zeros")
@torch.no_grad()
def not_affine(method) -> None:
    """Check that a linear change maps an input of zeros to zero.

    Only configs with a linear change are checked, since a bias cannot be merged.
    """
    for config in _configs(method):
        if not method.is_linear(config):
            continue
        for layer in _layers(_adapted(config, False)):
            zeros = torch.zeros(1, layer.in_features)
            moved = (layer(zeros) - layer.base_layer(zeros)).abs().max().item()
            expect(
                moved == 0,
                f"an input of zeros is changed by up to {moved:.3g}: "
                f"an affine change is not linear, {_options_text(config)}",
            )


@fact("method", "merged equals unmerged if is_linear is True")
def merged(method) -> None:
    """Check that merging moves every logit by less than 10⁻⁴.

    Only configs with a linear change are checked.
    """
    for config in _configs(method):
        if not method.is_linear(config):
            continue
        model = _adapted(config, False)
        expected = _logits(model)
        with _quiet():
            far = (_logits(_whole(model)) - expected).abs().max().item()
        expect(
            far < 1e-4,
            f"logits move by {far:.3g} by merging: is the change linear? {_options_text(config)}",
        )


@fact("method", "two builds with one seed are equal, and so are two forward passes")
def method_repeatable(method) -> None:
    """Check tensors of two builds and logits of two passes with another one in between."""
    for config in _configs(method):
        first, second = (_adapted(copy.deepcopy(config), False) for _ in range(2))
        others = dict(second.named_parameters())
        for name, p in first.named_parameters():
            expect(torch.equal(p, others[name]), f"two builds with one seed differ in {name}")
        expected = _logits(first)
        _logits(first, TOKENS.flip(1))
        expect(torch.equal(_logits(first), expected), "two forward passes differ")


@fact("method", "a prefix of the input gives the prefix of the output, and a row alone its row")
def method_causal(method) -> None:
    """Check that neither later tokens nor other rows change an output by 10⁻⁵."""
    for config in _configs(method):
        model = _adapted(config, False)
        whole = _logits(model)
        row = (_logits(model, TOKENS[1:]) - whole[1:]).abs().max().item()
        expect(row < 1e-5, f"one row of a batch changes the output of another by {row:.3g}")
        prefix = (_logits(model, TOKENS[:, :4]) - whole[:, :4]).abs().max().item()
        expect(prefix < 1e-5, f"a later token changes the output of an earlier one by {prefix:.3g}")


@fact("method", "two adapters on one model do not touch each other")
def method_separate(method) -> None:
    """Check that logits are bit-identical after the use of a second adapter."""
    for config in _configs(method):
        other = copy.deepcopy(config)
        model = _adapted(config, False)
        expected = _logits(model)
        other.init_weights = False
        with _quiet():
            model.add_adapter("second", other)
        for name in ("second", "default"):
            model.set_adapter(name)
            again = _logits(model)
        expect(torch.equal(again, expected), "another adapter changes the output of the first")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _options_text(config) -> str:
    names = list(adapters.get_method(config.method_name).settings())
    return ", ".join(f"{name}={getattr(config, name)}" for name in names[:4])
