"""Facts of a method, checked with its examples on a two-block Llama.

The model has a few thousand weights.
"""

import contextlib
import tempfile
import warnings
from collections.abc import Callable, Iterator

import torch
from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from qtha_lab import adapters
from qtha_lab.testing.facts import expect, fact

TARGETS = ["q_proj", "v_proj"]  # 32 → 32 and, with grouped-query attention, 32 → 16
TOKENS = torch.arange(12).view(2, 6)


def _base() -> nn.Module:
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
    base = _base()
    torch.manual_seed(1)
    return adapters.add_adapter(base, config)


@torch.no_grad()
def _logits(model: nn.Module) -> torch.Tensor:
    return model(input_ids=TOKENS).logits


def _whole(model: PeftModel) -> nn.Module:
    """Return the model with its adapter merged into the weights."""
    merge: Callable[[], nn.Module] = getattr(model.base_model, "merge_and_unload")  # noqa: B009
    return merge()


def _layers(model: nn.Module) -> list:
    return [module for module in model.modules() if isinstance(module, BaseTunerLayer)]


@fact("method", "it says what it is, its equation and where it is from")
def described(method) -> None:
    """Check that summary, equation and source have text."""
    for name in ("summary", "equation", "source"):
        expect(bool(getattr(method, name).strip()), f"its {name} is empty")


@fact("method", "nothing changes at the start")
def unchanged_at_start(method) -> None:
    """Check that a new adapter leaves the logits of the base bit-identical."""
    for config in _configs(method):
        largest = (_logits(_adapted(config, True)) - _logits(_base())).abs().max().item()
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
            f"{trained:,} train, n_parameters says {formula:,}, {_options_text(config)}",
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
        changed = not torch.equal(_logits(_adapted(config, False)), _logits(_base()))
        expect(
            changed,
            f"logits are those of the base with init_weights=False, {_options_text(config)}",
        )


@fact("method", "saved and loaded, it gives the same bits")
def saved(method) -> None:
    """Check that a saved and reloaded adapter gives bit-identical logits."""
    for config in _configs(method):
        model = _adapted(config, False)
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            with _quiet():
                loaded = PeftModel.from_pretrained(_base(), folder)
        expect(
            torch.equal(_logits(loaded), _logits(model)), f"other logits, {_options_text(config)}"
        )


@fact("method", "a change that is said to be linear is zero for an input of zeros")
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


@fact("method", "merged equals unmerged where it says that it merges")
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


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _options_text(config) -> str:
    names = list(adapters.get_method(config.method_name).settings())
    return ", ".join(f"{name}={getattr(config, name)}" for name in names[:4])
