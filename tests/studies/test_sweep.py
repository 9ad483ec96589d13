"""A sweep tries what it says, as much of every method, and goes on where a kill ended it."""

import json
import os
import shlex
import signal

import pytest
from support.command_line import call
from support.refusals import refused
from support.waiting import wait_until

from qtha_lab import launch, list_runs
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Sweep
from qtha_lab.experiment.run_directory import queue
from qtha_lab.experiment.sweep import place_of
from qtha_lab.studies.sweep import SweepStudy
from qtha_lab.studies.sweep.confirmation import TrialRecord, confirmation
from qtha_lab.studies.sweep.forecast import forecast
from qtha_lab.studies.sweep.optuna_study import MethodStudy, open_journal
from qtha_lab.studies.sweep.scheduler import origin_of

SMALL = "qtha(r=2,waist=8,n_layers=1,bond_dim=2)"
TRAINING = {
    "steps": 4,
    "batch_size": 2,
    "max_length": 48,
    "train_rows": 20,
    "eval_rows": 6,
    "test_rows": 8,
    "eval_every": 2,
    "checkpoint_every": 2,
    "spectrum_every": 0,
    "generate_rows": 0,
    "threads": 1,
}
RATES = {"learning_rate": [0.001, 0.01]}


def small(**fields):
    fields = {"methods": f"lora(r=2),{SMALL}", "axes": RATES, "training": TRAINING} | fields
    return Sweep(**fields)


def test_points_are_every_combination_of_the_axes_a_method_has():
    described = small(axes={"learning_rate": [0.1, 0.2], "qtha.r": "2..4", "steps": [4, 8]})
    lora, qtha = described.methods
    assert len(described.grid(lora)) == 4
    assert len(described.grid(qtha)) == 12
    point = {"learning_rate": 0.2, "qtha.r": 3, "steps": 8}
    assert described.grid(qtha)[-3] == point
    (experiment,) = described.experiments_at(qtha, point)
    assert experiment.method.options["r"] == 3
    assert experiment.method.learning_rate == 0.2
    assert experiment.training.steps == 8
    assert experiment.training.batch_size == TRAINING["batch_size"]


@pytest.mark.slow
def test_every_form_of_a_sweep_reads_back_as_the_same(tmp_path):
    described = small(
        axes={"learning_rate": "1e-3…1e-1 log 3", "ansatz": ["product"]},
        search="tpe", trials=7, pruner="median", objective="perplexity",
        training={**TRAINING, "objective": "reinforce"},
    )  # fmt: skip
    assert Sweep.from_yaml(described.to_yaml()) == described
    scope: dict = {}
    code, start = described.to_python().rsplit("\n", 2)[0], "trials = launch(sweep)"
    assert start in described.to_python()
    exec(code, scope)
    assert scope["sweep"] == described
    file = tmp_path / "sweep.yaml"
    file.write_text(described.to_yaml())

    words = shlex.split(described.to_command())[1:]
    for typed in (words, ["sweep", str(file)]):
        outcome = call(*typed, "--dry-run")
        assert outcome.exit_code == 0, outcome.output
        assert Sweep.from_yaml(outcome.stdout) == described


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"axes": {"learning_rte": [0.1]}}, "Unknown axis 'learning_rte': did you mean 'learning_rate'"),
        ({"axes": {"training.stps": [4]}}, "Unknown axis 'training.stps'"),
        ({"axes": {"learning_rate": "0.1..0.01"}}, r"axes: Axis learning_rate: A range must go upward, got 0\.1 to 0\.01\."),
        ({"axes": {"steps": "1..1000000000"}}, r"at most 10,000 values, got 1,000,000,000"),
        ({"axes": {"steps": "1..10000", "batch_size": "1..10000"}}, "at most 100,000 points, got 100,000,000"),
        ({"axes": {"steps": "1..10000", "batch_size": "1..6"}}, "at most 100,000 points together"),
        ({"axes": {}}, "axes must be at least 1 long"),
        ({"axes": [0.1]}, "axes must be settings by name"),
        ({"search": "tpe"}, "trials must be given with search=tpe"),
        ({"search": "guess"}, "search must be one of"),
        ({"trials": 0}, "trials must be at least 1"),
        ({"objective": "eval_los"}, "did you mean 'eval_loss'"),
        ({"objective": "bleu4", "pruner": "median"}, "must be evaluated during training with a pruner, got bleu4"),
    ],
)  # fmt: skip
def test_a_sweep_that_makes_no_sense_is_refused(fields, rule):
    with pytest.raises(Refusal, match=rule):
        small(**fields)


def test_a_search_at_random_may_draw_from_a_range_that_no_grid_holds(tmp_path):
    described = small(axes={"steps": "1..1000000000"}, search="random", trials=3)
    study = MethodStudy(described, 0, open_journal(tmp_path / "journal.log"))
    assert 1 <= study.ask().params["steps"] <= 1_000_000_000
    assert described.trials_of(described.methods[0]) == 3


@pytest.mark.parametrize("axes", ["steps=1..1000000000", "steps=1..20000,batch_size=1..20000"])
def test_a_range_typed_at_the_command_line_is_refused_in_one_sentence(axes):
    outcome = call("sweep", "--methods", "lora", "--axes", axes, "--dry-run")
    assert isinstance(outcome.exception, Refusal)
    assert "axes: A range must have at most 10,000 values" in str(outcome.exception)


def test_a_ratio_of_rates_is_an_axis_by_its_group():
    described = small(
        methods=["lora(r=2)", SMALL], training=TRAINING | {"rate_ratios": {"A": 2}},
        axes={"training.rate_ratios.B": [1, 8], "qtha.rate_ratios.angles": [3]},
    )  # fmt: skip
    ratios = {
        method.name: [
            described.experiments_at(method, point)[0].training.rate_ratios
            for point in described.grid(method)
        ]
        for method in described.methods
    }
    assert ratios["lora"] == [{"A": 2, "B": 1}, {"A": 2, "B": 8}]
    assert ratios["qtha"] == [{"A": 2, "B": 1, "angles": 3}, {"A": 2, "B": 8, "angles": 3}]
    described.check()
    with refused("group of tensors of lora in rate_ratios", "'angles'"):
        small(methods="lora(r=2)", axes={"rate_ratios.angles": [3]}).check()
    with refused("rate_ratios: rate_ratios", "B=-1"):
        small(axes={"rate_ratios.B": [-1]}).check()


def test_a_value_that_a_method_cannot_take_is_refused_before_anything_starts(tmp_path):
    with refused("at qtha.r=0: r", "0"):
        launch(small(axes={"qtha.r": [2, 0]}), tmp_path / "sweep")
    with refused("axes: A grid from 0.1 to 0.2", rule="has no number of values"):
        launch(small(axes={"learning_rate": "0.1..0.2"}), tmp_path / "sweep")
    assert not (tmp_path / "sweep").exists()
    assert list_runs() == []


def test_a_name_in_two_places_must_say_which():
    (lora,) = Sweep(methods="lora", axes=RATES).methods
    assert place_of("steps", lora) == ("training", "steps")
    assert place_of("lora.r", lora) == ("option", "r")
    assert place_of("qtha.r", lora) is None
    assert place_of("model", lora) == ("run", "model")


def test_unequal_budgets_are_said_and_can_be_made_equal():
    described = small(axes={"learning_rate": [0.1, 0.2], "qtha.r": [2, 3]})
    assert "trials=2 makes them equal" in forecast(described).sentences[0]
    equal = forecast(described.replace(trials=2))
    assert "every method has 2 trials" in equal.sentences[0]
    assert equal.runs == 4
    assert set(equal.trials.values()) == {2}


@pytest.mark.parametrize("search", ["random", "tpe", "sobol"])
def test_a_trial_cut_off_at_its_birth_gets_the_point_it_would_have_had(search, tmp_path):
    described = small(axes={"learning_rate": "1e-3..1e-1 log"}, search=search, trials=2)
    whole = MethodStudy(described, 0, open_journal(tmp_path / "whole"))
    cut = MethodStudy(described, 0, open_journal(tmp_path / "cut"))
    cut.study._storage.create_new_trial(cut.study._study_id)  # the first thing that asking writes
    (mended,) = MethodStudy(described, 0, open_journal(tmp_path / "cut")).open_trials()
    assert cut.point(mended) == whole.point(whole.ask())


def test_a_point_of_the_grid_that_was_not_yet_asked_for_is_not_lost(tmp_path):
    study = MethodStudy(small(), 0, open_journal(tmp_path / "journal"))
    study.study.enqueue_trial({"learning_rate": 0.001})  # and a kill here
    again = MethodStudy(small(), 0, open_journal(tmp_path / "journal"))
    assert again.remaining() == 2
    points = [again.point(again.ask())["learning_rate"] for _ in range(2)]
    assert sorted(points) == [0.001, 0.01]
    assert again.remaining() == 0


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """A sweep whose driver and runs are killed when its first trial has ended, and which is then
    resumed.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QTHA_LAB_RUNS", str(tmp_path_factory.mktemp("sweep") / "runs"))
        patch.setenv("QTHA_LAB_SLOTS", "2")
        trials = launch(small(search="random", trials=2, seeds=[0, 1]))
        wait_until(
            lambda: any(record.state == "complete" for record in trials.records()),
            lambda: trials.log.read_text(),
        )
        os.kill(queue.holder(trials.lock), signal.SIGKILL)
        for run in trials.open_runs():
            if (pid := queue.holder(run.files.lock)) is not None:
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not queue.is_locked(trials.lock))
        with trials.journal.open("ab") as journal:
            journal.write(b'{"op_code":')  # as a kill in the middle of a line leaves it
        before = {"state": trials.state, "records": trials.records(), "runs": len(list_runs())}
        trials.resume().wait()
        yield trials, before


@pytest.mark.slow
def test_a_killed_sweep_goes_on_and_repeats_nothing_that_had_finished(story):
    trials, before = story
    assert before["state"] == "dead"
    assert trials.state == "finished", trials.log.read_text()
    records = trials.records()
    assert [record.state for record in records] == ["complete"] * 4
    kept = [record for record in before["records"] if record.state == "complete"]
    assert kept
    assert all(record in records for record in kept)
    # one cut off at its birth had no point yet, or a part of it
    begun = {(r.method, r.number): r.point for r in before["records"]}
    assert all(begun.get((r.method, r.number), {}).items() <= r.point.items() for r in records)
    named = [name for record in records for name in record.runs]
    assert len(named) == len(set(named)) == 8 == len(list_runs(trials.runs_dir))


@pytest.mark.slow
def test_every_run_says_whose_trial_it_is_and_its_value_is_the_mean_over_the_seeds(story):
    trials, _ = story
    by_id = {run.id: run for run in list_runs(trials.runs_dir)}
    for record in trials.records():
        origins = [origin_of(by_id[name]) for name in record.runs]
        assert [origin.seed for origin in origins] == [0, 1]
        assert {origin.trial for origin in origins} == {record.number}
        losses = [by_id[name].summary["eval_loss"] for name in record.runs]
        assert record.value == pytest.approx(sum(losses) / 2, rel=1e-12)
        rates = {by_id[name].experiment.method.learning_rate for name in record.runs}
        assert rates == {record.point["learning_rate"]}


@pytest.mark.slow
def test_the_best_of_each_method_and_the_table_are_those_of_the_journal(story):
    trials, _ = story
    table = trials.table()
    assert list(table.columns) == ["method", "trial", "state", "learning_rate", "eval_loss", "runs"]
    best = trials.best()
    assert list(best) == [method.label for method in trials.sweep.methods]
    for label, record in best.items():
        assert record.value == table[table.method == label].eval_loss.min()


@pytest.mark.slow
def test_what_is_left_is_what_the_trials_that_ended_took(story):
    trials, _ = story
    records = trials.records()
    assert trials.seconds_left(records) == 0
    assert trials.seconds_left([]) is None
    by_id = {run.id: run for run in list_runs(trials.runs_dir)}
    lora = [record for record in records if record.method == "lora(r=2)"]
    seconds = [by_id[name].summary["wall_seconds"] for r in lora for name in r.runs]
    others = len(records) - len(lora)
    left = others * sum(seconds) / len(lora) / queue.n_slots(trials.sweep.training.threads)
    assert trials.seconds_left(lora) == pytest.approx(left)


@pytest.mark.slow
def test_a_sweep_can_be_extended_and_chooses_the_same_points_whether_killed_or_not(story):
    trials, _ = story
    with pytest.raises(Refusal, match=r"got finished\. Use extend for more trials"):
        trials.resume()
    with pytest.raises(Refusal, match="seeds must be unchanged in a sweep with trials"):
        trials.extend(seeds=[0])
    before = trials.records()
    trials.extend(trials=3).wait()
    assert len(trials.records()) == 6
    assert all(record in trials.records() for record in before)
    again = launch(small(search="random", trials=3, training=TRAINING | {"steps": 1})).wait()
    points = {(r.method, r.number): r.point for r in again.records()}
    assert points == {(r.method, r.number): r.point for r in trials.records()}


@pytest.mark.slow
def test_trials_that_are_behind_are_pruned_and_one_that_diverges_is_worst(monkeypatch):
    monkeypatch.setenv("QTHA_LAB_SLOTS", "2")
    described = small(
        methods="lora(r=2)", axes={"learning_rate": [0.01, 0.02, 0.03, 1e9]}, pruner="median",
        training=TRAINING | {"steps": 6, "eval_every": 1, "max_grad_norm": 0.0},
    )  # fmt: skip
    trials = launch(described).wait()
    records = {record.point["learning_rate"]: record for record in trials.records()}
    assert trials.state == "finished"
    assert records[1e9].state == "pruned" or records[1e9].value == float("inf")
    assert trials.best()["lora(r=2)"].point["learning_rate"] < 1


@pytest.mark.slow
def test_the_command_sweeps_and_a_folder_of_its_own_holds_everything(tmp_path):
    words = shlex.split(small(methods="lora(r=2)", training=TRAINING | {"steps": 1}).to_command())[
        1:
    ]
    outcome = call(*words, "--out", str(tmp_path / "out"), "--json")
    assert outcome.exit_code == 0, outcome.output
    printed = json.loads(outcome.stdout)
    assert [trial["state"] for trial in printed] == ["complete"] * 2
    study = SweepStudy(tmp_path / "out")
    assert len(study) == len(study.runs()) == 2
    assert {run.path.parent for run in study} == {tmp_path / "out" / "runs"}
    again = call("sweep", str(tmp_path / "out"), "--json")
    assert json.loads(again.stdout) == printed
    with refused("The folder", tmp_path.name, remedy="extend"):
        launch(small(), tmp_path / "out")


def test_a_sweep_that_is_not_there_is_named_with_the_nearest(tmp_path):
    with refused("The sweep", "'nothing'"):
        SweepStudy.find("nothing")


def bests(described, **points):
    return {
        m.label: TrialRecord(m.label, 0, "complete", points[m.name], 4.0, [])
        for m in described.methods
    }


def test_the_best_of_each_method_is_confirmed_at_its_point_with_seeds_no_trial_had():
    axes = {"learning_rate": [0.001, 0.01], "qtha.bond_dim": [2, 3], "steps": [4, 8]}
    described = small(axes=axes, seeds=[0, 4], scaling="2r")
    lora, qtha = (
        {"learning_rate": 0.01, "steps": 8},
        {"learning_rate": 0.001, "steps": 8, "qtha.bond_dim": 3},
    )
    compared = confirmation(described, bests(described, lora=lora, qtha=qtha), 2)
    assert compared.seeds == [5, 6]
    assert compared.training == described.training.replace(steps=8)
    trained = {
        (e.method.name, e.method.meaning)
        for method, point in zip(described.methods, (lora, qtha), strict=True)
        for e in described.experiments_at(method, point)
    }
    assert {(e.method.name, e.method.meaning) for e in compared.experiments()} == trained


@pytest.mark.parametrize(
    ("lora", "n_seeds", "rule"),
    [
        ({"learning_rate": 0.01, "steps": 4}, 3, r"must have the same steps, got 4 for lora\(r=2\) and"),
        ({"learning_rate": 0.01, "steps": 8}, 0, "n_seeds must be at least 1, got 0"),
        (None, 3, r"lora\(r=2\) has no finished trial to confirm"),
    ],
)  # fmt: skip
def test_bests_that_cannot_be_compared_are_not_confirmed(lora, n_seeds, rule):
    described = small(axes={"learning_rate": [0.001, 0.01], "steps": [4, 8]})
    best = bests(described, lora=lora or {}, qtha={"learning_rate": 0.01, "steps": 8})
    if lora is None:
        del best["lora(r=2)"]
    with pytest.raises(Refusal, match=rule):
        confirmation(described, best, n_seeds)
