"""Numbers as labels: squared errors of scaled numbers, in training and in evaluation."""

import json

import pytest
import torch
from torch.nn import functional

from qtha_lab.experiment import Experiment, Training
from qtha_lab.runs import run as runs
from qtha_lab.training.evaluation import Predictions
from qtha_lab.training.trainer import _loss_of_classes


def test_scores_are_the_mean_squared_error_and_the_correlation():
    predicted, actual = torch.tensor([1.0, 2.0, 6.0]), torch.tensor([0.0, 2.0, 4.0])
    losses = (predicted - actual).square()
    scores = Predictions(losses, predicted, actual, torch.arange(3), 3).scores("regression")
    assert scores["loss"] == pytest.approx((1 + 0 + 4) / 3)
    # deviations (-2, -1, 3) and (-2, 0, 2): 10 / √(14 · 8)
    assert scores["correlation"] == pytest.approx(10 / 112**0.5)


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
    run = runs.launch(
        Experiment(task=str(path), method="lora(r=1)", training=training), tmp_path / "runs"
    )
    assert run.wait().state == "finished", run.status().message
    assert "numbers are scaled by mean" in run.files.events.read_text()
    assert "correlation" in (run.summary() or {})
    assert "squared errors" in (run.files.adapter / "README.md").read_text()
