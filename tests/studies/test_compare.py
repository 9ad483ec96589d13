"""A comparison goes on after a break, and says no more than its numbers do."""

import json

import pytest
from support.refusals import refused

from qtha_lab import launch, list_runs
from qtha_lab.experiment import Comparison
from qtha_lab.experiment.run_directory import RunDir, queue, read_mapping
from qtha_lab.experiment.run_directory.events import EventLog
from qtha_lab.runs.table.frame import results_frame
from qtha_lab.studies import study, work
from qtha_lab.studies.comparison import notes, run_comparison
from qtha_lab.studies.comparison.claims import against_the_first
from qtha_lab.studies.comparison.table import aggregate, rows, tables
from qtha_lab.studies.comparison.tuning import at_their_best

METHODS = "lora(r=2),qtha(r=2,waist=8,n_layers=1,bond_dim=2)"
TRAINING = {
    "steps": 6,
    "batch_size": 2,
    "max_length": 48,
    "train_rows": 20,
    "eval_rows": 6,
    "test_rows": 8,
    "eval_every": 3,
    "checkpoint_every": 3,
    "generate_rows": 2,
    "max_new_tokens": 4,
    "threads": 1,
}


NEEDED = ["method", "seed", "trainable_parameters", "train_loss", "eval_loss_start", "eval_loss"]
NEEDED += ["seconds_per_step", "peak_memory_bytes", "adapter_bytes"]


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """One comparison, interrupted at its first step and called again twice; each call's summary."""
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("compare")
        patch.setenv("QTHA_LAB_RUNS", str(place / "slots"))
        patch.setenv("QTHA_LAB_SLOTS", "2")
        comparison = Comparison(methods=METHODS, training=TRAINING)
        with pytest.raises(KeyboardInterrupt):
            run_comparison(comparison, place / "out", on_progress=_interrupt)
        interrupted = [run.status().state for run in list_runs(place / "out" / "runs")]
        seen = []
        first = run_comparison(comparison, place / "out", lambda run, status: seen.append(run.id))
        second = run_comparison(comparison, place / "out")
        yield {
            "out": place / "out",
            "interrupted": interrupted,
            "seen": seen,
            "first": first,
            "second": second,
        }


def _interrupt(run, status):
    if status.state == "running":
        raise KeyboardInterrupt


@pytest.mark.slow
def test_ctrl_c_stops_the_runs_softly_and_calling_again_goes_on(story):
    assert "stopped" in story["interrupted"]
    assert set(story["interrupted"]) <= {"stopped", "finished"}
    assert [entry["state"] for entry in story["first"]["runs"]] == ["finished"] * 2
    assert len(list_runs(story["out"] / "runs")) == 2
    assert len(set(story["seen"])) == 2


@pytest.mark.slow
def test_a_finished_comparison_is_read_and_not_run_again(story):
    assert story["second"] == story["first"]
    assert json.loads((story["out"] / "summary.json").read_text()) == story["first"]
    assert Comparison.from_yaml(story["out"] / "comparison.yaml").seeds == [0]


@pytest.mark.slow
def test_every_run_has_one_entry_with_what_the_table_needs(story):
    for entry in story["first"]["runs"]:
        for key in NEEDED:
            assert entry[key] is not None, key
    created, (learnt, scores) = rows(story["first"]), tables(story["first"])
    assert len(created) == 2
    assert [*learnt[0], *scores[0][1:]] == list(created[0])
    for row, first, second in zip(created, learnt[1:], scores[1:], strict=True):
        assert [*first, *second[1:]] == list(row.values())


@pytest.mark.slow
def test_every_run_was_tested_on_the_same_rows_at_the_end(story):
    tests = [read_mapping(run.files.test) for run in list_runs(story["out"] / "runs")]
    assert tests[0]["items"] == tests[1]["items"]
    assert len(set(tests[0]["items"])) == 8
    by_id = {run.id: run for run in list_runs(story["out"] / "runs")}
    for entry in story["first"]["runs"]:
        run = by_id[entry["run_id"]]
        test = read_mapping(run.files.test)
        assert sum(test["losses"]) / sum(test["labels"]) == pytest.approx(entry["test_loss"])
        assert [e["step"] for e in run.valid_events() if e["kind"] == "test"] == [6]
        evals = [e for e in run.valid_events() if e["kind"] == "eval" and e["step"]]
        assert entry["eval_loss_best"] == min(event["loss"] for event in evals)
        assert abs(entry["forgetting"]) < 1
        assert entry["test_loss"] - entry["generalisation_gap"] > 0


@pytest.mark.slow
def test_the_same_start_is_checked_and_said(story):
    starts = {entry["eval_loss_start"] for entry in story["first"]["runs"]}
    assert len(starts) == 1
    assert story["first"]["notes"][0] == (
        "All methods of a seed started from the same evaluation loss (exactly)."
    )


def test_a_second_process_in_one_folder_is_refused(tmp_path):
    fd = queue.hold(tmp_path / "scheduler.lock")
    assert fd is not None
    with refused(value="a second one"):
        run_comparison(Comparison(methods="lora", training=TRAINING), tmp_path)


def test_a_comparison_launched_from_python_returns_at_once_and_is_a_set_of_runs(tmp_path):
    comparison = Comparison(methods="lora(r=2),lora(r=3)", training=TRAINING | {"steps": 2})
    started = launch(comparison, tmp_path)
    labels = ["lora(r=2,lora_alpha=4)", "lora(r=3,lora_alpha=6)"]
    assert [run.experiment.method.label for run in started] == labels
    started.wait()
    assert repr(started) == f"<comparison {started.path.name}: finished · 2 of 2 runs>"
    assert list(started.runs()["eval_loss"]) == [run.summary["eval_loss"] for run in started]
    table = started.table()
    assert list(table["method"]) == labels
    assert list(table["scale"]) == [2, 2]
    assert list(table["trainable_parameters"]) == [7680, 11520]
    assert (table["eval_loss_min"] == table["eval_loss"]).all()  # numbers, of one seed
    assert table.sort_values("eval_loss")["eval_loss"].is_monotonic_increasing
    assert len(started) == 2
    assert "loss_curves" in [figure.name for figure in started.figures()]
    assert started.summary()["runs"][0]["state"] == "finished"
    assert started.stop().statuses()[0].state == "finished"  # nothing to stop


@pytest.mark.slow
def test_repeats_with_perturbations_are_in_no_table(tmp_path, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_RUNS", str(tmp_path / "slots"))
    training = TRAINING | {"steps": 2, "generate_rows": 0, "test_rows": 8}
    comparison = Comparison(
        methods="lora(r=2)",
        seeds=[0, 1, 2],
        learning_rates=[1e-6, 0.01],
        training=training,
        rounding=5,
    )
    monkeypatch.setattr(queue, "n_slots", lambda threads: 1)
    summary = run_comparison(comparison, tmp_path / "out")
    best = at_their_best(summary["runs"]).set_index("seed")
    entry = best.loc[0]
    assert entry["learning_rate"] == 0.01  # and not the first of the file
    (losses,) = summary["rounding"].values()
    assert len(losses) == 5
    # moved by roundings alone, two steps on
    assert 0 < max(abs(loss - entry["test_loss"]) for loss in losses) < 1e-4
    table, repeats = (list_runs(tmp_path / "out" / side) for side in ("runs", "rounding"))
    assert (len(table), len(repeats), len(rows(summary))) == (6, 5, 2)
    assert {run.experiment.method.learning_rate for run in repeats} == {0.01}
    last, first = max(run.id for run in table), min(run.id for run in repeats)
    assert last.split("-")[:2] <= first.split("-")[:2]  # the table's before any repeat
    with pytest.raises(ValueError, match="rounding must be 0 or at least 5 repeats"):
        Comparison(rounding=3)


def test_many_runs_are_listed_once_and_each_is_understood_once(tmp_path, monkeypatch):
    comparison = Comparison(methods="lora,qtha", seeds=list(range(20)), training=TRAINING)
    for experiment in comparison.experiments():
        files = RunDir.create(experiment, tmp_path / "runs")
        log = EventLog(files.events)
        log.append("status", state="finished", step=1, message="")
        log.close()
    counts = dict.fromkeys(("list_runs", "with_absolute_paths"), 0)
    for name, module in zip(counts, (study, work), strict=True):
        plain = getattr(module, name)

        def counted(*args, name=name, plain=plain, **options):
            counts[name] += 1
            return plain(*args, **options)

        monkeypatch.setattr(module, name, counted)
    summary = run_comparison(comparison, tmp_path)
    assert len(summary["runs"]) == 40
    assert counts == {"list_runs": 1, "with_absolute_paths": 2 * 40}


def test_what_cannot_run_is_refused_before_any_run_starts(tmp_path):
    with pytest.raises(ValueError, match="did you mean 'lora'"):
        run_comparison(Comparison(methods="qtha,lroa"), tmp_path / "out")
    assert list_runs(tmp_path / "out" / "runs") == []


# ---- numbers to sentences and rows ----


def entry(label, seed, loss, *, start=6.0, parameters=100, state="finished", rate=0.01):
    return {
        "label": label, "method": label.split("(")[0], "seed": seed, "state": state, "message": "",
        "trainable_parameters": parameters, "learning_rate": rate, "eval_loss_start": start,
        "eval_loss": loss, "train_loss": loss, "peak_memory_bytes": 2**20, "seconds_per_step": 0.5,
    }  # fmt: skip


def test_aggregate_gives_mean_least_and_most_by_label():
    summary = {"runs": [entry("lora", 0, 1.0), entry("qtha", 0, 5.0), entry("lora", 1, 4.0)]}
    table = aggregate(summary)
    losses = table[["label", "seeds", "eval_loss", "eval_loss_min", "eval_loss_max"]]
    assert losses.to_numpy().tolist() == [["lora", 2, 2.5, 1.0, 4.0], ["qtha", 1, 5.0, 5.0, 5.0]]


def test_a_run_that_did_not_finish_is_counted_and_not_averaged():
    summary = {"runs": [entry("lora", 0, 1.0), entry("lora", 1, 99.0, state="diverged")]}
    table = aggregate(summary)
    assert table[["eval_loss_max", "unfinished"]].to_numpy().tolist() == [[1.0, 1]]
    assert rows(summary)[0]["seeds"] == "1 (1 not finished)"


def test_a_cell_shows_the_spread_only_where_there_is_one():
    (row,) = rows({"runs": [entry("lora", 0, 1.0), entry("lora", 1, 2.0)]})
    assert row["eval loss"] == "1.500 [1.000–2.000]"
    assert row["eval loss, start"] == "6.000"
    assert row["parameters"] == "100"
    assert "accuracy" not in row


def test_an_empty_summary_has_an_empty_table():
    assert tables({"runs": []}) == []
    assert notes.notes([], 0) == []


def test_one_seed_is_said_to_prove_nothing():
    message = notes.notes([entry("lora", 0, 1.0), entry("qtha", 0, 2.0)], 2)
    assert any("may be chance" in note for note in message)
    message = notes.notes([entry("lora", s, 1.0) for s in range(3)], 3)
    assert any(note.startswith("3 seeds: a dash in brackets") for note in message)


def test_a_different_start_is_said_with_its_size():
    message = notes.same_start(
        results_frame([entry("lora", 0, 1.0), entry("qtha", 0, 1.0, start=6.5)])
    )
    assert message.startswith("The methods did not start from the same evaluation loss")
    assert "0.5" in message
    seeds_differ = [entry("lora", s, 1.0, start=6.0 + s) for s in (0, 1)]
    assert notes.same_start(results_frame(seeds_differ)) is None


def test_parameters_are_held_against_the_largest_lora():
    entries = [
        entry("lora(r=2)", 0, 1, parameters=50),
        entry("lora(r=8)", 0, 1, parameters=200),
        entry("qtha", 0, 1, parameters=150),
        entry("qtha(waist=256)", 0, 1, parameters=300),
    ]
    message = notes.sizes(results_frame(entries))
    assert "qtha trains 150 parameters, 25% fewer than lora(r=8) (200)." in message
    assert "qtha(waist=256) trains 300 parameters, 50% more than lora(r=8) (200)." in message


def test_a_missing_run_is_said():
    message = notes.notes([entry("lora", 0, 1.0), entry("qtha", 0, None, state="diverged")], 4)
    assert "2 of 4 runs have not ended yet." in message
    assert message[0] == "1 of 1 runs of qtha diverged (seed 0)."


@pytest.mark.parametrize(
    ("state", "message", "sentence"),
    [
        ("stopped", "stopped at step 2 of 9", "was stopped (seed 0): at step 2 of 9."),
        ("failed", "no file of that name", "failed (seed 0): no file of that name."),
        ("dead", "", "ended without a result (seed 0)."),
    ],
)
def test_how_a_run_ended_is_said_once(state, message, sentence):
    ended = entry("lora", 0, None, state=state) | {"message": message}
    assert notes.notes([ended], 1)[0] == f"1 of 1 runs of lora {sentence}"


def test_a_comparison_says_what_differs_from_the_first_method_and_whether_it_is_shown():
    losses = {"lora": [4.10, 4.12, 4.15], "qtha": [4.20, 4.21, 4.26], "product": [4.05, 4.20, 4.10]}
    entries = [
        {
            "label": label, "method": label, "seed": seed, "state": "finished",
            "trainable_parameters": 10, "learning_rate": 0.01, "eval_loss": loss,
        }
        for label, values in losses.items()
        for seed, loss in enumerate(values)
    ]  # fmt: skip
    qtha, product = (claim.sentence for claim in against_the_first(entries))
    # t interval of the gaps 0.10, 0.09, 0.11, one of two so at 97.5 %: 0.1 ± 6.205 · 0.01 / √3
    # p: twice that of t = 0.1 / (0.01 / √3) = 17.32 with 2 degrees of freedom, 1 - 17.32 / √(17.32²
    # + 2) = 0.0033;
    # d: 0.1 / 0.01
    assert qtha == (
        "qtha − lora, evaluation loss: +0.100 nat, 97.5 % interval [+0.064, +0.136] over 3 seeds, "
        "p = 0.0066 among 2 claims, d = +10.0: shown."
    )
    assert ": inconclusive (detectable difference " in product
    assert against_the_first(entries[:2] + entries[3:5]) == []
    assert against_the_first([]) == []
