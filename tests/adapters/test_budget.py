"""Budgets are met from below, and a QTHA larger than LoRA is said to be."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peft import LoraConfig
from support.refusals import refused
from support.small_models import TARGETS, make

from qtha_lab.adapters import QthaConfig, add_adapter, count_trainable, size_warning


@pytest.mark.slow
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(budget=st.integers(600, 20_000))
def test_a_budget_is_met_from_below(budget):
    config = QthaConfig.for_budget(
        make("llama"), trainable_parameters=budget, target_modules=TARGETS["llama"]
    )
    assert 0.85 * budget <= count_trainable(make("llama"), config) <= budget


def test_the_budget_can_be_a_fraction_of_lora():
    lora = LoraConfig(r=8, target_modules=TARGETS["llama"])
    config = QthaConfig.for_budget(make("llama"), fraction_of=lora, fraction=0.5)
    allowed = 0.5 * 8 * (32 + 32 + 32 + 16) * 2  # half of LoRA's, two layers
    counted = add_adapter(make("llama"), config).get_nb_trainable_parameters()[0]
    assert 0.95 * allowed <= counted <= allowed
    assert config.target_modules == set(TARGETS["llama"])


def test_what_is_fixed_is_not_searched():
    config = QthaConfig.for_budget(
        make("llama").to("meta"), trainable_parameters=3000, target_modules=["q_proj"],
        r=4, n_layers=1, init="balanced",
    )  # fmt: skip
    assert (config.r, config.n_layers, config.init) == (4, 1, "balanced")


def test_among_equally_near_sizes_the_rank_asked_for_wins():
    lora = LoraConfig(r=5, target_modules=TARGETS["llama"])
    assert QthaConfig.for_budget(make("llama"), fraction_of=lora).r == 5


def test_without_networks_only_r_is_searched():
    config = QthaConfig.for_budget(
        make("llama"), trainable_parameters=1200, target_modules=["q_proj"],
        use_mpo=False, use_circuit=False,
    )  # fmt: skip
    assert config.r == 8  # 2 layers of 64 r + r²: 1,152 at r = 8, 1,314 at r = 9


def test_a_budget_below_the_smallest_is_refused_with_the_smallest():
    with refused("trainable_parameters", "10"):
        QthaConfig.for_budget(
            make("llama"), trainable_parameters=10, target_modules=TARGETS["llama"]
        )


def test_one_budget_must_be_given():
    with refused("Either trainable_parameters or fraction_of", "neither"):
        QthaConfig.for_budget(make("llama"))
    with refused("Either trainable_parameters or fraction_of", "both"):
        QthaConfig.for_budget(make("llama"), trainable_parameters=1, fraction_of=LoraConfig())


def test_the_authors_waist_on_a_small_model_is_warned_of():
    config = QthaConfig(size="paper", target_modules=TARGETS["llama"])
    warning = size_warning(make("llama").to("meta"), config)
    # LoRA r=8: 2 layers of 8·(32+32) + 8·(32+16) = 1,792
    assert "times the 1,792 of lora(r=8)" in warning
    assert "QthaConfig.for_budget" in warning


def test_a_smaller_adapter_is_not_warned_of():
    config = QthaConfig(r=2, waist=8, bond_dim=2, target_modules=TARGETS["llama"])
    assert size_warning(make("llama"), config) is None
    assert size_warning(make("llama"), config, LoraConfig(r=64, target_modules=["q_proj"])) is None
