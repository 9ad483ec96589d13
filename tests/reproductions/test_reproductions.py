"""Reproductions.

Arms as ordinary runs, verdicts from their seeds, and what was done is not done again.
"""

import ast
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from support.refusals import refused
from support.waiting import PATIENCE

from qtha_lab import launch
from qtha_lab.cli import main
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read_json
from qtha_lab.core.metrics import MEASURES
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.reproduction_run import Reproduced
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.reproductions import REPRODUCTIONS, PaperClaim, reproduce, reproduction
from qtha_lab.reproductions.machinery import listing
from qtha_lab.reproductions.machinery.registry import LEAST_SEEDS, QUICK_SEEDS, reproduction_of
from qtha_lab.reproductions.machinery.reproduction_study import VERDICT, ReproductionForm
from qtha_lab.reproductions.machinery.verdicts import word
from qtha_lab.runs.run import Run, list_runs
from qtha_lab.runs.table import frame
from qtha_lab.runs.table.varied import filled, short_labels
from qtha_lab.studies.comparison import rows
from qtha_lab.studies.comparison.findings import figures
from qtha_lab.studies.comparison.paired import PairedDifference

WORDS = {
    "title": "Coins",
    "arxiv": "0000.00001",
    "claim": "A loaded coin falls on its head.",
    "works": "nothing",
    "source": "a test",
    "control": "a fair coin",
    "data": "thrown coins",
    "minutes": 0.1,
}
ARMS = {"loaded": "head in 9 of 10", "fair": "head in 5 of 10"}


@pytest.fixture
def coins():
    """A reproduction of which nothing else knows; the calls it had."""
    calls = []

    @reproduction(
        name="coins", arms=ARMS, steps=(20, 10), **WORDS,
        claims=[
            PaperClaim("loaded", "fair", "accuracy", "more heads", from_paper=True),
            PaperClaim("fair", "loaded", "accuracy", "fewer heads are more"),
            PaperClaim("fair", "fair", "accuracy", "as many as itself", margin=0.01),
            PaperClaim("loaded", 0.99, "accuracy", "above 0.99"),
        ],
    )  # fmt: skip
    def throw(arm, seed, quick, log):
        calls.append((arm, seed, quick))
        random, heads = np.random.default_rng(seed), 0
        log.evaluate(0, loss=1.0)
        for step in log.course():
            heads += random.random() < {"loaded": 0.9, "fair": 0.5}[arm]
            log.train(step, loss=1 - heads / step)
        log.evaluate(log.steps, loss=1 - heads / log.steps, accuracy=heads / log.steps)
        log.end(trainable_parameters=1, learning_rate=0.1, heads=np.int64(heads))

    yield calls
    REPRODUCTIONS.forget(__name__)


def test_the_arms_are_ordinary_runs_and_the_claims_get_their_words(coins, tmp_path):
    verdict = reproduce("coins", tmp_path, seeds=5)
    assert coins == [(arm, seed, False) for seed in range(5) for arm in ARMS]
    words = [claim["verdict"] for claim in verdict["claims"]]
    assert words[:3] == ["shown", "opposite shown", "shown"]
    assert words[3] in ("inconclusive", "opposite shown")
    opposite = words.count("opposite shown")
    assert verdict["headline"] == f"shown; 2 of 4 claims shown, {opposite} opposite"
    first = verdict["claims"][0]["sentence"]
    assert first.startswith("more heads: shown (accuracy, loaded ")
    assert "98.8 % interval [+" in first  # 4 claims at once: 1 - 0.05/4
    assert first.endswith("thrown coins, 5 seeds)")
    assert json.loads((tmp_path / "coins" / "verdict.json").read_text()) == verdict


def in_order(folder):
    """The runs of a reproduction by arm and seed."""
    there = list_runs(folder / "runs")
    return sorted(there, key=lambda run: (run.experiment.method.name, run.experiment.seed))


def test_lists_tables_figures_and_views_read_them(coins, tmp_path):
    reproduce("coins", tmp_path, seeds=3)
    there = in_order(tmp_path / "coins")
    assert {run.status().state for run in there} == {"finished"}
    assert all(run.record.flaw is None for run in there)
    row = frame(there).iloc[0]
    assert (row["model"], row["task"], row["method"]) == ("coins", "thrown coins", "fair")
    assert row["origin"] == "reproduction coins"
    summary = there[0].summary
    assert summary["eval_loss_start"] == 1.0
    assert summary["heads"] == round(20 * summary["accuracy"])
    table = rows({"runs": verdict_entries(tmp_path / "coins")})
    assert [line["method"] for line in table] == ["loaded", "fair"]
    assert len([e for e in there[0].valid_events() if e["kind"] == "train"]) == 20
    sentences = []
    names = [figure.name for figure in figures(there, sentences.append)]
    assert names[:3] == ["forest_eval_loss", "results", "seeds_eval_loss"]
    assert names[3] == "loss_curves"
    assert sentences == []
    assert {*short_labels(filled(there)).values()} == {"loaded", "fair"}


def verdict_entries(folder):
    verdict = json.loads((folder / "verdict.json").read_text())
    return [entry for entries in verdict["arms"].values() for entry in entries]


def test_what_has_finished_is_not_repeated_and_what_has_not_begins_again(coins, tmp_path):
    reproduce("coins", tmp_path, quick=True)
    assert len(coins) == len(ARMS) * QUICK_SEEDS
    killed = in_order(tmp_path / "coins-quick")[0]
    whole = killed.summary
    killed.files.summary.unlink()
    lines = killed.files.events.read_text().splitlines()
    killed.files.events.write_text("\n".join(lines[:6]) + "\n")  # as after a kill at step 3 or so
    assert Run(killed.path).status().state == "dead"
    again = reproduce("coins", tmp_path, quick=True)
    assert len(coins) == len(ARMS) * QUICK_SEEDS + 1
    assert len(list_runs(tmp_path / "coins-quick" / "runs")) == len(ARMS) * QUICK_SEEDS
    repeated = Run(killed.path).summary
    timed = {"wall_seconds", "seconds_per_step"}
    assert {k: v for k, v in repeated.items() if k not in timed} == {
        k: v for k, v in whole.items() if k not in timed
    }
    steps = [e["step"] for e in Run(killed.path).valid_events() if e["kind"] == "train"]
    assert steps == list(range(1, 11))
    assert again["arms"]["fair"][0]["accuracy"] == whole["accuracy"]


def test_an_arm_stops_at_its_next_step_when_it_is_asked_to(tmp_path):
    @reproduction(
        name="stopping", arms={"a": "one"}, steps=(9, 9), claims=[PaperClaim("a", 0.0, "eval_loss", "x")], **WORDS
    )  # fmt: skip
    def stop(arm, seed, quick, log):
        for step in log.course():
            if step == 4:
                list_runs(tmp_path / "stopping" / "runs")[0].request_stop()
            log.train(step, loss=1.0)

    try:
        with refused("Arm a of stopping, seed 0,", "one stopped at step 4 of 9"):
            reproduce("stopping", tmp_path)
        [run] = list_runs(tmp_path / "stopping" / "runs")
        assert run.status().state == "stopped"
        with refused(remedy="qtha-lab reproduce stopping"):
            run.resume()
    finally:
        REPRODUCTIONS.forget(__name__)


def test_an_arm_that_breaks_is_a_failed_run_and_no_verdict(tmp_path):
    @reproduction(
        name="breaking", arms={"a": "one"}, claims=[PaperClaim("a", 0.0, "eval_loss", "x")], **WORDS
    )
    def breaks(arm, seed, quick, log):
        raise ZeroDivisionError

    try:
        with pytest.raises(ZeroDivisionError):
            reproduce("breaking", tmp_path)
        [run] = list_runs(tmp_path / "breaking" / "runs")
        assert run.status().state == "failed"
        assert "this is a fault" in run.status().message
        assert not (tmp_path / "breaking" / "verdict.json").exists()
    finally:
        REPRODUCTIONS.forget(__name__)


@pytest.mark.parametrize(
    ("low", "high", "better", "margin", "expected"),
    [
        (0.1, 0.3, "higher", 0.0, "shown"),
        (-0.1, 0.3, "higher", 0.0, "inconclusive"),
        (-0.3, -0.1, "higher", 0.0, "opposite shown"),
        (0.1, 0.3, "lower", 0.0, "opposite shown"),
        (0.0, 0.0, "lower", 0.0, "not asked"),
        (-5.0, -5.0, "lower", 0.0, "computed"),
        (5.0, 5.0, "lower", 0.0, "opposite computed"),
        (-0.1, 0.3, "higher", 0.2, "shown"),
        (0.3, 0.5, "lower", 0.2, "opposite shown"),
        (0.1, 0.5, "lower", 0.2, "inconclusive"),
    ],
)
def test_a_word_follows_from_the_side_that_the_interval_lies_on(
    low, high, better, margin, expected
):
    spread = high - low
    difference = PairedDifference((low + high) / 2, low, high, 0.1, seeds=5, items=1, spread=spread)
    assert word(PaperClaim("a", "b", "anything", "x", better, margin), difference) == expected


def test_two_arms_are_equivalent_within_the_margin_of_a_loss():
    difference = PairedDifference(0.001, -0.01, 0.012, 0.8, seeds=5, items=1, spread=0.01)
    assert word(PaperClaim("a", "b", "test_loss", "x"), difference) == "equivalent"
    assert word(PaperClaim("a", "b", "reward", "x"), difference) == "inconclusive"


def test_too_few_seeds_are_not_asked(coins, tmp_path):
    verdict = reproduce("coins", tmp_path, seeds=2)
    assert [claim["verdict"] for claim in verdict["claims"]] == ["not asked"] * 4
    assert "an interval needs 3 seeds" in verdict["claims"][0]["sentence"]


def test_what_is_registered_or_asked_for_wrongly_is_refused(coins, tmp_path):
    with refused("arm of reproduction x", "'fiar'"):
        reproduction(name="x", arms=ARMS, claims=[PaperClaim("fiar", 1.0, "a", "b")], **WORDS)
    with refused("Reproduction 'x'", rule="has no claims"):
        reproduction(name="x", arms=ARMS, claims=[], **WORDS)
    with refused("reproduction", "'coinz'"):
        reproduce("coinz")
    with refused("seeds", "0"):
        reproduce("coins", tmp_path, seeds=0)


def test_a_description_of_an_arm_is_read_back_and_never_launched(tmp_path):
    arm = Reproduced.arm("coins", "fair", data="thrown coins", steps=7, seed=2, quick=True)
    files = RunDir.create(arm, tmp_path)
    assert files.path.name[16:].startswith("coins-thrown_coins-fair-s2-")
    assert RunDir(files.path).experiment == arm
    assert arm.to_command() == "qtha-lab reproduce coins --quick"
    with refused(remedy="qtha-lab reproduce coins"):
        launch(arm, tmp_path)
    plain = RunDir.create(Experiment(name="reproduction: mine"), tmp_path)
    assert type(plain.experiment) is Experiment


def test_code_in_the_name_of_a_reproduction_stays_text_in_the_python_of_an_arm(tmp_path):
    planted = tmp_path / "planted"
    attack = f"""coinz(a='b")or __import__("os").mkdir("{planted}")or("')"""
    arm = Reproduced.arm(attack, "fair", data="thrown coins", steps=7, seed=2)
    with refused("reproduction", "'coinz'"):
        exec(arm.to_python(), {})
    assert not planted.exists()
    (call,) = (node for node in ast.walk(ast.parse(arm.to_python())) if isinstance(node, ast.Call))
    assert ast.literal_eval(call.args[0]) == attack


@pytest.mark.parametrize(
    "attack",
    ['x")\nimport os\nos.mkdir("y', 'x";os.mkdir("y', 'x"+"y', "x\\", "x(a=\x1b[2J)", "(", ""],
)
def test_a_recorded_arm_whose_reproduction_is_no_name_is_refused(tmp_path, attack):
    files = RunDir.create(Reproduced.arm("coins", "fair", data="coins", steps=1, seed=0), tmp_path)
    text = files.experiment_file.read_text()
    files.experiment_file.write_text(
        text.replace("reproduction: coins", f"reproduction: {json.dumps(attack)}")
    )
    with refused("reproduction"):
        _ = RunDir(files.path).experiment


def test_the_command_lists_and_runs_them(coins, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["qtha-lab", "reproduce", "coins", "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match="0"):
        main()
    out = capsys.readouterr().out
    assert out.startswith("coins (0000.00001): shown; 2 of 4 claims shown, ")
    assert " opposite\n- more heads" in out
    monkeypatch.setattr("sys.argv", ["qtha-lab", "reproduce", "--list", "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match="0"):
        main()
    listed = capsys.readouterr().out.split("coins (0000.00001): ")[1].splitlines()
    assert listed[0].startswith("shown; 2 of 4 claims shown")
    assert listed[2] == "  paper: no number known here"
    head, *lines = listing.short_table(tmp_path)
    row = dict(zip(head, next(line for line in lines if line[0] == "coins"), strict=True))
    verdict = listing.verdict_of("coins", tmp_path)
    assert row["scale"] == f"thrown coins; {verdict['seeds']} seeds"
    assert row["date, commit"] == f"{verdict['date']}, {verdict['commit'][:7] or '–'}"
    assert not any("{" in line[head.index("scale")] for line in lines)


def test_a_second_task_of_a_system_is_a_variant_in_the_same_row(tmp_path):
    names = [line[0] for line in listing.short_table(tmp_path)[1:]]
    assert len(names) == 21  # twenty systems, QTHA included, and LoRA
    assert reproduction_of("distillation(task=qa)").name == "distillation_qa"
    assert "distillation_qa" not in names
    row = next(line for line in listing.short_table(tmp_path) if line[0] == "distillation")
    assert "; task=qa: " in row[4]
    with pytest.raises(Refusal, match="got task"):
        reproduction_of("cotenqu(task=qa)")


# what every reproduction of the package keeps to


@pytest.mark.parametrize("name", sorted(REPRODUCTIONS))
def test_every_reproduction_says_what_it_is(name):
    of = REPRODUCTIONS[name]
    assert of.title
    assert of.claim.endswith(".")
    for words in (of.works, of.source, of.control, of.data):
        assert words
        assert not words.endswith(".")
    assert of.arxiv == "PyPI" or (of.arxiv[:4].isdigit() and of.arxiv[4] == ".")
    assert len(of.arms) >= 2, "A reproduction has a control"
    assert of.steps[0] >= of.steps[1]


@pytest.mark.parametrize("name", sorted(REPRODUCTIONS))
def test_every_kept_verdict_is_of_a_full_reproduction_as_it_is_now(name):
    verdict, of = listing.recorded_verdict(name), REPRODUCTIONS[name]
    if verdict is None:
        pytest.skip("not run in full yet")
    assert not verdict["quick"]
    assert verdict["seeds"] >= LEAST_SEEDS
    assert [claim["says"] for claim in verdict["claims"]] == [claim.says for claim in of.claims]
    assert set(verdict["arms"]) == set(of.arms)


def test_measures_of_problems_are_learnt_or_counted():
    of_problems = [m for m in MEASURES.values() if m.kind == "problem"]
    assert all(m.column for m in of_problems)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")
def test_the_command_imports_the_libraries_once_for_all_arms(tmp_path):
    words = ["reproduce", "lora", "--quick", "--seeds", "1", "--out", str(tmp_path)]
    process = subprocess.run(
        [sys.executable, "-m", "qtha_lab", *words],
        env=os.environ | {"QTHA_LAB_LOG": "info"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stderr.count("is forked for") == len(list_runs(tmp_path / "lora-quick" / "runs"))


@pytest.mark.slow
def test_a_launched_reproduction_ends_with_the_verdict_of_one_in_the_foreground(tmp_path):
    described = ReproductionForm(name="flip", quick=True, seeds=1)
    study = launch(described, tmp_path / "launched").wait(PATIENCE)
    assert study.state == "finished", study.why()
    found, again = read_json(study.path / VERDICT), reproduce("flip", tmp_path, quick=True, seeds=1)
    assert found["claims"] == again["claims"]
    measures = [
        [entry["eval_loss"] for of in verdict["arms"].values() for entry in of]
        for verdict in (found, again)
    ]
    assert measures[0] == measures[1]
