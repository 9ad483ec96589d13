"""Several adapters on one model: weights, and methods side by side."""

import warnings

import pytest
import torch
from peft import LoHaConfig, LoraConfig, PeftModel, get_peft_model
from support.refusals import refused
from support.small_models import (
    EXAMPLES,
    FORMS,
    LINEAR,
    TARGETS,
    adapted,
    change_of,
    config_of,
    logits,
    make,
    our_layers,
    parametrise,
    trainable,
    with_two_adapters,
    without_warnings,
)

from qtha_lab import adapters
from qtha_lab.adapters import weigh

X = torch.randn(2, 3, 32, generator=torch.Generator().manual_seed(1))


def lora(base="llama", **more):
    return LoraConfig(
        r=2, lora_alpha=6, target_modules=TARGETS[base], init_lora_weights=False, **more
    )


def side_by_side(name, example, base="llama", ours_first=False):
    """A transformers model with LoRA "plain" and ours "mine", both active."""
    model = make(base)
    both = {"plain": lora(base), "mine": config_of(name, example, base, init_weights=False)}
    for adapter in sorted(both, reverse=not ours_first):
        without_warnings(model.add_adapter, both[adapter], adapter_name=adapter)
    model.set_adapter(["plain", "mine"])
    return model


def parts(model):
    """The base layer, our layer and LoRA's at the first query projection, outermost first."""
    outer = model.model.layers[0].self_attn.q_proj
    inner = outer.base_layer
    ours, plain = (outer, inner) if hasattr(outer, "changes") else (inner, outer)
    return outer, inner.base_layer, ours, plain


def change_of_lora(layer, name="plain"):
    """alpha / r · B A x, written out: alpha / r = 3."""
    a, b = layer.lora_A[name].weight, layer.lora_B[name].weight
    return 3 * X @ a.mT @ b.mT


# weights


@parametrise(EXAMPLES)
def test_the_change_is_the_weighted_sum_of_the_changes(name, example):
    model = with_two_adapters(name, example, "llama")
    layer = our_layers(model)[0]
    deltas = {n: change_of(layer, n, X) for n in ("default", "other")}
    whole = logits(model)
    with weigh(model, {"default": 0.3, "other": -0.7}):
        assert model.active_adapters == ["default", "other"]
        expected = layer.base_layer(X) + 0.3 * deltas["default"] - 0.7 * deltas["other"]
        torch.testing.assert_close(layer(X), expected, atol=1e-5, rtol=1e-4)
    assert torch.equal(logits(model), whole)
    assert model.active_adapters == ["default"]


@parametrise(FORMS, *TARGETS)
def test_weights_of_one_and_none_are_the_adapter_and_the_base(name, example, base):
    model = with_two_adapters(name, example, base)
    first = logits(model)
    model.set_adapter("other")
    weigh(model, {"default": 1.0, "other": 0.0})
    torch.testing.assert_close(logits(model), first)
    weigh(model, {"default": 0.0})
    assert torch.equal(logits(model), logits(make(base)))
    weigh(model, {"default": 1})
    assert torch.equal(logits(model), first)  # a weight is not on top of an earlier one


@parametrise(FORMS)
def test_weights_change_nothing_of_what_is_trained_or_saved(name, example, tmp_path):
    model = with_two_adapters(name, example, "llama")
    message, moving = logits(model), set(trainable(model))
    weigh(model, {"default": 0.25, "other": 2})
    assert set(trainable(model)) == moving
    model.save_pretrained(tmp_path)
    assert torch.equal(logits(adapters.load_adapter(make("llama"), tmp_path)), message)


@parametrise(LINEAR)
def test_a_merge_takes_the_weights_along(name, example):
    model = with_two_adapters(name, example, "llama")
    whole = logits(model)
    with weigh(model, {"default": 0.3, "other": 0.7}):
        outputs = logits(model)
        without_warnings(model.merge_adapter)
        torch.testing.assert_close(logits(model), outputs, atol=1e-5, rtol=1e-4)
        with refused("Weighted adapters", "default, other"):
            weigh(model, {"default": 1.0})
    assert torch.equal(logits(model), whole)  # unmerged, with the weights of before
    weigh(model, {"default": 0.3, "other": 0.7})
    merged = without_warnings(model.merge_and_unload)
    torch.testing.assert_close(logits(merged), outputs, atol=1e-5, rtol=1e-4)


def test_what_does_not_merge_does_not_merge_weighed_either():
    model = adapted("qtha", "ABC", "llama")
    with (
        weigh(model, {"default": 0.5}),
        refused("Adapter 'default'", rule="cannot be merged", error=NotImplementedError),
    ):
        model.merge_adapter()


@pytest.mark.parametrize("config", [lora, lambda: lora(use_rslora=True)], ids=["lora", "rslora"])
def test_lora_of_peft_is_weighed_by_its_own_factor(config):
    model = get_peft_model(make("llama"), config(), adapter_name="one")
    model.add_adapter("two", config())
    layer = model.base_model.model.model.layers[0].self_attn.q_proj
    base = layer.base_layer(X)
    changes = {}
    for name in ("one", "two"):
        model.set_adapter(name)
        changes[name] = layer(X) - base
    scaling = dict(layer.scaling)
    with weigh(model, {"one": 0.5, "two": 0.25}):
        expected = base + 0.5 * changes["one"] + 0.25 * changes["two"]
        torch.testing.assert_close(layer(X), expected, atol=1e-5, rtol=1e-4)
        without_warnings(model.merge_adapter)
        torch.testing.assert_close(layer(X), expected, atol=1e-5, rtol=1e-4)
    assert layer.scaling == scaling
    torch.testing.assert_close(layer(X), base + changes["two"], atol=1e-5, rtol=1e-4)


def test_loha_of_peft_is_weighed_too():
    config = LoHaConfig(r=2, target_modules=TARGETS["llama"], init_weights=False)
    model = get_peft_model(make("llama"), config)
    layer = model.base_model.model.model.layers[0].self_attn.q_proj
    base, whole = layer.base_layer(X), layer(X)
    with weigh(model, {"default": 0.5}):
        torch.testing.assert_close(layer(X), (base + whole) / 2, atol=1e-5, rtol=1e-4)
    assert torch.equal(layer(X), whole)


# side by side with LoRA


@parametrise(FORMS)
@pytest.mark.parametrize("ours_first", [True, False], ids=["ours-first", "lora-first"])
def test_ours_and_lora_add_up_and_are_weighed_together(name, example, ours_first):
    model = side_by_side(name, example, ours_first=ours_first)
    outer, base, ours, plain = parts(model)
    mine = change_of(ours, "mine", X)
    close = {"atol": 1e-5, "rtol": 1e-4}
    torch.testing.assert_close(outer(X), base(X) + mine + change_of_lora(plain), **close)
    with weigh(model, {"plain": 0.5, "mine": 2.0}):
        expected = base(X) + 2.0 * mine + 0.5 * change_of_lora(plain)
        torch.testing.assert_close(outer(X), expected, **close)
    with weigh(model, {"mine": 2.0}):
        torch.testing.assert_close(outer(X), base(X) + 2.0 * mine, **close)
    torch.testing.assert_close(outer(X), base(X) + mine + change_of_lora(plain), **close)


@parametrise(FORMS, "llama", "gpt2", "t5")
@pytest.mark.parametrize("ours_first", [True, False], ids=["ours-first", "lora-first"])
def test_side_by_side_each_is_switched_saved_and_deleted(name, example, base, ours_first, tmp_path):
    model = side_by_side(name, example, base, ours_first)
    alone = {}
    for adapter in ("plain", "mine"):
        model.set_adapter(adapter)
        alone[adapter] = logits(model)
        model.save_pretrained(tmp_path / adapter)
        again = make(base)
        again.load_adapter(str(tmp_path / adapter))
        assert torch.equal(logits(again), alone[adapter])
    assert not torch.equal(alone["plain"], alone["mine"])
    without_warnings(model.delete_adapter, "mine")
    model.set_adapter("plain")
    assert torch.equal(logits(model), alone["plain"])


@parametrise(FORMS)
def test_one_peft_model_inside_another_adds_up_too(name, example):
    inner = get_peft_model(make("llama"), lora(), adapter_name="plain")
    mine = config_of(name, example, "llama", init_weights=False)
    outer = without_warnings(get_peft_model, inner, mine, adapter_name="mine")
    layer, base, ours, plain = parts(outer.get_base_model().get_base_model())
    change = change_of(ours, "mine", X)
    outputs = logits(outer)
    with weigh(outer, {"plain": 0.5, "mine": 2.0}):
        expected = base(X) + 2.0 * change + 0.5 * change_of_lora(plain)
        torch.testing.assert_close(layer(X), expected, atol=1e-5, rtol=1e-4)
    assert torch.equal(logits(outer), outputs)


# refusals


@pytest.mark.parametrize(
    ("weights", "setting", "value", "rule"),
    [
        ({"defualt": 1.0}, "adapter", "'defualt'", ""),
        ({}, "weights", "", "is empty"),
        ({"default": float("nan")}, "The weight of adapter 'default'", "nan", ""),
        ({"other": float("inf")}, "The weight of adapter 'other'", "inf", ""),
        ({"other": "half"}, "The weight of adapter 'other'", "'half'", ""),
        ({"other": True}, "The weight of adapter 'other'", "True", ""),
    ],
)
def test_weights_that_are_none_are_refused_before_anything_changes(weights, setting, value, rule):
    model = with_two_adapters("qtha", "AB", "llama")
    outputs = logits(model)
    with refused(setting, value, rule=rule):
        weigh(model, {"default": 0.5, **weights} if weights else weights)
    assert torch.equal(logits(model), outputs)


def test_a_model_without_adapters_has_none_to_weigh():
    with refused("The model", rule="no adapters"):
        weigh(make("llama"), {"default": 1.0})


@pytest.mark.parametrize("kind", ["dora", "ia3", "vera"])
def test_methods_of_peft_without_such_a_factor_are_refused(kind):
    method = adapters.get_method(kind)
    model = adapters.add_adapter(make("llama"), method.make_config(None, TARGETS["llama"]))
    with refused("Weighted adapters", "'default'"):
        weigh(model, {"default": 0.5})


def test_heads_of_several_adapters_are_not_weighed_but_one_is():
    model = with_two_adapters("qtha", "AB", "bert", modules_to_save=["classifier"])
    with refused("At most one weighted adapter", "'default' and 'other'"):
        weigh(model, {"default": 0.5, "other": 0.5})
    head = model.base_model.model.classifier
    with weigh(model, {"other": 0.5}):
        assert head.active_adapters == ["other"]
    assert head.active_adapters == ["default"]


def test_another_adapter_of_the_same_method_goes_on_by_the_same_door():
    model = adapted("qtha", "AB", "llama")
    outputs = logits(model)
    again = adapters.add_adapter(model, config_of("qtha", "ABC", "llama"), name="second")
    assert again is model
    assert list(model.peft_config) == ["default", "second"]
    assert torch.equal(logits(model), outputs)
    with refused("The adapter name", "'second', which the model has"):
        adapters.add_adapter(model, config_of("qtha", "ABC", "llama"), name="second")


@pytest.mark.parametrize("mixed", [True, False])
def test_a_peft_model_of_another_method_says_which_way_works(mixed):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`")  # peft reads it
        model = get_peft_model(make("llama"), lora(), mixed=mixed)
    config = config_of("qtha", "AB", "llama")
    with refused("with lora", "qtha", rule="adapters of the same method"):
        adapters.add_adapter(model, config, name="second")


def test_names_that_clash_with_a_prefix_of_peft_are_refused_too(tmp_path):
    with refused("adapter name", "'ora'"):
        adapters.add_adapter(make("llama"), lora(), name="ora")
    adapters.add_adapter(make("llama"), lora()).save_pretrained(tmp_path)
    with refused("adapter name", "'ora'"):
        adapters.load_adapter(make("llama"), tmp_path, adapter_name="ora")


@parametrise(FORMS)
def test_names_that_clash_are_refused_by_every_path_that_loads(name, example, tmp_path):
    adapted(name, example, "llama").save_pretrained(tmp_path)
    with refused("adapter name", f"'{name}'"):
        adapters.load_adapter(make("llama"), tmp_path, adapter_name=name)
    with refused("adapter name", f"'{name}'"):
        without_warnings(PeftModel.from_pretrained, make("llama"), tmp_path, adapter_name=name)
    with refused("adapter name", f"'{name}'"):
        make("llama").load_adapter(str(tmp_path), adapter_name=name)
