"""`report_to`: the curves of a real run, read back by TensorBoard's own library; a resumed run goes on with them."""

import pytest
from support.waiting import PATIENCE, wait_until

from qtha_lab.core.settings import settings_of
from qtha_lab.experiment import Experiment, Training
from qtha_lab.runs.launch import launch

TRAINING = {
    "steps": 12, "batch_size": 2, "max_length": 32, "train_rows": 40, "eval_rows": 4, "test_rows": 8, "eval_every": 4,
    "checkpoint_every": 2, "generate_rows": 0, "spectrum_every": 0, "threads": 1, "report_to": "tensorboard",
}  # fmt: skip


def curve(run, tag):
    """(step, value) of a scalar, as TensorBoard shows it."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run.path / "tensorboard"))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def recorded(run, kind):
    return [(e["step"], pytest.approx(e["loss"])) for e in run.valid_events() if e["kind"] == kind]


@pytest.mark.slow
def test_tensorboard_shows_the_curves_of_a_run_that_was_stopped_and_resumed(tmp_path):
    run = launch(Experiment(method="lora(r=2)", training=TRAINING), tmp_path / "runs")
    wait_until(lambda: run.status().step >= 3 or run.status().ended, run.log_tail)
    run.stop()
    stopped = run.status().step
    if run.status().state == "stopped":
        run.resume()
    status = run.wait(PATIENCE)
    assert status.state == "finished", f"{status}\n{run.log_tail()}"
    assert 3 <= stopped <= 12
    assert [step for step, _ in curve(run, "train/loss")] == list(range(1, 13))
    assert curve(run, "train/loss") == recorded(run, "train")
    assert curve(run, "eval/loss") == recorded(run, "eval")


def test_the_form_and_the_flags_offer_the_trackers():
    declared = settings_of(Training)["report_to"]
    assert declared.choices == ("none", "tensorboard", "wandb", "mlflow")
