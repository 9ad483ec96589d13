"""`qtha-lab runs`: the same table as Python's, annotations and the trash, from the shell."""

import csv
import io
import json

import pytest
from support.command_line import call
from support.run_folders import run_folder, status, train, write

from qtha_lab import runs_table
from qtha_lab.core import paths
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.run_directory import annotations, write_json
from qtha_lab.runs import run


@pytest.fixture(autouse=True)
def made():
    for number, method in enumerate(("lora(r=2)", "lora(r=2)", "qtha(r=4)")):
        run = run_folder(paths.runs_dir(), method, seed=number, steps=1)
        write(run, status("running", 0), train(1, 5.0), status("finished", 1))
        numbers = {"eval_loss": 4.0 + number, "trainable_parameters": 7680, "learning_rate": 0.003}
        write_json(run.files.summary, {"state": "finished", "steps": 1, **numbers})


def said(*words) -> str:
    answer = call(*words)
    if answer.exception is not None and not isinstance(answer.exception, SystemExit):
        raise answer.exception
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def test_runs_alone_is_the_list_and_a_name_is_one_run():
    listed = said("runs")
    assert all(run.id in listed for run in run.list_runs())
    one = run.list_runs()[0]
    assert said("runs", one.id) == said("runs", "list", one.id)
    assert json.loads(said("runs", "--json"))[0].keys() >= {"run_id", "state", "summary"}


def test_a_folder_without_runs_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_RUNS", str(tmp_path))
    printed = said("runs")
    assert printed.startswith("No run is in ")
    assert "qtha-lab run" in printed
    assert said("runs", "--json").strip() == "[]"


def test_the_table_is_the_same_as_text_json_csv_and_dataframe():
    words = ("--where", "method = lora", "--sort", "-eval_loss")
    frame = runs_table("method = lora", "-eval_loss")
    rows = json.loads(said("runs", *words, "--json"))
    assert [row["eval_loss"] for row in rows] == list(frame["eval_loss"]) == [5.0, 4.0]
    assert set(rows[0]) == set(frame.columns)
    lines = list(csv.DictReader(io.StringIO(said("runs", *words, "--csv"))))
    assert [float(line["eval_loss"]) for line in lines] == [5.0, 4.0]
    assert [line["run"] for line in lines] == list(frame["run"])
    shown = said("runs", *words, "--columns", "run,eval_loss")
    assert shown.index("5.000") < shown.index("4.000")
    assert "2 of 3 runs" in shown


def test_seeds_collapse_in_the_table():
    shown = said("runs", "--group", "seeds", "--sort", "eval_loss")
    assert "4.500" in shown
    assert "[4.000–5.000]" in shown
    assert "0, 1" in shown


def test_marks_are_made_by_name_and_by_expression():
    one = run.list_runs()[0].id
    assert said("runs", "tag", "best, warm", one) == f"{one}: tags best, warm\n"
    said("runs", "tag", "best", "--where", "method = lora")
    said("runs", "tag", "warm", one, "--remove")
    said("runs", "note", one, "for the paper")
    said("runs", "rename", one, "my best")
    assert "pinned yes" in said("runs", "pin", one)
    row = runs_table(f'run = "{one}"').iloc[0]
    assert (row["name"], row["note"], row["tags"], row["pinned"]) == (
        "my best",
        "for the paper",
        ["best"],
        True,
    )
    assert len(runs_table("best in tags")) == 3
    assert said("runs", "pin", one, "--off").endswith("tags best\n")


def test_runs_go_to_the_bin_and_come_back():
    names = [run.id for run in run.list_runs()]
    said("runs", "delete", "--where", "method = lora")
    assert len(run.list_runs()) == 1
    assert "2 runs in the trash" in said("runs", "trash")
    assert "2 runs" in said("runs", "--trash", "--columns", "run")
    said("runs", "restore", "--where", "seed = 0")
    assert len(run.list_runs()) == 2
    assert "1 run erased" in said("runs", "trash", "--empty")
    assert annotations.list_trash(paths.runs_dir()) == []
    assert len(names) == 3


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("runs", "--where", "methd = 3"),
            "column must be one of the table, got 'methd'. Did you mean 'method'?",
        ),
        (
            ("runs", "--sort", "nothing_such"),
            "got 'nothing_such'. Known: absolute_error, accuracy, adapter_bytes,",
        ),
        (("runs", "--columns", "eval_lss"), "Did you mean 'eval_loss'"),
        (("runs", "--group", "method"), "group must be one of seeds, got 'method'."),
        (("runs", "tag", "best"), "Runs must be named, or selected by --where, got neither."),
        (("runs", "delete", "--where", "seed = 99"), "--where must match a run, got seed = 99"),
        (("runs", "restore", "x"), "Unknown deleted run 'x'"),
        (
            ("runs", "x", "--csv"),
            "--where, --sort, --group, --columns, --wide and --csv must be used without a run, got one.",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(words, sentence):
    with pytest.raises(Refusal) as refused:
        said(*words)
    assert sentence in str(refused.value)
