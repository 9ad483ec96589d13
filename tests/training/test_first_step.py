"""The start of QTHA that is its default moves a layer as far as LoRA's does, whatever its sizes."""

import math
import statistics

import pytest
import torch
from support.small_models import TARGETS, make

from qtha_lab import Experiment, launch
from qtha_lab.adapters import QthaConfig, get_method
from qtha_lab.adapters.adapted_model import adapted_sizes
from qtha_lab.adapters.budget import FAR, LORA, first_step_warning, reach, times_lora
from qtha_lab.adapters.change import Layer
from qtha_lab.experiment.cost.preview import preview

WAISTS = ((16, 2), (16, 8), (32, 3), (64, 3), (256, 2), (256, 8))


def lora(size, r=8):
    """LoRA at a layer, as QTHA has it in its classical layers: peft's start, alpha 16."""
    config = QthaConfig(size="paper", r=r, alpha=16, classical_layers=1)
    return config.change(Layer(size, size, block=0, n_blocks=2))


@pytest.mark.parametrize("size", [192, 576, 3584])
def test_the_reach_of_lora_is_the_formula(size):
    # its entries of A x have variance 1/3 and there are 8; s = 2
    assert math.sqrt(8 / 3) * 2 == LORA
    assert reach(lora(size)) == pytest.approx(LORA, rel=0.25)


@pytest.mark.parametrize(("waist", "bond_dim"), WAISTS)
@pytest.mark.parametrize("r", [2, 4, 8, 16])
@pytest.mark.parametrize("size", [192, 576, 3584])
def test_at_its_rate_the_first_step_goes_as_far_as_loras_at_every_size(size, r, waist, bond_dim):
    config = QthaConfig(r=r, waist=waist, bond_dim=bond_dim, n_layers=1, use_circuit=r < 9)
    change = config.change(Layer(size, size))
    mean = statistics.mean(reach(change, seed=seed) for seed in range(3))
    rates = get_method("qtha").default_learning_rate / get_method("lora").default_learning_rate
    assert 0.6 < rates * mean / reach(lora(size)) < 2


def test_the_other_starts_go_by_their_sizes():
    layer = Layer(384, 384)
    assert reach(QthaConfig(size="paper", init="paper").change(layer)) > 100 * LORA
    narrow, wide = (
        reach(
            QthaConfig(size="paper", init="isometric", use_circuit=False, **sizes).change(
                Layer(3584, 3584)
            )
        )
        for sizes in ({"r": 2, "waist": 16, "bond_dim": 2}, {"r": 16})
    )
    assert wide > 10 * narrow


def test_the_angles_of_a_matched_start_lie_within_a_quarter_turn_as_a_rule():
    torch.manual_seed(0)
    change = QthaConfig(size="paper", r=8).change(Layer(384, 384))
    tensors = {name: torch.empty(spec.shape) for name, spec in change.tensors().items()}
    change.initialise(tensors)
    h = torch.randn(2000, 384) @ change.ends(tensors)[0].mT
    assert float(h.square().mean().sqrt()) == pytest.approx(1, rel=0.2)
    assert float((h.abs() < math.pi / 2).float().mean()) > 0.8


def test_trying_a_step_leaves_the_random_numbers_alone():
    torch.manual_seed(3)
    state = torch.random.get_rng_state()
    reach(QthaConfig(r=2, waist=16, bond_dim=2).change(Layer(24, 16)))
    assert torch.equal(state, torch.random.get_rng_state())


def warning_of(label_options, rate=None, method="qtha"):
    known = get_method(method)
    config = known.make_config("CAUSAL_LM", list(TARGETS["llama"]), **label_options)
    return first_step_warning(make("llama"), config, rate or known.default_learning_rate)


def test_the_published_start_is_warned_of_with_what_helps():
    sentence = warning_of({"size": "paper", "init": "paper"})
    assert "times as far as LoRA's does at 0.003" in sentence
    assert "or init=balanced starts as gently" in sentence
    assert warning_of({}) is None
    assert warning_of({"size": "paper", "init": "paper"}, rate=1e-5) is None


def test_a_rate_that_is_far_too_high_is_warned_of_too():
    assert "a learning rate near" in warning_of({}, rate=1.0)


def test_methods_of_peft_and_circuits_too_large_to_try_are_not_judged():
    assert warning_of({}, rate=1.0, method="lora") is None
    assert warning_of({"r": 12, "size": "paper", "init": "paper"}) is None


def test_the_sentence_counts_as_the_formula_does():
    config = QthaConfig(
        size="paper", r=4, n_layers=1, init="paper", target_modules=list(TARGETS["llama"])
    )
    sizes = adapted_sizes(make("llama"), config)
    times = max(times_lora(config, Layer(*size), 0.005) for size in sizes)
    assert times > FAR
    assert f"about {times:.0f} times" in first_step_warning(make("llama"), config, 0.005)


@pytest.mark.slow
def test_the_preview_and_the_log_of_a_run_say_it(tmp_path):
    training = {
        "steps": 1,
        "train_rows": 20,
        "eval_rows": 2,
        "test_rows": 8,
        "generate_rows": 0,
        "threads": 1,
    }
    described = Experiment(method="qtha(r=3,n_layers=1,init=paper)", training=training)
    (sentence,) = [w for w in preview(described).warnings if "the first step moves" in w]
    run = launch(described, tmp_path, check=False)
    assert run.wait(150).state == "finished", run.log_tail()
    assert sentence in [event.get("message") for event in run.valid_events() + run.events()[0]]
