"""The leader of a cell from its claims, and maps that are refused before work starts."""

import json

import pytest
from support.refusals import refused
from typer.testing import CliRunner

from qtha_lab.cli import load_commands
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Comparison
from qtha_lab.figures.regimes import UNDECIDED, regimes
from qtha_lab.studies.regime_map import RegimeMap, regimes_of


def claim(first, mean, verdict, task="qa"):
    ends = {"low": mean - 0.01, "high": mean + 0.01}
    names = {"first": first, "second": "lora", "model": "tiny", "task": task}
    return names | {"mean": mean, "verdict": verdict} | ends


def leaders(*claims):
    return [(cell["place"], cell["leader"]) for cell in regimes_of(claims, 100)]


def test_a_method_that_is_shown_lower_leads():
    found = leaders(claim("qtha", -0.05, "shown"), claim("vera", -0.06, "shown"))
    assert found == [("qa", "vera")]


def test_the_reference_leads_where_all_others_are_shown_higher():
    assert leaders(claim("qtha", 0.05, "shown"), claim("vera", 0.06, "shown")) == [("qa", "lora")]


def test_nothing_is_decided_where_the_best_other_is_not_shown():
    found = leaders(claim("qtha", 0.01, "inconclusive"), claim("vera", 0.06, "shown"))
    assert found == [("qa", "")]
    assert leaders(claim("qtha", -0.01, "equivalent")) == [("qa", "")]


def test_each_task_is_a_cell_of_its_own():
    found = leaders(claim("qtha", -0.05, "shown"), claim("qtha", 0.05, "shown", task="recall"))
    assert found == [("qa", "qtha"), ("recall", "lora")]


def test_undecided_cells_are_hollow_and_named():
    cells = [*regimes_of([claim("qtha", 0.01, "inconclusive")], 100)]
    cells += regimes_of([claim("qtha", -0.05, "shown")], 1000)
    hollow, filled = regimes(cells).plotly.data
    assert (hollow.name, hollow.marker.symbol) == (UNDECIDED, "square-open")
    assert (filled.name, list(filled.y)) == ("qtha", [1])


def test_every_number_of_steps_is_a_comparison_with_its_evaluation_at_the_end():
    grid = RegimeMap(Comparison(methods="lora,ia3", tasks=["qa", "recall"]), (4, 8))
    assert [(c.training.steps, c.training.eval_every) for c in grid.comparisons()] == [
        (4, 4),
        (8, 8),
    ]


@pytest.mark.parametrize(
    ("methods", "steps", "setting", "value", "rule"),
    [
        ("lora,ia3", (100,), "A map", "1", ""),
        ("lora,ia3", (100, 100), "steps", "", "different numbers of at least 1"),
        ("lora,ia3", (), "steps", "", "different numbers of at least 1"),
        ("lora", (100, 200), "A map", "1", ""),
    ],
)
def test_a_map_with_one_point_or_method_is_refused(methods, steps, setting, value, rule):
    with refused(setting, value, rule=rule):
        RegimeMap(Comparison(methods=methods), steps)


def test_the_command_refuses_words_as_steps_in_a_sentence(tmp_path):
    file = tmp_path / "it.yaml"
    file.write_text("methods: [lora, ia3]\n")
    answer = CliRunner().invoke(load_commands(), ["map", str(file), "--steps", "many"])
    assert isinstance(answer.exception, Refusal)
    assert "steps must be whole numbers" in str(answer.exception)


@pytest.mark.slow
def test_a_small_map_is_run_by_the_command_continued_and_written(tmp_path):
    file, out = tmp_path / "it.yaml", tmp_path / "map"
    file.write_text(
        "methods: [lora(r=2), ia3]\nseeds: [0, 1, 2]\ntraining: {batch_size: 2, max_length: 32, "
        "train_rows: 16, eval_rows: 4, test_rows: 8, spectrum_every: 0, threads: 1}\n"
    )
    command = ["map", str(file), "--steps", "2,3", "--out", str(out), "--json"]
    answer = CliRunner().invoke(load_commands(), command)
    assert answer.exit_code == 0, answer.output
    found = json.loads(answer.stdout)
    assert [cell["steps"] for cell in found] == [2, 3]
    assert json.loads((out / "map.json").read_text())["cells"] == found
    assert (out / "regimes.html").is_file()
    runs = {run.parent.name for run in out.glob("steps-*/runs/*/events.jsonl")}
    assert len(runs) == 12
    again = CliRunner().invoke(load_commands(), command)
    assert json.loads(again.stdout) == found
    assert {run.parent.name for run in out.glob("steps-*/runs/*/events.jsonl")} == runs
