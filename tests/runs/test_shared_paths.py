"""Files that a comparison writes for others name no folder of this machine."""

import json
from pathlib import Path

import pytest
from support.command_line import call

from qtha_lab.core import paths
from qtha_lab.runs.run import list_runs
from qtha_lab.studies.comparison.found_runs import renamed, shared_names

SHARED = ("report.html", "report.json", "report.ipynb", "summary.json", "environment.json")


@pytest.mark.slow
def test_the_files_of_a_comparison_hold_no_path_of_its_task_file(tmp_path):
    task = tmp_path / "data" / "sums.jsonl"
    task.parent.mkdir()
    rows = [{"prompt": f"What is {i} plus {i}?", "response": f"It is {2 * i}."} for i in range(90)]
    task.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "out"
    words = [
        "compare", "--methods", "lora(r=2),dora(r=2)", "--task", str(task), "--seeds", "0",
        "--learning-rates", "0.01", "--steps", "2", "--batch-size", "2", "--train-rows", "16",
        "--eval-rows", "4", "--test-rows", "4", "--generate-rows", "0", "--max-length", "32",
        "--out", str(out),
    ]  # fmt: skip
    for result in (call(*words), call(*words)):  # the second goes on with the first
        assert result.exit_code == 0, (result.output, result.exception)
    files = [file for file in out.rglob("*") if file.name in SHARED]
    assert {file.name for file in files} == set(SHARED)
    for file in files:
        text = file.read_text()
        for place in (tmp_path, Path.home(), paths.CHECKOUT):
            assert f"{place}/" not in text, file
    assert "sums.jsonl" in (out / "report.html").read_text()
    run, _ = list_runs(out / "runs")
    assert run.experiment.task == str(task), "a run can still be resumed"
    again = call("report", str(out))
    assert again.exit_code == 0, again.output


def test_tasks_of_one_file_name_keep_names_of_their_own():
    names = shared_names(["qa", "/home/ada/one/rows.jsonl", "/home/ada/two/rows.jsonl"])
    assert renamed({"task": ["/home/ada/two/rows.jsonl", "qa"]}, names) == {
        "task": ["two/rows.jsonl", "qa"]
    }
