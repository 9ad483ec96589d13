"""One bad run directory takes no list down: it is shown as unreadable, or its odd lines are passed over and counted."""

import json
import shutil
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from qtha_lab.cli import load_commands
from qtha_lab.experiment import Comparison, Experiment
from qtha_lab.experiment.run_directory import RunDir, write_json
from qtha_lab.experiment.run_directory.events import (
    EventLog,
    history,
    last_status,
    read_events,
    read_tail,
)
from qtha_lab.figures.loss_curves import from_events
from qtha_lab.runs import run
from qtha_lab.studies.comparison import found_runs, rows, summarise_runs
from qtha_lab.training.summary import measured, wall_seconds

DEEP = "[" * 100_000 + "]" * 100_000
SUMMARY = {
    "model": "tiny", "task": "qa", "method": "lora", "label": "lora(r=2)", "seed": 0, "state": "finished",
    "trainable_parameters": 7680, "learning_rate": 0.01, "eval_loss_start": 4.4, "eval_loss": 4.1,
    "train_loss": 4.2, "seconds_per_step": 0.1, "peak_memory_bytes": 2**29, "steps": 2,
}  # fmt: skip


def make(folder, method="lora(r=2)", **changes):
    """A finished run of two steps."""
    described = Experiment(method=method, training={"steps": 2}, **changes)
    files = RunDir.create(described, folder)
    log = EventLog(files.events)
    log.append("status", state="running", step=0, message="")
    log.append("eval", step=0, loss=4.4)
    for step in (1, 2):
        log.append("train", step=step, loss=4.3, seconds=0.1)
    log.append("eval", step=2, loss=4.1)
    log.append("status", state="finished", step=2, message="")
    log.close()
    who = {
        "run_id": files.path.name,
        "label": described.method.label,
        "method": described.method.name,
    }
    write_json(files.summary, SUMMARY | who | {"seed": described.seed})
    return run.Run(files.path)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def call(*words):
    answer = CliRunner().invoke(load_commands(), [*map(str, words)], env={"COLUMNS": "300"})
    assert answer.exit_code == 0, (answer.output, answer.exception)
    return answer.output


def replaced_by_a_folder(path):
    path.unlink()
    path.mkdir()


# what happens to the directory, what the list says of it
DAMAGES = {
    "experiment.yaml deep": (lambda d: (d / "experiment.yaml").write_text("a: " + "[" * 5000), "unreadable"),
    "experiment.yaml foreign": (lambda d: (d / "experiment.yaml").write_text("no: experiment"), "unreadable"),
    "experiment.yaml no text": (lambda d: (d / "experiment.yaml").write_bytes(b"\xff\xfe\x00"), "unreadable"),
    "experiment.yaml empty": (lambda d: (d / "experiment.yaml").write_text("- 1"), "unreadable"),
    "events.jsonl a folder": (lambda d: replaced_by_a_folder(d / "events.jsonl"), "unreadable"),
    "events.jsonl missing": (lambda d: (d / "events.jsonl").unlink(), "finished"),
    "events.jsonl empty": (lambda d: (d / "events.jsonl").write_bytes(b""), "finished"),
    "events.jsonl garbage": (lambda d: (d / "events.jsonl").write_bytes(b"\xff" * 70_000), "finished"),
    "events.jsonl deep": (lambda d: (d / "events.jsonl").write_text(DEEP + "\n"), "finished"),
    "summary.json a folder": (lambda d: replaced_by_a_folder(d / "summary.json"), "finished"),
    "summary.json a list": (lambda d: (d / "summary.json").write_text("[1, 2]"), "finished"),
    "summary.json empty": (lambda d: (d / "summary.json").write_text("{}"), "finished"),
    "summary.json deep": (lambda d: (d / "summary.json").write_text(DEEP), "finished"),
    "summary.json of words": (
        lambda d: (d / "summary.json").write_text(json.dumps(SUMMARY | {"eval_loss": "low"})), "finished",
    ),
    "environment.json a list": (lambda d: (d / "environment.json").write_text("[]"), "finished"),
    "worker.lock a folder": (lambda d: (d / "worker.lock").mkdir(), "finished"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_bad_run_is_listed_beside_the_good_one(folder, tmp_path, damage):
    good, bad = make(folder), make(folder, seed=1)
    harm, state = DAMAGES[damage]
    harm(bad.path)
    listed = {entry["run_id"]: entry for entry in json.loads(call("runs", "--json"))}
    assert listed[good.id]["state"] == "finished"
    assert listed[bad.id]["state"] == state
    assert bool(listed[bad.id]["message"]) == (state == "unreadable" or "events" in damage)
    table = call("runs")
    assert good.id in table
    assert bad.id in table
    assert state in call("runs", bad.id)
    call("plot", folder, "--out", tmp_path / "out", "--formats", "csv")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_bad_run_is_told_in_a_comparison_and_the_good_one_counts(folder, damage):
    make(folder)
    harm, _ = DAMAGES[damage]
    harm(make(folder, seed=1).path)
    comparison = Comparison(methods="lora(r=2)", seeds=[0, 1])
    summary = summarise_runs(comparison, run.list_runs(folder))
    (row,) = rows(summary)
    assert row["seeds"][0] in "12"
    if damage.startswith("summary.json"):
        assert any("no readable result (seed 1): its summary.json" in n for n in summary["notes"])


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_workbench_shows_a_bad_run_in_its_history_and_opens(folder, damage):
    from widgets.workbench.workbench import Workbench

    make(folder)
    bad = make(folder, seed=1)
    harm, state = DAMAGES[damage]
    harm(bad.path)
    bench = Workbench()
    table = bench.table
    table.wait()
    assert table.shown.set_index("run")["state"][bad.id] == state
    table.ticked = (bad.id,)
    if state == "unreadable":
        assert f"{bad.id}: unreadable: " in bench.banner.text.value


# ---- identity ----


def test_a_renamed_run_is_known_by_its_new_name(folder, tmp_path):
    original = make(folder)
    original.path.rename(folder / "my best")
    call("plot", folder, "--out", tmp_path / "out", "--formats", "csv")
    assert (tmp_path / "out" / "loss_curves.csv").exists()
    (listed,) = (run.outcome() for run in found_runs.find_runs([folder]))
    assert (listed["run_id"], listed["state"], listed["eval_loss"]) == ("my best", "finished", 4.1)


def test_a_copied_run_is_a_run_of_its_own(folder, tmp_path):
    original = make(folder)
    shutil.copytree(original.path, folder / "copy")
    assert {run.id for run in found_runs.find_runs([folder])} == {original.id, "copy"}
    call("plot", folder, "--out", tmp_path / "out", "--formats", "csv")


@pytest.mark.parametrize(
    "stale", [{"label": "qtha(r=4)", "method": "qtha"}, {"seed": 7}, {"label": "lora(r=8)"}]
)
def test_a_summary_of_another_run_is_told_and_its_numbers_are_not_shown(folder, stale):
    original = make(folder)
    write_json(original.files.summary, json.loads(original.files.summary.read_text()) | stale)
    row = original.outcome()
    assert (row["label"], row["method"], row["seed"]) == ("lora(r=2)", "lora", 0)
    assert row["state"] == "unreadable"
    assert row["message"].startswith("its summary.json belongs to another run: ")
    assert "eval_loss" not in row


def test_options_in_another_order_are_the_same_label(folder):
    original = make(folder, "lora(r=2,lora_dropout=0.1)")
    label = {"label": "lora(lora_dropout=0.1,r=2)"}
    write_json(original.files.summary, json.loads(original.files.summary.read_text()) | label)
    assert original.outcome()["state"] == "finished"


# ---- odd lines ----

ODD = [
    "null", "[1]", "3", '"text"', "{}", '{"kind": 1}', '{"kind": null}', '{"kind": "status"}', DEEP,
    '{"kind": "status", "state": 3, "step": 1, "message": ""}', '{"kind": "status", "state": "running"}',
    '{"kind": "status", "state": "running", "step": "1"}', '{"kind": "status", "state": "stopped", "step": null}',
    '{"kind": "status", "state": "running", "step": -1}', '{"kind": "status", "state": "finished", "step": 1, "message": 7}',
    '{"kind": "train"}', '{"kind": "train", "step": "x", "loss": 1}', '{"kind": "train", "step": 1}',
    '{"kind": "train", "step": 1e400, "loss": 1.0}', '{"kind": "train", "step": 1, "loss": "low"}',
    '{"kind": "train", "step": 1, "loss": NaN}', '{"kind": "train", "step": 1, "loss": 1.0, "t": "now"}',
    '{"kind": "train", "step": 1, "loss": 1.0, "seconds": null}', '{"kind": "eval", "step": 1, "loss": {}}',
    '{"kind": "spectrum", "step": 1, "layers": {"q": {"singular_values": ["a"]}}}', '{"kind": "checkpoint"}',
    '{"kind": "generation", "step": [], "exact_match": 1}', '{"kind": "note", "step": 1}',
    '{"kind": "train", "step": ' + "9" * 5000 + ', "loss": 1.0}', "\x00\x01",
]  # fmt: skip
WHOLE = [
    '{"kind": "status", "state": "running", "step": 0, "t": 1.0}', '{"kind": "eval", "step": 0, "loss": 4.4}',
    '{"kind": "train", "step": 1, "loss": 4.3, "seconds": 0.1}', '{"kind": "train", "step": 2, "loss": 4.2, "t": 5.0}',
]  # fmt: skip


def read_by_everybody(path):
    """All that is read from a log, one after the other."""
    from widgets.runs.live import LivePlot

    events = read_events(path)[0]
    valid = history(events)
    last_status(read_tail(path), 10)
    measured(valid)
    wall_seconds(events)
    found_runs.spectra(valid)
    from_events("lora", 0, valid)
    shown = SimpleNamespace(
        id="it", experiment=Experiment(method="lora"), events=lambda at: (valid, 0)
    )
    LivePlot([shown]).catch_up()
    return events


@pytest.mark.parametrize("line", ODD, ids=lambda line: line[:40])
def test_an_odd_line_is_counted_and_everybody_reads_on(folder, line):
    for place in range(len(WHOLE) + 1):
        path = folder.parent / "events.jsonl"
        path.write_text("\n".join([*WHOLE[:place], line, *WHOLE[place:]]) + "\n")
        kinds = [event["kind"] for event in read_by_everybody(path)]
        assert kinds.count("broken") == 1
        assert len(kinds) == len(WHOLE) + 1


def test_odd_lines_are_told_for_one_run(folder):
    original = make(folder)
    with original.files.events.open("a") as file:
        file.write("null\n[1]\n")
    assert "2 lines of events.jsonl cannot be read and are passed over" in call("runs", original.id)


NUMBERS = st.one_of(st.integers(), st.floats(), st.just(10**400), st.booleans(), st.none())
ANYTHING = st.recursive(
    NUMBERS | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2)
    ),
    max_leaves=4,
)
KINDS = [
    "status",
    "train",
    "eval",
    "generation",
    "whole_base",
    "test",
    "general",
    "spectrum",
    "bottleneck",
    "checkpoint",
    "note",
    "other",
]
FIELDS = [
    "t",
    "step",
    "loss",
    "loss_base",
    "train_loss",
    "state",
    "message",
    "seconds",
    "layers",
    "exact_match",
    "again",
    "accuracy",
]
EVENT = st.fixed_dictionaries(
    {"kind": st.sampled_from(KINDS) | ANYTHING},
    optional={
        **dict.fromkeys(FIELDS, ANYTHING),
        "step": st.integers(0, 5) | ANYTHING,
        "loss": st.floats() | ANYTHING,
        "state": st.sampled_from(["running", "queued", "finished", "stopped"]) | ANYTHING,
        "layers": st.dictionaries(
            st.text(max_size=3),
            st.fixed_dictionaries(
                {}, optional=dict.fromkeys(("singular_values", "effective_rank", "bond_entropy_bits"), ANYTHING)
            ),
            max_size=2,
        ) | ANYTHING,
    },
)  # fmt: skip


@pytest.mark.slow
@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(EVENT, max_size=8))
def test_no_event_that_json_can_write_stops_a_reader(tmp_path, events):
    path = tmp_path / "events.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    assert len(read_by_everybody(path)) == len(events)
