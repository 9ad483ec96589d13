"""The page says what a step takes on each engine, and one click runs a method on Lightning."""

import math

import pytest
from support.workbench_kernel import fail

from qtha_lab.experiment import Comparison, Experiment
from qtha_lab.experiment.cost.preview import preview
from qtha_lab.experiment.cost.sizes import EngineCost, engine_costs, engines
from qtha_lab.simulators.engine_costs import Speed
from widgets.explorers import engine_explorer
from widgets.kit.boxes import is_shown
from widgets.workbench.costs import EngineCosts
from widgets.workbench.setup import Setup

SMALL = "qtha(r=2,waist=8,n_layers=1,bond_dim=2{})"
TRAINING = {
    "batch_size": 2,
    "max_length": 48,
    "train_rows": 20,
    "eval_rows": 6,
    "test_rows": 8,
    "threads": 1,
}
CPU = EngineCost("cpu", 0.01, 0.1, "chosen: the fastest on CPU tensors", True, True)
LIGHTNING = EngineCost("lightning", 0.02, 0.11, "passed over: runs only when named", False, False)
KOKKOS = EngineCost("lightning.kokkos", None, None, "it is not installed", False, False)


def experiment(engine=""):
    return Experiment(method=SMALL.format(engine), training=TRAINING)


@pytest.mark.parametrize("engine", ["", ",engine=lightning"])
def test_every_engine_has_its_seconds_or_why_it_does_not_run_and_auto_takes_one(engine):
    described = experiment(engine)
    expected = preview(described)
    costs = {cost.engine: cost for cost in engine_costs(described, expected)}
    assert costs.keys() == set(engines())
    seconds = [math.inf if cost.seconds is None else cost.seconds for cost in costs.values()]
    assert seconds == sorted(seconds)
    assert {"cpu", "torch", "lightning", "lightning.kokkos", "lightning.gpu"} <= costs.keys()
    for cost in costs.values():
        assert cost.reason
        assert cost.seconds is None or 0 < cost.seconds < cost.step_seconds
    assert [n for n, cost in costs.items() if cost.automatic] == ["cpu"]
    (chosen,) = [cost for cost in costs.values() if cost.chosen]
    assert chosen.engine == ("lightning" if engine else "cpu") == expected.simulation.engine
    if expected.parts["circuit"]:
        assert chosen.step_seconds == pytest.approx(expected.seconds_per_step)


def test_a_method_without_circuits_has_no_engines():
    described = Experiment(method="lora", training=TRAINING)
    assert engine_costs(described, preview(described)) == []


def panel_of(setup):
    return EngineCosts(setup.methods.run_on, setup.methods.copy_on)


def test_one_click_runs_a_method_on_lightning_and_another_adds_a_copy():
    setup = Setup(Comparison(methods="qtha(r=4),lora"), lambda: None, fail)
    panel = panel_of(setup)
    panel.show({"qtha(r=4)": [CPU, LIGHTNING, KOKKOS], "lora": []})
    (method,) = panel.box.children
    table, words, buttons = method.children
    assert "auto takes cpu, chosen: the fastest on CPU tensors." in words.value
    assert "lightning.kokkos does not run here: it is not installed." in words.value
    assert "0.11" in table.value
    run, copy = buttons.children
    copy.click()
    labels = [choice.label for choice in setup.methods.choices()]
    assert labels == ["qtha(r=4)", "lora", "qtha(r=4,engine=lightning)"]
    setup.methods.cards[2].remove.click()
    run.click()
    assert setup.methods.choices()[0].label == "qtha(r=4,engine=lightning)"


def test_where_lightning_does_not_run_there_is_no_button():
    setup = Setup(Comparison(methods="qtha"), lambda: None, fail)
    panel = panel_of(setup)
    panel.show({"qtha": [CPU, KOKKOS]})
    assert panel.box.children[0].children[2].children == ()
    panel.show({})
    assert not is_shown(panel.panel)


def test_the_engine_explorer_divides_times_at_equal_batches_alone():
    measured = {
        "torch": Speed(((1, 30.0),), ""),
        "density": Speed(((2, 50.0),), ""),
        "cpu": Speed(((1, 10.0), (8, 2.0)), ""),
    }
    rows = engine_explorer._rows(measured, batch=8)
    ratios = {row["engine"]: row["of the fastest"] for row in rows}
    assert ratios == {"cpu": "1.0 ×", "torch": "3.0 ×", "density": "–"}
