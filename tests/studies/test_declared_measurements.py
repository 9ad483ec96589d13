"""Measurements that are declared before they are run: sizes of methods, the paper's protocol."""

import pytest

from qtha_lab.core.paths import data_dir
from qtha_lab.experiment import Comparison, plan

FOLDER = data_dir() / "measurements"
ONE_LAYER_PAIR = 8 * (192 + 192 + 192 + 64)  # LoRA r = 8 on q and v of tiny


def test_methods_of_equal_size_train_at_most_a_quarter_of_lora_of_rank_eight():
    experiments = Comparison.from_yaml(FOLDER / "equal-size.yaml").typical().values()
    counts = [plan.resolve(experiment).layout.trainable for experiment in experiments]
    whole, small = counts[0], counts[1:]
    assert whole == 6 * ONE_LAYER_PAIR
    assert max(small) == whole / 4
    shares = [round(100 * count / whole, 1) for count in small[:4]]
    assert shares == pytest.approx([12.5, 20.0, 18.8, 25.0], abs=0.1)


def test_the_papers_protocol_has_its_steps_and_sizes():
    comparison = Comparison.from_yaml(FOLDER / "qtha-paper.yaml")
    training = comparison.training
    rows_of_a_step = training.batch_size * training.gradient_accumulation
    assert rows_of_a_step == 32
    assert training.epochs * training.train_rows / rows_of_a_step == pytest.approx(253, abs=1)
    assert {m.options["r"] for m in comparison.methods} == {4, 6, 8, 10}
    assert {0.00005, 0.0005} < set(comparison.learning_rates)


def test_the_small_form_of_the_papers_protocol_can_run_here():
    changes = {"model": "tiny", "task": "qa", "seeds": [0, 1, 2]}
    whole = Comparison.from_yaml(FOLDER / "qtha-paper.yaml")
    small = whole.replace(
        **changes, training=whole.training.replace(train_rows=300, eval_rows=64, generate_rows=0)
    )
    experiments = small.typical()
    assert len(experiments) == 8 * 4
    (of_rank_4,) = {
        plan.resolve(e).layout.trainable
        for e in experiments.values()
        if e.method.options == {"r": 4, "size": "paper", "init": "paper"}
    }
    assert of_rank_4 > 2 * 6 * ONE_LAYER_PAIR  # a waist of 256 is wider than the layers, 192
