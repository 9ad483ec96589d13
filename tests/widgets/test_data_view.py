"""The page shows the user's own data before any training, and no shipped task."""

import asyncio
import json

import pytest
from support.refusals import refused

from qtha_lab.experiment import Comparison, Training
from qtha_lab.experiment.check_data import check_data
from widgets.kit.boxes import is_shown
from widgets.workbench.data_view import DataView

WORDS = ("river", "engine", "violin", "harbour")


@pytest.fixture
def reviews(tmp_path):
    rows = [{"text": f"{WORDS[i % 4]} {i}", "label": ["good", "bad"][i % 2]} for i in range(40)]
    file = tmp_path / "reviews.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def show(view, task, max_length=32):
    training = Training(max_length=max_length)
    asyncio.run(view.show(Comparison(task=task, methods="lora", training=training)))


def test_a_chosen_file_is_shown_as_the_command_prints_it(reviews):
    view, report = DataView(), check_data(reviews, max_length=32)
    show(view, reviews)
    assert is_shown(view.fold)
    for _, value in report.facts():
        assert value in view.facts.value.replace("<wbr>", "")
    for label, counts in report.labels.items():
        assert f">{label}</th>" in view.labels.value
        assert all(f"<td>{count}</td>" in view.labels.value for count in counts)
    assert view.rows.value.count("→") == 3
    assert all(sentence in view.advice.value for sentence in report.advice)


def test_another_cut_off_shows_the_data_again_and_a_shipped_task_hides_them(reviews):
    view = DataView()
    show(view, reviews)
    before = view.facts.value
    show(view, reviews, max_length=8)
    assert "at max_length=8" in view.facts.value
    assert view.facts.value != before
    show(view, "qa")
    assert not is_shown(view.fold)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    file = tmp_path / "broken.jsonl"
    file.write_text("{oops\n")
    with refused("broken.jsonl, line 1: a line"):
        show(DataView(), str(file))
