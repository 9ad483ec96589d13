"""Data are described before any training, with the changes that they suggest."""

import csv
import json
import subprocess
import sys

import pytest
from support.refusals import refused

from qtha_lab.experiment.check_data import check_data
from qtha_lab.tasks import load_task


def write(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


@pytest.fixture
def reviews(tmp_path):
    rows = [{"review": f"Film {i} was seen.", "stars": 5 if i % 30 else 1} for i in range(120)]
    return write(tmp_path / "reviews.csv", rows)


def test_a_report_counts_what_a_run_would_train_on(reviews):
    report, task = check_data(reviews), load_task(reviews)
    assert (report.kind, report.shape, report.split_key) == (
        "classification",
        "text and label",
        "text",
    )
    assert report.columns == {"text": "review", "label": "stars"}
    assert report.rows == {
        "training": len(task.train),
        "evaluation": len(task.eval),
        "test": len(task.test),
    }
    assert sum(map(sum, report.labels.values())) == 120
    assert list(report.labels) == ["1", "5"]
    assert report.examples[0] == f"{task.train[0]['text']} → '{task.train[0]['label']}'"


def test_cut_rows_few_test_rows_and_rare_labels_are_advised_on(reviews):
    report = check_data(reviews, max_length=4)
    assert report.cut == report.counted == report.rows["training"]
    advice = " ".join(report.advice)
    assert f"Set max_length to {report.tokens['longest']}" in advice
    assert "intervals of its loss are wide" in advice
    assert "Label '1' has " in advice


def test_the_tokens_with_a_loss_are_marked(tmp_path):
    rows = [{"question": f"What is {i}?", "answer": f"It is {i}."} for i in range(40)]
    report = check_data(write(tmp_path / "mine.csv", rows))
    assert report.kind == "lm"
    assert all(example.count("⟦") == example.count("⟧") == 1 for example in report.examples)
    assert "⟦It is " in report.examples[0]


def test_options_of_the_data_are_those_of_a_run(tmp_path):
    path = write(
        tmp_path / "mine.csv", [{"frage": f"Was {i}?", "antwort": f"Das {i}."} for i in range(40)]
    )
    with refused("mine.csv, line 2: The columns", "frage, antwort"):
        check_data(path)
    assert check_data(path, prompt="frage", response="antwort").kind == "lm"


@pytest.mark.slow
def test_the_command_prints_the_same_as_json(reviews):
    words = [sys.executable, "-m", "qtha_lab", "check-data", reviews, "--json"]
    printed = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    assert printed["rows"] == check_data(reviews).rows


def test_ordered_labels_are_stated_and_counted(tmp_path):
    rows = [{"review": f"Film {i} was seen.", "stars": i % 5 + 1} for i in range(200)]
    report = check_data(write(tmp_path / "stars.csv", rows))
    assert report.kind == "regression"
    assert list(report.labels) == ["1", "2", "3", "4", "5"]
    assert sum(map(sum, report.labels.values())) == 200
    assert "Labels are read as ordered labels (squared error)." in " ".join(report.advice)
