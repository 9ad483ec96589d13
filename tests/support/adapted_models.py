"""Our methods by their examples, and tiny models adapted by them."""

import warnings

import pytest
import torch
from peft.tuners.tuners_utils import BaseTunerLayer

from qtha_lab import adapters
from qtha_lab.adapters.change import Base, Layer
from support.small_models import TARGETS, make

OURS = [name for name in adapters.method_names() if adapters.get_method(name).ours]
EXAMPLES = [(name, example) for name in OURS for example in adapters.get_method(name).examples]


def is_linear(name: str, example: str) -> bool:
    """Report if the adapter of an example can be merged into the base weight."""
    method = adapters.get_method(name)
    return method.is_linear(method.make_config(None, ["x"], **method.examples[example]))


def representatives() -> list[tuple[str, str]]:
    """One example of each method for each answer to whether it merges."""
    first = {}
    for name, example in EXAMPLES:
        first.setdefault((name, is_linear(name, example)), (name, example))
    return list(first.values())


FORMS = representatives()
LINEAR = [(name, example) for name, example in FORMS if is_linear(name, example)]


def change_of(layer, name: str, x: torch.Tensor) -> torch.Tensor:
    """Return the change that an adapter adds to a layer's output."""
    weight = layer.base_matrix(x.dtype)
    base = Base(lambda: weight, lambda: x @ weight.mT)
    return layer.changes[name].output(layer.adapter_tensors(name), x, base)


def config_of(name, example, base, **more):
    method = adapters.get_method(name)
    return method.make_config(
        target_modules=list(TARGETS[base]), **{**method.examples[example], **more}
    )


def adapted(name, example, base, dtype=torch.float32, **more):
    """A tiny model with an adapter; away from zero unless asked otherwise."""
    model = make(base, dtype)
    torch.manual_seed(1)
    config = config_of(name, example, base, **{"init_weights": False, **more})
    return adapters.add_adapter(model, config)


def drawn(config, in_features=24, out_features=16, dtype=torch.float64):
    """Return the mathematics of a config at a layer, and its initial tensors."""
    torch.manual_seed(0)
    change = config.change(Layer(in_features, out_features))
    tensors = {name: torch.empty(s.shape, dtype=dtype) for name, s in change.tensors().items()}
    change.initialise(tensors)
    return change, tensors


def our_layers(model):
    return [m for m in model.modules() if isinstance(m, BaseTunerLayer)]


def trainable(model):
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def parametrise(pairs, *bases):
    """Parametrise by examples and models; without models by examples alone."""
    if not bases:
        return pytest.mark.parametrize(("name", "example"), pairs, ids=["-".join(p) for p in pairs])
    return on_models(dict.fromkeys(bases, pairs))


def on_models(pairs: dict[str, list]):
    """Parametrise by examples and models, each model with examples of its own.

    On every model but the first, two of three examples are among the slow tests, others from model
    to model.
    """
    cases = [
        pytest.param(
            *pair,
            base,
            id="-".join((*pair, base)),
            marks=[pytest.mark.slow] if n_base and (number + n_base) % 3 else [],
        )
        for n_base, base in enumerate(pairs)
        for number, pair in enumerate(pairs[base])
    ]
    return pytest.mark.parametrize(("name", "example", "base"), cases)


def with_two_adapters(name, example, base, **more):
    """A model with adapters "default" (active) and "other"."""
    model = adapted(name, example, base, **more)
    model.add_adapter("other", config_of(name, example, base, **{"init_weights": False, **more}))
    return model


def without_warnings(call, *args, **kwargs):
    """PEFT warns of every active adapter that is deleted and every merged one that is switched."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*args, **kwargs)
