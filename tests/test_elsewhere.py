"""A trained adapter elsewhere: the same loss as in its run, on shots, on another side, and without a part."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from qtha_lab import launch, runs
from qtha_lab.cli import app, evaluate, run  # noqa: F401  (they add their commands)
from qtha_lab.errors import Refusal
from qtha_lab.experiment import Experiment
from qtha_lab.rundir import RunDir
from qtha_lab.training.elsewhere import evaluate_elsewhere

TRAINING = {
    "steps": 2, "batch_size": 2, "max_length": 48, "train_rows": 8, "eval_rows": 4, "test_rows": 6,
    "generate_rows": 0, "spectrum_every": 0, "threads": 1,
}  # fmt: skip
METHOD = "qtha(r=2,waist=8,n_layers=1,bond_dim=2,learning_rate=0.05)"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    launched = launch(Experiment(method=METHOD, training=TRAINING), tmp_path_factory.mktemp("runs"))
    assert launched.wait().state == "finished", launched.log_tail()
    return launched


@pytest.mark.slow
def test_as_trained_it_has_the_test_loss_of_its_run(trained):
    cuts = ["W_q", "W_c", "angles"]
    whole, *parts = evaluate_elsewhere(trained.files, rows=6, cuts=cuts)
    assert whole.scores["loss"] == pytest.approx(trained.summary()["test_loss"], rel=1e-5)
    assert [variant.name for variant in parts] == [f"without {cut}" for cut in cuts]
    losses = [variant.scores["loss"] for variant in parts]
    assert all(loss != whole.scores["loss"] for loss in losses)
    assert len(set(losses)) == 3  # each cut is put back before the next
    (evaluation,) = evaluate_elsewhere(trained.files, side="eval", rows=4)
    assert evaluation.scores["loss"] == pytest.approx(trained.summary()["eval_loss"], rel=1e-5)


def test_exact_expectations_of_a_device_are_those_of_the_simulator(trained):
    whole, device = evaluate_elsewhere(trained.files, rows=2, engine="device:default.qubit")
    assert device.name == "on device:default.qubit"
    assert device.scores["loss"] == pytest.approx(whole.scores["loss"], rel=1e-5)


def test_the_command_prints_each_beside_the_first(trained):
    call = ["evaluate", str(trained.path), "--rows", "2", "--cut", "W_q"]
    printed = CliRunner().invoke(app, [*call, "--json"])
    assert [variant["name"] for variant in json.loads(printed.output)] == [
        "as trained",
        "without W_q",
    ]
    assert "without W_q" in CliRunner().invoke(app, call).output


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"cuts": ["W_z"]}, "cut must be one of W_q, W_c, angles, not 'W_z'"),
        ({"task": "supersense"}, "was trained for qa, not for supersense"),
        ({"engine": "nonsense"}, "unknown engine 'nonsense'"),
    ],
)
def test_what_cannot_be_is_refused(trained, options, rule):
    with pytest.raises(Refusal, match=rule):
        list(evaluate_elsewhere(trained.files, **options))


def test_a_run_without_an_adapter_is_refused(tmp_path):
    from support.run_folders import run_folder

    waiting = run_folder(tmp_path)
    with pytest.raises(Refusal, match="has no adapter yet: let it finish first"):
        list(evaluate_elsewhere(runs.attach(waiting.path).files))


def test_the_test_rows_of_a_run_from_before_there_were_any_are_refused(trained, tmp_path):
    old = shutil.copytree(trained.path, tmp_path / trained.id)
    described = (old / "experiment.yaml").read_text()
    (old / "experiment.yaml").write_text(described.replace("edition: 3", "edition: 2", 1))
    with pytest.raises(Refusal, match="before tasks had test rows, and trained on some of them"):
        list(evaluate_elsewhere(RunDir(old)))
    (variant,) = evaluate_elsewhere(RunDir(old), side="eval", rows=4)
    assert variant.scores["loss"] == pytest.approx(trained.summary()["eval_loss"], rel=1e-5)


def test_a_run_starts_from_the_gradient_of_its_rows_and_records_what_its_circuits_are_fed(tmp_path):
    method = "qtha_gradient(r=2,start_rows=4,learning_rate=0.01)"
    gradient = launch(Experiment(method=method, training=TRAINING), tmp_path)
    assert gradient.wait().state == "finished", gradient.log_tail()
    events = gradient.history()
    assert any("start from 4 training rows" in event.get("message", "") for event in events)
    records = [event for event in events if event["kind"] == "bottleneck"]
    assert [record["step"] for record in records] == [0, 2]
    assert len(records[0]["layers"]) == 12  # q_proj and v_proj of six blocks
    facts = records[0]["layers"].values()
    # A is scaled so that h has a root mean square of 1 over its rows
    assert all(0.3 < fact["angle_std"] < 3 for fact in facts)
    losses = [event["loss"] for event in events if event["kind"] == "eval"]
    assert len(set(losses)) == len(losses)
