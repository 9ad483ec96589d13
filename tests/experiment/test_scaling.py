"""One scale in a comparison: alpha = 2 r for all, or each method's own, and it is said which."""

import pytest
from peft import LoraConfig
from support.refusals import refused

from qtha_lab.adapters import QthaConfig, get_method, method_names, scale_of
from qtha_lab.experiment import Comparison, MethodChoice, Sweep
from qtha_lab.experiment.method_list import ALPHAS
from qtha_lab.runs.table.frame import results_frame
from qtha_lab.studies.comparison.notes import scales


def scales_of(described):
    options = {e.method.label: (e.method.name, e.method.options) for e in described.experiments()}
    return [scale_of(get_method(name).make_config(**o)) for name, o in options.values()]


def test_lora_at_any_r_has_the_scale_of_qtha():
    compared = Comparison(methods="lora(r=2),lora,lora(r=27),dora(r=4),loha(r=2),qtha(r=3),qtha")
    assert scales_of(compared) == [2.0] * 7
    given = Comparison(methods="lora(r=2),lora,lora(r=32)", scaling="as_given")
    assert scales_of(given) == [8.0, 2.0, 0.5]


def test_every_method_without_a_rate_is_run_at_all_of_them():
    size = "r=2,waist=16,bond_dim=2,n_layers=1"
    compared = Comparison(
        methods=f"lora(learning_rate=0.1),qtha({size})", learning_rates=[0.01, 0.03]
    )
    labels = [e.method.label for e in compared.experiments()]
    assert labels == [
        "lora(learning_rate=0.1)",
        f"qtha({size},learning_rate=0.01)",
        f"qtha({size},learning_rate=0.03)",
    ]
    assert Comparison.from_yaml(compared.to_yaml()) == compared
    with refused("learning_rates: A learning rate", "-1"):
        Comparison(learning_rates=[-1.0])


def test_an_alpha_at_its_default_beside_another_r_is_another_method():
    compared = Comparison(methods="lora(r=4),lora(r=4,lora_alpha=16)")
    assert scales_of(compared) == [2.0, 4.0]
    with refused("methods: Entries", "twice (the same as lora)"):
        Comparison(methods="lora,lora(r=8,lora_alpha=16)")


def test_a_card_asks_for_an_alpha_by_its_entry_and_leaves_it_open_when_empty():
    from widgets.workbench.method_card import MethodCard

    card = MethodCard(MethodChoice.parse("lora(r=4)"), print, print)
    assert card.choice().label == "lora(r=4)"
    card.form["lora_alpha"].control.value = "16"
    assert card.choice().label == "lora(r=4,lora_alpha=16)"


def test_an_alpha_among_the_options_stays():
    assert scales_of(Comparison(methods="lora(r=2,lora_alpha=16),qtha(r=4,alpha=2)")) == [8.0, 0.5]


@pytest.mark.parametrize("name", method_names())
def test_at_the_default_r_every_default_alpha_is_2_r(name):
    settings = get_method(name).settings()
    for alpha in settings.keys() & {*ALPHAS}:
        r = settings["r"].default
        assert settings[alpha].default in (None, r and 2 * r)


def test_a_point_of_a_sweep_is_scaled_by_its_own_r():
    sweep = Sweep(methods="lora", axes={"r": [2, 8]})
    labels = [sweep.experiments_at(sweep.methods[0], {"r": r})[0].method.label for r in (2, 8)]
    assert labels == ["lora(r=2,lora_alpha=4)", "lora(r=8)"]


def test_controls_have_the_scale_of_their_method():
    loras = [
        m for m in Comparison(methods="qtha(r=4,alpha=2)+controls").methods if m.name == "lora"
    ]
    assert {m.options["lora_alpha"] / m.options["r"] for m in loras} == {0.5}


def test_a_budget_keeps_the_scale_whatever_r_it_finds():
    from qtha_lab.models import empty_model

    lora = LoraConfig(r=5, lora_alpha=10, target_modules=["q_proj"])
    sized = QthaConfig.for_budget(empty_model("tiny"), fraction_of=lora)
    assert scale_of(sized) == scale_of(lora) == 2


def test_the_report_says_whether_scales_are_equal():
    entries = [{"label": "lora", "scale": 2.0}, {"label": "qtha", "scale": 2.0}, {"label": "ia3"}]
    assert (
        scales(results_frame(entries))
        == "All methods with a scale have the same: s = alpha / r = 2."
    )
    entries[0]["scale"] = 8.0
    assert scales(results_frame(entries)).endswith("lora 8, qtha 2.")
    assert scales(results_frame(entries[:1])) is None
