"""Epochs and early stopping.

Steps worked out from rows, the best step's adapter kept, the same after a kill.
"""

import json
import math

import pytest
import torch
from safetensors.torch import load_file
from support.refusals import refused
from support.trained_runs import work

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Comparison, Experiment, Training
from qtha_lab.experiment.plan import resolve
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory.events import history, read_events
from qtha_lab.runs import run
from qtha_lab.studies.comparison.table import rows
from qtha_lab.studies.work import same_training
from qtha_lab.training.early_stopping import best_step, waited

SMALL = {
    "batch_size": 4,
    "max_length": 48,
    "train_rows": 20,
    "eval_rows": 4,
    "test_rows": 4,
    "generate_rows": 0,
    "spectrum_every": 0,
}
# at this rate LoRA gains once and then loses
EARLY = SMALL | {
    "steps": 30, "eval_every": 2, "checkpoint_every": 3, "patience": 3, "min_improvement": 0.01,
}  # fmt: skip
METHOD = "lora(r=2,learning_rate=0.2)"


def losses(files, *kinds):
    events = history(read_events(files.events)[0])
    return {(e["kind"], e["step"]): e["loss"] for e in events if e["kind"] in kinds}


@pytest.fixture(scope="module")
def early(tmp_path_factory):
    files = RunDir.create(
        Experiment(method=METHOD, training=EARLY), tmp_path_factory.mktemp("early")
    )
    return files, work(files)


def test_patience_counts_evaluations_that_do_not_improve():
    assert waited({0: 4.0}) == 0
    assert waited({0: 4.0, 1: 4.1, 2: 4.2}) == 2  # none better than the start
    assert waited({2: 4.2, 1: 3.0, 0: 4.0}) == 1  # in the order of the steps
    # 3.00 → 2.98 → 2.96 by 0.04 in two evaluations, not in one
    assert waited({0: 3.0, 1: 2.98, 2: 2.96}, min_improvement=0.04) == 0
    assert waited({0: 3.0, 1: 2.98, 2: 2.97}, min_improvement=0.04) == 2
    assert best_step({0: 3.0, 1: 2.98, 2: 2.97}) == 2
    assert best_step({0: 3.0}) is None


def test_a_run_ends_when_its_evaluations_no_longer_improve(early):
    files, outcome = early
    assert outcome.state == "finished"
    assert outcome.step < 30
    evaluated = {step: loss for (_, step), loss in losses(files, "eval").items()}
    assert waited(evaluated, 0.01) == 3
    assert waited({s: x for s, x in evaluated.items() if s < outcome.step}, 0.01) < 3
    assert (
        f"finished early at step {outcome.step} of 30: 3 evaluations in a row did not improve by"
        " 0.01 nats" in outcome.message
    )


def test_the_best_steps_adapter_is_what_is_kept_and_tested(early):
    files, outcome = early
    evaluated = {step: loss for (_, step), loss in losses(files, "eval").items()}
    kept = best_step(evaluated)
    summary = json.loads(files.summary.read_text())
    assert (summary["best_step"], summary["ended_early"], summary["steps"]) == (
        kept,
        True,
        outcome.step,
    )
    assert summary["eval_loss"] == evaluated[kept] == summary["eval_loss_best"]
    assert evaluated[outcome.step] > evaluated[kept]
    from qtha_lab.training.evaluation_variants import evaluate_variants

    (on_eval,) = evaluate_variants(files, side="eval", rows=4)
    assert on_eval.scores["loss"] == pytest.approx(evaluated[kept], rel=1e-5)
    (on_test,) = evaluate_variants(files, side="test", rows=4)
    assert on_test.scores["loss"] == pytest.approx(summary["test_loss"], rel=1e-5)
    assert not files.best.exists()


def test_the_adapter_is_bit_for_bit_that_of_a_run_of_as_many_steps(early, tmp_path):
    files, _ = early
    kept = json.loads(files.summary.read_text())["best_step"]
    # the schedule of all 30 steps, stopped after the kept one: its checkpoint
    training = EARLY | {"patience": 0, "min_improvement": 0.0, "checkpoint_every": kept}
    other = RunDir.create(Experiment(method=METHOD, training=training), tmp_path)
    work(other, until=kept)
    checkpoint = other.checkpoints / f"checkpoint-{kept}"
    mine, theirs = (load_file(f / "adapter_model.safetensors") for f in (files.adapter, checkpoint))
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


@pytest.mark.slow
@pytest.mark.parametrize("stops", [(5, 8)])
def test_a_run_that_stopped_ends_as_one_that_did_not(early, stops, tmp_path):
    straight, outcome = early
    files = RunDir.create(Experiment(method=METHOD, training=EARLY), tmp_path)
    for until in stops:
        work(files, until)
    assert work(files) == outcome
    kinds = ("train", "eval", "test", "general")
    assert losses(files, *kinds) == losses(straight, *kinds)
    one, other = (f.adapter / "adapter_model.safetensors" for f in (files, straight))
    assert one.read_bytes() == other.read_bytes()


def test_a_best_adapter_that_was_deleted_is_missed(tmp_path):
    import shutil

    files = RunDir.create(Experiment(method=METHOD, training=EARLY), tmp_path)
    assert work(files, until=7).state == "stopped"
    shutil.rmtree(files.best)
    with refused("The best adapter of this run", rule="step-2"):
        work(files)


def test_the_table_says_which_step_is_kept(early):
    files, _ = early
    summary = json.loads(files.summary.read_text())
    (row,) = rows({"runs": [summary]})
    assert row["best step"] == str(summary["best_step"])


@pytest.mark.parametrize(
    ("epochs", "batch_size", "accumulation", "steps"),
    [(3, 4, 1, 15), (0.5, 4, 1, 3), (2, 8, 2, 4), (1, 3, 2, 4)],
)
def test_epochs_are_as_many_steps_as_the_trainer_makes_of_them(epochs, batch_size, accumulation, steps):  # fmt: skip
    course = SMALL | {
        "epochs": epochs,
        "batch_size": batch_size,
        "gradient_accumulation": accumulation,
    }
    plan = resolve(Experiment(method="lora(r=1)", training=course))
    # 20 rows: ⌈20 / 4⌉ = 5 batches an epoch, ⌈20 / 8⌉ = 3 in 2 steps, ⌈20 / 3⌉ = 7 in 4 steps
    assert len(plan.task.train) == 20
    assert (
        plan.steps
        == steps
        == math.ceil(epochs * math.ceil(math.ceil(20 / batch_size) / accumulation))
    )


def test_a_run_records_the_steps_of_its_epochs_and_takes_them(tmp_path):
    experiment = Experiment(method="lora(r=1)", training=SMALL | {"epochs": 0.4, "eval_every": 50})
    files = RunDir.create(experiment, tmp_path)
    assert (files.experiment.training.steps, files.experiment.training.epochs) == (2, 0.4)
    assert files.experiment.training.without_derived_steps == experiment.training
    assert work(files)[:2] == ("finished", 2)
    assert run.Run(files.path).status().steps == 2
    again = Experiment.from_yaml(files.experiment.to_yaml())
    again.check(tmp_path)
    assert "--epochs 0.4" in again.to_command()


@pytest.mark.parametrize(
    ("course", "rule"),
    [
        ({"epochs": 2, "steps": 50}, "steps must be empty with epochs=2, which is 10 steps of these rows, got 50"),
        ({"epochs": 0}, "epochs must be above 0, got 0"),
        ({"min_improvement": 0.1}, "min_improvement must be 0 without patience, got 0.1. Set patience to at least 1"),
        ({"patience": -1}, "patience must be at least 0, got -1"),
    ],
)  # fmt: skip
def test_a_course_that_cannot_be_is_refused(course, rule, tmp_path):
    with pytest.raises(Refusal, match=rule):
        Experiment(method="lora(r=1)", training=SMALL | course).check(tmp_path)
    Experiment(method="lora(r=1)", training=SMALL | {"epochs": 2, "steps": 10}).check(tmp_path)


def test_what_a_comparison_of_epochs_asks_for_is_what_its_runs_record():
    comparison = Comparison(methods="lora(r=1)", training=Training(epochs=2, **SMALL))
    (asked,) = comparison.experiments()
    recorded = resolve(asked).as_recorded()
    assert recorded.training.steps == 10
    assert same_training(recorded) == same_training(asked)
