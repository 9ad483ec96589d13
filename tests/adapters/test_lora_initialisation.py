"""Starts of LoRA from weights and rows.

The model stays, what is saved is right on the unchanged base, bad ones are refused.
"""

import pytest
import torch
from peft import PeftModel
from support.refusals import refused
from support.small_models import TARGETS, TOKENS, logits, make
from support.trained_runs import FOUR_STEPS, work

from qtha_lab.adapters import (
    add_for_checkpoint,
    add_initialised,
    base_alone,
    check_initialisation,
    count_trainable,
    get_method,
    load_adapter,
    lora_initialisation,
    save_initialisation,
    save_whole,
    subtracted_product,
)
from qtha_lab.adapters.initialisation.lora import LORA_INITIALISATIONS
from qtha_lab.analysis.live import snapshot
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory.events import history, read_events

MASK = torch.ones_like(TOKENS)
BATCHES = [{"input_ids": TOKENS, "labels": TOKENS, "attention_mask": MASK}]
MOVING = [name for name, start in LORA_INITIALISATIONS.items() if start.moves_weight]


def config(name, base="llama", r=4, **options):
    task = "SEQ_CLS" if base == "bert" else "CAUSAL_LM"
    options |= {"r": r, "lora_alpha": 6, "init_lora_weights": name}
    made = get_method("lora").make_config(task, TARGETS[base], **options)
    made.fan_in_fan_out = base == "gpt2"  # else peft warns that it takes it to be so
    return made


def started(name, base="llama", **options):
    torch.manual_seed(0)
    batches = [BATCHES[0] | ({"labels": torch.tensor([0, 2])} if base == "bert" else {})]
    return add_initialised(make(base), config(name, base, **options), batches)


def trained(name, base="llama", **options):
    """The same a little away from its start, as after training."""
    model = started(name, base, **options)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    return model.eval()


@pytest.mark.parametrize("name", [*LORA_INITIALISATIONS, "eva"])
def test_a_start_leaves_the_model_as_it_is(name):
    before = logits(make("llama"))
    after = logits(started(name).eval())
    if lora_initialisation(config(name)).moves_weight or name == "orthogonal":
        assert torch.allclose(before, after, atol=1e-5)
    else:
        assert torch.equal(before, after)


def test_pissa_starts_at_the_largest_singular_values_and_leaves_the_others_in_the_weight():
    layer = next(m for m in started("pissa").modules() if subtracted_product(m) is not None)
    base = make("llama").model.layers[0].self_attn.q_proj.weight.detach()
    values = torch.linalg.svdvals(base)
    a, b = subtracted_product(layer)
    moved = 6 / 4 * b @ a
    assert torch.allclose(torch.linalg.svdvals(moved)[:4], values[:4], rtol=1e-4)
    rest = torch.linalg.svdvals(layer.get_base_layer().weight.detach())
    assert torch.allclose(rest[: len(values) - 4], values[4:], atol=1e-4)


def test_lora_ga_initialises_both_factors_along_the_gradient():
    base = make("llama")
    weight = base.model.layers[0].self_attn.q_proj.weight
    (gradient,) = torch.autograd.grad(base(**BATCHES[0]).loss, [weight])
    left, _, right = torch.linalg.svd(gradient)
    layer = next(m for m in started("lora_ga").modules() if subtracted_product(m) is not None)
    a, b = subtracted_product(
        layer
    )  # peft's ArB2r: A along the first r directions, B along the next r
    assert torch.linalg.matrix_rank(torch.cat([right[:4], a]), rtol=1e-3) == 4
    assert torch.linalg.matrix_rank(torch.cat([left[:, 4:8], b], 1), rtol=1e-3) == 4


def test_eva_initialises_along_the_principal_components_of_the_inputs():
    inputs = []
    model = make("llama")
    layer = model.model.layers[0].self_attn.q_proj
    layer.register_forward_hook(lambda module, arguments, output: inputs.append(arguments[0]))
    with torch.no_grad():
        model(TOKENS)
    centred = inputs[0].flatten(0, 1) - inputs[0].flatten(0, 1).mean(0)
    most = torch.linalg.svdvals(centred)[:2].norm()
    rows = started("eva", r=2).base_model.model.model.layers[0].self_attn.q_proj.lora_A["default"]
    read = torch.linalg.qr(rows.weight.detach().mT).Q
    assert 0.95 * most < (centred @ read).norm() <= most * (1 + 1e-5)  # peft's is incremental


@pytest.mark.parametrize("name", ["eva", "corda", "lora_ga", "pissa"])
def test_the_seed_alone_decides_a_start(name):
    one, other = (
        {n: p for n, p in started(name).named_parameters() if "lora" in n} for _ in range(2)
    )
    assert all(torch.equal(one[n], other[n]) for n in one)


@pytest.mark.parametrize(
    ("name", "base"),
    [*((name, "llama") for name in MOVING), ("pissa", "gpt2"), ("lora_ga", "gpt2"), ("corda", "gpt2"), ("pissa", "bert"),
     ("lora_ga", "bert"), ("corda", "bert")],
)  # fmt: skip
def test_what_is_saved_is_right_on_the_unchanged_base(name, base, tmp_path):
    model = trained(name, base)
    folder, whole = tmp_path / "adapter", tmp_path / "whole"
    model.save_pretrained(folder)
    save_initialisation(model, folder)
    expected = logits(model)
    # a checkpoint, as the lab loads it
    assert torch.allclose(logits(load_adapter(make(base), folder).eval()), expected, atol=1e-5)
    # an adapter, as PEFT alone loads it, a classification head included
    whole.mkdir()
    save_whole(folder, whole)
    loaded = PeftModel.from_pretrained(make(base), whole).eval()
    assert torch.allclose(logits(loaded), expected, atol=1e-5)
    assert loaded.peft_config["default"].r == 8
    save_whole(folder, folder)  # in its place
    assert torch.allclose(
        logits(PeftModel.from_pretrained(make(base), folder).eval()), expected, atol=1e-5
    )


@pytest.mark.parametrize("base", ["llama", "gpt2"])
def test_the_base_alone_is_the_base(base):
    model = trained("pissa", base)
    adapted = logits(model)
    with base_alone(model):
        assert torch.allclose(logits(model), logits(make(base)), atol=1e-5)
    assert torch.equal(logits(model), adapted)


def test_going_on_from_a_checkpoint_gives_the_weights_that_were_trained_on(tmp_path):
    model = trained("lora_ga", use_rslora=True)
    model.save_pretrained(tmp_path)
    save_initialisation(model, tmp_path)
    again = add_for_checkpoint(make("llama"), config("lora_ga", use_rslora=True), tmp_path)
    again.load_adapter(str(tmp_path), "default", is_trainable=True)
    assert torch.equal(logits(again.eval()), logits(model))
    assert again.peft_config["default"].init_lora_weights == "lora_ga"


def test_the_update_is_what_training_changed():
    taken = snapshot(started("olora"))["layers"].values()
    assert all(max(layer["singular_values"]) < 1e-5 for layer in taken)


@pytest.mark.parametrize("name", LORA_INITIALISATIONS)
def test_every_start_trains_as_many_numbers(name):
    # two layers, q: 32 → 32 and v: 32 → 16, r = 4
    assert count_trainable(make("llama"), config(name)) == 2 * 4 * (32 + 32 + 32 + 16)
    model = started(name)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 2 * 4 * 112


@pytest.mark.parametrize(
    ("name", "options", "facts", "rule"),
    [
        ("pissa", {}, {"quantization": "int8"}, "quantization must be none for init_lora_weights=pissa, .* got int8"),
        ("olora", {}, {"precision": "bfloat16"}, "precision must be float32"),
        ("eva", {}, {"start_rows": 0}, "start_rows must be at least 1 for init_lora_weights=eva, .* got 0"),
        ("orthogonal", {"r": 3}, {}, "r must be even for init_lora_weights=orthogonal, .* got 3"),
        ("pissa", {"r": 17}, {}, "r must be at most 16 for .*, the smaller size of model.layers.0.self_attn.v_proj, got 17"),
        ("lora_ga", {"r": 9}, {}, "2 r must be at most 16 for .*, the smaller size of .*v_proj, got 18"),
    ],
)  # fmt: skip
def test_a_start_that_makes_no_sense_is_refused(name, options, facts, rule):
    with pytest.raises(Refusal, match=rule):
        check_initialisation(make("llama"), config(name, **options), **{"start_rows": 4} | facts)


def test_layers_of_another_kind_are_refused():
    model = make("llama")
    embedding = get_method("lora").make_config(None, ["embed_tokens"], init_lora_weights="pissa")
    with refused("target_modules", "model.embed_tokens, a Embedding"):  # fmt: skip
        check_initialisation(model, embedding, start_rows=4)
    with refused("target_modules", "transformer.h.0.attn.c_attn, a Conv1D"):  # fmt: skip
        check_initialisation(make("gpt2"), config("olora", "gpt2"), start_rows=4)
    tied = make("gpt2")
    head = get_method("lora").make_config(None, ["lm_head"], init_lora_weights="pissa")
    with refused("target_modules", rule=" because another module"):
        check_initialisation(tied, head, start_rows=4)


def test_eva_without_enough_tokens_is_refused_and_does_not_wait_for_ever():
    labels = torch.full_like(TOKENS, -100)
    labels[0, 0] = 3
    with refused("init_lora_weights=eva", "1"):
        add_initialised(make("llama"), config("eva"), [BATCHES[0] | {"labels": labels}])


def test_an_experiment_is_checked_before_it_starts(tmp_path):
    for method, rule in [
        ("lora(init_lora_weights=pisa)", "did you mean 'pissa'"),
        ("lora(init_lora_weights=eva,start_rows=0)", "start_rows must be at least 1 for .*, got 0"),
        ("lora(start_rows=-1)", "start_rows must be at least 0, got -1"),
        ("dora(init_lora_weights=pissa)", "Unknown setting of method dora 'init_lora_weights'"),
    ]:
        with pytest.raises(Refusal, match=rule):
            Experiment(method=method).check(tmp_path)
    Experiment(method="lora(r=8,init_lora_weights=lora_ga,start_rows=4)").check(tmp_path)


def measured(files):
    kinds = ("train", "eval", "test", "general")
    events = [e for e in history(read_events(files.events)[0]) if e["kind"] in kinds]
    return {(e["kind"], e["step"], e.get("grad_norm")): e["loss"] for e in events}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pissa_niter_4", "lora_ga"])
def test_a_run_that_stopped_goes_on_bit_for_bit_and_its_adapter_is_its_model(name, tmp_path):
    method = f"lora(r=2,init_lora_weights={name},start_rows=4,learning_rate=0.01)"
    straight, broken = (
        RunDir.create(Experiment(method=method, training=FOUR_STEPS), tmp_path / place)
        for place in ("straight", "broken")
    )
    outcome = work(straight)
    assert outcome.state == "finished"
    assert "saved as a plain LoRA of rank 4" in outcome.message
    assert work(broken, until=2).state == "stopped"
    assert work(broken).state == "finished"
    assert measured(broken) == measured(straight)
    first, second = (f.adapter / "adapter_model.safetensors" for f in (straight, broken))
    assert first.read_bytes() == second.read_bytes()
    from qtha_lab.training.evaluation_variants import evaluate_variants

    (whole,) = evaluate_variants(straight, rows=4)
    tested = measured(straight)[("test", 4, None)]
    assert whole.scores["loss"] == pytest.approx(tested, rel=1e-5)
