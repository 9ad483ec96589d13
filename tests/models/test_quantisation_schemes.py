"""Ways to few bits.

Known answers on the bundled model, torchao as an outside oracle, and what is refused.
"""

import logging
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support.refusals import refused

from qtha_lab import models
from qtha_lab.adapters import add_adapter, get_method
from qtha_lab.adapters.prequant import outlier_mask
from qtha_lab.core.errors import Refusal
from qtha_lab.core.plugin_loading import module_name
from qtha_lab.experiment import Comparison, Experiment
from qtha_lab.experiment.cost.preview import preview
from qtha_lab.experiment.plan import resolve
from qtha_lab.experiment.validation import check_base, check_names
from qtha_lab.models.quantisation import calibration, clip_training, grid, layers, rounding_error
from qtha_lab.models.quantisation.formats import check_quantization, quantizations
from qtha_lab.models.quantisation.schemes import BITS, roste, rounding_named
from qtha_lab.tasks import load_task

IDS = torch.randint(5, 4000, (2, 12), generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_CACHE", str(tmp_path))
    monkeypatch.setattr(calibration, "ROWS", 4)


def tiny(quantization="none"):
    return models.load_model("tiny", quantization=quantization).model


@torch.no_grad()
def logits(model):
    return model(IDS).logits


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# the grid


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_a_rounded_token_is_torchaos_fake_quantiser(bits):
    from torchao.quantization.granularity import PerToken
    from torchao.quantization.qat import IntxFakeQuantizeConfig, IntxFakeQuantizer

    x = normal(3, 5, 64).float()
    config = IntxFakeQuantizeConfig(getattr(torch, f"int{bits}"), PerToken(), is_symmetric=False)
    expected = IntxFakeQuantizer(config)(x)
    torch.testing.assert_close(grid.straight_through(x, bits), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("group", [64, 16])
def test_a_rounded_weight_is_torchaos_affine_quantisation(bits, group):
    from torchao.quantization.quant_primitives import (
        MappingType,
        choose_qparams_affine,
        dequantize_affine,
        quantize_affine,
    )

    matrix, block = normal(6, 64).float(), (1, group)
    points = {"quant_min": 0, "quant_max": 2**bits - 1}
    scale, zero = choose_qparams_affine(
        matrix, MappingType.ASYMMETRIC, block, torch.uint8, **points
    )
    codes = quantize_affine(matrix, block, scale, zero, torch.uint8, **points)
    expected = dequantize_affine(codes, block, scale, zero, torch.uint8, **points)
    torch.testing.assert_close(
        grid.round_matrix(matrix, bits, group), expected, atol=1e-5, rtol=1e-5
    )


def test_a_rounded_group_has_at_most_two_to_the_bits_values_and_errs_by_half_a_step():
    matrix = normal(4, 128)
    for group in grid.round_matrix(matrix, 3, 32).reshape(-1, 32):
        assert len(group.unique()) <= 8
    step = (matrix.amax(1) - matrix.amin(1)) / 7
    error = (grid.round_matrix(matrix, 3) - matrix).abs().amax(1)
    # half a step to the nearest point, and half a step by which the grid's end is off the largest
    assert (error <= step * (1 + 1e-9)).all()


def test_the_gradient_passes_straight_through():
    x = normal(3, 8).requires_grad_()
    grid.straight_through(x, 2).sin().sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, grid.straight_through(x.detach(), 2).cos())


def test_the_best_clip_errs_no_more_than_any_on_its_grid():
    groups = grid.split_groups(normal(5, 64), 32)
    low, high = grid.ends(groups)
    best = grid.best_clip(groups, 2)

    def error(ratio):
        return (grid.on_grid(groups, ratio * low, ratio * high, 2) - groups).square().sum(-1)

    for ratio in grid.RATIOS:
        assert (error(best) <= error(ratio) + 1e-12).all()
    assert best.mean() < 0.9  # two bits of normal weights want less than the range


# known answers


def test_a_clip_that_goes_to_infinity_is_plain_rounding():
    matrix, far = normal(8, 32), torch.full((8, 1, 1), 50.0, dtype=torch.float64)
    clipped = clip_training.clipped(matrix, (far, far), None, 3, None)
    torch.testing.assert_close(clipped, grid.round_matrix(matrix, 3), atol=1e-12, rtol=0)


def test_scaled_inputs_at_16_bits_keep_the_logits():
    way = rounding_named("learned(w=16,a=16,steps=0)")
    model, whole = tiny().double(), logits(tiny().double())
    for layer in layers.with_rounded_inputs(model, 16).values():
        layer.scale = (
            torch.rand(layer.in_features, generator=torch.Generator().manual_seed(1)) + 0.5
        )
        matrix = layers.matrix_of(layer)
        far = torch.zeros(len(matrix), 1, 1)
        scale = layer.scale.double()
        layers.set_matrix(layer, clip_training.clipped(matrix, (far, far), scale, 16, None))
    torch.testing.assert_close(logits(model), whole, atol=1e-5, rtol=0)
    assert way.text == "learned(w=16,a=16,g=null,steps=0,start=grid,rate=0.01)"


@pytest.mark.parametrize("rotation", ["everywhere", "random"])
def test_rotations_at_16_bits_keep_the_logits(rotation):
    model = tiny(f"rotated(w=16,a=16,kv=16,rotations={rotation})")
    rotated = [m for m in model.modules() if isinstance(m, layers.RoundedLinear)]
    assert len(rotated) == 7 * 6
    assert all(layer.rotation is not None for layer in rotated)
    torch.testing.assert_close(logits(model), logits(tiny()), atol=1e-4, rtol=0)


@pytest.mark.parametrize("make", [roste.hadamard, roste.random_orthogonal])
@pytest.mark.parametrize("size", [32, 192, 512, 576, 1536])
def test_rotations_are_orthogonal(make, size):
    matrix = make(size)
    torch.testing.assert_close(matrix @ matrix.mT, torch.eye(size, dtype=torch.float64))


@pytest.mark.parametrize("size", [192, 512])
def test_a_one_hot_vector_is_spread_over_all_coordinates(size):
    one_hot = torch.eye(size, dtype=torch.float64)[3]
    rms = one_hot.square().mean().sqrt()
    assert one_hot.max() / rms == pytest.approx(size**0.5)
    rotated = one_hot @ roste.hadamard(size)
    assert rotated.abs().max() / rotated.square().mean().sqrt() == pytest.approx(1)


def test_keys_at_many_bits_are_kept_and_at_few_are_rounded():
    x, rotation = normal(1, 2, 5, 32), roste.hadamard(32)
    torch.testing.assert_close(rounding_error.rotated_and_rounded(x, rotation, 16), x)
    far = (rounding_error.rotated_and_rounded(x, rotation, 2) - x).norm() / x.norm()
    assert 0.1 < far < 1


def test_no_outlier_is_plain_rounding_and_all_of_them_the_whole_model():
    whole = tiny()
    for fraction, expected in ((0.0, tiny("round(w=3,g=null)")), (1.0, whole)):
        model = tiny(f"outliers(w=3,fraction={fraction})")
        assert torch.equal(logits(model), logits(expected))
    some = tiny("outliers(w=3,fraction=0.02)")
    name = "model.layers.2.mlp.down_proj"
    before, after = (m.get_submodule(name).weight for m in (whole, some))
    same = outlier_mask(before, 0.02, "farthest", name)
    assert torch.equal(before[same], after[same])
    assert len(after[0][~same[0]].unique()) <= 8


def test_prequant_marks_nearly_all_weights_that_were_kept_whole():
    whole, model = tiny(), tiny("outliers(w=4)")
    for name, layer in layers.rounded_layers(model).items():
        before = outlier_mask(layers.matrix_of(whole.get_submodule(name)), 0.005, "farthest", name)
        after = outlier_mask(layers.matrix_of(layer), 0.005, "farthest", name)
        assert (before & after).sum() / before.sum() > 0.8, name


# on a model


@pytest.mark.parametrize(
    "call",
    [
        "round(w=4)",
        "outliers(w=4)",
        pytest.param("rotated(w=8,a=8,kv=8)", marks=pytest.mark.slow),
        pytest.param("learned(w=8,a=8,steps=2)", marks=pytest.mark.slow),
    ],
)
def test_every_method_starts_at_the_rounded_base_to_the_last_bit(call):
    base = logits(tiny(call))
    assert not torch.equal(base, logits(tiny()))
    assert (base - logits(tiny())).norm() / base.norm() < 0.2
    for name, options in (("lora", {"r": 2}), ("prequant", {}), ("quanta", {"n_axes": 3})):
        model = tiny(call)
        config = get_method(name).make_config("CAUSAL_LM", ["q_proj", "v_proj"], **options)
        adapted = add_adapter(model, config)
        assert torch.equal(logits(adapted), base), name
        adapted(IDS, labels=IDS).loss.backward()
        trained = [p for p in adapted.parameters() if p.requires_grad]
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in trained), name
        if name == "prequant":
            with pytest.raises(
                NotImplementedError, match=f"must not be quantised .*, got {BITS_NAME[call]}"
            ):
                adapted.merge_adapter()


BITS_NAME = {call: call.partition("(")[0] for call in (
    "round(w=4)", "outliers(w=4)", "rotated(w=8,a=8,kv=8)", "learned(w=8,a=8,steps=2)",
)}  # fmt: skip


def test_a_generated_answer_is_that_of_whole_passes_over_rounded_keys():
    model = tiny("rotated(w=4,a=4,kv=4)")
    written = model.generate(IDS[:1], max_new_tokens=4, min_new_tokens=4, do_sample=False)
    text = IDS[:1]
    for _ in range(4):
        with torch.no_grad():
            text = torch.cat([text, model(text).logits[:, -1:].argmax(-1)], 1)
    assert torch.equal(written, text)


LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def with_all_weights(quantization, seed=None):
    """The toy with every weight of its linear layers in an adapter; a seed changes them."""
    config = get_method("prequant").make_config("CAUSAL_LM", LINEAR, fraction=1.0)
    model = add_adapter(tiny(quantization), config)
    if seed is not None:
        torch.manual_seed(seed)
        with torch.no_grad():
            for tensor in model.parameters():
                if tensor.requires_grad:
                    tensor.normal_(std=3e-3)
    return model


def test_weights_are_trained_through_the_rounding_from_the_unrounded_ones():
    call = "rotated(rotations=nowhere,training=qat)"
    whole, model = tiny(), with_all_weights(call)
    assert torch.equal(logits(model), logits(tiny(call)))
    name = "model.layers.3.mlp.down_proj"
    layer = model.base_model.model.get_submodule(name)
    before = whole.get_submodule(name).weight
    assert torch.equal(layer.base_layer.weight, before)
    with torch.no_grad():
        rounded = layer(torch.eye(512)).mT  # 4 bits keep a one-hot input
    torch.testing.assert_close(rounded, grid.round_matrix(before, 4), atol=1e-6, rtol=0)
    model(IDS, labels=IDS).loss.backward()
    trained = [p for p in model.parameters() if p.requires_grad]
    assert sum(p.numel() for p in trained) == 6 * (2 * 192 * 192 + 2 * 192 * 64 + 3 * 192 * 512)
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in trained)


def test_the_gradient_of_a_change_is_that_of_the_rounded_weight():
    layer = layers.RoundedLinear(torch.nn.Linear(8, 3), 16)
    layer.weight_bits, layer.rotation = 4, roste.hadamard(8).float()
    x, change = normal(5, 8).float(), torch.zeros(3, 8, requires_grad=True)
    pull = normal(5, 3, seed=1).float()
    (layer.with_change(x, change) * pull).sum().backward()
    expected = pull.mT @ layer.rounded(x)
    torch.testing.assert_close(change.grad, expected)  # as of y = W x̂, without the rounding


@pytest.mark.parametrize("rotated", ["nowhere", "everywhere"])
@pytest.mark.parametrize("training", ["qat", "ptq"])
def test_merged_weights_lie_on_the_grid_and_the_outputs_stay(rotated, training):
    model = with_all_weights(f"rotated(rotations={rotated},training={training})", seed=4)
    expected = logits(model)
    model.merge_adapter()
    assert torch.equal(logits(model), expected)
    model.unmerge_adapter()
    assert torch.equal(logits(model), expected)
    merged = model.base_model.merge_and_unload()
    layers.round_trained_weights(merged)
    assert torch.equal(logits(merged), expected)
    assert torch.equal(logits(merged.train()), expected)  # inputs and keys are always rounded
    for layer in layers.rounded_layers(merged).values():
        weight = layer.weight.double()
        if layer.rotation is not None:
            weight = weight @ layer.rotation.double()
        step = (weight.amax(1) - weight.amin(1)) / 15
        codes = weight / step[:, None]
        assert (codes - codes.round()).abs().max() < 1e-3
        assert max(len(row.unique()) for row in codes.round()) <= 16


def test_rounding_after_training_leaves_the_training_unrounded():
    whole = logits(with_all_weights("none", seed=4))
    models_of = {
        training: with_all_weights(f"rotated(rotations=nowhere,training={training})", seed=4)
        for training in ("ptq", "qat")
    }
    in_training = {name: logits(model.train()) for name, model in models_of.items()}
    torch.testing.assert_close(in_training["ptq"], whole, atol=1e-4, rtol=0)
    assert (in_training["qat"] - whole).abs().max() > 0.1
    in_evaluation = [logits(model.eval()) for model in models_of.values()]
    assert torch.equal(*in_evaluation)
    assert torch.equal(in_evaluation[1], in_training["qat"])


def test_an_encoder_is_rounded_too_and_its_head_is_not():
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    sizes = {
        "hidden_size": 32,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
    }
    model = BertForSequenceClassification(BertConfig(vocab_size=60, num_labels=3, **sizes)).eval()
    ids = {"input_ids": torch.arange(12).view(2, 6), "attention_mask": torch.ones(2, 6).long()}
    for call in ("learned(w=4,a=4,steps=2)", "rotated(w=4,a=4,kv=4)", "outliers(w=4)"):
        way = rounding_named(call)
        way.check(model)
        before = model(**ids).logits
        way.apply(model, way.learn(model, [ids]))
        assert not torch.equal(model(**ids).logits, before)
    assert type(model.classifier) is torch.nn.Linear


def test_learning_brings_a_block_nearer_to_the_whole_one():
    from qtha_lab.models.quantisation import calibration

    loaded = models.load_model("tiny")
    texts = calibration.calibration_texts(loaded.tokenizer, 4)
    batches = calibration.batches_of(texts, loaded.tokenizer, 32)
    block = calibration.blocks_of(loaded.model)[1][0]
    calls = calibration.first_calls(loaded.model, batches)
    with torch.no_grad():
        targets = [call.through(block) for call in calls]

    def error(call):
        trained = clip_training._Trained(rounding_named(call), block, calls[0])
        trained.train(calls, targets)
        rounded = trained.rounded_block()
        with torch.no_grad():
            return sum(
                (c.through(rounded) - t).square().mean()
                for c, t in zip(calls, targets, strict=True)
            )

    for form in ("w=2", "w=4,a=4"):
        assert error(f"learned({form},steps=20)") < error(f"learned({form},steps=0)")


# calibration


def test_calibration_rows_are_answers_of_no_evaluation_and_no_test():
    tokenizer = models.load_model("tiny").tokenizer
    texts = "\n".join(calibration.calibration_texts(tokenizer))
    assert len(calibration.calibration_texts(tokenizer)) == calibration.ROWS
    for name in ("qa", "chat"):
        task = load_task(name)
        for row in [*task.eval, *task.test]:
            for message in row["messages"]:
                if message["role"] == "assistant" and len(message["content"]) > 20:
                    assert message["content"] not in texts


def test_a_calibration_is_made_once_and_a_damaged_one_again(tmp_path, caplog):
    calls = []

    def learn():
        calls.append(1)
        return {"a": torch.arange(6.0)}

    parts = {"model": "m", "bits": "b"}
    for _ in range(2):
        assert torch.equal(calibration.cached_calibration(parts, learn)["a"], torch.arange(6.0))
    assert len(calls) == 1
    (file,) = (tmp_path / "bits").glob("*.safetensors")
    assert list(load_file(file)) == ["a"]
    whole = file.read_bytes()
    half, other = whole[: len(whole) // 2], whole[:-4] + b"\x00\x00\x80\x40"
    for number, damaged in enumerate((half, b"", other), 2):
        file.write_bytes(damaged)
        with caplog.at_level(logging.WARNING):
            assert torch.equal(calibration.cached_calibration(parts, learn)["a"], torch.arange(6.0))
        assert len(calls) == number
    assert "is computed again" in caplog.text
    calibration.cached_calibration(parts | {"bits": "c"}, learn)
    assert len(calls) == 5


def test_a_second_load_reads_what_the_first_has_learnt(tmp_path, monkeypatch):
    first = logits(tiny("rotated(w=4,a=4,kv=4)"))
    monkeypatch.setattr(type(rounding_named("rotated()")), "learn", None)  # whoever calls it fails
    assert torch.equal(logits(tiny("rotated(w=4,a=4,kv=4)")), first)
    assert len(list((tmp_path / "bits").glob("*.safetensors"))) == 1


# what is refused, and what is said


@pytest.mark.parametrize(
    ("call", "setting", "value", "rule"),
    [
        ("rounded(w=3)", "quantization", "", "one of none, int8, int4, learned, outliers, rotated, round"),
        ("int4(g=32)", "quantization", "'int4(g=32)'.", ""),
        ("round(w=1)", "quantization round: w", "1", ""),
        ("round(bits=3)", "setting of quantization round", "'bits'", ""),
        ("outliers(fraction=2)", "quantization outliers: fraction", "2", ""),
        ("rotated(rotations=some)", "quantization rotated: rotations", "'some'", ""),
        ("round(w=3", "A quantization", "'round(w=3'", ""),
    ],
)  # fmt: skip
def test_a_call_that_means_nothing_gets_a_sentence(call, setting, value, rule):
    with refused(setting, value, rule=rule):
        check_names(resolve(Experiment(quantization=call)))


def test_bits_that_a_layer_cannot_take_are_refused_before_any_work():
    with refused("quantization", "g=100"):
        check_base(resolve(Experiment(quantization="round(w=3,g=100)")))
    with refused("rotations", "size 34 at some_proj"):
        roste.check_size(34, "some_proj")
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(GPT2Config(vocab_size=8, n_embd=8, n_head=2, n_layer=1))
    check_quantization("round(w=3,g=8)", model)
    with refused("quantization", "transformer.h.0.attn.c_attn, a Conv1D"):
        check_quantization("learned()", model)


def test_prequant_refuses_a_base_of_other_bits_than_it_is_told():
    def of(quantization):
        return resolve(Experiment(method="prequant(fraction=0.01,w=4)", quantization=quantization))

    check_base(of("outliers(w=4)"))
    for quantization, base in (("none", "an unquantised one"), ("round(w=3)", "3"), ("int8", "8")):
        with pytest.raises(
            Refusal,
            match=(
                rf"must have 4 bits for prequant\(w=4\), got {base}. Set quantization to"
                r" outliers\(w=4,fraction=0.01\)"
            ),
        ):
            check_base(of(quantization))


def test_a_change_that_is_no_weight_is_refused_where_weights_are_rounded_with_it():
    def of(method, training="qat"):
        quantization = f"rotated(rotations=nowhere,training={training})"
        return resolve(Experiment(method=method, quantization=quantization))

    check_base(of("prequant(fraction=1)"))
    check_base(of("lora(r=2)", "frozen"))
    for method in ("lora(r=2)", "qtha(r=4)"):
        with refused(rule="a linear method of qtha-lab"):
            check_base(of(method))
    with refused("dropout", "0.1"):
        check_base(of("prequant(fraction=1,dropout=0.1)", "ptq"))


def test_a_way_of_a_plugin_is_used_by_its_name(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "howto" / "few_bits.md").read_text()
    file = tmp_path / "ternary.py"
    file.write_text(page.split("```python\n")[1].split("```")[0])
    try:
        check_names(resolve(Experiment(quantization="ternary(s=0.05)", plugins=[str(file)])))
        weight = tiny("ternary(s=0.05)").get_submodule("model.layers.0.mlp.up_proj").weight
        torch.testing.assert_close(weight.unique(), torch.tensor([-0.05, 0.0, 0.05]))
    finally:
        BITS.forget(module_name(str(file)))


def test_gpt2s_transposed_weights_are_rounded_along_their_inputs():
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=8, n_embd=16, n_head=2, n_layer=1))
    layer = model.transformer.h[0].mlp.c_fc
    expected = grid.round_matrix(layer.weight.detach().double().mT, 3, 8)
    rounding_named("round(w=3,g=8)").apply(model, {})
    torch.testing.assert_close(layer.weight.double().mT, expected, atol=1e-6, rtol=0)


def test_a_missing_torchao_gets_a_sentence(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with refused("Quantisation with Hadamard matrices", rule="without torchao"):
        roste.check_size(192, "q_proj")


def test_the_preview_says_that_no_memory_is_saved():
    found = preview(Experiment(method="lora(r=2)", quantization="round(w=3,g=64)")).warnings
    assert any(
        "fake-quantised" in line and "neither memory nor time is saved" in line for line in found
    )
    assert not any("fake-quantised" in w for w in preview(Experiment(method="lora(r=2)")).warnings)


@pytest.mark.parametrize("name", list(BITS))
def test_a_way_is_offered_described_and_written_in_every_form(name):
    info = BITS[name]
    assert info.summary.endswith(".")
    assert info.source
    assert info.example in quantizations()
    described = Comparison(quantization=info.example, methods="lora")
    assert Comparison.from_yaml(described.to_yaml()) == described
    assert info.example in described.to_command()
    assert info.example in described.to_python()
    assert rounding_named(rounding_named(info.example).text) == rounding_named(info.example)
