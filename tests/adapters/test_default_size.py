"""The default size of QTHA.

At most 24 % of LoRA r = 8 on the model at hand, chosen once and written down.
"""

import json
import math

import pytest
import torch
from peft import PeftModel, get_peft_model
from support.refusals import refused
from support.small_models import TARGETS, make
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
)

from qtha_lab.adapters import QthaConfig, get_method, load_adapter
from qtha_lab.adapters.adapted_model import adapted_sizes, count_trainable, skeleton
from qtha_lab.adapters.qtha_config import GRID
from qtha_lab.experiment import Comparison, Experiment
from qtha_lab.experiment.plan import resolve
from qtha_lab.experiment.reproduction_run import Reproduced
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.models import default_target_modules, empty_model

NAMES = ("r", "waist", "bond_dim", "n_layers")


def llama(hidden: int, heads: int, kv_heads: int, blocks: int) -> LlamaForCausalLM:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=64,
            hidden_size=hidden,
            intermediate_size=2 * hidden,
            num_hidden_layers=blocks,
            num_attention_heads=heads,
            num_key_value_heads=kv_heads,
        )
    )


def gpt2(hidden: int, blocks: int) -> GPT2LMHeadModel:
    return GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=hidden, n_layer=blocks, n_head=4))


def bert(hidden: int, blocks: int) -> BertModel:
    sizes = {"hidden_size": hidden, "intermediate_size": 2 * hidden, "num_hidden_layers": blocks}
    return BertModel(BertConfig(vocab_size=64, num_attention_heads=4, **sizes))


MODELS = {
    "tiny": (lambda: empty_model("tiny"), ["q_proj", "v_proj"]),
    "llama": (lambda: llama(96, 4, 4, 2), ["q_proj", "v_proj"]),
    "llama with shared heads": (lambda: llama(240, 6, 2, 3), ["q_proj", "v_proj"]),
    "llama with four heads for one": (lambda: llama(512, 8, 2, 1), ["q_proj", "k_proj", "o_proj"]),
    "llama, its perceptrons": (lambda: llama(128, 4, 1, 2), ["gate_proj", "down_proj"]),
    "gpt2": (lambda: gpt2(64, 2), ["c_attn"]),
    "gpt2, wider": (lambda: gpt2(320, 1), ["c_attn", "c_proj"]),
    "bert": (lambda: bert(48, 2), ["query", "value"]),
    "bert, wider": (lambda: bert(768, 1), ["query", "value"]),
}


@pytest.fixture(params=MODELS)
def model_and_targets(request):
    build, targets = MODELS[request.param]
    with torch.device("meta"):
        return build(), targets


def sized(model, targets, **options) -> QthaConfig:
    config = QthaConfig(target_modules=targets, **options)
    get_peft_model(model, config)
    return config


def share(model, config) -> float:
    """Trained parameters as a share of LoRA r = 8 on the same modules."""
    return count_trainable(model, config) / (8 * sum(map(sum, adapted_sizes(model, config))))


def test_the_default_trains_at_most_24_percent_of_lora_r8(model_and_targets):
    model, targets = model_and_targets
    chosen = sized(skeleton(model), targets)
    assert 0.12 < share(model, chosen) <= 0.24


def test_no_wider_waist_fits_beside_the_chosen_numbers(model_and_targets):
    model, targets = model_and_targets
    chosen = sized(skeleton(model), targets)
    numbers = {name: getattr(chosen, name) for name in NAMES}
    # from r = 4, bond_dim = 2 and one layer on, the waist is what grows first
    base = numbers | {"r": min(4, chosen.r), "bond_dim": min(2, chosen.bond_dim), "n_layers": 1}
    for waist in (w for w in GRID["waist"] if w > chosen.waist):
        wider = QthaConfig(target_modules=targets, **base | {"waist": waist})
        assert share(model, wider) > 0.24, waist
    for name in ("r", "bond_dim", "n_layers"):
        larger = [v for v in GRID[name] if v > numbers[name]]
        if larger:
            more = QthaConfig(target_modules=targets, **numbers | {name: larger[0]})
            assert share(model, more) > 0.24, name


def test_a_large_model_gets_nearly_the_authors_size():
    # Qwen2-7B, q and v: 0.24 · 8 · (3584 + 3584 + 3584 + 512) = 21,626 for each block
    chosen = QthaConfig().sized_for([(3584, 3584), (3584, 512)] * 28)
    assert (chosen.waist, chosen.r, chosen.bond_dim) == (256, 8, 7)


@pytest.mark.parametrize(
    "stated",
    [{"r": 2}, {"r": 8}, {"bond_dim": 1}, {"n_layers": 3}, {"r": 3, "bond_dim": 3, "n_layers": 1}],
    ids=str,
)
def test_stated_numbers_are_kept_and_the_rest_fits_them(stated):
    model = empty_model("tiny")
    chosen = sized(skeleton(model), ["q_proj", "v_proj"], **stated)
    assert {name: getattr(chosen, name) for name in stated} == stated
    assert share(model, chosen) <= 0.24


def test_beside_a_stated_waist_the_rest_is_the_authors():
    config = QthaConfig(waist=16)
    assert (config.r, config.waist, config.bond_dim, config.n_layers) == (8, 16, 8, None)


def test_size_paper_is_the_authors_size_on_every_model():
    config = sized(empty_model("tiny"), ["q_proj"], size="paper")
    assert (config.r, config.waist, config.bond_dim) == (8, 256, 8)
    assert resolve(Experiment(method="qtha(size=paper)")).config.waist == 256
    assert QthaConfig(size="paper", r=4).r == 4


def test_auto_may_be_written():
    assert QthaConfig(waist="auto") == QthaConfig()
    plan = resolve(Experiment(method="qtha(waist=auto)"))
    assert plan.method.options["waist"] == 32


@pytest.mark.parametrize("control", get_method("qtha").controls, ids=lambda c: c.title)
def test_a_control_has_the_size_of_what_it_is_a_control_of(control):
    whole = resolve(Experiment(method="qtha")).config
    options = ",".join(f"{name}={value}" for name, value in control.options.items())
    without = resolve(Experiment(method=f"qtha({options})")).config
    assert [getattr(without, n) for n in NAMES] == [getattr(whole, n) for n in NAMES]


def test_a_wide_readout_gets_a_smaller_waist():
    plan = resolve(Experiment(method="qtha(readout=probs)"))
    assert plan.layout.trainable <= 0.24 * 30_720  # LoRA r = 8 on tiny
    assert plan.config.waist < 32


def test_a_size_that_cannot_fit_is_refused_with_the_remedy():
    with refused("waist", "auto", remedy="Set waist"):
        resolve(Experiment(method="qtha(r=16)")).method  # noqa: B018
    with refused("waist", rule="a number beside classical_layers"):
        resolve(Experiment(method="qtha(classical_layers=1)")).layout  # noqa: B018


def test_the_numbers_are_the_same_at_peft_level_and_in_a_plan(tmp_path):
    targets = default_target_modules("tiny")
    config = sized(empty_model("tiny"), targets)
    plan = resolve(Experiment(method="qtha"))
    run = RunDir.create(Experiment(method="qtha"), tmp_path)
    numbers = {name: getattr(config, name) for name in NAMES}
    assert numbers == {"r": 4, "waist": 32, "bond_dim": 2, "n_layers": 2}
    assert {name: getattr(plan.config, name) for name in NAMES} == numbers
    assert RunDir(run.path).experiment.method.options == numbers
    assert all(
        f"{name}: {value}\n" in run.experiment_file.read_text() for name, value in numbers.items()
    )


def test_a_comparison_and_its_runs_have_the_numbers():
    comparison = Comparison(methods="qtha,lora(r=1),lora", seeds=[0, 1])
    (label, *_) = comparison.typical()
    assert label == "qtha(r=4,waist=32,bond_dim=2,n_layers=2)"
    assert [contender.declared for contender in comparison.contenders()] == [
        "qtha",
        "lora(r=1)",
        "lora",
    ]


def test_the_numbers_are_saved_and_load_again(tmp_path):
    torch.manual_seed(0)
    model = get_peft_model(
        make("llama"), QthaConfig(target_modules=TARGETS["llama"], init_weights=False)
    ).eval()
    model.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "adapter_config.json").read_text())
    assert all(isinstance(saved[name], int) for name in NAMES)
    tokens = torch.arange(6).view(1, 6)
    expected = model(input_ids=tokens).logits
    for load in (load_adapter, PeftModel.from_pretrained):
        assert torch.equal(
            load(make("llama"), str(tmp_path)).eval()(input_ids=tokens).logits, expected
        )


def test_the_largest_lora_below_the_default_has_r_1():
    trainable = resolve(Experiment(method="qtha")).layout.trainable
    matched = Comparison(methods="qtha,lora", matching="equal_parameters").contenders()[1].choice
    assert matched.options["r"] == 1 == math.floor(trainable / 3840)  # LoRA r = 1 on tiny


@pytest.mark.parametrize("arm", ["staged", "qtha"])
def test_an_arm_of_a_reproduction_is_recorded_as_it_is(tmp_path, arm):
    described = Reproduced.arm("ttn_vqc", arm, data="digits", steps=3, seed=0)
    assert RunDir(RunDir.create(described, tmp_path).path).experiment == described
