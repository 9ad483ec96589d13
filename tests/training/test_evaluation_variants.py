"""A trained adapter elsewhere.

The same loss as in its run, on shots, on another side, and without a part.
"""

import csv
import json

import pytest
from support.command_line import check_command
from support.refusals import refused
from typer.testing import CliRunner

from qtha_lab import launch
from qtha_lab.cli import app, predict, run  # noqa: F401  (they add their commands)
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Experiment
from qtha_lab.runs.run import load_run
from qtha_lab.studies.comparison.findings import draw_finding
from qtha_lab.training.evaluation_variants import evaluate_variants

TRAINING = {
    "steps": 2, "batch_size": 2, "max_length": 48, "train_rows": 8, "eval_rows": 4, "test_rows": 6,
    "generate_rows": 0, "spectrum_every": 0, "eval_every": 1, "threads": 1,
}  # fmt: skip
METHOD = "qtha(r=2,waist=8,n_layers=1,bond_dim=2,learning_rate=0.05)"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    launched = launch(Experiment(method=METHOD, training=TRAINING), tmp_path_factory.mktemp("runs"))
    assert launched.wait().state == "finished", launched.log_tail()
    return launched


def test_a_run_without_test_rows_has_the_losses_of_one_that_is_tested(trained, tmp_path):
    untested = launch(trained.experiment.replace(training=TRAINING | {"test_rows": 0}), tmp_path)
    assert untested.wait().state == "finished", untested.log_tail()
    assert untested.summary["eval_loss"] == trained.summary["eval_loss"]
    assert untested.summary.get("test_loss") is None
    assert trained.summary["test_loss"] > 0
    assert not untested.files.test.exists()


@pytest.mark.slow
def test_as_trained_it_has_the_test_loss_of_its_run(trained):
    cuts = ["W_q", "W_c", "angles"]
    whole, *parts = evaluate_variants(trained.files, rows=6, cuts=cuts)
    assert whole.scores["loss"] == pytest.approx(trained.summary["test_loss"], rel=1e-5)
    assert [variant.name for variant in parts] == [f"without {cut}" for cut in cuts]
    losses = [variant.scores["loss"] for variant in parts]
    assert all(loss != whole.scores["loss"] for loss in losses)
    assert len(set(losses)) == 3  # each cut is put back before the next
    (evaluation,) = evaluate_variants(trained.files, side="eval", rows=4)
    assert evaluation.scores["loss"] == pytest.approx(trained.summary["eval_loss"], rel=1e-5)


def test_exact_expectations_of_a_device_are_those_of_the_simulator(trained):
    whole, device = evaluate_variants(trained.files, rows=2, engine="device:default.qubit")
    assert device.name == "on device:default.qubit"
    assert device.scores["loss"] == pytest.approx(whole.scores["loss"], rel=1e-5)


@pytest.mark.slow
def test_shots_scatter_about_the_exact_loss_and_noise_moves_it(trained):
    many, few, noisy = (
        "device:default.qubit(shots=20000,seed=1)",
        "device:default.qubit(shots=2,seed=1)",
        "device:default.mixed(noise=wukong,shots=none)",
    )
    whole, *others = evaluate_variants(trained.files, rows=2, engine=[many, few, noisy])
    assert [variant.name for variant in others] == [f"on {name}" for name in (many, few, noisy)]
    off = [abs(variant.scores["loss"] - whole.scores["loss"]) for variant in others]
    assert 0 < off[0] < off[1]
    # noise shrinks ⟨Z⟩ without a sample: as far from the exact answer as its chances say, the same
    # in every call
    again = list(evaluate_variants(trained.files, rows=2, engine=noisy))[1]
    assert off[2] > off[0]
    assert again.scores == others[2].scores


@pytest.mark.slow
def test_on_another_task_it_is_held_against_the_start_there(trained):
    variants = list(
        evaluate_variants(
            trained.files, task=["qa", "definitions"], side="eval", rows=4, start=True
        )
    )
    assert [(variant.name, variant.on) for variant in variants] == [
        (name, f"{task}, eval rows")
        for task in ("qa", "definitions")
        for name in ("as trained", "at the start")
    ]
    trained_loss, start, elsewhere, start_elsewhere = (v.scores["loss"] for v in variants)
    first = next(event["loss"] for event in trained.valid_events() if event["kind"] == "eval")
    assert start == pytest.approx(first, rel=1e-5)  # its adapter changes nothing then
    assert trained_loss == pytest.approx(trained.summary["eval_loss"], rel=1e-5)
    assert len({trained_loss, start, elsewhere, start_elsewhere}) == 4


def test_the_command_prints_each_beside_the_first_and_draws_them(trained, tmp_path):
    call = ["evaluate", str(trained.path), "--rows", "2", "--cut", "W_q"]
    files = [tmp_path / "elsewhere.csv", tmp_path / "elsewhere.html"]
    drawn = [word for file in files for word in ("--figure", str(file))]
    printed = CliRunner().invoke(app, [*call, "--json", *drawn])
    names = ["as trained", "without W_q", "at the start"]
    variants = json.loads(printed.stdout)
    assert [variant["name"] for variant in variants] == names
    rows = list(csv.DictReader(files[0].read_text().splitlines()))
    assert [row["adapter"] for row in rows] == names
    assert float(rows[1]["loss"]) == pytest.approx(variants[1]["scores"]["loss"])
    assert trained.id in files[1].read_text()
    assert "without W_q" in check_command(*call)


def test_a_figure_that_cannot_be_written_is_refused_before_anything_is_computed(trained):
    outcome = CliRunner().invoke(app, ["evaluate", str(trained.path), "--figure", "a.docx"])
    assert "format must be one of pdf, svg, png, html, csv, tex, md, got 'a.docx'." in str(
        outcome.exception
    )


def test_while_it_trains_what_circuits_are_fed_is_recorded_and_drawn_by_block(trained):
    records = [event for event in trained.valid_events() if event["kind"] == "bottleneck"]
    assert [record["step"] for record in records] == [0, 1, 2]
    figure = draw_finding("circuits", [trained])
    assert {row[1:3] for row in figure.table.rows} == {(s, b) for s in range(3) for b in range(6)}
    numbers = dict(zip(figure.table.columns, figure.table.rows[-1], strict=True))
    assert 0 <= numbers["constant_part"] < numbers["affine_part"] <= 1
    assert numbers["angle_std"] > 0


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"cuts": ["W_z"]}, "cut must be one of W_q, W_c, angles, got 'W_z'"),
        (
            {"task": "supersense"},
            "The task must be qa, for which the head of .* was trained, got supersense",
        ),
        ({"engine": "nonsense"}, "Unknown engine 'nonsense'"),
    ],
)
def test_what_cannot_be_is_refused(trained, options, rule):
    with pytest.raises(Refusal, match=rule):
        list(evaluate_variants(trained.files, **options))


def test_a_run_without_an_adapter_is_refused(tmp_path):
    from support.run_folders import run_folder

    waiting = run_folder(tmp_path)
    with refused("The run", rule="an adapter"):
        list(evaluate_variants(load_run(waiting.path).files))


def test_a_run_starts_from_the_gradient_of_its_rows_and_records_what_its_circuits_are_fed(tmp_path):
    method = "qtha_gradient(r=2,start_rows=4,learning_rate=0.01)"
    gradient = launch(Experiment(method=method, training=TRAINING), tmp_path)
    assert gradient.wait().state == "finished", gradient.log_tail()
    events = gradient.valid_events()
    assert any("start from 4 training rows" in event.get("message", "") for event in events)
    records = [event for event in events if event["kind"] == "bottleneck"]
    assert [record["step"] for record in records] == [0, 1, 2]
    assert len(records[0]["layers"]) == 12  # q_proj and v_proj of six blocks
    facts = records[0]["layers"].values()
    # A is scaled so that h has a root mean square of 1 over its rows
    assert all(0.3 < fact["angle_std"] < 3 for fact in facts)
    losses = [event["loss"] for event in events if event["kind"] == "eval"]
    assert len(set(losses)) == len(losses)
