"""Facts that hold for every method of ours on every shape of layer, and for peft's own by name.

A new method is tested here without an edit: its `examples` are the configs tried.
"""

import copy
import json
import pickle
import warnings

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from support.refusals import refused
from support.small_models import (
    EXAMPLES,
    FORMS,
    OURS,
    TARGETS,
    TOKENS,
    adapted,
    change_of,
    config_of,
    logits,
    make,
    on_models,
    our_layers,
    run,
    trainable,
)
from torch import nn

from qtha_lab import adapters
from qtha_lab.adapters.change import Layer

PEFTS = [name for name in adapters.method_names() if not adapters.get_method(name).ours]
every_example = pytest.mark.parametrize(
    ("name", "example"), EXAMPLES, ids=[f"{n}-{e}" for n, e in EXAMPLES]
)
# What PEFT does with an adapter whatever its mathematics: one linear example of each method and one
# that is not,
# the others among the slow tests.
every_form = pytest.mark.parametrize(
    ("name", "example"),
    [
        pytest.param(*pair, id="-".join(pair), marks=[] if pair in FORMS else [pytest.mark.slow])
        for pair in EXAMPLES
    ],
)
# Every example on one model; on the others, where layers are of other kinds and shapes, one linear
# example of each method and one that is not.
every_example_on_every_model = on_models(
    {base: EXAMPLES if base == "llama" else FORMS for base in TARGETS}
)


# start, count, gradients


@every_example_on_every_model
def test_an_adapter_changes_nothing_at_the_start(name, example, base):
    model = adapted(name, example, base, init_weights=True)
    assert torch.equal(logits(model), logits(make(base)))


@every_example_on_every_model
def test_counted_parameters_equal_the_formula(name, example, base):
    config = config_of(name, example, base)
    counted = adapters.count_trainable(make(base), config)
    model = adapted(name, example, base)
    layers = [m.changes["default"].layer for m in our_layers(model)]
    by_formula = model.peft_config["default"].n_parameters_of(layers)  # shared tensors once
    assert counted == model.get_nb_trainable_parameters()[0] == by_formula


@every_example_on_every_model
def test_gradients_reach_every_trainable_tensor_and_none_of_the_base(name, example, base):
    model = adapted(name, example, base)
    run(model).square().sum().backward()
    for tensor_name, p in model.named_parameters():
        if f".{name}_" not in tensor_name:
            assert p.grad is None, tensor_name
        elif p.requires_grad:
            assert p.grad.abs().max() > 0, tensor_name
        else:
            assert p.grad is None, tensor_name


@every_example
def test_training_moves_only_the_adapter(name, example):
    model = adapted(name, example, "llama", init_weights=True).train()
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    optimizer = torch.optim.AdamW(trainable(model).values(), lr=1e-2, weight_decay=0)
    losses = []
    for _ in range(8):
        loss = model(input_ids=TOKENS, labels=TOKENS).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    moved = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    assert moved == set(trainable(model))


@every_example
def test_the_change_at_one_layer_is_what_the_mathematics_says(name, example):
    model = adapted(name, example, "llama")
    layer = our_layers(model)[1]  # a grouped value projection, 32 → 16
    x = torch.randn(2, 5, 32)
    outputs = change_of(layer, "default", x)
    torch.testing.assert_close(layer(x) - layer.base_layer(x), outputs, atol=1e-6, rtol=1e-4)
    assert outputs.abs().max() > 0


# life: save, load, switch, disable, delete, unload, merge


@every_example_on_every_model
def test_saved_and_loaded_gives_the_same_bits_by_every_path(name, example, base, tmp_path):
    model = adapted(name, example, base)
    outputs = logits(model)
    model.save_pretrained(tmp_path)
    assert torch.equal(logits(adapters.load_adapter(make(base), tmp_path)), outputs)
    low = PeftModel.from_pretrained(make(base), tmp_path, low_cpu_mem_usage=True)
    assert torch.equal(logits(low), outputs)
    if base == "mlp":  # no model of transformers, which the second path is for
        return
    plain = make(base)
    report = plain.load_adapter(str(tmp_path), adapter_name="other")
    assert not report.missing_keys
    assert not report.unexpected_keys
    assert torch.equal(logits(plain), outputs)


@every_example
def test_a_saved_config_rebuilds_everything(name, example, tmp_path):
    config = config_of(name, example, "llama")
    config.save_pretrained(tmp_path)
    again = type(config).from_pretrained(tmp_path)
    assert again == config
    saved = json.loads((tmp_path / "adapter_config.json").read_text())["peft_type"]
    assert saved.partition(" ")[0] == name.upper()  # a method of ours also names its package


@every_form
def test_loaded_for_use_is_frozen_and_loaded_for_training_is_not(name, example, tmp_path):
    model = adapted(name, example, "llama")
    expected = set(trainable(model))
    model.save_pretrained(tmp_path)
    assert not trainable(adapters.load_adapter(make("llama"), tmp_path))
    resumed = adapters.load_adapter(make("llama"), tmp_path, is_trainable=True)
    assert set(trainable(resumed)) == expected


@every_example_on_every_model
def test_adapters_switch_add_up_disable_delete_and_unload(name, example, base):
    model = adapted(name, example, base)
    first = logits(model)
    model.add_adapter("second", config_of(name, example, base, init_weights=False))
    assert torch.equal(logits(model), first)
    model.set_adapter("second")
    second = logits(model)
    assert not torch.equal(second, first)
    with model.disable_adapter():
        assert torch.equal(logits(model), logits(make(base)))
    assert torch.equal(logits(model), second)
    model.base_model.set_adapter(["default", "second"])
    layer = our_layers(model)[0]
    x = torch.randn(3, layer.in_features)
    parts = [change_of(layer, n, x) for n in ("default", "second")]
    torch.testing.assert_close(layer(x), layer.base_layer(x) + sum(parts), atol=1e-5, rtol=1e-4)
    model.set_adapter("second")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.delete_adapter("second")
    assert torch.equal(logits(model), first)
    assert not any(".second" in n for n in model.state_dict())
    assert torch.equal(logits(model.unload()), logits(make(base)))


@every_example_on_every_model
def test_linear_adapters_merge_and_others_say_what_to_do(name, example, base):
    model = adapted(name, example, base)
    outputs = logits(model)
    if not adapters.get_method(name).is_linear(model.peft_config["default"]):
        with refused("Adapter 'default'", rule="cannot be merged", error=NotImplementedError):
            model.merge_adapter()
        with refused(remedy="unload", error=NotImplementedError):
            model.merge_and_unload()
        assert torch.equal(logits(model), outputs)
        return
    model.merge_adapter(safe_merge=True)
    torch.testing.assert_close(logits(model), outputs, atol=1e-5, rtol=1e-4)
    model.unmerge_adapter()
    assert torch.equal(logits(model), outputs)  # the weight is put back bit by bit
    merged = model.merge_and_unload()
    torch.testing.assert_close(logits(merged), outputs, atol=1e-5, rtol=1e-4)
    assert not our_layers(merged)


@every_form
def test_copies_and_pickles_compute_the_same(name, example):
    model = adapted(name, example, "llama")
    outputs = logits(model)
    assert torch.equal(logits(copy.deepcopy(model)), outputs)
    assert torch.equal(logits(pickle.loads(pickle.dumps(model))), outputs)


# precision, checkpointing, generation


@every_example_on_every_model
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
def test_a_half_precision_model_keeps_its_dtype_and_the_adapter_is_float32(
    name, example, base, dtype
):
    model = adapted(name, example, base, dtype)
    outputs = run(model)
    outputs.float().square().mean().backward()
    assert outputs.dtype == dtype
    assert torch.isfinite(outputs).all()
    for tensor_name, p in model.named_parameters():
        assert p.dtype == (torch.float32 if f".{name}_" in tensor_name else dtype), tensor_name
        assert p.grad is None or torch.isfinite(p.grad).all(), tensor_name
    start = adapted(name, example, base, dtype, init_weights=True)
    assert torch.equal(logits(start), logits(make(base, dtype)))


@every_form
def test_under_autocast_the_change_is_still_computed_in_float32(name, example):
    layer = our_layers(adapted(name, example, "llama"))[0]
    x = torch.randn(2, 3, 32)
    exact = layer._changes(x, layer.base_layer(x), ["default"])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer._changes(x, layer.base_layer(x), ["default"]), exact)
        assert layer(x).dtype == torch.bfloat16


@every_form
def test_an_adapter_cast_to_half_by_hand_still_runs(name, example):
    model = adapted(name, example, "llama").to(torch.bfloat16)
    assert torch.isfinite(logits(model)).all()


@every_example
def test_dropout_acts_only_while_training(name, example):
    model = adapted(name, example, "llama", dropout=0.5)
    assert torch.equal(logits(model), logits(adapted(name, example, "llama")))
    model.train()
    assert not torch.equal(logits(model), logits(model))


# where adapters go


@every_form
def test_layers_heads_biases_and_exclusions_are_honoured(name, example):
    config = config_of(
        name, example, "bert", modules_to_save=["classifier"], layers_to_transform=[1],
        exclude_modules=["value"], bias="all",
    )  # fmt: skip
    model = adapters.add_adapter(make("bert"), config)
    (layer,) = our_layers(model)
    assert layer.changes["default"].layer == Layer(
        32, 32, "bert.encoder.layer.1.attention.self.query", 1, 2
    )
    moving = trainable(model)
    assert any("classifier" in n for n in moving)
    assert any(n.endswith("LayerNorm.bias") for n in moving)


@every_form
def test_a_classification_head_is_trained_saved_and_loaded_with_the_adapter(
    name, example, tmp_path
):
    config = config_of(name, example, "bert", init_weights=False)
    config.task_type = "SEQ_CLS"
    model = adapters.add_adapter(make("bert"), config)
    head = [p for n, p in trainable(model).items() if "classifier" in n]
    assert len(head) == 2
    with torch.no_grad():
        head[0].normal_()
    assert adapters.count_trainable(make("bert"), config) == sum(
        p.numel() for n, p in trainable(model).items() if "classifier" not in n
    )
    model.save_pretrained(tmp_path)
    assert torch.equal(logits(adapters.load_adapter(make("bert"), tmp_path)), logits(model))


@every_form
def test_all_linear_layers_can_be_meant(name, example):
    config = config_of(name, example, "llama")
    config.target_modules = "all-linear"
    model = adapters.add_adapter(make("llama"), config)
    assert len(our_layers(model)) == 2 * 7


@every_form
def test_a_model_without_weights_can_be_counted_and_stays_as_it_was(name, example):
    empty = make("llama").to("meta")
    before = [n for n, _ in empty.named_modules()]
    config = config_of(name, example, "llama")
    assert adapters.count_trainable(empty, config) == adapters.count_trainable(
        make("llama"), config
    )
    assert [n for n, _ in empty.named_modules()] == before
    assert config.base_model_name_or_path is None


# what every method declares


@pytest.mark.parametrize("name", adapters.method_names())
def test_a_method_has_summary_equation_and_source(name):
    method = adapters.get_method(name)
    assert method.summary.endswith(".")
    assert method.source
    assert 1e-5 < method.default_learning_rate < 1
    for setting_name, setting in method.settings().items():
        assert setting.help, setting_name
        setting.check(setting.default)
    config = method.make_config(target_modules=["x"])
    assert adapters.method_of(config) is method
    beside = {
        setting.name for setting in getattr(method, "beside", ())
    }  # read by ours, no field of PEFT's
    for setting_name, setting in method.settings().items():
        if setting_name in beside:
            continue
        assert getattr(config, setting_name) == setting.default


@pytest.mark.parametrize("name", PEFTS)
def test_a_method_of_peft_is_attached_counted_and_trained_by_name(name):
    method = adapters.get_method(name)
    small = {"n_frequency": 100} if "n_frequency" in method.settings() else {}
    config = method.make_config("CAUSAL_LM", list(TARGETS["llama"]), **small)
    counted = adapters.count_trainable(make("llama"), config)
    model = adapters.add_adapter(make("llama"), config)
    assert counted == model.get_nb_trainable_parameters()[0]
    model(input_ids=TOKENS, labels=TOKENS).loss.backward()
    assert all(p.grad is not None for p in trainable(model).values())


@pytest.mark.parametrize("name", PEFTS)
def test_adapters_of_peft_load_by_the_same_door(name, tmp_path):
    method = adapters.get_method(name)
    small = {"n_frequency": 100} if "n_frequency" in method.settings() else {}
    model = adapters.add_adapter(
        make("llama"), method.make_config("CAUSAL_LM", list(TARGETS["llama"]), **small)
    )
    with torch.no_grad():
        for p in trainable(model).values():
            p.add_(0.01)
    model.save_pretrained(tmp_path)
    loaded = adapters.load_adapter(make("llama"), tmp_path)
    torch.testing.assert_close(logits(loaded), logits(model), atol=1e-5, rtol=1e-4)


def test_dora_is_lora_with_its_switch():
    assert adapters.get_method("dora").make_config().use_dora
    assert not adapters.get_method("lora").make_config(r=4).use_dora


def test_ia3_scales_the_input_of_feed_forward_layers():
    config = adapters.get_method("ia3").make_config(target_modules=["q_proj", "down_proj"])
    assert config.feedforward_modules == {"down_proj"}


# refusals


def test_an_unknown_method_is_answered_with_the_nearest():
    with refused("method", "'qhta'", remedy="'qtha'"):
        adapters.get_method("qhta")


@pytest.mark.parametrize(
    ("name", "options", "setting", "value"),
    [
        ("lora", {"rank": 4}, "setting of method lora", "'rank'"),
        ("lora", {"lora_alpa": 4}, "setting of method lora", "'lora_alpa'"),
        ("lora", {"r": 0}, "r", "0"),
        ("lora", {"use_dora": True}, "setting of method lora", "'use_dora'"),
        ("qtha", {"wiast": 16}, "setting of method qtha", "'wiast'"),
    ],
)
def test_options_are_refused_before_anything_is_loaded(name, options, setting, value):
    with refused(setting, value):
        adapters.get_method(name).check(options)


@pytest.mark.parametrize(
    ("targets", "sentence"),
    [
        (["q_prj"], "must match modules of the model, got 'q_prj'. Did you mean 'q_proj'"),
        (["q_proj", "nothing"], "Linear layers here are q_proj, k_proj, v_proj, o_proj, gate_proj"),
        (r".*\.c_attn", r"must match modules of the model, got '.*c_attn'"),
        ([], "target_modules is empty"),
    ],
)
def test_targets_that_match_nothing_are_answered_with_what_exists(targets, sentence):
    with pytest.raises(ValueError, match=sentence):
        adapters.check_targets(make("llama"), targets)
    with pytest.raises(ValueError, match=sentence):
        adapters.count_trainable(make("llama"), LoraConfig(target_modules=targets))


@every_example
def test_a_layer_that_is_not_linear_is_refused_by_name(name, example):
    config = config_of(name, example, "llama")
    config.target_modules = {"embed_tokens"}
    with refused(f"{name}: target_modules", "a Embedding"):
        adapters.add_adapter(make("llama"), config)


def test_a_layer_whose_forward_is_never_called_is_refused():
    model = nn.Sequential(nn.MultiheadAttention(8, 2))
    config = adapters.QthaConfig(r=2, target_modules=["0.out_proj"])
    with refused("qtha", "NonDynamicallyQuantizableLinear"):
        adapters.add_adapter(model, config)


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("clash", ["whole", "part", "with-underscore", "dot"])
def test_an_adapter_name_that_clashes_with_the_prefix_is_refused(name, clash):
    bad = {"whole": name, "part": name[1:3], "with-underscore": f"{name}_", "dot": "a.b"}[clash]
    example = next(iter(adapters.get_method(name).examples))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with refused("adapter name", f"'{bad}'"):
            adapters.add_adapter(make("llama"), config_of(name, example, "llama"), name=bad)
        model = adapted(name, example, "llama")
        with refused("adapter name", f"'{bad}'"):
            model.add_adapter(bad, config_of(name, example, "llama"))
        assert list(model.peft_config) == ["default"]


def test_a_folder_without_an_adapter_is_refused(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"must hold an adapter, got no adapter_config\.json"
    ):
        adapters.load_adapter(make("llama"), tmp_path)


def test_an_adapter_of_an_unknown_method_is_named(tmp_path):
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "QHTA"}')
    with refused("adapter method", "'qhta'"):
        adapters.load_adapter(make("llama"), tmp_path)


@pytest.mark.parametrize("what", ["missing", "unexpected"])
def test_missing_and_unexpected_tensors_are_named(what, tmp_path):
    from safetensors.torch import load_file, save_file

    adapted("qtha", "ABC", "llama").save_pretrained(tmp_path)
    file = tmp_path / "adapter_model.safetensors"
    tensors = load_file(file)
    name = next(n for n in tensors if n.endswith("q_proj.qtha_A"))
    tensor = tensors.pop(name)
    if what == "unexpected":
        tensors |= {name: tensor, f"{name}_more": tensor.clone()}
    save_file(tensors, file)
    with refused(value=f"1 {what} tensor"):
        adapters.load_adapter(make("llama"), tmp_path)


def test_an_adapter_for_another_model_is_refused(tmp_path):
    adapted("qtha", "ABC", "llama").save_pretrained(tmp_path)
    with refused(value="must fit this model, got"):
        adapters.load_adapter(make("gpt2"), tmp_path)


def test_a_plain_module_can_be_adapted_too():
    model = nn.Sequential(nn.Linear(6, 10), nn.Tanh(), nn.Linear(10, 3))
    config = adapters.QthaConfig(r=2, waist=4, bond_dim=2, target_modules=["0", "2"])
    x = torch.randn(4, 6)
    before = model(x)
    assert torch.equal(get_peft_model(model, config)(x), before)
