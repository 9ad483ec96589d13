"""Numbers as labels: squared errors of scaled numbers, in training and in evaluation."""

import json

import pytest
import torch
from torch.nn import functional

from qtha_lab.experiment import Experiment, Training
from qtha_lab.runs.launch import launch
from qtha_lab.training.evaluation import Predictions
from qtha_lab.training.trainer import _loss_of_classes


def test_scores_are_the_mean_squared_error_and_the_correlation():
    predicted, actual = torch.tensor([1.0, 2.0, 6.0]), torch.tensor([0.0, 2.0, 4.0])
    losses = (predicted - actual).square()
    scores = Predictions(losses, predicted, actual, torch.arange(3), 3).scores("regression")
    assert scores["loss"] == pytest.approx((1 + 0 + 4) / 3)
    # deviations (-2, -1, 3) and (-2, 0, 2): 10 / √(14 · 8)
    assert scores["correlation"] == pytest.approx(10 / 112**0.5)
    assert scores["absolute_error"] == pytest.approx((1 + 0 + 2) / 3)
    assert "accuracy" not in scores


def test_a_prediction_of_an_ordered_label_is_right_where_that_label_is_the_nearest():
    # scaled by mean 3 and deviation 2: predicted 1.2, 3.8, 4.4, 9 stars of 1, 4, 5, 5
    predicted, actual = torch.tensor([-0.9, 0.4, 0.7, 3.0]), torch.tensor([-1.0, 0.5, 1.0, 1.0])
    predictions = Predictions((predicted - actual) ** 2, predicted, actual, torch.arange(4), 4)
    scores = predictions.scores("regression", (3.0, 2.0), ("1", "2", "3", "4", "5"))
    assert scores["absolute_error"] == pytest.approx((0.2 + 0.2 + 0.6 + 4) / 4)
    assert scores["accuracy"] == 3 / 4


def test_parts_of_a_step_add_up_to_the_mean_squared_error():
    logits, numbers = torch.tensor([[1.0], [2.0], [6.0], [3.0]]), torch.tensor([0.0, 2.0, 4.0, 4.0])
    parts = [
        _loss_of_classes({"logits": logits[part]}, numbers[part], torch.tensor(4))
        for part in (slice(0, 3), slice(3, 4))
    ]
    expected = functional.mse_loss(logits.squeeze(-1), numbers)
    torch.testing.assert_close(sum(parts), expected)


@pytest.mark.slow
def test_a_run_on_numbers_records_their_scale(tmp_path):
    rows = [{"text": f"The house has {i} rooms.", "label": 1000.5 * i} for i in range(60)]
    path = tmp_path / "prices.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    training = Training(steps=1, eval_rows=4, test_rows=4, batch_size=2, max_length=16)
    run = launch(
        Experiment(task=str(path), method="lora(r=1)", training=training), tmp_path / "runs"
    )
    assert run.wait().state == "finished", run.status().message
    assert "numbers are scaled by mean" in run.files.events.read_text()
    assert {"correlation", "absolute_error"} <= (run.summary or {}).keys()
    assert "squared errors" in (run.files.adapter / "README.md").read_text()


@pytest.mark.slow
def test_the_error_of_a_run_on_stars_is_small_where_the_text_names_the_stars(tmp_path):
    """A linear head on a frozen base separates five words; a wrong order would not be near."""
    words = ("terrible", "poor", "usual", "good", "superb")
    rows = [
        {"review": f"A {words[i % 5]} film, number {i}.", "stars": i % 5 + 1} for i in range(300)
    ]
    path = tmp_path / "reviews.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    training = Training(steps=60, eval_rows=40, test_rows=40, batch_size=16, max_length=16)
    run = launch(
        Experiment(task=str(path), method="lora(r=4)", training=training), tmp_path / "runs"
    )
    assert run.wait().state == "finished", run.status().message
    summary = run.summary or {}
    # always the middle star: an error of (2 + 1 + 0 + 1 + 2) / 5 = 1.2 and an accuracy of 0.2
    assert summary["absolute_error"] < 0.6
    assert summary["accuracy"] > 0.5
