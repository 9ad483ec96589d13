"""`qtha-lab plot` and what it reads.

Recorded runs become the whole set, and say where they come from.
"""

import json
import re

import pytest
from support import command_line

from qtha_lab.core.paths import data_dir
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.run_directory import RunDir, write_atomically, write_json
from qtha_lab.studies.comparison import found_runs
from qtha_lab.studies.comparison.circuit_findings import circuits_of
from qtha_lab.studies.comparison.findings import figures
from qtha_lab.studies.comparison.table import numbers

LABELS = {"lora": "lora(r=2)", "qtha": "qtha(r=2,waist=256,n_layers=1)"}
METHODS = {
    "lora": "{name: lora, options: {r: 2}}",
    "qtha": "{name: qtha, options: {r: 2, waist: 256, n_layers: 1}}",
}


def call(*words):
    return command_line.call("plot", *map(str, words))


def record(folder, method, seed, loss, layers=None):
    """A finished run as it would be recorded: its description, events and summary."""
    run = RunDir(folder / f"2026-tiny-qa-{method}-s{seed}")
    run.path.mkdir(parents=True)
    write_atomically(
        run.experiment_file,
        f"model: tiny\ntask: qa\nseed: {seed}\nmethod: {METHODS[method]}\n",
    )
    events = [
        {"kind": "status", "state": "running", "step": 0, "message": ""},
        {"kind": "eval", "step": 0, "loss": 4.4}, {"kind": "train", "step": 1, "loss": 4.3},
        {"kind": "spectrum", "step": 0, "layers": layers or {}},
        {"kind": "train", "step": 2, "loss": 4.2}, {"kind": "eval", "step": 2, "loss": loss},
        {"kind": "spectrum", "step": 2, "layers": layers or {}},
        {"kind": "status", "state": "finished", "step": 2, "message": ""},
    ]  # fmt: skip
    write_atomically(
        run.events, "".join(json.dumps({"t": 1.0, **event}) + "\n" for event in events)
    )
    write_json(run.environment, {"git": {"commit": "0123abc", "dirty": seed == 1}})
    write_json(
        run.summary,
        {
            "run_id": run.path.name,
            "model": "tiny",
            "task": "qa",
            "method": method,
            "label": LABELS[method],
            "seed": seed,
            "trainable_parameters": 7680 if method == "lora" else 6900,
            "learning_rate": 0.01,
            "eval_loss_start": 4.4,
            "eval_loss": loss,
            "train_loss": 4.2,
            "seconds_per_step": 0.1,
            "peak_memory_bytes": 2**29 * (1 if method == "lora" else 2),
        },
    )


@pytest.fixture
def comparison(tmp_path):
    spectrum = {"singular_values": [2.0, 1.0], "effective_rank": 1.9}
    for seed, loss in enumerate((4.1, 4.3)):
        record(
            tmp_path / "runs",
            "lora",
            seed,
            loss,
            {"0.q": spectrum, "1.q": {**spectrum, "effective_rank": 1.5}},
        )
        bonds = {"bond_entropy_bits": {"down": [0.5, 0.25]}}
        record(tmp_path / "runs", "qtha", seed, loss + 0.1, {"0.q": {**spectrum, **bonds}})
    return tmp_path


def test_the_whole_set_is_written_for_a_comparison(comparison, tmp_path):
    answer = call(comparison, "--out", tmp_path / "out", "--formats", "csv,tex,html", "--json")
    assert answer.exit_code == 0, answer.output
    files = {path.name for path in (tmp_path / "out").iterdir()}
    names = {
        "results",
        "methods",
        "loss_curves",
        "seeds_eval_loss",
        "pareto_eval_loss_trainable_parameters",
        "pareto_eval_loss_seconds_per_step",
        "pareto_eval_loss_peak_memory_mib",
        "circuit_qtha",
        "spectrum_lora",
        "spectrum_qtha",
        "bonds_qtha",
        "singular_values",
        "rank_by_layer",
    }
    assert files == {f"{n}.{form}" for n in names for form in ("csv", "tex", "html")} | {
        "plotly.min.js"
    }
    message = json.loads(answer.output)
    assert len(message["files"]) == 3 * len(names)
    assert message["pictures_missing"] is None


def test_every_page_and_fragment_names_its_runs_and_commits(comparison, tmp_path):
    call(comparison, "--out", tmp_path / "out", "--formats", "tex,html")
    written = list((tmp_path / "out").glob("*.[th]*"))
    assert len(written) == 26
    for path in written:
        text = path.read_text()
        assert "2026-tiny-qa-lora-s0" in text, path
        assert "0123abc, 0123abc with changes" in text, path


def test_runs_are_named_by_folder_directory_or_id_and_counted_once(comparison, monkeypatch):
    runs = comparison / "runs"
    one = "2026-tiny-qa-lora-s0"
    assert len(found_runs.find_runs([comparison])) == len(found_runs.find_runs([runs])) == 4
    assert [run.id for run in found_runs.find_runs([runs / one, runs / one])] == [one]
    monkeypatch.setenv("QTHA_LAB_RUNS", str(runs))
    assert [run.id for run in found_runs.find_runs([one])] == [one]


def test_a_folder_without_runs_and_unknown_words_are_refused_in_a_sentence(comparison, tmp_path):
    (tmp_path / "empty").mkdir()
    for words, message in (
        ((tmp_path / "empty",), "got one without runs"),
        (
            (comparison, "--formats", "docx"),
            "formats must be of pdf, svg, png, html, csv, tex, md, got docx",
        ),
        ((comparison, "--target", "stamp"), "target must be one of"),
    ):
        refused = call(*words, "--out", tmp_path / "out").exception
        assert isinstance(refused, ValueError)
        assert message in str(refused)
    assert not (tmp_path / "out").exists()


def test_the_last_record_of_a_step_counts_and_short_ones_are_filled_up():
    def event(step, values):
        return {"kind": "spectrum", "step": step, "layers": {"0.q": values}}

    read = found_runs.spectra(
        [event(0, [1.0]), event(5, [1.0, 3.0]), event(0, [2.0]), {"kind": "train"}]
    )
    assert read["0.q"].steps == [0, 5]
    assert read["0.q"].values == [[2.0, 0.0], [3.0, 1.0]]
    assert read["0.q"].bonds == {}
    assert found_runs.spectra([{"kind": "spectrum", "step": 1}]) == {}


def test_what_a_snapshot_of_a_model_gives_is_what_is_read(tmp_path):
    from peft import get_peft_model

    from qtha_lab import QthaConfig, load_model
    from qtha_lab.analysis import snapshot

    config = QthaConfig(r=2, waist=8, bond_dim=2, n_layers=1, target_modules=["q_proj"])
    taken = snapshot(get_peft_model(load_model("tiny").model, config))
    read = found_runs.spectra([{"kind": "spectrum", "step": step, **taken} for step in (0, 5)])
    layer = next(iter(taken["layers"]))
    assert read[layer].values[1] == taken["layers"][layer]["singular_values"]
    assert read[layer].effective_rank == taken["layers"][layer]["effective_rank"]
    assert [len(rows) for rows in read[layer].bonds.values()] == [2, 2]  # two networks, two steps


def test_runs_without_spectra_or_circuits_have_the_rest(tmp_path):
    record(tmp_path, "lora", 0, 4.1)
    names = [figure.name for figure in figures(found_runs.find_runs([tmp_path]))]
    assert names == ["results", "methods", "seeds_eval_loss", "loss_curves"]


# the recorded runs of data/
# ------------------------------------------------------------------------

RECORDED = data_dir() / "runs"
KEPT = {"experiment.yaml", "events.jsonl", "summary.json", "environment.json"}


def test_recorded_runs_are_small_whole_and_name_no_machine():
    files = [path for path in RECORDED.rglob("*") if path.is_file() and path.name != ".index.jsonl"]
    assert {path.name for path in files} == KEPT
    assert sum(path.stat().st_size for path in files) < 300_000
    for path in files:
        assert not re.search(r"/(tmp|home|root|Users|work)\b|run_dir", path.read_text()), path


def test_recorded_runs_are_of_clean_checkouts_and_finished():
    result = found_runs.find_runs([RECORDED])
    assert all(run.state == "finished" for run in result)
    assert not any("with changes" in commit for commit in found_runs.commits(result))
    assert len({run.experiment.seed for run in result}) == 3


def test_the_readme_of_the_data_gives_the_losses_of_the_recorded_runs():
    readme = (data_dir() / "README.md").read_text()
    table = numbers({"runs": [run.outcome() for run in found_runs.find_runs([RECORDED])]})
    for row in table:
        losses = f"{row['eval_loss_start']:.3f} → {row['eval_loss']:.3f}"
        assert f"| `{row['method']}` | 0, 1, 2 | {losses} |" in readme


@pytest.mark.slow
def test_make_figures_draws_the_recorded_runs_the_same_twice(tmp_path):
    makefile = (data_dir().parent / "Makefile").read_text()
    assert "RUNS   ?= data/runs" in makefile
    for place in ("one", "two"):
        assert call(RECORDED, "--out", tmp_path / place, "--formats", "html,csv,tex").exit_code == 0
    one, two = (sorted((tmp_path / place).iterdir()) for place in ("one", "two"))
    assert [path.name for path in one] == [path.name for path in two]
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize(
    ("method", "n_circuits"),
    [
        ("qtha(r=2,n_layers=1)", 1),
        ("qtha(r=2,stand_in=silu)", 0),
        ("qtha(r=2,use_circuit=false)", 0),
        ("qpa", 1),
        ("qpa(generator=classical)", 0),
        ("quantum_train(n_blocks=2)", 1),  # two of five qubits each
        ("quantum_train(n_blocks=3)", 2),
        ("lora(r=2)", 0),
    ],
)
def test_the_circuits_drawn_are_those_that_the_adapter_runs(method, n_circuits):
    experiment = Experiment(method=method)
    assert len(circuits_of(experiment)) == n_circuits
