"""A recorded description keeps its meaning when a default changes."""

import json

import pytest

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Comparison, Experiment, editions
from qtha_lab.experiment.run_directory import RunDir, write_atomically, write_json
from qtha_lab.runs import run as runs
from qtha_lab.studies.comparison import run_data as reading

OF_0_2_0 = "model: tiny\ntask: qa\nmethod:\n  name: qtha\n  options:\n    r: 4\n"


def recorded(folder, text):
    run = RunDir(folder / "20261101-000000-tiny-qa-qtha-s0-0000")
    run.path.mkdir()
    write_atomically(run.experiment_file, text)
    return run


def test_a_run_recorded_before_the_start_changed_started_as_published(tmp_path):
    run = recorded(tmp_path, OF_0_2_0)
    assert run.experiment.method.label == "qtha(r=4,waist=256,init=paper)"
    assert runs.list_runs(tmp_path)[0].experiment.method.options["init"] == "paper"


def test_a_start_that_has_another_name_today_is_called_by_it(tmp_path):
    run = recorded(tmp_path, OF_0_2_0 + "    init: balanced\n")
    assert run.experiment.method.label == "qtha(r=4,waist=256,init=isometric)"


@pytest.mark.parametrize("method", ["[{r: 4}]", "7", "[qtha]"])
def test_a_method_of_the_wrong_type_in_an_older_edition_is_refused(method):
    with pytest.raises(Refusal, match="method"):
        Experiment.from_yaml(f"edition: 3\nmethod: {method}\n")
    with pytest.raises(Refusal, match="methods"):
        Comparison.from_yaml("edition: 3\nmethods: 7\n")


def test_a_run_recorded_today_counts_on_todays_defaults(tmp_path):
    run = RunDir.create(Experiment(method="qtha(waist=16)"), tmp_path)
    assert run.experiment_file.read_text().startswith(f"edition: {editions.EDITION}\n")
    assert RunDir(run.path).experiment == Experiment(method="qtha(waist=16)")


def test_a_recorded_description_can_be_used_as_a_file(tmp_path):
    for described in (Experiment(method="qtha(r=4)"), Comparison(methods="lora,qtha(r=4)")):
        file = tmp_path / "it.yaml"
        file.write_text(editions.record(described))
        assert type(described).from_yaml(file) == described


def test_an_older_edition_is_put_in_todays_words():
    assert Experiment(edition=1).method.label == "qtha(waist=256,init=paper)"
    assert Experiment(edition=1, method="lora").method.label == "lora"
    compared = Comparison(edition=1, methods="lora,qtha(r=4),qtha(init=balanced)")
    assert [m.label for m in compared.methods] == [
        "lora",
        "qtha(r=4,waist=256,init=paper)",
        "qtha(waist=256,init=isometric)",
    ]
    assert [m.label for m in Comparison(edition=1).methods] == [
        "lora",
        "qtha(waist=256,init=paper)",
    ]


@pytest.mark.parametrize("edition", [0, editions.EDITION + 1, "new", True])
def test_an_edition_that_does_not_exist_is_refused(edition):
    with pytest.raises(ValueError, match="edition must be from 1 to"):
        Experiment(edition=edition)


def test_a_finished_run_of_0_2_0_is_listed_as_what_it_was(tmp_path):
    run = recorded(tmp_path, OF_0_2_0)
    status = {"t": 1.0, "kind": "status", "state": "finished", "step": 100, "message": ""}
    write_atomically(run.events, json.dumps(status) + "\n")
    numbers = {"trainable_parameters": 6900, "learning_rate": 0.003, "eval_loss": 4.2}
    identity = {"run_id": run.path.name, "model": "tiny", "task": "qa", "method": "qtha", "seed": 0}
    write_json(run.summary, identity | numbers | {"label": "qtha(r=4)", "options": {"r": 4}})
    (entry,) = reading.entries(runs.list_runs(tmp_path))
    assert (entry["label"], entry["state"]) == ("qtha(r=4,waist=256,init=paper)", "finished")
    assert entry["learning_rate"] == 0.003


def test_a_run_of_0_2_0_goes_on_at_the_rate_it_had(tmp_path):
    assert recorded(tmp_path, OF_0_2_0).experiment.method.peak_learning_rate == 3e-3
    assert Experiment(method="qtha(init=isometric)").method.peak_learning_rate == 3e-3
    assert Experiment(method="qtha(r=4)").method.peak_learning_rate == 5e-3
