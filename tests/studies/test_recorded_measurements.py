"""The files of our own measurements are comparisons that can run, each part of QTHA beside its
parent; what they came to
is packed and written.
"""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from support.refusals import refused
from support.run_folders import compared, write

from qtha_lab.adapters import get_method
from qtha_lab.core.paths import data_dir
from qtha_lab.experiment import Comparison
from qtha_lab.experiment.run_directory import write_json
from qtha_lab.studies.comparison.compared import Compared
from qtha_lab.studies.comparison.controls import PARTS, decompose
from qtha_lab.studies.comparison.report import Report
from qtha_lab.studies.comparison.tuning import at_best_rates
from tools import measurements, one_rate, verdicts

FILES = sorted((data_dir() / "measurements").glob("*.yaml"))
REPORTED = [f for f in FILES if (measurements.RESULTS / f.stem / measurements.CLAIMS).exists()]


def test_most_measurements_have_a_report():
    assert len(REPORTED) >= 20


@pytest.mark.parametrize("file", REPORTED, ids=lambda file: file.stem)
def test_every_reported_difference_has_one_of_three_verdicts_that_follows_from_its_numbers(file):
    report = json.loads((measurements.RESULTS / file.stem / measurements.CLAIMS).read_text())
    differences = [*report["claims"], *report["decomposition"]]
    assert differences
    for claim in differences:
        excludes_zero = not claim["low"] <= 0 <= claim["high"]
        is_robust = claim["neighbour"] != "fails"
        assert (claim["verdict"] == "shown") is (excludes_zero and is_robust)
        if claim["verdict"] == "equivalent":
            assert abs(claim["mean"]) < claim["margin"] == 0.02
        if claim["verdict"] == "inconclusive" and is_robust:
            assert claim["detectable"] > abs(claim["mean"])


@pytest.mark.parametrize("file", REPORTED, ids=lambda file: file.stem)
def test_the_summary_in_a_pack_has_the_means_intervals_and_verdicts_of_the_claims(file):
    folder = measurements.RESULTS / file.stem
    report = json.loads((folder / measurements.CLAIMS).read_text())
    with tarfile.open(folder / measurements.PACKED) as packed:
        summary = measurements.rounded(json.load(packed.extractfile("summary.json")))
    for name, claims in report.items():
        assert summary[name] == claims


@pytest.mark.parametrize("name", ["sealed-smollm2-definitions", "leads-ratios"])
def test_the_claims_of_a_pack_follow_from_its_runs(name, tmp_path):
    folder = measurements.RESULTS / name
    measurements.unpack(folder / measurements.PACKED, tmp_path / name)
    stale = Compared.of(tmp_path / name).summary | {"claims": []}
    write_json(tmp_path / name / "summary.json", stale)
    measurements.update_summary(tmp_path / name)
    report = json.loads((folder / measurements.CLAIMS).read_text())
    for now, then in zip(Compared.of(tmp_path / name).claims, report["claims"], strict=True):
        for number in ("mean", "low", "high"):
            assert now[number] == pytest.approx(then[number], rel=1e-4)
        assert now["verdict"] == then["verdict"]
        assert " rows" in now["conditions"]["sentence"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_measurement_has_the_seeds_that_an_interval_needs_and_methods_that_exist(file: Path):
    comparison = Comparison.from_yaml(file)
    assert len(comparison.seeds) >= 5
    if comparison.tuning:
        # at least three rates, or two with as many scales, of which the product is what counts
        scales = {axis for axis in comparison.tuning.axes if axis.endswith("alpha")}
        rates = [v for axis, v in comparison.tuning.axes.items() if axis.endswith("learning_rate")]
        assert rates
        assert min(map(len, rates)) >= (2 if scales else 3)
    elif not all(method.learning_rate for method in comparison.methods):
        at_shared_rates = file.read_text().startswith("# Registered before its runs")
        assert len(comparison.learning_rates) >= (2 if at_shared_rates else 4)
    for contender in comparison.contenders():
        get_method(contender.method.name).check(contender.method.options)
    labels = [experiment.method.label for experiment in comparison.experiments()]
    assert len(labels) == len(set(labels)) * len(comparison.seeds)


@pytest.mark.parametrize(
    "file", [f for f in FILES if f.stem.startswith("tiny")], ids=lambda file: file.stem
)
def test_a_measurement_on_tiny_has_every_row_of_the_decomposition_from_the_bias_on(file: Path):
    entries = [
        {
            "run_id": str(n),
            "label": e.method.label,
            "method": e.method.name,
            "options": e.method.options,
            "seed": e.seed,
            "state": "finished",
            "learning_rate": e.method.learning_rate,
            "eval_loss": 1.0 + e.seed,
            "test_loss": 1.0 + e.seed,
        }
        for n, e in enumerate(Comparison.from_yaml(file).experiments())
    ]
    without = set() if file.stem == "tiny-qa" else {"MPO", "bottleneck"}
    assert {row.part for row in decompose(entries)} == PARTS.keys() - without


def test_rounding_is_measured_at_the_best_rate_of_each_method():
    comparison = Comparison(
        methods="lora,qtha", learning_rates=[0.01, 0.03], seeds=[3, 4], rounding=5
    )
    experiments = comparison.experiments()
    ended = {
        place: {
            "run_id": str(place),
            "label": e.method.label,
            "method": e.method.name,
            "options": e.method.options,
            "seed": e.seed,
            "state": "finished",
            "learning_rate": e.method.learning_rate,
            "eval_loss": abs(e.method.learning_rate - {"lora": 0.01, "qtha": 0.03}[e.method.name]),
        }
        for place, e in enumerate(experiments)
    }
    repeats = comparison.perturbed(at_best_rates(experiments, ended))
    assert len(repeats) == 10
    assert {(e.method.name, e.seed, e.method.learning_rate) for e in repeats} == {
        ("lora", 3, 0.01),
        ("qtha", 3, 0.03),
    }
    assert sorted({e.training.perturbation for e in repeats}) == [1, 2, 3, 4, 5]
    assert len(comparison.perturbed(experiments)) == 10  # as many as are planned


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A measurement of which the smallest of three methods has at most 24 % of the parameters of
    LoRA r = 8.
    """
    folder = compared(
        tmp_path_factory.mktemp("measured"), methods=("lora(r=2)", "lora(r=8)", "ia3")
    )
    for run in Compared.of(folder).runs.values():
        write(run, {"kind": "train", "step": 100, "loss": 4.0})
    return folder


def test_packed_runs_laid_out_again_say_the_same_and_are_the_same_bytes_when_packed_again(
    measured, tmp_path
):
    measurements.pack(measured, tmp_path / "a.tar.xz")
    measurements.unpack(tmp_path / "a.tar.xz", tmp_path / "laid_out")
    before, after = (Report.of(folder).plain() for folder in (measured, tmp_path / "laid_out"))
    assert after["claims"] == before["claims"] != []
    assert after["decomposition"] == before["decomposition"]
    laid_out = Compared.of(tmp_path / "laid_out")
    assert {run.status().state for run in laid_out.runs.values()} == {"finished"}
    measurements.pack(tmp_path / "laid_out", tmp_path / "b.tar.xz")
    assert (tmp_path / "a.tar.xz").read_bytes() == (tmp_path / "b.tar.xz").read_bytes()
    with refused("--folder"):
        measurements.unpack(tmp_path / "a.tar.xz", tmp_path / "laid_out")


def test_a_report_is_equal_without_the_row_losses_of_runs_that_no_claim_reads(measured, tmp_path):
    whole = Compared.of(measured)
    without = measurements.runs_without_rows(measured)
    assert without == whole.runs.keys() - {*whole.best["run_id"]} != set()
    measurements.pack(measured, archive := tmp_path / "a.tar.xz", without)
    measurements.unpack(archive, folder := tmp_path / "laid_out")
    packed = {run.parent.name for run in folder.glob("runs/*/test.json")}
    assert packed == whole.runs.keys() - without
    assert measurements.page("tiny-qa", Compared.of(folder)) == measurements.page("tiny-qa", whole)
    assert measurements.holds(archive, measured, without)


def test_trials_of_a_tuning_are_packed_too_so_that_none_is_repeated(tmp_path):
    trials = tmp_path / "tuned" / "tuning" / "tiny-qa-lora"
    kept = ["journal.log", "runs/a/events.jsonl", "runs/a/summary.json", "sweep.yaml"]
    for name in (*kept, "scheduler.lock", "runs/a/adapter/weights"):
        (trials / name).parent.mkdir(parents=True, exist_ok=True)
        (trials / name).write_text("x")
    measurements.pack(tmp_path / "tuned", tmp_path / "a.tar.xz")
    measurements.unpack(tmp_path / "a.tar.xz", laid_out := tmp_path / "laid_out")
    files = [file for file in laid_out.rglob("*") if file.is_file()]
    place = laid_out / "tuning" / "tiny-qa-lora"
    assert sorted(str(file.relative_to(place)) for file in files) == kept


def test_the_methods_that_are_small_enough_are_held_against_the_large_one_as_a_family_of_their_own(
    measured,
):
    whole = Compared.of(measured)
    for entry in whole.summary["runs"]:
        entry["trainable_parameters"] = {"lora": 1000, "ia3": 240}[entry["method"]]
    found = measurements.against(Compared.of(measured), measurements.LARGE)
    assert found == {}  # with the sizes of the folder none is small enough
    page = measurements.page("tiny-qa", Compared.of(measured))
    assert "`lora(r=8)`: no other method has at most 24 % of its parameters." in page
    found = measurements.against(whole, measurements.LARGE)
    assert list(found) == ["ia3"]
    assert found["ia3"].difference.level == 0.05
    assert measurements.against(whole, "lora(r=64)") == {}
    page = measurements.page("tiny-qa", whole)
    assert "| `ia3` | 240 (24.0 %) |" in page
    assert "Of 1 methods" not in page
    assert "p is below 0.05 where the interval excludes zero" in page
    of = found["ia3"].difference
    assert f"| {of.p:.2g} | {of.verdict}" in page


def test_sentences_are_made_anew_of_packed_runs_and_a_pack_with_others_is_not_kept(
    measured, tmp_path
):
    measurements.pack(measured, archive := tmp_path / "a.tar.xz")
    measurements.unpack(archive, folder := tmp_path / "laid_out")
    before = Compared.of(folder).summary
    stale = {**before, "claims": [], "notes": ["of old"], "decomposition": []}
    assert measurements.holds(archive, folder)
    write_json(folder / "summary.json", stale)
    assert not measurements.holds(archive, folder)
    measurements.update_summary(folder, "another comparison")
    after = Compared.of(folder)
    assert before["claims"] != []
    for now, then in zip(after.summary["claims"], before["claims"], strict=True):
        assert now.keys() == then.keys()
        for name, value in then.items():  # packed losses of rows are rounded
            near = pytest.approx(value, rel=1e-2, abs=1e-4) if isinstance(value, float) else value
            assert now[name] == near, name
    assert after.comparison.rates_from == "another comparison"
    measurements.pack(folder, archive)
    assert measurements.holds(archive, folder)
    (folder / "runs" / next(iter(after.runs.values())).id / "test.json").unlink()
    assert not measurements.holds(archive, folder)


def test_the_page_of_one_shared_rate_has_a_row_per_rate_and_one_of_the_best(measured, monkeypatch):
    pair = ("ia3", "lora(r=8)")
    monkeypatch.setattr(one_rate, "pairs_on", lambda model: {"ia3 − LoRA r = 8": pair})
    whole = Compared.of(measured)
    pooled = one_rate.Pooled.of("smollm2-135m", [whole], one_rate.pairs_on("smollm2-135m"))
    assert pooled.seeds == len(whole.comparison.seeds)
    rows = list(one_rate.rows(pooled, "a name"))
    assert [row[:2] for row in rows] == [
        *(("a name", f"{rate:g}") for rate in sorted(whole.comparison.learning_rates)),
        ("a name", "each its own"),
    ]
    to_first = {claim["first"]: claim["mean"] for claim in whole.claims}
    assert f"{to_first['ia3'] - to_first['lora(r=8)']:+.3f} [" in rows[-1][2]
    losses = whole.best.groupby("family")["train_loss"]
    trained = [np.mean([*losses.get_group(name)]) for name in pair]
    assert rows[-1][2].endswith(f"; {trained[0] / trained[1] - 1:+.1%}")


def test_a_seed_that_lacks_a_run_at_one_rate_is_left_out_of_the_page(measured, monkeypatch):
    pair = ("ia3", "lora(r=8)")
    monkeypatch.setattr(one_rate, "pairs_on", lambda model: {"ia3 − LoRA r = 8": pair})
    whole = Compared.of(measured)
    seeds = {*whole.frame["seed"]}
    lost = whole.frame.index[whole.frame["method"] == "ia3"][0]
    whole.frame.loc[lost, "state"] = "failed"
    pooled = one_rate.Pooled.of("smollm2-135m", [whole], one_rate.pairs_on("smollm2-135m"))
    assert {*pooled.frame["seed"]} == seeds - {whole.frame.loc[lost, "seed"]}


def test_the_figure_of_shared_rates_has_the_numbers_of_the_page(measured, monkeypatch):
    pair = ("ia3", "lora(r=8)")
    monkeypatch.setattr(one_rate, "pairs_on", lambda model: {"ia3 − LoRA r = 8": pair})
    pooled = one_rate.Pooled.of(
        "smollm2-135m", [Compared.of(measured)], one_rate.pairs_on("smollm2-135m")
    )
    table = one_rate.figure({"tiny": pooled}).table
    cells = [row[2] for row in one_rate.rows(pooled, "tiny")][:-1]
    assert len(table.rows) == len(cells)
    for row, cell in zip(table.rows, cells, strict=True):
        place, label, _, mean, low, high, _, verdict = row
        assert (place, label) == ("tiny", "ia3 − LoRA r = 8")
        assert f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]" in cell
        assert (verdict == "shown") is cell.startswith("**")


def test_verdicts_are_counted_by_comparison_and_in_all():
    claims = [{"verdict": word} for word in ("shown", "equivalent", "equivalent", "inconclusive")]
    rows = list(verdicts.counts({"one": claims, "two": claims[:1]}))
    assert rows[2] == ("`one`", "4", "1", "2", "1")
    assert rows[-1] == ("**all**", "5", "2", "2", "1")
