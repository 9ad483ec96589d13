"""A method may have a title: shown wherever it is drawn or listed, and no part of what it is."""

import shlex

import pytest
from support.refusals import refused
from support.run_folders import run_folder

from qtha_lab.core.method_styles import shown, untitled
from qtha_lab.experiment import Comparison, MethodChoice, Sweep
from qtha_lab.figures import loss_curves
from qtha_lab.figures.loss_curves import curve
from qtha_lab.figures.machinery.theme import method_style
from qtha_lab.studies.comparison.table import rows
from widgets.runs.run_list import RunRow
from widgets.runs.variants import variants

TITLED = MethodChoice.parse("lora(r=2,title='small one, tuned')")


def test_a_title_is_read_back_from_every_form_of_a_description():
    described = Comparison(methods=[TITLED, "qtha(title=ours)"])
    assert described.methods[0].title == "small one, tuned"
    assert Comparison.from_yaml(described.to_yaml()) == described
    scope: dict = {}
    exec(described.to_python().rsplit("\n", 2)[0], scope)
    assert scope["comparison"] == described
    words = shlex.split(described.to_command())
    assert Comparison(methods=words[words.index("--methods") + 1]) == described


def test_a_title_changes_neither_what_a_method_means_nor_how_it_is_drawn():
    plain = MethodChoice.parse("lora(r=2)")
    assert TITLED.meaning == plain.meaning
    assert method_style(TITLED.label) == method_style(plain.label)
    assert untitled(TITLED.label) == plain.label
    with refused("methods: Entries", "twice (the same as"):
        Comparison(methods=[TITLED, plain])


def test_curves_tables_and_rows_show_the_title(tmp_path):
    label = TITLED.label
    series = {"label": label, "seed": 0, "kind": "eval", "steps": [0, 1], "values": [5.0, 4.0]}
    assert curve(series).name == shown(label) == TITLED.title
    assert loss_curves([series]).plotly.data[0].name == TITLED.title
    entry = {"label": label, "method": "lora", "seed": 0, "eval_loss": 4.0}
    assert rows({"runs": [entry]})[0]["method"] == TITLED.title
    run = run_folder(tmp_path, label)
    assert (
        RunRow(run, print, print, print, variants([label])[label]).title
        == "small one, tuned, seed 0"
    )


def test_points_of_a_sweep_are_told_apart_by_their_titles():
    sweep = Sweep(methods=[TITLED], axes={"learning_rate": [0.1, 0.2]})
    titles = [
        sweep.experiments_at(TITLED, {"learning_rate": rate})[0].method.title for rate in (0.1, 0.2)
    ]
    assert titles == ["small one, tuned at 0.1", "small one, tuned at 0.2"]


@pytest.mark.parametrize(
    ("title", "rule"),
    [("it's", "no quotation mark"), ("a\nb", "no line break"), (70 * "a", "at most 60 characters")],
)
def test_a_title_that_no_label_could_hold_is_refused(title, rule):
    with refused("title", rule=rule):
        MethodChoice(name="lora", title=title)


def test_two_methods_have_two_titles():
    with refused("methods: Methods", "'a' twice"):
        Comparison(methods="lora(title=a),qtha(title=a)")
