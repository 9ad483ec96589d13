"""A comparison that is edited between two halves.

What was trained still counts, or it is said before anything starts.
"""

import pytest
from support.command_line import call
from support.refusals import refused

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Comparison
from qtha_lab.experiment.run_directory import RunDir, index, write_json
from qtha_lab.experiment.run_directory.events import EventLog
from qtha_lab.runs.launch import with_absolute_paths
from qtha_lab.runs.run import Run, list_runs
from qtha_lab.studies.comparison import ComparisonStudy, run_comparison
from qtha_lab.studies.comparison.tuned_methods import folder_of
from qtha_lab.studies.sweep import SweepStudy
from qtha_lab.studies.sweep.optuna_study import MethodStudy, open_journal

TRAINING = {
    "steps": 2,
    "batch_size": 2,
    "max_length": 48,
    "train_rows": 20,
    "eval_rows": 6,
    "test_rows": 8,
    "eval_every": 2,
    "generate_rows": 0,
    "spectrum_every": 0,
    "threads": 1,
}


LAUNCHED_BY = "qtha_lab.studies.work.launch_all"


def comparison(methods="lora(r=2),lora(r=3)", seeds=(0, 1), **changes):
    training = TRAINING | changes.pop("training", {})
    return Comparison(methods=methods, seeds=list(seeds), training=training, **changes)


@pytest.fixture
def half(tmp_path):
    """A folder in which the four runs of `comparison()` have ended, as workers leave them."""
    for experiment in comparison().experiments():
        end(RunDir.create(with_absolute_paths(experiment), tmp_path / "runs"))
    run_comparison(comparison(), tmp_path)
    return tmp_path


def end(files, state="finished", step=2):
    log = EventLog(files.events)
    log.append("status", state=state, step=step, message="")
    log.close()
    if state == "finished":  # of all numbers a comparison needs these to plan its repeats
        rate = files.experiment.method.learning_rate or 0.01
        write_json(
            files.summary,
            {"trainable_parameters": 1, "learning_rate": rate, "eval_loss": 4.0, "test_loss": 4.1},
        )


def what_is_there(folder):
    """Every file's bytes, without the index: a cache that also depends on the age of the files."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != index.NAME)
    return {path: path.read_bytes() for path in files}


@pytest.mark.parametrize(
    ("edited", "sentence"),
    [
        (
            {"training": {"steps": 4}},
            (
                "Settings must not change, or the 4 finished runs in {} would not count, got: "
                "training.steps was 2 and is 4. "
                "Choose another folder with --out, or restore the setting."
            ),
        ),
        (
            {"training": {"batch_size": 1, "warmup_fraction": 0.5}, "seeds": (0, 1, 2)},
            "training.batch_size was 2 and is 1; training.warmup_fraction was 0.1 and is 0.5",
        ),
        ({"quantization": "int8"}, "quantization was none and is int8"),
        ({"scaling": "as_given"}, "scaling was 2r and is as_given"),
        ({"learning_rates": [0.003]}, "learning_rates was [] and is [0.003]"),
        (
            {"task": "chat"},
            "The models and tasks were tiny, qa and are tiny, chat",
        ),
        (
            {"tuning": {"axes": {"learning_rate": [0.003, 0.01]}}},
            "tuning was left out and is asked for",
        ),
        (
            {"matching": "equal_seconds"},
            "matching was as_given and is equal_seconds",
        ),
        ({"training": {"epochs": 0.2}}, "training.epochs was empty and is 0.2"),
    ],
)
def test_another_value_of_what_holds_for_every_run_is_refused_before_anything_starts(
    half, edited, sentence
):
    before = what_is_there(half)
    with pytest.raises(Refusal) as record:
        run_comparison(comparison(**edited), half)
    assert str(record.value).startswith("Settings must not change, or the 4 finished runs in ")
    assert sentence.format(half) in str(record.value)
    after = what_is_there(half)
    after.pop(half / "seconds_per_step.json", None)
    assert after == before


def test_a_dry_run_says_it_too_and_so_does_a_file_that_was_edited_in_place(half):
    file = half / "comparison.yaml"
    file.write_text(file.read_text().replace("steps: 2", "steps: 4"))
    with refused("Settings", "training.steps was 2 and is 4"):
        run_comparison(Comparison.from_yaml(file), half)  # as its driver does
    result = call("compare", str(file), "--out", str(half), "--dry-run")
    assert "training.steps was 2 and is 4" in str(result.exception) + result.output


def test_runs_that_have_only_begun_are_counted_too(half):
    for number, run in enumerate(list_runs(half / "runs")):
        end(run.files, "stopped", step=number % 2)
    with refused("Settings", "training.steps was 2 and is 4"):
        run_comparison(comparison(training={"steps": 4}), half)


def test_an_edit_before_any_step_was_taken_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(
        LAUNCHED_BY, lambda every, folder, **options: [ended(e, folder) for e in every]
    )
    run_comparison(comparison(seeds=[0], methods="lora(r=2)"), tmp_path)
    for run in list_runs(tmp_path / "runs"):
        end(run.files, "failed")
    summary = run_comparison(
        comparison(seeds=[0], methods="lora(r=2)", training={"steps": 4}), tmp_path
    )
    assert summary["comparison"]["training"]["steps"] == 4


def ended(experiment, folder):
    files = RunDir.create(with_absolute_paths(experiment), folder)
    end(files)
    return Run(files.path)


def test_what_is_added_passes_silently(half, monkeypatch):
    started = []

    def launch(experiments, folder, **options):
        started.extend((e.method.label, e.seed) for e in experiments)
        return [ended(e, folder) for e in experiments]

    monkeypatch.setattr(LAUNCHED_BY, launch)
    run_comparison(comparison(methods="lora(r=2),lora(r=3),lora(r=4)", seeds=[0, 1, 2]), half)
    assert {(label[:8], seed) for label, seed in started} == {
        ("lora(r=2", 2), ("lora(r=3", 2), ("lora(r=4", 0), ("lora(r=4", 1), ("lora(r=4", 2),
    }  # fmt: skip
    started.clear()
    grown = {"methods": "lora(r=2),lora(r=3),lora(r=4)", "seeds": [0, 1, 2]}
    summary = run_comparison(comparison(**grown, rounding=5), half)
    assert len(started) == 3 * 5
    started.clear()
    run_comparison(comparison(**grown, rounding=6, tasks=["qa", "chat"]), half)
    assert len(started) == 3 * 3 + 3 * 6 + 3
    assert not any("take no part" in note for note in summary["notes"])


def test_more_rates_pass_silently(tmp_path, monkeypatch):
    started = []

    def launch(experiments, folder, **options):
        started.extend(experiments)
        return [ended(e, folder) for e in experiments]

    monkeypatch.setattr(LAUNCHED_BY, launch)
    run_comparison(comparison(learning_rates=[0.003]), tmp_path)
    run_comparison(comparison(learning_rates=[0.003, 0.01]), tmp_path)
    assert [e.method.learning_rate for e in started] == [0.003] * 4 + [0.01] * 4


def test_what_was_edited_away_stays_and_is_said_to_take_no_part(half):
    summary = run_comparison(comparison(methods="lora(r=3)", seeds=[1]), half)
    assert [entry["seed"] for entry in summary["runs"]] == [1]
    assert len(list_runs(half / "runs")) == 4
    (note,) = (note for note in summary["notes"] if "take no part" in note)
    assert note.startswith(f"Finished runs in {half / 'runs'} take no part")
    for named in ("lora(r=2,lora_alpha=4) seed 0", "lora(r=3,lora_alpha=6) seed 0"):
        assert named in note
    back = run_comparison(comparison(), half)
    assert len(back["runs"]) == 4
    assert not any("take no part" in note for note in back["notes"])


def test_trials_that_would_be_done_again_are_counted(tmp_path):
    def tuned(**tuning):
        return comparison(tuning={"axes": {"learning_rate": [0.003, 0.01]}} | tuning)

    before = tuned()
    study = ComparisonStudy(tmp_path)
    (tmp_path / "comparison.yaml").write_text(before.to_yaml())
    for contender in before.contenders():
        folder = SweepStudy.create(
            before.sweep_of(contender), folder_of(before, contender, tmp_path)
        )
        trials = MethodStudy(folder.sweep, 0, open_journal(folder.journal))
        for loss in (4.2, 4.1):
            trials.study.tell(trials.ask(), loss)
    study.check_edit(before)
    study.check_edit(tuned(axes={"learning_rate": [0.003, 0.01, 0.03]}))
    with refused("Settings", "tuning.seeds was [1000,1001,1002] and is [1001]"):
        study.check_edit(tuned(seeds=[1001]))
    with refused("Settings", "training.steps was 2 and is 4"):
        study.check_edit(comparison(tuning=before.tuning, training={"steps": 4}))
