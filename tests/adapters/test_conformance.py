"""Checks of PEFT's own test suite, for our methods on every small model.

`test_adapters` holds the mathematics and the life of one adapter; here are several adapters, what
is
saved of them, precision, checkpointing and the refusals. PEFT's own matrix is run by `make
peft-matrix`.
"""

import math

import pytest
import torch
from peft import (
    PeftModel,
    convert_to_lora,
    get_base_model_state_dict,
    get_peft_model,
    get_peft_model_state_dict,
    prepare_model_for_kbit_training,
    set_base_model_state_dict,
    set_peft_model_state_dict,
)
from safetensors.torch import load_file
from support.refusals import refused
from support.small_models import (
    FORMS,
    LINEAR,
    TARGETS,
    TOKENS,
    adapted,
    config_of,
    inputs,
    logits,
    make,
    our_layers,
    parametrise,
    run,
    trainable,
    with_two_adapters,
    without_warnings,
)

from qtha_lab import adapters

TRANSFORMERS = [base for base in TARGETS if base != "mlp"]
READ_TOKENS = [base for base in TRANSFORMERS if base != "vision"]
# attributes and names


@parametrise(FORMS, *TARGETS)
def test_a_model_has_the_attributes_and_status_of_peft_models(name, example, base):
    model = with_two_adapters(name, example, base)
    assert callable(model.save_pretrained)
    assert callable(model.from_pretrained)
    assert callable(model.push_to_hub)
    assert model.active_adapters == ["default"]
    assert list(model.peft_config) == ["default", "other"]
    status = model.get_model_status()
    assert (status.enabled, status.active_adapters) == (True, ["default"])
    assert status.available_adapters == ["default", "other"]
    assert status.adapter_model_type == type(model.base_model).__name__
    for layer in our_layers(model):
        assert layer.adapter_layer_names
        assert repr(layer).startswith(f"{name}.{type(layer).__name__}(")
        assert layer._all_available_adapter_names() == ["default", "other"]
    assert f"{name}." in repr(model)


@parametrise(FORMS)
def test_the_adapter_has_the_name_it_was_given_in_every_tensor(name, example):
    config = config_of(name, example, "llama")
    model = adapters.add_adapter(make("llama"), config, name="my-adapter_2")
    own = {n for n in model.state_dict() if f".{name}_" in n}
    assert own
    assert all(n.endswith(".my-adapter_2") for n in own)
    assert model.active_adapters == ["my-adapter_2"]


# saving and loading


@parametrise(FORMS, *TARGETS)
def test_chosen_adapters_are_saved_and_load_beside_each_other(name, example, base, tmp_path):
    model = with_two_adapters(name, example, base)
    model.save_pretrained(tmp_path / "all")
    again = PeftModel.from_pretrained(make(base), tmp_path / "all")
    again.load_adapter(tmp_path / "all" / "other", "other", low_cpu_mem_usage=True)
    for chosen in ("default", "other"):
        model.set_adapter(chosen)
        again.set_adapter(chosen)
        assert torch.equal(logits(again), logits(model)), chosen
    model.save_pretrained(tmp_path / "one", selected_adapters=["other"])
    assert [p.name for p in (tmp_path / "one").iterdir() if p.is_dir()] == ["other"]
    assert not (tmp_path / "one" / "adapter_config.json").exists()


@parametrise(FORMS)
def test_names_that_are_parts_of_each_other_are_saved_apart(name, example, tmp_path):
    model = adapted(name, example, "llama")
    count = len(get_peft_model_state_dict(model))
    for other in ("default2", "other_default", "foodefault_bar", "efaul"):
        model.add_adapter(other, config_of(name, example, "llama"))
    model.save_pretrained(tmp_path, selected_adapters=["default"])
    assert len(load_file(tmp_path / "adapter_model.safetensors")) == count


@parametrise(FORMS, "llama", "t5")
def test_the_base_can_be_taken_out_and_put_back(name, example, base):
    model = adapted(name, example, base)
    taken = get_base_model_state_dict(model)
    plain = make(base).state_dict()
    assert set(taken) == set(plain)
    assert all(torch.equal(taken[n], plain[n]) for n in plain)
    outputs = logits(model)
    with torch.no_grad():
        for p in model.get_base_model().parameters():
            p.add_(0.1)  # of the adapters too, which the base's tensors do not bring back
    result = set_base_model_state_dict(model, plain)
    assert not result.missing_keys
    assert not result.unexpected_keys
    with model.disable_adapter():
        assert torch.equal(logits(model), logits(make(base)))
    assert not torch.equal(logits(model), outputs)


@parametrise(FORMS, *TRANSFORMERS)
def test_without_weights_a_model_is_adapted_then_filled(name, example, base, tmp_path):
    model = adapted(name, example, base)
    model.save_pretrained(tmp_path)
    empty = get_peft_model(make(base), model.peft_config["default"], low_cpu_mem_usage=True)
    assert all(t.is_meta for n, t in empty.named_parameters() if f".{name}_" in n)
    report = empty.load_adapter(tmp_path, "default", low_cpu_mem_usage=True)
    assert not report.missing_keys
    assert torch.equal(logits(empty), logits(model))


# several adapters: deletion, unloading, switching gradients


@parametrise(FORMS, *TARGETS)
def test_adapters_are_deleted_active_inactive_last_and_never_unknown(name, example, base):
    model = with_two_adapters(name, example, base)
    outputs = logits(model)
    with pytest.raises(ValueError, match="Adapter unknown does not exist"):
        model.delete_adapter("unknown")
    model.delete_adapter("other")  # not active: no warning
    assert torch.equal(logits(model), outputs)
    assert list(model.peft_config) == ["default"]
    for layer in our_layers(model):
        for attribute in (*layer.adapter_layer_names, *layer.other_param_names):
            assert "other" not in getattr(layer, attribute)
    without_warnings(model.delete_adapter, "default")
    assert model.active_adapters == []
    assert torch.equal(logits(model.base_model.model), logits(make(base)))


@parametrise(FORMS, "llama", "t5", "mlp")
def test_gradients_are_switched_by_adapter(name, example, base):
    model = with_two_adapters(name, example, base)
    own = {
        adapter: {n.replace(".default", f".{adapter}") for n in trainable(model)}
        for adapter in ("default", "other")
    }
    model.set_requires_grad("default", requires_grad=False)
    assert not trainable(model)
    model.set_requires_grad(["default", "other"])
    assert trainable(model).keys() == own["default"] | own["other"]
    model.set_adapter("other", inference_mode=True)
    assert not trainable(model)
    model.set_adapter("other")
    assert trainable(model).keys() == own["other"]


@parametrise(FORMS, *TARGETS)
def test_a_batch_cannot_mix_adapters_and_generating_cannot_either(name, example, base):
    model = with_two_adapters(name, example, base)
    names = ["default", "other"]
    with refused("adapter_names", error=NotImplementedError):
        model(**inputs(model), adapter_names=names)
    if base in ("llama", "gpt2", "t5"):
        with refused("adapter_names", error=NotImplementedError):
            model.generate(input_ids=TOKENS, adapter_names=names, max_new_tokens=2)


# merging


@parametrise(LINEAR, "llama", "gpt2", "mlp")
def test_several_adapters_are_merged_together_or_one_by_one(name, example, base):
    model = with_two_adapters(name, example, base)
    one = logits(model)
    model.base_model.set_adapter(["default", "other"])
    both = logits(model)
    model.merge_adapter(["default"])
    torch.testing.assert_close(logits(model), one, atol=1e-5, rtol=1e-4)
    without_warnings(model.merge_adapter, ["other"])
    torch.testing.assert_close(logits(model), both, atol=1e-5, rtol=1e-4)
    again = logits(model)
    without_warnings(model.merge_adapter)  # what is merged is not merged again
    assert torch.equal(logits(model), again)
    model.unmerge_adapter()
    assert torch.equal(logits(model), both)
    with model.disable_adapter():
        assert torch.equal(logits(model), logits(make(base)))


@parametrise(LINEAR, *TARGETS)
@pytest.mark.parametrize("safe", [False, True])
def test_half_precision_weights_take_a_merge_and_keep_their_dtype(name, example, base, safe):
    model = adapted(name, example, base, torch.float16)
    before = {n: t.clone() for n, t in model.state_dict().items()}
    outputs = logits(model)
    model.merge_adapter(safe_merge=safe)
    merged = logits(model)
    assert merged.dtype == torch.float16
    # float16 rounds a weight by 2⁻¹¹ of it, and no layer here is wider than 32
    torch.testing.assert_close(merged.float(), outputs.float(), atol=0.1, rtol=0.05)
    model.unmerge_adapter()
    assert all(torch.equal(t, before[n]) for n, t in model.state_dict().items())
    assert all(p.dtype == torch.float16 for p in model.merge_and_unload().parameters())


@parametrise(LINEAR)
def test_a_safe_merge_refuses_what_is_not_finite_and_changes_nothing(name, example):
    model = adapted(name, example, "llama")
    layer = our_layers(model)[0]
    for tensor in layer.adapter_tensors("default").values():
        tensor.data.fill_(math.nan)
    with refused("NaNs detected in the merged weights", "infinite ones or NaN"):
        model.merge_adapter(safe_merge=True)
    with refused("NaNs detected in the merged weights", "infinite ones or NaN"):
        model.merge_and_unload(safe_merge=True)
    plain = make("llama").state_dict()["model.layers.0.self_attn.q_proj.weight"]
    assert torch.equal(layer.base_layer.weight, plain)


@parametrise(LINEAR)
def test_a_linear_adapter_becomes_a_lora_of_peft_without_loss(name, example):
    config = config_of(name, example, "llama", init_weights=False)
    config.target_modules = {"q_proj"}  # of 32 inputs and outputs
    model = adapters.add_adapter(make("llama"), config).eval()
    lora_config, tensors = convert_to_lora(model, rank=32)
    lora = get_peft_model(make("llama"), lora_config).eval()
    set_peft_model_state_dict(lora, tensors)
    torch.testing.assert_close(logits(lora), logits(model), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(logits(model), logits(make("llama")))


def test_what_does_not_merge_leaves_nothing_half_merged():
    """One that merges and one that does not, on the same layers.

    Refused before the first weight moves.
    """
    model = adapted("qtha", "AB", "llama")
    model.add_adapter("circuit", config_of("qtha", "ABC", "llama", init_weights=False))
    model.base_model.set_adapter(["default", "circuit"])
    outputs = logits(model)
    with refused("Adapter 'circuit'", rule="cannot be merged", error=NotImplementedError):
        model.merge_adapter()
    assert not any(layer.merged for layer in our_layers(model))
    assert torch.equal(logits(model), outputs)


# training


@parametrise(FORMS, *TRANSFORMERS)
def test_layers_are_chosen_by_their_index(name, example, base):
    model = adapters.add_adapter(
        make(base), config_of(name, example, base, layers_to_transform=[0])
    )
    everywhere = our_layers(adapted(name, example, base))
    chosen = [layer.changes["default"].layer for layer in our_layers(model)]
    assert {layer.block for layer in chosen} == {0}
    assert 2 * len(chosen) == len(everywhere)


@parametrise(FORMS, *TRANSFORMERS)
@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing_of_either_kind_gives_the_same_gradients(name, example, base, reentrant):
    gradients = []
    for checkpointing in (False, True):
        # in float64, where a sum in another order is not seen
        model = adapted(name, example, base, torch.float64).train()
        if checkpointing:
            model.enable_input_require_grads()
            model.gradient_checkpointing_enable({"use_reentrant": reentrant})
        run(model)[..., :2].square().mean().backward()
        gradients.append({n: p.grad for n, p in trainable(model).items()})
    for tensor_name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][tensor_name], gradient, msg=tensor_name)


@parametrise(FORMS, *READ_TOKENS)
def test_a_model_prepared_for_few_bits_wants_gradients_of_its_embeddings(name, example, base):
    model = without_warnings(prepare_model_for_kbit_training, make(base))
    model = adapters.add_adapter(model, config_of(name, example, base))
    model.enable_input_require_grads()
    assert model.get_input_embeddings()(TOKENS).requires_grad
    assert all(f".{name}_" in n for n in trainable(model))


# precision, inputs, generation


@parametrise(FORMS, *TARGETS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
def test_autocast_keeps_the_answer_over_whole_and_half_weights(name, example, base, dtype):
    for weights in (torch.float32, dtype):
        model = adapted(name, example, base, weights)
        plain = logits(model)
        with torch.autocast("cpu", dtype=dtype):
            cast = logits(model)
        assert torch.isfinite(cast).all()
        assert cast.shape == plain.shape
        run(model).float().mean().backward()
        assert all(p.dtype == torch.float32 for p in trainable(model).values())


@parametrise(FORMS, *READ_TOKENS)
def test_embeddings_are_taken_for_tokens(name, example, base):
    model = adapted(name, example, base)
    more = inputs(model)
    embedded = model.get_input_embeddings()(more.pop("input_ids"))
    with torch.no_grad():
        outputs = model(inputs_embeds=embedded, **more)[0]
        torch.testing.assert_close(outputs, model(**inputs(model))[0])


@parametrise(FORMS, "gpt2", "llama", "t5")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_tokens_are_generated_with_and_without_a_name_for_the_input(name, example, base, dtype):
    model = adapted(name, example, base, dtype)
    how = {"attention_mask": torch.ones_like(TOKENS), "max_new_tokens": 3, "min_new_tokens": 3}
    named = model.generate(input_ids=TOKENS, do_sample=False, **how)
    assert torch.equal(model.generate(TOKENS, do_sample=False, **how), named)
    beams = model.generate(input_ids=TOKENS, num_beams=2, do_sample=False, **how)
    assert beams.shape == named.shape


# modules trained whole, biases


@parametrise(FORMS)
def test_each_adapter_has_its_own_head(name, example, tmp_path):
    model = with_two_adapters(name, example, "bert", modules_to_save=["classifier"])
    head = model.base_model.model.classifier
    assert set(head.modules_to_save) == {"default", "other"}
    with torch.no_grad():
        head.modules_to_save["other"].weight.add_(1.0)
    first = logits(model)
    model.set_adapter("other")
    assert not torch.equal(logits(model), first)
    assert {n for n in trainable(model) if "classifier" in n} == {
        f"base_model.model.classifier.modules_to_save.other.{n}" for n in ("weight", "bias")
    }
    model.save_pretrained(tmp_path)
    again = adapters.load_adapter(make("bert"), tmp_path / "other", adapter_name="other")
    assert torch.equal(logits(again), logits(model))
    model.set_adapter("default")
    assert torch.equal(logits(model), first)


@parametrise(FORMS, "bert", "gpt2")
@pytest.mark.parametrize("kind", ["all", "only", "none"])
def test_biases_train_are_saved_and_load(name, example, base, kind, tmp_path):
    bias = f"{name}_only" if kind == "only" else kind
    model = adapted(name, example, base, bias=bias)
    biases = {n for n in trainable(model) if f".{name}_" not in n}
    total = sum(n.endswith("bias") for n in make(base).state_dict())
    adapted_ones = len(our_layers(model))  # each of these layers has a bias
    assert len(biases) == {"all": total, "only": adapted_ones, "none": 0}[kind]
    with torch.no_grad():
        for n in biases:
            model.get_parameter(n).add_(0.1)
    model.save_pretrained(tmp_path)
    again = adapters.load_adapter(make(base), tmp_path)
    assert torch.equal(logits(again), logits(model))


@parametrise(FORMS)
def test_a_second_adapter_with_biases_is_refused_and_leaves_no_trace(name, example):
    model = adapted(name, example, "bert", bias="all")
    with pytest.raises(ValueError, match="only 1 adapter with bias"):
        model.add_adapter("other", config_of(name, example, "bert", bias="all"))
    assert list(model.peft_config) == ["default"]
    assert our_layers(model)[0]._all_available_adapter_names() == ["default"]
