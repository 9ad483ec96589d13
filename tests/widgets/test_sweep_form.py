"""A field that holds several values makes the page a sweep, the same one that a script or a file
would describe.
"""

import asyncio

import pytest
from support.workbench_kernel import fail

from qtha_lab.core.settings import Setting
from qtha_lab.experiment import Comparison, Sweep
from widgets.kit.boxes import is_shown
from widgets.workbench.form import Form
from widgets.workbench.setup import Setup
from widgets.workbench.sweep_form import SweepForm
from widgets.workbench.workbench import Workbench

SMALL = "qtha(r=2,waist=8,n_layers=1,bond_dim=2)"
SWEEPS = {
    "alike": Sweep(methods="lora,qtha", axes={"learning_rate": [0.001, 0.01]}),
    "of one method": Sweep(methods="lora,qtha", axes={"qtha.r": "2..8 log 3"}),
    "of the training": Sweep(methods="lora", axes={"training.steps": [4, 8], "r": [2, 4]}),
    "of words": Sweep(
        methods="qtha",
        axes={"ansatz": ["qtha", "product"], "training.schedule": ["linear", "cosine"]},
    ),
    "searched": Sweep(
        methods=f"lora(r=2),{SMALL}",
        axes={"learning_rate": "0.0001..0.1 log"},
        search="tpe",
        trials=7,
        pruner="median",
        objective="perplexity",
        search_seed=3,
        seeds=[0, 1],
        training={"steps": 9},
    ),
}


def setup_of(start):
    return Setup(start, lambda: None, fail)


def rates(setup):
    return [card.form["learning_rate"] for card in setup.methods.cards]


@pytest.mark.parametrize("described", SWEEPS.values(), ids=SWEEPS)
def test_the_form_gives_back_the_sweep_it_started_with(described):
    setup = setup_of(described)
    assert setup.description() == described
    assert setup.sweep.unfolded


def test_one_value_is_a_comparison_and_several_are_a_sweep_until_they_are_taken_back():
    start = Comparison(methods="lora,qtha")
    setup = setup_of(start)
    assert not setup.sweep.unfolded
    assert setup.description() == start
    for rate in rates(setup):
        rate.entry = "1e-4…1e-1 log 4"
    swept = setup.description()
    assert swept == Sweep(methods="lora,qtha", axes={"learning_rate": "0.0001..0.1 log 4"})
    assert setup.sweep.title == "Sweep of learning_rate"
    assert setup.sweep.unfolded
    assert "swept: 4 values, 0.0001, 0.001, 0.01, 0.1" in rates(setup)[0].note
    assert setup.methods.cards[0].title == "lora · sweeps learning_rate"
    for rate in rates(setup):
        rate.entry = ""
    assert setup.description() == start
    assert setup.sweep.title == "Sweep"


def test_what_one_method_sweeps_can_be_swept_in_every_method_by_one_click():
    setup = setup_of(Comparison(methods="lora,qtha"))
    rates(setup)[0].entry = "0.001, 0.01"
    assert setup.description().axes == {"lora.learning_rate": [0.001, 0.01]}
    (offer,) = setup.sweep.offers.children
    assert offer.description == "Sweep learning_rate in every method alike"
    offer.click()
    assert setup.description().axes == {"learning_rate": [0.001, 0.01]}
    assert setup.sweep.offers.children == ()


def test_a_copy_of_a_card_sweeps_what_its_original_does():
    setup = setup_of(SWEEPS["alike"])
    setup.methods.cards[0].copy.click()
    setup.methods.cards[-1].form["r"].entry = "2"
    assert [method.label for method in setup.description().methods] == ["lora", "qtha", "lora(r=2)"]
    assert setup.description().axes == SWEEPS["alike"].axes


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        ("0.1..0.01", "learning rate: A range must go upward, got 0.1 to 0.01."),
        ("0.1, 0.1", "learning rate: Values must differ, got 0.1 twice."),
        ("0.1, -1", "learning rate must be above 0, got -1."),
        ("0.1, fast", "learning rate must be a number, got 'fast'."),
        ("-1..1 3", "learning rate must be above 0, got -1."),
        ("0.1,", "learning rate must be a number, got '0.1,'."),
    ],
)
def test_values_that_cannot_be_are_refused_beside_the_field(entry, rule):
    setup = setup_of(Comparison(methods="lora"))
    (rate,) = rates(setup)
    rate.entry = entry
    assert rate.error == rule
    (fault,) = setup.faults()
    assert fault.control is rate


def test_a_range_that_is_not_cut_is_for_a_search_only_and_the_fault_leads_to_its_field():
    setup = setup_of(Comparison(methods="lora"))
    (rate,) = rates(setup)
    rate.entry = "0.01..0.1 log"
    (fault,) = setup.faults()
    assert fault.sentence.startswith(
        "learning rate: A grid from 0.01 to 0.1 has no number of values"
    )
    assert fault.control is rate
    setup.sweep.form["search"].value, setup.sweep.form["trials"].value = "random", 5
    assert setup.faults() == []
    assert setup.description().search == "random"


def test_a_method_that_stands_twice_is_swept_alike_or_not_at_all():
    setup = setup_of(Comparison(methods="lora,lora(r=2)"))
    rates(setup)[0].entry = "0.001, 0.01"
    (fault,) = setup.faults()
    assert "learning rate is swept for every lora or for none" in fault.sentence
    assert fault.control is rates(setup)[0]


def test_only_number_fields_that_may_be_swept_read_several_values():
    declared = {"r": Setting("r", int, 8, ge=1), "seeds": Setting("seeds", list, [0])}
    plain, swept = Form(declared), Form(declared, sweepable=True)
    for form in (plain, swept):
        form["r"].entry = form["seeds"].entry = "2, 4"
    assert plain.errors == {"r": "r must be a whole number, got '2, 4'."}
    assert swept.errors == {}
    assert swept.axes == {"r": [2, 4]}
    assert swept.values["seeds"] == [2, 4]
    assert swept.changed == {"seeds": [2, 4]}


@pytest.mark.parametrize(
    ("entry", "error", "words"),
    [
        ("1..1000000000", "", "any of 1,000,000,000 whole numbers from 1 to 1000000000"),
        ("1..1000", "", "1,000 values, 1, 2, 3, 4, 5, 6, …, 999, 1000"),
        ("1..4", "", "4 values, 1, 2, 3, 4"),
        ("1..9 log 99999999999", "at most 10,000 values", ""),
        ("1e308..1e309", "at most 1e+300", ""),
    ],
)
def test_a_long_range_in_a_field_is_counted_and_its_first_and_last_values_are_shown(
    entry, error, words
):
    field = Form({"r": Setting("r", int, 8)}, sweepable=True)["r"]
    field.entry = entry
    assert error in field.error
    assert bool(error) == bool(field.error)
    assert words in (field.error or field.note)
    assert len(field.note) <= 300


def test_a_grid_of_too_many_values_is_a_fault_beside_its_field():
    setup = setup_of(Comparison(methods="lora"))
    rates(setup)[0].entry = "1..1000000000"
    (fault,) = setup.faults()
    assert "at most 10,000 values" in fault.sentence
    assert fault.control is rates(setup)[0]


def test_the_page_says_what_a_sweep_will_take_before_it_starts():
    async def work():
        bench = Workbench(
            Sweep(methods=f"lora(r=2),{SMALL}", axes={"learning_rate": "1e-3..1e-1 log 3"})
        )
        while tasks := list(bench.background.tasks.values()):
            await asyncio.gather(*tasks, return_exceptions=True)
        return (
            bench.setup.sweep.forecast.value,
            bench.header.launch.description,
            bench.code[2].value,
        )

    said, launch, command = asyncio.run(work())
    assert "every method has 3 trials, each with 1 seed: 6 runs" in said
    assert "ten minutes hold" in said
    assert launch == "Launch sweep"
    assert "qtha-lab sweep" in command


def test_what_was_said_of_a_sweep_is_stale_at_the_next_entry_and_goes_with_the_sweep():
    form = SweepForm({}, lambda: None, lambda name, values: None)
    form.name({"learning_rate": [0.01, 0.1]})
    form.show(["6 runs"])
    form.wait()
    assert "qtha-stale" in form.forecast._dom_classes
    form.name({})
    form.wait()
    assert (form.forecast.value, is_shown(form.forecast)) == ("", False)
