"""The form in which a comparison is composed holds models, tasks, matching and tuning, and gives
them back.
"""

import pytest
from support.refusals import refused
from support.workbench_kernel import fail

from qtha_lab.experiment import Comparison
from widgets.workbench.forecasts import summary, typical
from widgets.workbench.setup import Setup
from widgets.workbench.sweep_form import tuning_settings

GRID = Comparison(
    methods="lora(r=2),qtha",
    models=["tiny", "minilm"],
    tasks=["qa", "chat(turns=2)"],
    matching="equal_r",
    tuning={"axes": {"learning_rate": [0.003, 0.01]}, "seeds": [7, 8]},
)


def setup_of(start):
    return Setup(start, lambda: None, fail)


@pytest.mark.parametrize("start", [GRID, GRID.replace(tuning=None), Comparison(methods="lora")])
def test_the_form_gives_back_the_grid_it_started_with(start):
    setup = setup_of(start)
    assert setup.comparison() == setup.description() == start
    assert setup.tuning.unfolded == (start.tuning is not None)


def test_several_models_are_typed_as_a_list_and_a_rule_is_picked():
    setup = setup_of(Comparison(methods="lora,qtha"))
    setup.what["models"].entry = "minilm, tiny"  # in the place of the one that is picked
    setup.rule["matching"].entry = "equal_seconds"
    setup.tuning.form["axes"].entry = "learning_rate=[0.003,0.01]"
    described = setup.description()
    assert described.models == ["minilm", "tiny"]
    assert described.matching == "equal_seconds"
    assert described.tuning.axes == {"learning_rate": [0.003, 0.01]}
    setup.tuning.form["axes"].entry = ""
    assert setup.description().tuning is None


def test_an_entry_that_no_grid_can_be_is_refused_with_the_way_to_it():
    setup = setup_of(Comparison(methods="lora"))
    setup.tuning.form["axes"].entry = "learning_rate=[0.003,0.01]"
    setup.tuning.form["seeds"].entry = "0"
    with refused("tuning.seeds", "0 in both"):
        setup.description()
    assert tuning_settings()["axes"].default == {}


def test_a_sweep_is_of_one_model():
    setup = setup_of(Comparison(methods="lora"))
    setup.what["tasks"].entry = "qa, chat"
    setup.methods.cards[0].form["learning_rate"].entry = "0.001, 0.01"
    with refused("tasks", "both"):
        setup.description()


def test_what_a_grid_takes_counts_cells_and_trials():
    class Cost:
        seconds_per_step = 0.1
        steps = GRID.training.steps

    assert len(typical(GRID)) == 8
    told = summary(GRID, dict.fromkeys(typical(GRID), Cost()))
    # 2 methods in 4 cells: one confirming seed, and 2 trials with 2 seeds
    assert told.startswith("40 runs, 2 trials of each method among them · about ")
