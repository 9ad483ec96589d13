"""A measure is said once: the table, the axes, the summary and the commands read it there."""

import pytest
from typer.testing import CliRunner

from qtha_lab.cli import app, run, runs  # noqa: F401  (they add their commands)
from qtha_lab.core.metrics import MEASURES, Measure, recorded
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.run_directory import RunDir, write_json
from qtha_lab.experiment.run_directory.record import flaw
from qtha_lab.figures.machinery.labels import axis, latex
from qtha_lab.figures.pareto import pareto
from qtha_lab.runs.run import Run, Status
from qtha_lab.runs.table.frame import results_frame
from qtha_lab.studies.comparison import rows, tables
from qtha_lab.training import scores
from qtha_lab.training.summary import measured, run_summary

BITS = Measure("eval_bits", "surprise", "eval", "bits", "B", column="bits", form="{:.2f}")


@pytest.fixture
def new_measure(monkeypatch):
    """A measure of which nothing else in the house knows."""
    monkeypatch.setitem(MEASURES, BITS.name, BITS)


@pytest.fixture
def finished_run(tmp_path):
    """A run directory whose summary holds the new measure."""
    files = RunDir.create(Experiment(method="lora(r=2)"), tmp_path)
    write_json(files.summary, {"state": "finished", "steps": 3, "eval_bits": 1.2345})
    return files


def printed_rows(files):
    """The measures and values of the table that `qtha-lab runs RUN` prints."""
    printed = CliRunner().invoke(app, ["runs", str(files.path)], env={"COLUMNS": "200"}).output
    lines = [line.strip("│┃").split("│") for line in printed.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line] for line in lines]


def test_a_new_measure_is_in_the_summary_the_table_the_axes_and_the_command(
    new_measure, finished_run
):
    events = [{"kind": "eval", "step": 3, "loss": 1.0, "eval_bits": 1.5}]
    assert measured(events)["eval_bits"] == 1.5
    numbers = {"label": "lora", "method": "lora", "seed": 0, "eval_bits": 1.2345}
    assert rows({"runs": [numbers]})[0]["bits"] == "1.23"
    assert "bits" in tables({"runs": [numbers]})[1][0]
    assert axis("eval_bits") == "surprise (bits)"
    assert latex("eval_bits") == "surprise $B$ (bits)"
    assert ["eval bits", "1.234"] in printed_rows(finished_run)


def test_a_new_measure_that_is_no_number_makes_a_summary_unreadable(new_measure):
    who = {"model": "tiny", "task": "qa", "method": "lora", "seed": 0, "label": "lora"}
    summary = who | {"trainable_parameters": 1, "learning_rate": 0.1, "eval_bits": "many"}
    assert flaw(summary, who) == "its summary.json has no number as eval_bits"


def test_without_its_entry_the_same_number_is_in_no_table():
    numbers = {"label": "lora", "method": "lora", "seed": 0, "eval_bits": 1.2345}
    assert "bits" not in rows({"runs": [numbers]})[0]


def test_what_is_scored_is_what_is_known_as_a_measure():
    answers = scores.generation_scores(["a b"], ["a b"])
    assert list(answers) == recorded("generation")
    assert set(scores.classification_scores([0, 1], [0, 1])) <= set(recorded("eval"))


def test_units_of_runs_are_converted_by_one_rule():
    rows = [{"label": "a", "peak_memory_bytes": 3 * 2**20}, {"label": "b", "adapter_bytes": None}]
    table = results_frame(rows)
    assert table["peak_memory_mib"].tolist() == [3, None]
    assert table["adapter_kib"].tolist() == [None, None]


def test_the_front_of_a_score_is_above_and_that_of_a_loss_below():
    points = [{"label": "a", "cost": 1, "quality": 0.2}, {"label": "b", "cost": 2, "quality": 0.9}]
    assert "Of 2 methods 2 are not beaten" in pareto(points, quality="accuracy").alt
    assert "Of 2 methods 1 is not beaten" in pareto(points, quality="eval_loss").alt


def test_every_entry_of_a_run_begins_with_what_its_directory_says(tmp_path):
    label = "qtha(r=2,waist=16,bond_dim=3)"
    described = Experiment(method=label, quantization="int8", seed=3)
    files = RunDir.create(described, tmp_path)
    head = {
        "run_id": files.path.name, "model": "tiny", "task": "qa", "method": "qtha", "label": label,
        "seed": 3, "options": {"r": 2, "waist": 16, "bond_dim": 3}, "quantization": "int8",
    }  # fmt: skip
    written, shown = run_summary(files, {}), Run(files.path).outcome(Status("queued", 0, 5))
    for numbers in (written, shown):
        assert {name: numbers[name] for name in head} == head


def test_what_a_run_prints_is_what_it_printed_before_measures_had_a_file(finished_run):
    names = [
        "trainable_parameters",
        "eval_loss_start",
        "eval_loss",
        "test_loss",
        "generalisation_gap",
        "forgetting",
        "train_loss",
        "perplexity",
        "token_accuracy",
        "accuracy",
        "test_accuracy",
        "correlation",
        "absolute_error",
        "margin",
        "pair_accuracy",
        "exact_match",
        "bleu4",
        "rougeL",
        "seconds_per_step",
    ]
    of_fine_tunes = [m for m in MEASURES.values() if m.kind != "problem"]
    assert [measure.name for measure in of_fine_tunes if measure.brief] == names
    numbers = {m.name: 0.5 for m in of_fine_tunes} | {
        "state": "finished",
        "trainable_parameters": 12345,
    }
    write_json(finished_run.summary, numbers)
    first, *rest = printed_rows(finished_run)
    assert first == ["trainable parameters", "12,345"]
    assert [row[0] for row in rest] == [name.replace("_", " ") for name in names[1:]]
