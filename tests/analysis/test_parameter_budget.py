"""Parameters by part: against the models, the methods' own counts, and the paper's example."""

import pytest
from peft import LoraConfig

from qtha_lab.adapters.qtha_config import QthaConfig
from qtha_lab.adapters.tensor_groups import layout_of
from qtha_lab.analysis.parameter_budget import (
    ANGLES,
    CORES,
    MODELS,
    SQUARE,
    THIN,
    lora_budget,
    qtha_budget,
    quantum_share,
)
from qtha_lab.models import empty_model
from widgets import BudgetBar

TARGETS = ["q_proj", "v_proj"]


def test_sizes_of_the_toy_are_those_of_the_model():
    layout = layout_of(empty_model("tiny"), LoraConfig(r=2, target_modules=TARGETS))
    blocks, layers = MODELS["tiny"]
    assert sorted(layout.sizes) == sorted(blocks * layers)
    assert layout.trainable == lora_budget("tiny", 2).total


def test_parts_add_up_to_what_the_method_counts():
    options = {"r": 4, "waist": 16, "bond_dim": 3, "n_layers": 2}
    config = QthaConfig(target_modules=TARGETS, **options)
    budget = qtha_budget("tiny", **options)
    assert budget.total == layout_of(empty_model("tiny"), config).trainable
    assert budget.parts[THIN] == 12 * 2 * 16 * 4
    assert budget.parts[SQUARE] == 12 * 2 * 4**2
    assert budget.parts[ANGLES] == 12 * 4 * 4 * 2
    assert budget.parts[CORES] == budget.total - sum(
        budget.parts[part] for part in (THIN, SQUARE, ANGLES)
    )


def test_angles_are_a_third_of_a_per_cent_of_a_large_models_adapter():
    budget = qtha_budget("Qwen2-7B", r=10, waist=256, bond_dim=8, n_layers=1)
    assert quantum_share(budget) == pytest.approx(80 / 26_880)
    assert quantum_share(lora_budget("tiny", 2)) == 0


def test_the_largest_waist_within_lora_of_rank_two_is_read_from_the_state():
    bar = BudgetBar(r=4, bond_dim=3, lora_r=2)
    fitting = []
    for waist in bar.offers("waist"):
        bar.waist = waist
        totals = bar.totals
        if totals["qtha"] <= totals["lora"]:
            fitting.append(bar.state["waist"])
    assert max(fitting) == 16
    bar.preset("Is the same r the same size?")
    assert bar.totals["qtha"] > 2 * bar.totals["lora"]
